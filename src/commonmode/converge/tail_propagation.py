"""C5 in the tail: do extreme surprises of one model come after another's?

The directional cross-quantilogram (Han, Linton, Oka and Whang 2016, "The cross-quantilogram",
J. Econometrics 193(1)) of what each model's own past leaves unexplained, from two views of it, so
that the benchmarks' noise drops out. Quantile connectedness (Ando, Greenwood-Nimmo and Shin 2022,
"Quantile connectedness", Management Science 68(4)) asks the same of a quantile autoregression; hits
need no tail regression and keep the tests' size when volatility moves.

Extremes cluster in turbulent times without anybody following anybody. So a link counts only if the
tail after the sender's is also more likely than the sender's after the receiver's: turbulence that
all share works both ways. Links are of pairs: a model that moves with the sender at the same time
appears as a sender too, with a smaller lift.

Independent filters of one market, fast and slow, are linked by this all the same: their answers to
a shock are not linear, and the market's own lagged moves do not take that out. So a link says that
one is later, not why.

Two benchmarks that learn of the same news at different hours have errors that follow one another.
That is alike for all models and cancels in the comparison of both ways for means, not quite for
hits: with such benchmarks look at rows further apart than they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from commonmode.converge.comovement import POWER
from commonmode.converge.finding import LATER_OR_AFTER, between, found_from, rows_of
from commonmode.converge.lagged_views import lagged_views
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError, ShortPanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.block_spread import block_interval
from commonmode.stats.crosslags import direction_contributions, lag_moments, whiten_together
from commonmode.stats.detectable import detectable_effect, grown_effect
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["TailLink", "TailPropagation", "TailPropagationResult"]

_FEWEST_HITS = 30


@dataclass(frozen=True, slots=True)
class TailLink:
    """A model's tail surprises come after another's.

    Attributes
    ----------
    sender, receiver : ModelId
    lag : int
        Rows.
    lift : float
        Probability of the receiver's tail after the sender's over its usual one, with the
        benchmarks' noise taken out of the excess but not out of the hits: an understatement.
    interval : (float, float)
        95 % of ``lift``, Student's over blocks of time.
    p_adjusted : float
        Family-wise over pairs and lags, the larger of the two tests'.
    """

    sender: ModelId
    receiver: ModelId
    lag: int
    lift: float
    interval: tuple[float, float]
    p_adjusted: float


@dataclass(frozen=True, slots=True, eq=False)
class TailPropagationResult:
    """Tail part of C5.

    Attributes
    ----------
    tail : "lower" or "upper"
        Of the deviation: for quantile forecasts lower is milder than the benchmark, upper is
        stricter, ``log(f / m)`` being of two losses.
    level : float
    rows, blocks : int
    p_value : float
    rejects : bool
    same_time_lift : float
        Mean over pairs, both in the tail in one row: no propagation.
    same_time_interval : (float, float)
        95 %.
    minimum_detectable : float
        Lift of a receiver after its sender that is found with 80 % probability, both ways compared.
    lift : float64, shape (p, N, N)
        ``[k, i, j]``: of i, k + 1 rows after j.
    links : tuple of TailLink
    """

    tail: str
    level: float
    rows: int
    blocks: int
    p_value: float
    rejects: bool
    same_time_lift: float
    same_time_interval: tuple[float, float]
    minimum_detectable: float
    lift: FloatArray
    links: tuple[TailLink, ...]

    @property
    def sentence(self) -> str:
        """The number, how sure it is and what to do."""
        together = (
            f"in one and the same row two models are both in their {self.tail} "
            f"{100 * self.level:g} % {self.same_time_lift:.1f} times as often as by chance "
            f"({between(*self.same_time_interval, '.1f')})"
        )
        detectable = found_from(
            self.minimum_detectable, ".1f", most=1.0 / self.level, unit=" times"
        )
        if not self.rejects:
            return (
                f"No model's extreme surprises come after another's (p = {self.p_value:.2g}; no "
                f"interval: nothing is singled out; {detectable}); {together}. What to do: "
                "nothing; smaller lifts would not have been seen."
            )
        first = self.links[0]
        return (
            f"{first.receiver} is in its {self.tail} tail {first.lift:.1f} times as often as usual "
            f"({between(*first.interval, '.1f')}) {rows_of(first.lag)} after {first.sender} was "
            f"(adjusted p = {first.p_adjusted:.2g}; {detectable}); {together}. {first.receiver} "
            f"{LATER_OR_AFTER}. What to do: ask whether it reads an output of {first.sender}."
        )


class TailPropagation:
    """Tail connectedness estimator.

    Parameters
    ----------
    tail : {"lower", "upper"}
    level : float
        Share of surprises that count as extreme, in (0, 0.5).
    lags : int
    order : int
        Of each model's own autoregression, whose surprises are looked at.
    alpha, flips, market, every, minimum_block_rows, rng
        As for :class:`~commonmode.converge.propagation.Propagation`.

    Attributes
    ----------
    result_ : TailPropagationResult
    """

    def __init__(
        self,
        *,
        tail: Literal["lower", "upper"] = "lower",
        level: float = 0.05,
        lags: int = 2,
        order: int = 6,
        alpha: float = 0.05,
        flips: int = 1999,
        market: bool = True,
        every: int = 1,
        minimum_block_rows: int = 1,
        rng: int = 0,
    ) -> None:
        if not 0.0 < level < 0.5 or lags < 1 or order < 1 or tail not in ("lower", "upper"):
            raise ConfigurationError(
                f"{tail!r} tail at {level} over {lags} lags, order {order}",
                remedy="a level in (0, 0.5), at least one lag and order one, 'lower' or 'upper'",
            )
        self.tail = tail
        self.level = level
        self.lags = lags
        self.order = order
        self.alpha = alpha
        self.flips = flips
        self.market = market
        self.every = every
        self.minimum_block_rows = minimum_block_rows
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> TailPropagation:
        """Compute the index.

        Raises
        ------
        PanelError
            Fewer than two models or too few rows.
        ShortPanelError
            So few rows, or a level so far out, that fewer than 30 rows are in the tail.
        """
        whole = lagged_views(panel, market=self.market, minimum_block_rows=self.minimum_block_rows)
        views = whole.thinned(self.every)
        n, edges = views.series, views.edges
        moments, counts = [], []
        for k in range(views.x.shape[1]):
            x, y, rows = views.x[:, k], views.y[:, k], views.rows[:, k]
            parts = [
                whiten_together(x[:, [i]], y[:, [i]], self.order, edges, rows) for i in range(n)
            ]
            rows = parts[0][2]
            if rows.sum() * self.level < _FEWEST_HITS:
                there = int(rows.sum())
                enough = there > 2 * _FEWEST_HITS  # a level below a half leaves so many
                raise ShortPanelError(
                    f"panel {panel.name}: {rows_of(int(there * self.level))} in the tail",
                    remedy=f"use a level that leaves {_FEWEST_HITS} of {there} rows"
                    if enough
                    else "give a longer panel",
                )
            hits = [
                self._hits(np.concatenate([part[v] for part in parts], axis=1), rows)
                for v in (0, 1)
            ]
            made, count = lag_moments(hits[0], hits[1], self.lags, edges, rows)
            moments.append(made / count)
            counts.append(count)
        total = np.mean(moments, axis=0)
        cross = total[:, :n, n:].reshape(-1, n, self.lags, n).transpose(0, 2, 1, 3)
        off = ~np.eye(n, dtype=np.bool_)
        tests = [
            sign_flip_max_test(
                (values * off).reshape(len(values), -1),
                flips=self.flips,
                alpha=self.alpha,
                rng=stream(self.rng, "C5 tail", name),
            )
            for name, values in (("following", cross), ("way", direction_contributions(total, n)))
        ]
        each = [test.p_adjusted.reshape(self.lags, n, n) for test in tests]
        joint = np.where(off, np.maximum(each[0].min(axis=0), each[1].min(axis=0)), 1.0)
        lift = 1.0 + cross.sum(axis=0) / self.level**2
        low, high = (1.0 + end / self.level**2 for end in block_interval(cross))
        same = total[:, :n, :n][:, off].mean(axis=1) / self.level**2
        below, above = (1.0 + float(end) for end in block_interval(same))
        links = []
        for i, j in np.argwhere(joint <= self.alpha).tolist():
            lag = int(np.argmax(lift[:, i, j]))
            links.append(
                TailLink(
                    panel.models[j],
                    panel.models[i],
                    lag + 1,
                    float(lift[lag, i, j]),
                    (max(float(low[lag, i, j]), 0.0), float(high[lag, i, j])),
                    float(joint[i, j]),
                )
            )
        p_value = float(joint[off].min())
        self.result_ = TailPropagationResult(
            tail=self.tail,
            level=self.level,
            rows=min(counts),
            blocks=len(edges) - 1,
            p_value=p_value,
            rejects=p_value <= self.alpha,
            same_time_lift=1.0 + float(same.sum()),
            same_time_interval=(max(below, 0.0), above),
            minimum_detectable=_lift_found(tests, off, len(edges) - 1, self.level),
            lift=lift,
            links=tuple(sorted(links, key=lambda link: (link.p_adjusted, -link.lift))),
        )
        return self

    def _hits(self, surprise: FloatArray, rows: BoolArray) -> FloatArray:
        level = self.level if self.tail == "lower" else 1.0 - self.level
        cut = np.quantile(surprise[rows], level, axis=0)
        beyond = surprise < cut if self.tail == "lower" else surprise > cut
        return np.where(rows[:, None], beyond.astype(np.float64), np.nan)


def _lift_found(tests: Sequence[MaxTest], off: BoolArray, blocks: int, level: float) -> float:
    """Lift that the less powerful of both tests finds.

    Joint hits are counts, whose variance grows with what there is to count: by as much as both
    views had without a link (the mean of two views of a coincidence halves their variance only
    where they do not see the same one). A comparison of both ways has twice that variance, and
    grows half as fast.
    """
    found = []
    for test, growth in zip(tests, (2.0, 1.0), strict=True):
        error = float(np.median(test.standard_error.reshape(-1, *off.shape)[:, off])) / level**2
        need = detectable_effect(test.critical, blocks, power=POWER)
        found.append(grown_effect(need, error, growth, 0.0))
    return 1.0 + max(found)
