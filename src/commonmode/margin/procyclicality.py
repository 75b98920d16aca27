"""Keeping margin from rising just when it hurts: the tools, and one control that joins them.

Tools: Commission Delegated Regulation (EU) 153/2013, Art. 28(1) (buffer, stressed weight, floor),
and a limit on speed. They are meant for a constant portfolio: where positions were traded, a path
of margin measures trading. What the tools do is measured in ``margin.procyclicality_measures``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError

__all__ = [
    "EMIR_BUFFER",
    "EMIR_STRESSED_WEIGHT",
    "ProcyclicalityControl",
    "buffered",
    "floored",
    "speed_limited",
    "stressed_weighted",
]

#: Least buffer, Art. 28(1)(a).
EMIR_BUFFER: Final = 0.25
#: Least weight of stressed observations, Art. 28(1)(b).
EMIR_STRESSED_WEIGHT: Final = 0.25


def _share(value: float, name: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"{name} {value} is not in [0, 1]", remedy="use a share")


def _path(margin: FloatArray) -> FloatArray:
    path = np.asarray(margin, dtype=np.float64)
    if path.ndim != 2 or not len(path):
        raise DataError(
            f"a margin path of shape {path.shape}", remedy="paths are (times, accounts)"
        )
    return path


def buffered(margin: ArrayLike, release: ArrayLike, *, buffer: float = EMIR_BUFFER) -> FloatArray:
    """``max(M, min((1 + b) M, release))``: a buffer that is used up as M approaches the release.

    Parameters
    ----------
    margin : float64, shape (T, A) or (A,)
    release : float64, broadcastable
        Level of margin from which the buffer may be exhausted; infinity keeps it always, 0 never
        asks for it.
    buffer : float
        ``b`` >= 0.
    """
    if not 0.0 <= buffer < float("inf"):
        raise ConfigurationError(f"a buffer of {buffer}", remedy="0.25 is a quarter on top")
    m = np.asarray(margin, dtype=np.float64)
    return np.asarray(np.maximum(m, np.minimum((1.0 + buffer) * m, release)))


def stressed_weighted(
    margin: ArrayLike, stressed: ArrayLike, *, weight: float = EMIR_STRESSED_WEIGHT
) -> FloatArray:
    """``(1 - w) M + w M_stress``.

    Parameters
    ----------
    margin, stressed : float64, broadcastable
        The same portfolio margined on current and on stressed observations.
    weight : float
        ``w`` in [0, 1].
    """
    _share(weight, "stressed weight")
    m = np.asarray(margin, dtype=np.float64)
    s = np.asarray(stressed, dtype=np.float64)
    return np.asarray((1.0 - weight) * m + weight * s)


def floored(margin: ArrayLike, floor: ArrayLike) -> FloatArray:
    """``max(M, floor)``: not below the margin on a long (ten-year) history.

    Parameters
    ----------
    margin, floor : float64, broadcastable
    """
    return np.asarray(np.maximum(margin, floor), dtype=np.float64)


def _limited(margin: FloatArray, before: FloatArray, limit: float) -> FloatArray:
    if limit == float("inf"):
        return margin
    # Where there was no margin there is nothing to rise from: no limit.
    return np.where(before > 0.0, np.minimum(margin, limit * before), margin)


def _check_speed(limit: float, lag: int) -> None:
    if not limit >= 1.0 or lag < 1:
        raise ConfigurationError(
            f"a speed limit of {limit} over {lag} steps",
            remedy="the limit is at least 1 (it bounds rises only) over at least one step",
        )


def speed_limited(margin: FloatArray, *, limit: float, lag: int = 1) -> FloatArray:
    """``M'_t = min(M_t, L M'_{t-n})`` on the path itself; the first n steps are free.

    It bounds the n-step rise by L exactly, at the price of margin below what the model asks for:
    read it with the coverage.

    Parameters
    ----------
    margin : float64, shape (T, A)
    limit : float
        ``L`` >= 1; infinity for none.
    lag : int
        ``n`` >= 1.
    """
    _check_speed(limit, lag)
    out = _path(margin).copy()
    # Rows t..t+n-1 depend on rows t-n..t-1 only.
    for start in range(lag, len(out), lag):
        stop = min(start + lag, len(out))
        out[start:stop] = _limited(out[start:stop], out[start - lag : stop - lag], limit)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcyclicalityControl:
    """The four tools in a fixed order: stressed weight, floor, buffer, speed limit.

    The speed limit comes last and wins: its bound on rises holds for what is called. As long as the
    floor does not rise faster than the limit, margin stays above the floor too.

    Attributes
    ----------
    buffer : float
        0 for none.
    stressed_weight : float
        0 for none; otherwise stressed margin has to be given.
    limit : float
        Speed limit; infinity for none.
    lag : int
        Steps over which the speed limit holds.
    """

    buffer: float = 0.0
    stressed_weight: float = 0.0
    limit: float = float("inf")
    lag: int = 1

    def __post_init__(self) -> None:
        """Check the parameters."""
        buffered(np.zeros(1), 0.0, buffer=self.buffer)
        _share(self.stressed_weight, "stressed weight")
        _check_speed(self.limit, self.lag)

    def _before_limit(
        self,
        raw: FloatArray,
        stressed: ArrayLike | None,
        floor: ArrayLike,
        release: ArrayLike,
    ) -> FloatArray:
        if stressed is None and self.stressed_weight > 0.0:
            raise ConfigurationError(
                "a stressed weight without stressed margin",
                remedy="give the margin on stressed observations, or set the weight to 0",
            )
        margin = raw
        if stressed is not None and self.stressed_weight > 0.0:
            margin = stressed_weighted(raw, stressed, weight=self.stressed_weight)
        return buffered(floored(margin, floor), release, buffer=self.buffer)

    def path(
        self,
        raw: FloatArray,
        *,
        stressed: ArrayLike | None = None,
        floor: ArrayLike = 0.0,
        release: ArrayLike = float("inf"),
    ) -> FloatArray:
        """Controlled margin of a whole path.

        Parameters
        ----------
        raw : float64, shape (T, A)
            What the model asks for.
        stressed, floor, release : float64, broadcastable to (T, A)
            See the single tools.

        Returns
        -------
        float64, shape (T, A)
        """
        margin = self._before_limit(_path(raw), stressed, floor, release)
        return speed_limited(margin, limit=self.limit, lag=self.lag)

    def step(
        self,
        previous: FloatArray,
        raw: FloatArray,
        *,
        stressed: ArrayLike | None = None,
        floor: ArrayLike = 0.0,
        release: ArrayLike = float("inf"),
    ) -> FloatArray:
        """Controlled margin now, the same bits as :meth:`path` gives.

        Parameters
        ----------
        previous : float64, shape (k, A)
            Controlled margin of the last k steps, the latest last; fewer than ``lag`` steps leave
            the margin free. If positions changed, give what today's portfolio would have paid.
        raw : float64, shape (A,)
        stressed, floor, release : float64, broadcastable to (A,)
            As of now.

        Returns
        -------
        float64, shape (A,)
        """
        margin = self._before_limit(np.asarray(raw, dtype=np.float64), stressed, floor, release)
        if len(previous) < self.lag:
            return margin
        return _limited(margin, previous[len(previous) - self.lag], self.limit)
