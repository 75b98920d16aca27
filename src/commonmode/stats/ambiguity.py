"""Ambiguity decomposition: an ensemble's error is its members' error minus their disagreement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["Ambiguity", "krogh_vedelsby"]


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Krogh-Vedelsby decomposition, averaged over observations.

    Attributes
    ----------
    average_error : float
        Weighted mean of the members' squared errors.
    ambiguity : float
        Weighted mean squared distance of the members from the ensemble, >= 0.
    ensemble_error : float
        Squared error of the ensemble; ``average_error - ambiguity``.
    """

    average_error: float
    ambiguity: float
    ensemble_error: float

    @property
    def share(self) -> float:
        """Ambiguity as a share of the members' error, in [0, 1]; NaN when nobody errs."""
        return self.ambiguity / self.average_error if self.average_error > 0 else float("nan")


def krogh_vedelsby(
    forecasts: FloatArray, outcome: FloatArray | float, weights: FloatArray | None = None
) -> Ambiguity:
    """Split the error of an ensemble mean.

    ``(f_bar - y)^2 = sum_i w_i (f_i - y)^2 - sum_i w_i (f_i - f_bar)^2``
    (Krogh & Vedelsby 1995, NIPS 7).

    Parameters
    ----------
    forecasts : float64, shape (N,) or (T, N)
        Members in the last axis.
    outcome : float64, shape () or (T,)
    weights : float64, shape (N,), optional
        Non-negative, adding up to one; equal by default.
    """
    f = np.asarray(forecasts, dtype=np.float64)
    y = np.asarray(outcome, dtype=np.float64)
    n = f.shape[-1]
    w = np.full(n, 1.0 / n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or np.any(w < 0) or abs(float(w.sum()) - 1.0) > 1e-9:
        raise DataError(
            "ensemble weights must be non-negative, one per member, and add up to one",
            remedy="normalise the weights",
        )
    ensemble = f @ w
    return Ambiguity(
        average_error=float(np.mean(((f - y[..., None]) ** 2) @ w)),
        ambiguity=float(np.mean(((f - ensemble[..., None]) ** 2) @ w)),
        ensemble_error=float(np.mean((ensemble - y) ** 2)),
    )
