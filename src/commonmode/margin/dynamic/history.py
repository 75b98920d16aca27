"""Return panels of several risk factors, and the scenarios their history holds.

Gaps are left out and counted, never bridged. A factor whose own history is too short either has a
stated proxy or is a failure of that factor alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray, freeze_arrays
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.dynamic.scenarios import JointScenarios, ScenarioKind

__all__ = [
    "CompletedPanel",
    "Proxy",
    "ReturnPanel",
    "complete_factors",
    "historical_scenarios",
    "horizon_sums",
    "stressed_rows",
    "stressed_scenarios",
    "window_labels",
]

_MS_PER_MINUTE = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class ReturnPanel:
    """One-bar log returns of U factors at common times.

    Attributes
    ----------
    factors : tuple of str, length U
    times_ms : int64, shape (T,)
        End of each bar, strictly increasing, milliseconds since 1970 UTC.
    returns : float64, shape (T, U)
        NaN where the factor has no return at that bar.
    step_ms : int
        Length of a bar.
    proxies : mapping of str to str
        Factors that carry another factor's history.
    """

    factors: tuple[str, ...]
    times_ms: IntArray
    returns: FloatArray
    step_ms: int
    proxies: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and times."""
        if self.returns.shape != (len(self.times_ms), len(self.factors)):
            raise DataError(
                f"returns of shape {self.returns.shape} for {len(self.times_ms)} times and "
                f"{len(self.factors)} factors",
                remedy="returns are (times, factors)",
            )
        if self.step_ms <= 0 or np.any(np.diff(self.times_ms) <= 0):
            raise DataError(
                "times of a return panel must increase by positive steps",
                remedy="sort the rows and drop duplicates",
            )
        if np.any(np.isinf(self.returns)):
            raise DataError(
                "a return panel holds an infinite return", remedy="mark bad prices as missing"
            )
        freeze_arrays(self)
        object.__setattr__(self, "proxies", MappingProxyType(dict(self.proxies)))

    @classmethod
    def from_prices(
        cls, factors: Sequence[str], times_ms: IntArray, prices: FloatArray, *, step_ms: int
    ) -> ReturnPanel:
        """Log returns of prices of shape (T, U), one row less.

        A return is missing where either price is missing or not positive, or where the times are
        not exactly one bar apart.
        """
        times = np.asarray(times_ms, dtype=np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.asarray(prices, dtype=np.float64))
        logs[~np.isfinite(logs)] = np.nan
        returns = np.diff(logs, axis=0)
        returns[np.diff(times) != step_ms] = np.nan
        return cls(tuple(factors), times[1:], returns, step_ms)

    def __len__(self) -> int:
        return len(self.times_ms)

    @property
    def known(self) -> IntArray:
        """Returns that each factor has, shape (U,)."""
        return np.asarray(np.isfinite(self.returns).sum(axis=0), dtype=np.int64)

    @property
    def complete(self) -> BoolArray:
        """Rows in which no factor is missing, shape (T,)."""
        return np.asarray(np.isfinite(self.returns).all(axis=1))

    def rows(self, which: slice) -> ReturnPanel:
        """A contiguous stretch of the panel."""
        return replace(self, times_ms=self.times_ms[which], returns=self.returns[which])


@dataclass(frozen=True, slots=True)
class Proxy:
    """A factor whose history is replaced by ``beta`` times another's.

    The difference between the two, the basis, is then nowhere in the history: it has to enter by
    hypothetical moves.
    """

    factor: str
    stand_in: str
    beta: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class CompletedPanel:
    """A panel whose factors all have enough history, and what happened to the others.

    Attributes
    ----------
    panel : ReturnPanel
    failures : mapping of str to Failure
        Factors left out of the panel: too short, without movement, or with an unusable proxy.
    """

    panel: ReturnPanel
    failures: Mapping[str, Failure]


def complete_factors(
    panel: ReturnPanel, *, minimum: int, proxies: Sequence[Proxy] = ()
) -> CompletedPanel:
    """Replace factors that are too short by their stated proxy, or leave them out with a reason.

    Parameters
    ----------
    panel : ReturnPanel
    minimum : int
        Returns that a factor needs, some of them not zero.
    proxies : sequence of Proxy
        Used only for factors that are too short; the stand-in must have enough of its own.
        A factor that is not in the panel at all may be named too.
    """
    by_factor = {proxy.factor: proxy for proxy in proxies}
    own: dict[str, FloatArray] = {}
    for u, name in enumerate(panel.factors):
        values = panel.returns[:, u]
        seen = values[np.isfinite(values)]
        if len(seen) >= minimum and np.any(seen != 0.0):
            own[name] = values
    columns: dict[str, FloatArray] = {}
    failures: dict[str, Failure] = {}
    used = dict(panel.proxies)
    wanted = [*panel.factors, *(n for n in by_factor if n not in panel.factors)]
    for name in wanted:
        proxy = by_factor.get(name)
        if name in own:
            columns[name] = own[name]
        elif proxy and proxy.stand_in in own:
            columns[name] = proxy.beta * own[proxy.stand_in]
            used[name] = f"{proxy.beta:g} x {proxy.stand_in}"
        else:
            known = int(panel.known[panel.factors.index(name)]) if name in panel.factors else 0
            why = f", and its proxy {proxy.stand_in} has not either" if proxy else ""
            failures[name] = Failure(
                FailureReason.MISSING_DATA,
                f"risk factor {name} has {known} returns, fewer than {minimum} or none that moves"
                f"{why}",
                "give it a longer history, state a proxy, or margin it by hypothetical moves",
            )
    return CompletedPanel(
        ReturnPanel(
            tuple(columns),
            panel.times_ms,
            np.stack(list(columns.values()), axis=1) if columns else np.empty((len(panel), 0)),
            panel.step_ms,
            used,
        ),
        MappingProxyType(failures),
    )


