"""Closed forms of how parts of a system act on one another: response gain, Gaussian CoVaR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["ResponseGain", "gaussian_covar", "response_gain"]


@dataclass(frozen=True, slots=True, eq=False)
class ResponseGain:
    """What responses to one another make of a shock: ``x = (I - G)^-1 u``.

    Attributes
    ----------
    spectral_radius : float
        Of G; at 1 or more a shock feeds itself and there is no finite answer.
    response : float64, shape (N, N)
        Column j: what becomes of a unit shock to j alone; infinite where the radius is 1 or more.
    common : float
        Mean response to a unit shock to everybody; infinite as above.
    """

    spectral_radius: float
    response: FloatArray
    common: float


def response_gain(cross_response: FloatArray) -> ResponseGain:
    """Gain of a linear round of responses.

    Parameters
    ----------
    cross_response : float64, shape (N, N)
        ``[i, j]``: what i adds when j moves by one.

    Raises
    ------
    DataError
        Not a square matrix of finite numbers.
    """
    g = np.asarray(cross_response, np.float64)
    if g.ndim != 2 or g.shape[0] != g.shape[1] or not np.isfinite(g).all():
        raise DataError(f"cross-responses of shape {g.shape}", remedy="give a finite square matrix")
    radius = float(np.abs(np.linalg.eigvals(g)).max())
    if radius >= 1.0:
        return ResponseGain(radius, np.full(g.shape, np.inf), float("inf"))
    response: FloatArray = np.asarray(np.linalg.inv(np.eye(len(g)) - g), np.float64)
    return ResponseGain(radius, response, float(response.sum(axis=1).mean()))


def gaussian_covar(level: float, correlation: float, sd: float) -> tuple[float, float]:
    """CoVaR of a Gaussian pair and its rise over the median state.

    Given that the other is at its own quantile, ``z_q sd (rho + sqrt(1 - rho^2))``; less the same
    with the other at its median, ``z_q sd rho``. Adrian and Brunnermeier (2016), "CoVaR", American
    Economic Review 106(7), for centred returns.

    Parameters
    ----------
    level : float
        Tail probability q in (0, 1), e.g. 0.05.
    correlation : float
        In [-1, 1].
    sd : float
        Of the return whose quantile is asked for, >= 0.

    Returns
    -------
    (float, float)
        CoVaR and delta CoVaR, returns (negative in the lower tail).

    Raises
    ------
    DataError
        A parameter out of range.
    """
    if not (0.0 < level < 1.0 and -1.0 <= correlation <= 1.0 and sd >= 0.0):
        raise DataError(
            f"level {level}, correlation {correlation}, sd {sd}",
            remedy="level in (0, 1), correlation in [-1, 1], sd not negative",
        )
    z = float(ndtri(level)) * sd
    return z * (correlation + float(np.sqrt(1.0 - correlation**2))), z * correlation
