"""What a model known by its characteristic function has to provide."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError

__all__ = ["CharacteristicModel", "ComplexArray", "log1p_complex", "require"]

ComplexArray: TypeAlias = NDArray[np.complex128]


class CharacteristicModel(Protocol):
    """Law of ``X = ln(S_T / F)`` with ``E exp(X) = 1``, through its characteristic function.

    Parameters of a model are floats, or float64 arrays that broadcast against ``u``; the methods
    work elementwise. ``p = i u`` turns the characteristic into the moment generating function.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the gradient."""
        ...

    @property
    def cone(self) -> float:
        """Angle by which a contour in p may be bent off the vertical, radians; 0 is always safe."""
        ...

    def log_cf(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """``ln E exp(i u X)``, broadcast shape; ``u`` within the strip of regularity."""
        ...

    def gradient(self, u: ComplexArray, years: FloatArray) -> tuple[ComplexArray, ...]:
        """``log_cf`` followed by its derivative to each parameter."""
        ...

    def maturity_slope(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """Derivative of ``log_cf`` to ``years``."""
        ...

    def strip(self, years: float) -> tuple[float, float]:
        """Open interval of real p, around [0, 1], in which ``E exp(p X)`` is finite."""
        ...


def require(good: object, what: str, remedy: str) -> None:
    """Refuse parameters outside the domain of a model.

    Raises
    ------
    ConfigurationError
        Unless every element of ``good`` holds.
    """
    if not np.all(np.asarray(good)):
        raise ConfigurationError(f"{what} outside its domain", remedy=remedy)


def log1p_complex(z: ComplexArray) -> ComplexArray:
    """``ln(1 + z)`` without loss of digits for small z (numpy's complex log1p has none to keep)."""
    x, y = z.real, z.imag
    out = np.empty(z.shape, dtype=np.complex128)
    out.real = 0.5 * np.log1p(x * (2.0 + x) + y * y)
    out.imag = np.arctan2(y, 1.0 + x)
    return out