def horizon_sums(returns: FloatArray, bars: int) -> FloatArray:
    """Sums of ``bars`` consecutive returns: row i covers rows i to i + bars - 1.

    Parameters
    ----------
    returns : float64, shape (T, U)
    bars : int
        At least 1.

    Returns
    -------
    float64, shape (max(T - bars + 1, 0), U)
        NaN where a return is missing.
    """
    if bars < 1:
        raise DataError(f"a horizon of {bars} bars", remedy="use at least one bar")
    if len(returns) < bars:
        return np.empty((0, returns.shape[1]))
    return np.asarray(sliding_window_view(returns, bars, axis=0).sum(axis=-1), dtype=np.float64)


def window_labels(panel: ReturnPanel, bars: int) -> StringArray:
    """End of each window of ``bars`` bars, ISO 8601 in UTC to the minute."""
    ends = panel.times_ms[bars - 1 :].astype("datetime64[ms]")
    return np.asarray(np.char.add(np.datetime_as_string(ends, unit="m"), "Z"), dtype=np.str_)


def historical_scenarios(
    panel: ReturnPanel,
    *,
    bars: int = 1,
    stride: int = 1,
    vol_moves: FloatArray | None = None,
    kind: ScenarioKind = ScenarioKind.HISTORICAL,
) -> JointScenarios:
    """Every joint move that the history holds over ``bars`` bars, equally weighted.

    Windows overlap unless ``stride`` is at least ``bars``: overlapping ones use all of the sample
    but hold little more information than its ``T / bars`` separate ones.

    Parameters
    ----------
    panel : ReturnPanel
    bars, stride : int
    vol_moves : float64, shape (T - bars + 1, U), optional
        Relative volatility move over the same windows; rows with NaN are left out as well.
    kind : ScenarioKind

    Raises
    ------
    DataError
        If no window is complete.
    """
    sums = horizon_sums(panel.returns, bars)
    vols = np.zeros_like(sums) if vol_moves is None else np.asarray(vol_moves, dtype=np.float64)
    if vols.shape != sums.shape:
        raise DataError(
            f"volatility moves of shape {vols.shape} for windows of shape {sums.shape}",
            remedy="one row per window: T - bars + 1",
        )
    step = slice(None, None, stride)
    sums, vols = sums[step], vols[step]
    use = np.isfinite(sums).all(axis=1) & np.isfinite(vols).all(axis=1)
    if not use.any() or not panel.factors:
        raise DataError(
            f"no window of {bars} bars is complete in all of {', '.join(panel.factors) or 'none'}",
            remedy="leave out the factor with the shortest history or state a proxy for it",
        )
    return JointScenarios.of(
        panel.factors,
        sums[use],
        kind=kind,
        labels=window_labels(panel, bars)[step][use],
        horizon_minutes=bars * panel.step_ms / _MS_PER_MINUTE,
        vol_moves=vols[use],
        left_out=int((~use).sum()),
        proxies=panel.proxies,
    )


def stressed_rows(panel: ReturnPanel, window: int) -> slice:
    """The ``window`` consecutive bars with the highest volatility of the whole history.

    Each factor's mean square in the window is divided by its mean square in the whole history, and
    the average over the factors decides, so that no factor decides by its units. A factor counts in
    a window with the returns it has; windows with more than half of their returns missing do not
    compete. The earliest of equal windows is taken.

    Raises
    ------
    DataError
        If the history is shorter than the window, or nothing moves.
    """
    if not 1 <= window <= len(panel):
        raise DataError(
            f"a stressed window of {window} bars in a history of {len(panel)}",
            remedy="use a shorter window or a longer history",
        )
    seen = np.isfinite(panel.returns)
    squares = np.where(seen, panel.returns, 0.0) ** 2
    total = squares.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    moving = total > 0.0
    if not moving.any():
        raise DataError("no factor of the history moves", remedy="check the feed for stale bars")

    def sums(x: FloatArray) -> FloatArray:
        running = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
        return np.asarray(running[window:] - running[:-window], dtype=np.float64)

    count = sums(seen[:, moving].astype(np.float64))
    relative = sums(squares[:, moving] / total[moving])
    score = (relative / np.maximum(count, 1.0)).mean(axis=1)
    score[count.sum(axis=1) < 0.5 * window * moving.sum()] = -np.inf
    if not np.any(np.isfinite(score)):
        raise DataError(
            f"every window of {window} bars misses more than half of its returns",
            remedy="leave out the factors with the shortest history",
        )
    start = int(np.argmax(score))
    return slice(start, start + window)


def stressed_scenarios(
    panel: ReturnPanel, window: int, *, bars: int = 1, vol_moves: FloatArray | None = None
) -> JointScenarios:
    """Historical scenarios of the worst-volatility window.

    Parameters
    ----------
    panel : ReturnPanel
    window : int
        Bars.
    bars : int
        Horizon.
    vol_moves : float64, shape (T - bars + 1, U), optional
        Over the windows of the whole history; the stretch that is needed is cut out of it.
    """
    rows = stressed_rows(panel, window)
    cut = None if vol_moves is None else vol_moves[rows.start : rows.stop - bars + 1]
    return historical_scenarios(
        panel.rows(rows), bars=bars, vol_moves=cut, kind=ScenarioKind.STRESSED
    )
