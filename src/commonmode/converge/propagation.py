"""C5, propagation: whose deviations turn up later in whose, and how much of them.

The table is the generalised variance decomposition of an autoregression of the deviations
(Diebold and Yilmaz 2012), from moments that two benchmarks make together, on a grid of lags and
horizons. Its total is positive also when nobody follows anybody: shocks shared at the same time,
and the noise of one benchmark in everybody's deviation, are "connectedness" too. So the total is
split into what the same models would show with their past closed to one another (contemporaneous)
and the rest (lagged), and a link counts only if three tests agree:

- *following*: a lag of the sender's adds to the receiver's equation beside all other lags of all
  models (shared shocks and memories of one's own cannot do that; a hidden persistent part can);
- *direction*: the receiver's covariance with the sender's past exceeds the reverse, once with
  everybody whitened by one filter (a hidden component, however persistent, cannot do that; slower
  and faster answers to it can) and once with everybody whitened by its own (those cannot either).

Two models that follow each other equally are not told from a hidden component.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from commonmode.converge.lagged_views import LaggedViews, lagged_views
from commonmode.converge.propagation_intervals import (
    block_weights,
    draw_spread,
    is_swamped,
    net_senders,
    splits_of,
    total_of,
)
from commonmode.converge.propagation_result import FollowingLink, PropagationResult
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError, ShortPanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.block_spread import block_interval
from commonmode.stats.crosslags import (
    direction_contributions,
    following_contributions,
    pooled_filter,
    shorten,
    solve_moments,
    spillover_tables,
)
from commonmode.stats.detectable_link import LinkTests, detectable_links
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["Propagation"]

_OWN_ORDER: Final = 6
"""Lags of a model's own filter: memory beyond the system's, e.g. of a filtered persistent input."""
_ROWS_PER_COEFFICIENT: Final = 5
_COARSER: Final = (2, 3, 4, 6, 12, 24)
"""Multiples of the rows at which it is tried whether the noise still swamps them."""


class Propagation:
    """C5 estimator.

    Parameters
    ----------
    lag_grid : tuple of int
        Orders of the autoregression, in rows; those with fewer than five rows a coefficient are
        left out.
    horizons : tuple of int
        Rows ahead.
    alpha : float
    flips, draws : int
        Sign flips of the tests, bootstrap draws of the intervals.
    market : bool
        Take out of quantile forecasts what the market's realised volatility explains, so that slow
        and fast answers to the same news are not taken for one following the other.
    every : int
        Rows between those looked at; coarser where the benchmarks' noise swamps what changes from
        row to row.
    alike : float
        Models whose deviations correlate at least so much count as one: which of them went first
        cannot be told.
    minimum_block_rows : int
    rng : int

    Attributes
    ----------
    result_ : PropagationResult
    """

    def __init__(
        self,
        *,
        lag_grid: tuple[int, ...] = (1, 2, 3, 6),
        horizons: tuple[int, ...] = (1, 6, 24),
        alpha: float = 0.05,
        flips: int = 1999,
        draws: int = 399,
        market: bool = True,
        every: int = 1,
        alike: float = 0.99,
        minimum_block_rows: int = 1,
        rng: int = 0,
    ) -> None:
        if not lag_grid or not horizons or min(*lag_grid, *horizons) < 1:
            raise PanelError(
                f"lags {lag_grid}, horizons {horizons}", remedy="give at least one of each, >= 1"
            )
        self.lag_grid = tuple(sorted(set(lag_grid)))
        self.horizons = tuple(sorted(set(horizons)))
        self.alpha = alpha
        self.flips = flips
        self.draws = draws
        self.market = market
        self.every = every
        self.alike = alike
        self.minimum_block_rows = minimum_block_rows
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> Propagation:
        """Compute the index.

        Raises
        ------
        PanelError
            Fewer than two models; ShortPanelError: too few rows for even the shortest lag.
        """
        views = lagged_views(panel, market=self.market, minimum_block_rows=self.minimum_block_rows)
        return self.fit_views(views, panel.models, name=f"panel {panel.name}")

    def fit_views(
        self, views: LaggedViews, models: tuple[ModelId, ...], *, name: str = "series"
    ) -> Propagation:
        """The same of any series seen twice."""
        views = views.thinned(self.every)
        kept = views.distinct(self.alike)
        if len(kept) < 2:
            raise PanelError(
                f"{name}: all models deviate as one, so nobody follows anybody",
                remedy="add a model that differs, or raise alike",
            )
        same = tuple(m for i, m in enumerate(models) if i not in kept)
        views, models = views.only(kept), tuple(models[i] for i in kept)
        n = views.series
        room = int(views.rows.any(axis=1).sum()) / (_ROWS_PER_COEFFICIENT * n)
        grid = tuple(p for p in self.lag_grid if p <= room)
        if not grid:
            raise ShortPanelError(
                f"{name}: too few rows to ask {n} models who follows whom",
                remedy=f"give {_ROWS_PER_COEFFICIENT * n * self.lag_grid[0]} rows, or fewer models",
            )
        moments, count = views.moments(grid[-1])
        whole = moments.sum(axis=0)[None]
        systems = [solve_moments(shorten(whole, n, p), n) for p in grid]
        criterion = _akaike(views.seen_moments(grid[-1])[0].sum(axis=0), n, grid, count)
        best = int(np.argmin(criterion))
        lags, system = grid[best], systems[best]
        tables = [spillover_tables(s.coefficients, s.covariance, self.horizons)[0] for s in systems]
        shared = [spillover_tables(s.own, s.own_covariance, self.horizons)[0] for s in systems]
        short = shorten(moments, n, lags)
        p_pairs, links, detectable = self._test(views, short, models, lags)
        p_value = float(p_pairs.min())
        rejects = p_value <= self.alpha
        lost = is_swamped(system)
        weights = block_weights(len(moments), self.draws, stream(self.rng, "C5", "intervals"))
        spreads = [
            draw_spread(shorten(moments, n, p), n, weights, self.horizons, swamped=is_swamped(s))
            for p, s in zip(grid, systems, strict=True)
        ]
        by_lag = tuple(
            splits_of(table, apart, spread, self.horizons, told=rejects)
            for table, apart, spread in zip(tables, shared, spreads, strict=True)
        )
        net = net_senders(tables[best], shared[best], spreads[best], models, told=rejects)
        self.result_ = PropagationResult(
            models=models,
            left_out=same,
            rows=count,
            blocks=len(moments),
            benchmarked=views.benchmarked,
            controls=views.controls,
            lag_grid=grid,
            horizons=self.horizons,
            criterion=criterion,
            lags=lags,
            grid=np.stack([total_of(table) for table in tables]),
            table=tables[best][-1],
            shared_table=shared[best][-1],
            by_lag=by_lag,
            splits=by_lag[best],
            net=net,
            p_value=p_value,
            rejects=rejects,
            p_pairs=p_pairs,
            links=links,
            minimum_detectable=1.0 if lost else detectable[0],
            minimum_detectable_onward=1.0 if lost else detectable[1],
            swamped=lost,
            every=self.every,
            clear_every=_clear_every(views, grid) if lost else 1,
        )
        return self

    def _test(
        self, views: LaggedViews, moments: FloatArray, models: tuple[ModelId, ...], lags: int
    ) -> tuple[FloatArray, tuple[FollowingLink, ...], tuple[float, float]]:
        n = len(models)
        scores, scale = following_contributions(moments, n)
        whitened = [
            views.whitened(lags, order, alone=alone)
            for order, alone in ((lags, False), (max(lags, _OWN_ORDER), True))
        ]
        both = [direction_contributions(moved, n) for moved in whitened]
        others = scores * ~np.eye(n, dtype=np.bool_)
        following, *direction = (
            self._signed(values, name)
            for values, name in zip((others, *both), ("following", "one", "own"), strict=True)
        )
        # The signs are told apart: a positive coefficient needs a positive direction.
        p_direction = np.maximum(*(_by_pair(test, lags, n).min(axis=1) for test in direction))
        each = _by_pair(following, lags, n)
        p_following = each.min(axis=1)
        joint = np.maximum(p_following, p_direction)
        partial = scores.sum(axis=0) * scale
        low, high = (end * scale for end in block_interval(scores))
        links = []
        for sign, i, j in np.argwhere(joint <= self.alpha).tolist():
            lag = int(np.argmin(each[sign, :, i, j] - 1e-9 * np.abs(partial[:, i, j])))
            links.append(
                FollowingLink(
                    sender=models[j],
                    receiver=models[i],
                    lag=lag + 1,
                    partial_correlation=float(partial[lag, i, j]),
                    interval=(
                        max(float(low[lag, i, j]), -1.0),
                        min(float(high[lag, i, j]), 1.0),
                    ),
                    p_following=float(p_following[sign, i, j]),
                    p_direction=float(p_direction[sign, i, j]),
                    p_adjusted=float(joint[sign, i, j]),
                )
            )
        links.sort(key=lambda link: (link.p_adjusted, -abs(link.partial_correlation)))
        tests = _link_tests((following, *direction), scale, whitened, moments)
        return joint, tuple(links), detectable_links(tests)

    def _signed(self, contributions: FloatArray, name: str) -> MaxTest:
        flat = contributions.reshape(len(contributions), -1)
        return sign_flip_max_test(
            np.concatenate([flat, -flat], axis=1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C5", name),
        )


def _clear_every(views: LaggedViews, grid: tuple[int, ...]) -> int:
    """How many times coarser rows would have to be not to be swamped; 0 if none of those tried.

    At every lag: which is chosen there is not known yet.
    """
    n = views.series
    for factor in _COARSER:
        coarse = views.thinned(factor)
        if coarse.rows.any(axis=1).sum() < _ROWS_PER_COEFFICIENT * n * grid[-1]:
            break
        whole = coarse.moments(grid[-1])[0].sum(axis=0)[None]
        if not any(is_swamped(solve_moments(shorten(whole, n, p), n)) for p in grid):
            return factor
    return 0


def _akaike(seen: FloatArray, n: int, grid: tuple[int, ...], count: int) -> FloatArray:
    """Akaike's criterion per row of each order, of the series as they are seen."""
    out = []
    for p in grid:
        covariance = solve_moments(shorten(seen, n, p)[None], n).covariance[0]
        sign, value = np.linalg.slogdet(covariance)
        out.append((float(value) if sign > 0 else np.inf) + 2.0 * p * n * n / count)
    return np.array(out)


