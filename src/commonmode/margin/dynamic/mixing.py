"""One requirement out of normal, stressed, broken-correlation and hypothetical losses.

Every rule is a choice of coefficients per account, so the attribution to legs is the same linear
combination of the components' own contributions and stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.margin.procyclicality import EMIR_STRESSED_WEIGHT

__all__ = ["COMPONENTS", "MarginMix"]

#: Order of the components along the last axis.
COMPONENTS: Final = ("normal", "stressed", "broken", "hypothetical")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginMix:
    """How the components become one requirement.

    ``base = (1 - w) normal + w stressed`` or ``max(normal, stressed)``;
    ``joint = base + c max(broken - base, 0)``;
    ``requirement = max(joint, h hypothetical, 0)``.

    Attributes
    ----------
    rule : "weight" or "max"
        How normal and stressed are put together.
    stressed_weight : float
        ``w`` in [0, 1]; unused by "max".
    correlation_stress : float
        ``c`` in [0, 1]: 0 trusts the joint history, 1 no hedge between factors at all. A broken
        correlation never lowers the requirement.
    hypothetical_share : float
        ``h`` >= 0: the part of the worst hypothetical loss that must be covered.
    """

    rule: Literal["weight", "max"] = "weight"
    stressed_weight: float = EMIR_STRESSED_WEIGHT
    correlation_stress: float = 0.0
    hypothetical_share: float = 0.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.rule not in ("weight", "max"):
            raise ConfigurationError(f"mixing rule {self.rule!r}", remedy="use 'weight' or 'max'")
        for name in ("stressed_weight", "correlation_stress"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ConfigurationError(f"{name} {value} is not in [0, 1]", remedy="use a share")
        if not 0.0 <= self.hypothetical_share < float("inf"):
            raise ConfigurationError(
                f"hypothetical share {self.hypothetical_share} is negative or infinite",
                remedy="use 0 to leave hypothetical moves out, 1 to cover the worst in full",
            )

    def coefficients(
        self,
        normal: FloatArray,
        stressed: FloatArray,
        broken: FloatArray | None = None,
        hypothetical: FloatArray | None = None,
    ) -> FloatArray:
        """Coefficients of the four components in each account's requirement.

        Parameters
        ----------
        normal, stressed : float64, shape (A,)
            Shortfalls, positive for a loss.
        broken : float64, shape (A,), optional
            Shortfall under broken correlation; needed if ``correlation_stress`` is positive.
        hypothetical : float64, shape (A,), optional
            Worst hypothetical loss; needed if ``hypothetical_share`` is positive.

        Returns
        -------
        float64, shape (A, 4)
            In the order of :data:`COMPONENTS`. The requirement is the sum of coefficients times
            components; all are 0 where no component asks for margin, NaN where one in use is NaN.
        """
        if (broken is None and self.correlation_stress > 0.0) or (
            hypothetical is None and self.hypothetical_share > 0.0
        ):
            raise ConfigurationError(
                "the mix uses broken correlation or hypothetical moves that are not given",
                remedy="give the component or set its parameter to 0",
            )
        n = np.asarray(normal, dtype=np.float64)
        s = np.asarray(stressed, dtype=np.float64)
        zero = np.zeros_like(n)
        b = zero if broken is None else np.asarray(broken, dtype=np.float64)
        h = zero if hypothetical is None else np.asarray(hypothetical, dtype=np.float64)
        if self.rule == "weight":
            w = np.full_like(n, self.stressed_weight)
        else:
            w = (s > n).astype(np.float64)
        base = _sum(1.0 - w, n, w, s)
        c = np.where((b > base) & (self.correlation_stress > 0.0), self.correlation_stress, 0.0)
        joint = _sum(1.0 - c, base, c, b)
        cover = _times(np.full_like(n, self.hypothetical_share), h)
        by_hypothetical = cover > joint
        asks = np.maximum(joint, cover) > 0.0
        on = np.where(by_hypothetical, 0.0, 1.0)
        out = np.stack(
            [
                on * (1.0 - c) * (1.0 - w),
                on * (1.0 - c) * w,
                on * c,
                np.where(by_hypothetical, self.hypothetical_share, 0.0),
            ],
            axis=-1,
        )
        out[~asks] = 0.0
        unknown = np.isnan(joint) | np.isnan(cover) | np.isnan(n) | np.isnan(s)
        unknown |= np.isnan(b) if self.correlation_stress > 0.0 else False
        out[unknown] = np.nan
        return out

    def requirement(
        self,
        normal: FloatArray,
        stressed: FloatArray,
        broken: FloatArray | None = None,
        hypothetical: FloatArray | None = None,
    ) -> FloatArray:
        """The requirement of each account, shape (A,); see :meth:`coefficients`."""
        coefficients = self.coefficients(normal, stressed, broken, hypothetical)
        total = np.zeros(len(coefficients))
        for k, part in enumerate((normal, stressed, broken, hypothetical)):
            if part is not None:
                total = total + _times(coefficients[:, k], part)
        return total


def _times(coefficient: FloatArray, value: FloatArray) -> FloatArray:
    # A component that does not enter may be infinite (a position that nobody would take).
    return np.asarray(coefficient * np.where(coefficient == 0.0, 0.0, value))


def _sum(a: FloatArray, x: FloatArray, b: FloatArray, y: FloatArray) -> FloatArray:
    return _times(a, x) + _times(b, y)
