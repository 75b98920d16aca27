"""What C5 found: links, splits and net senders, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from commonmode.converge.finding import LATER_OR_AFTER, between, found_from, rows_of
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId

__all__ = ["FollowingLink", "NetSender", "PropagationResult", "Split"]


@dataclass(frozen=True, slots=True)
class FollowingLink:
    """One model's deviations turn up in another's.

    Attributes
    ----------
    sender, receiver : ModelId
    lag : int
        Rows, of the strongest coefficient.
    partial_correlation : float
        Of the receiver with that lag of the sender beside all other lags; negative for one that
        moves against it.
    interval : (float, float)
        95 % of it, Student's over blocks of time.
    p_following, p_direction : float
        Family-wise over all ordered pairs, lags and signs.
    p_adjusted : float
        The larger of the two.
    """

    sender: ModelId
    receiver: ModelId
    lag: int
    partial_correlation: float
    interval: tuple[float, float]
    p_following: float
    p_direction: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Split:
    """A connectedness total at one horizon, shares of forecast error variance.

    Attributes
    ----------
    horizon : int
        Rows.
    total, contemporaneous, lagged : float
        ``total = contemporaneous + lagged``; a hidden persistent part shows in ``lagged`` too.
    total_interval : (float, float)
        95 %, by the standard error of the block bootstrap.
    lagged_interval : (float, float) or None
        None unless the test rejects: without propagation the truth lies on a boundary.
    """

    horizon: int
    total: float
    contemporaneous: float
    lagged: float
    total_interval: tuple[float, float]
    lagged_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class NetSender:
    """Lagged share given to others less received, at the longest horizon.

    Attributes
    ----------
    model : ModelId
    net : float
        In units of one model's error variance; the models' add up to zero.
    low, high : float
        95 % for all models at once; NaN unless the test rejects.
    """

    model: ModelId
    net: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class PropagationResult:
    """C5 of one panel, without the response gain.

    Attributes
    ----------
    models : tuple of ModelId, length N
    left_out : tuple of ModelId
        Models that deviate as one with a model that is kept.
    rows, blocks : int
    benchmarked : bool
        Without benchmarks levels were used, and a hidden market factor is in all of them.
    controls : int
        Columns of the market's known state that were taken out first.
    lag_grid, horizons : tuple of int
    criterion : float64, shape (L,)
        Akaike's, per row, of each order, of the deviations as they are seen (mean of both views).
        Akaike's because a lag too few misses a follower and one too many costs power only.
    lags : int
        The order it chooses; tests, splits and tables are of this order.
    grid : float64, shape (L, H)
        Total connectedness.
    table, shared_table : float64, shape (N, N)
        At the longest horizon: row i says where i's error variance comes from; and the same with
        the models' pasts closed to one another.
    by_lag : tuple of tuple of Split, L by H
        The same with its parts and intervals; NaN where the noise swamps a lag's.
    splits : tuple of Split
        One per horizon, of the order chosen.
    net : tuple of NetSender
        Largest first.
    p_value : float
        Of no propagation: the smallest adjusted p over all links.
    rejects : bool
    p_pairs : float64, shape (2, N, N)
        ``[0, i, j]``: adjusted p that i follows j, ``[1, i, j]``: that it moves against j after j.
    links : tuple of FollowingLink
        Significant ones, smallest p first.
    minimum_detectable : float
        Partial correlation of a follower with its sender a row ago that is found with 80 %
        probability, of the typical pair, the sender following nobody.
    minimum_detectable_onward : float
        The same of a sender that follows another as closely: a chain's further links.
    swamped : bool
        The benchmarks' noise swamps what changes from row to row: some innovation variance came out
        negative. Splits and net senders are NaN, grid and table say little, and the detectable
        effects are not known: 1.
    every : int
        Rows of the panel between those looked at.
    clear_every : int
        How many times coarser rows would not be swamped; 0 if none that was tried, 1 if not
        swamped.
    """

    models: tuple[ModelId, ...]
    left_out: tuple[ModelId, ...]
    rows: int
    blocks: int
    benchmarked: bool
    controls: int
    lag_grid: tuple[int, ...]
    horizons: tuple[int, ...]
    criterion: FloatArray
    lags: int
    grid: FloatArray
    table: FloatArray
    shared_table: FloatArray
    by_lag: tuple[tuple[Split, ...], ...]
    splits: tuple[Split, ...]
    net: tuple[NetSender, ...]
    p_value: float
    rejects: bool
    p_pairs: FloatArray
    links: tuple[FollowingLink, ...]
    minimum_detectable: float
    minimum_detectable_onward: float
    swamped: bool
    every: int
    clear_every: int

    @property
    def blind(self) -> bool:
        """No follower would have been found, however close."""
        return self.minimum_detectable >= 1.0

    @property
    def strongest(self) -> float:
        """Largest partial correlation of a link, without its sign; NaN without links."""
        sizes = [abs(link.partial_correlation) for link in self.links]
        return max(sizes, default=float("nan"))

    @property
    def _found_from(self) -> str:
        if self.swamped:
            return "what would have been found is not known"
        if self.blind:
            noise = ", with benchmarks as noisy as these," if self.benchmarked else ""
            return f"in {self.rows:,} rows{noise} no follower would have been found"
        told = f"a follower with a partial correlation of {found_from(self.minimum_detectable)}"
        if len(self.models) < 3:
            return told
        onward = self.minimum_detectable_onward
        further = f"from {onward:.2f} on" if onward < 1.0 else "at no size for sure"
        return f"{told}, one whose sender follows another as closely {further}"

    @property
    def sentence(self) -> str:
        """The number, how sure it is, what would have been found, and what to do."""
        last = self.splits[-1]
        detectable = self._found_from
        share = (
            f"{100 * last.total:.0f} % ({between(*last.total_interval, '.0f', 100)} %) of the "
            f"error variance {rows_of(last.horizon)} ahead is other models', "
            f"{100 * last.contemporaneous:.0f} % by moving at the same time, which a shared part "
            "or input does without anybody following"
        )
        if self.swamped:
            share = (
                f"The benchmarks' noise swamps what changes from row to row in these {self.rows:,} "
                "rows, so shares of error variance cannot be told"
            )
        if not self.rejects:
            unseen = "It cannot be seen whether a model follows another"
            said = unseen if self.blind else "No model is seen to follow another"
            todo = "nothing; look at C2 for what moves them at the same time"
            if self.blind:
                todo = "give a longer panel, fewer models or benchmarks with less noise"
            if self.swamped:
                todo = self._against_noise
            return (
                f"{said} (p = {self.p_value:.2g}; no interval: nothing "
                f"is singled out; {detectable}). {share}. What to do: {todo}."
            )
        first = self.links[0]
        span = ""
        if last.lagged_interval is not None:
            span = f" ({between(*last.lagged_interval, '.0f', 100)} %)"
        passed = (
            f"Errors passed on make up {100 * last.lagged:.0f} %{span} of the error variance "
            f"{rows_of(last.horizon)} ahead. "
        )
        return (
            f"{first.receiver} follows {first.sender} by {rows_of(first.lag)} (partial correlation "
            f"{first.partial_correlation:.2f}, {between(*first.interval)}; adjusted p = "
            f"{first.p_adjusted:.2g}); {len(self.links)} such link"
            f"{'' if len(self.links) == 1 else 's'}; {detectable}. "
            + ("" if self.swamped else passed + self._net_sender)
            + f"{share}. {first.receiver} {LATER_OR_AFTER}. What to do: ask whether it reads an "
            f"output of {first.sender}."
        )

    @property
    def _net_sender(self) -> str:
        top = self.net[0]
        if not top.low > 0.0:
            return "Nobody is told apart as passing on more than it takes over. "
        return (
            f"{top.model} passes on most: {100 * top.net:.0f} % of one model's error variance more "
            f"than it takes over ({between(top.low, top.high, '.0f', 100)} %). "
        )

    @property
    def _against_noise(self) -> str:
        """Coarser rows only where they have been seen to help."""
        if self.clear_every > 1:
            return f"look at coarser rows (--look-every {self.every * self.clear_every})"
        return (
            "give benchmarks with less noise, or leave out models that are alike; coarser rows "
            "would not help"
        )

    @property
    def numbers(self) -> Mapping[str, float]:
        """Unrounded, for a finding."""
        last = self.splits[-1]
        told = {
            "total": last.total,
            "total_low": last.total_interval[0],
            "total_high": last.total_interval[1],
            "contemporaneous": last.contemporaneous,
            "lagged": last.lagged,
            "p_value": self.p_value,
            "links": float(len(self.links)),
            "minimum_detectable": self.minimum_detectable,
            "minimum_detectable_onward": self.minimum_detectable_onward,
        }
        if self.links:
            first = self.links[0]
            told |= {
                "partial_correlation": first.partial_correlation,
                "low": first.interval[0],
                "high": first.interval[1],
                "strongest": self.strongest,
            }
        return told
