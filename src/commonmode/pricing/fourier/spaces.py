"""How each model is calibrated: the box of its parameters and where the search starts.

Positive parameters are searched on a logarithmic scale. Start values follow from the volatilities
at the money and are not tuned to any market.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.pricing.fourier.heston import Bates, Heston
from commonmode.pricing.fourier.levy import Kou, Merton, VarianceGamma
from commonmode.pricing.fourier.model import CharacteristicModel

__all__ = ["SPACES", "CalibratedModel", "ParameterSpace", "of_parameters"]

CalibratedModel = Literal["heston", "bates", "merton", "kou", "variance-gamma"]
Starts = Callable[[FloatArray, FloatArray], FloatArray]
"""Years and volatility at the money of the expiries (E,) to starts (S, p)."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterSpace:
    """A model's parameters as coordinates of a search.

    Attributes
    ----------
    kind : type of the model
    names : tuple of str
    lower, upper : float64, shape (p,)
        In the model's own units.
    positive : bool, shape (p,)
        Searched on a logarithmic scale.
    starts : callable
    """

    kind: type[CharacteristicModel]
    names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    positive: BoolArray
    starts: Starts

    def coordinates(self, parameters: FloatArray) -> FloatArray:
        """Parameters (..., p) to coordinates."""
        clipped = np.clip(parameters, self.lower, self.upper)
        with np.errstate(all="ignore"):
            return np.where(self.positive, np.log(clipped), clipped)

    def parameters(self, coordinates: FloatArray) -> FloatArray:
        """Coordinates (..., p) to parameters."""
        out = coordinates.copy()
        np.exp(coordinates, out=out, where=np.broadcast_to(self.positive, out.shape))
        return out


def of_parameters(kind: type[CharacteristicModel], parameters: FloatArray) -> CharacteristicModel:
    """A model with arrays for parameters, without the check of its domain.

    The search may step outside (a variance gamma law without a mean); its residuals are then not
    finite and the step is refused.

    Parameters
    ----------
    kind : type
    parameters : float64, shape (..., p)
        Become arrays of shape (..., 1), which broadcast against frequencies.
    """
    model = object.__new__(kind)
    fields: tuple[str, ...] = tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for j, name in enumerate(fields):
        object.__setattr__(model, name, parameters[..., j, None])
    return model


def _heston_starts(years: FloatArray, vol: FloatArray) -> FloatArray:
    now, later = vol[np.argmin(years)] ** 2, vol[np.argmax(years)] ** 2
    return np.array([[now, 2.0, later, 1.0, -0.2]])


def _bates_starts(years: FloatArray, vol: FloatArray) -> FloatArray:
    now, later = vol[np.argmin(years)] ** 2, vol[np.argmax(years)] ** 2
    return np.array([[0.8 * now, 2.0, later, 1.0, -0.2, 5.0, mean, 0.05] for mean in (-0.03, 0.03)])


def _merton_starts(years: FloatArray, vol: FloatArray) -> FloatArray:
    """A third of the variance from about one jump within the life of the option."""
    t, v = float(np.median(years)), float(np.median(vol))
    size = v * np.sqrt(t / 3.0)
    return np.array([[0.8 * v, 1.0 / t, lean * size, size] for lean in (-0.5, 0.5)])


def _kou_starts(years: FloatArray, vol: FloatArray) -> FloatArray:
    t, v = float(np.median(years)), float(np.median(vol))
    rate = max(np.sqrt(6.0 / t) / v, 1.5)
    return np.array([[0.8 * v, 1.0 / t, share, rate, rate] for share in (0.3, 0.7)])


def _variance_gamma_starts(years: FloatArray, vol: FloatArray) -> FloatArray:
    t, v = float(np.median(years)), float(np.median(vol))
    return np.array([[v, lean * v / np.sqrt(t), 0.3 * t] for lean in (-0.2, 0.2)])


def _space(
    kind: type[CharacteristicModel],
    starts: Starts,
    **box: tuple[float, float, bool],
) -> ParameterSpace:
    lower, upper, positive = (np.array(column) for column in zip(*box.values(), strict=True))
    return ParameterSpace(kind, tuple(box), lower, upper, positive.astype(np.bool_), starts)


_VARIANCE: Final = {
    "v0": (1e-4, 16.0, True),
    "kappa": (1e-2, 100.0, True),
    "theta": (1e-4, 16.0, True),
    "sigma": (1e-2, 30.0, True),
    "rho": (-0.999, 0.999, False),
}
_JUMPS: Final = {
    "intensity": (1e-3, 1e4, True),
    "jump_mean": (-2.0, 2.0, False),
    "jump_std": (1e-4, 2.0, True),
}

SPACES: Final[Mapping[CalibratedModel, ParameterSpace]] = MappingProxyType(
    {
        "heston": _space(Heston, _heston_starts, **_VARIANCE),
        "bates": _space(Bates, _bates_starts, **_VARIANCE, **_JUMPS),
        "merton": _space(Merton, _merton_starts, vol=(1e-2, 4.0, True), **_JUMPS),
        "kou": _space(
            Kou,
            _kou_starts,
            vol=(1e-2, 4.0, True),
            intensity=(1e-3, 1e4, True),
            up_share=(1e-3, 0.999, False),
            up_rate=(1.05, 1e4, True),
            down_rate=(0.05, 1e4, True),
        ),
        "variance-gamma": _space(
            VarianceGamma,
            _variance_gamma_starts,
            vol=(1e-2, 4.0, True),
            drift=(-50.0, 50.0, False),
            nu=(1e-8, 10.0, True),
        ),
    }
)
"""By type name."""