def _by_pair(test: MaxTest, lags: int, n: int) -> FloatArray:
    """Adjusted p-values, shape (2, p, N, N): positive and negative; 1 on the diagonal."""
    p = test.p_adjusted.reshape(2, lags, n, n).copy()
    p[:, :, np.arange(n), np.arange(n)] = 1.0
    return p


def _link_tests(
    tests: Sequence[MaxTest],
    scale: FloatArray,
    whitened: Sequence[FloatArray],
    moments: FloatArray,
) -> LinkTests:
    """Of the median pair: what stands between a link and its being found."""
    p, n, _ = scale.shape
    off = np.broadcast_to(~np.eye(n, dtype=np.bool_), scale.shape)
    following, *direction = (
        test.standard_error[: p * n * n].reshape(scale.shape) for test in tests
    )
    errors = [float(np.median((following * scale)[off]))]
    for error, after in zip(direction, whitened, strict=True):
        # What is left of the deviations, without the benchmarks' noise; of some perhaps nothing.
        size = np.sqrt(np.clip(np.diag(after.sum(axis=0))[:n], 0.0, None))
        unit = np.outer(size, size)
        in_units = np.divide(error, unit, out=np.full_like(error, np.inf), where=unit > 0)
        errors.append(float(np.median(in_units[off])))
    shocks = solve_moments(moments.sum(axis=0)[None], n).covariance[0]
    spread = np.sqrt(np.clip(np.diag(shocks), 0.0, None))
    pairs = np.outer(spread, spread)
    together = np.divide(shocks, pairs, out=np.zeros_like(shocks), where=pairs > 0)
    return LinkTests(
        memory=pooled_filter(moments.sum(axis=0), n),
        shared=float(np.median(together[off[0]])),
        unit=float(np.median(scale[off])),
        errors=(errors[0], errors[1], errors[2]),
        criticals=(tests[0].critical, tests[1].critical, tests[2].critical),
        blocks=len(moments),
        models=max(n, 3),
        own_order=max(p, _OWN_ORDER),
    )
