"""Strategies and risk models: does a risk model cut when a strategy sells?

A strategy that sells and a risk model that raises its quantile (under a fixed limit: sells too) in
the same hours push the price the same way. Both react to the market's move, so they move together
even if they share nothing; that part is *the move's*, and what remains given the move is a shared
part, or one watching the other. Both are told: the first costs as much money, only the second can
be taken apart. Cross-correlations of changes at several lags, with and without the market's own
moves (:mod:`commonmode.stats.coupling`); blocks of time are sign-flipped whole, all pairs and lags
together.

What is given is the price. Something else that both react to (a funding feed, news) counts as
coupling: it is one. Two that read the price through the same estimator are the same function of the
move, and giving the move takes that away too: they show in the correlation that leaves the move in,
and on the cards and the interventional graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.strategies_result import SellingCoupling, StrategyRiskResult
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import TargetId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.block_spread import block_interval, effective_degrees
from commonmode.stats.blocks import (
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.coupling import coupling_contributions, explained_by_market, market_basis
from commonmode.stats.detectable import detectable_effect
from commonmode.stats.signflip import sign_flip_max_test

__all__ = ["StrategyRiskCoupling"]

_SELLING: Final = 0.05
"""Share of a strategy's times that count as its strongest selling."""


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """Changes on one coin at the common times; NaN over gaps."""

    sold: FloatArray
    cut: FloatArray
    sold_rest: FloatArray
    cut_rest: FloatArray


class StrategyRiskCoupling:
    """Estimator of the coupling of strategies and risk models.

    Parameters
    ----------
    alpha : float
    lags : int
        Lags up to so many bars either way.
    market_lags : int
        Moves of the market given: of the bar and of so many before.
    flips : int
    rng : int

    Attributes
    ----------
    result_ : StrategyRiskResult
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        lags: int = 3,
        market_lags: int = 6,
        flips: int = 1999,
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.lags = lags
        self.market_lags = market_lags
        self.flips = flips
        self.rng = rng

    def fit(self, signals: ErrorPanel, risk: ErrorPanel) -> StrategyRiskCoupling:
        """Compare a signal panel with a risk panel of the same clock.

        Parameters
        ----------
        signals : ErrorPanel
            Of kind ``SIGNAL``.
        risk : ErrorPanel
            Of kind ``QUANTILE``, its horizon one bar: its outcomes are the market's moves.

        Raises
        ------
        PanelError
            Other kinds or clocks, or no common target or time.
        DataError
            Too short for the regression on the market.
        """
        targets, at_signals, at_risk = _aligned(signals, risk)
        each = [self._target(signals, risk, target, at_signals, at_risk) for target in targets]
        rows, lags = len(at_signals), tuple(range(-self.lags, self.lags + 1))
        edges = block_edges(rows, choose_block_count(rows, self._memory(each)))
        given = np.mean(
            [coupling_contributions(t.sold_rest, t.cut_rest, edges, lags) for t in each], axis=0
        )
        raw = np.mean([coupling_contributions(t.sold, t.cut, edges, lags) for t in each], axis=0)
        blocks, s, n, width = given.shape
        test = sign_flip_max_test(
            given.reshape(blocks, -1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "strategies and risk models"),
        )
        same_bar = sign_flip_max_test(
            raw[..., self.lags].reshape(blocks, -1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "strategies and risk models", "the move left in"),
        )
        p_same = same_bar.p_adjusted.reshape(s, n)
        least, most = block_interval(raw[..., self.lags])
        carried = np.mean([_carried(t, edges) for t in each], axis=0)
        even = 1.0 + effective_degrees(carried / np.maximum(carried.sum(axis=0), 1e-300))
        # The strongest of all lags is shown, so the interval has to hold for all of them.
        reach = float(stdtrit(blocks - 1, 1.0 - 0.025 / width))
        t, p = test.t.reshape(s, n, width), test.p_adjusted.reshape(s, n, width)
        error = test.standard_error.reshape(s, n, width)
        estimate, together = given.sum(axis=0), raw.sum(axis=0)
        couplings = []
        for i in range(s):
            money = _when_selling(each, i, signals, risk)
            for j in range(n):
                best = int(np.argmax(t[i, j]))
                needed = detectable_effect(test.critical, float(even[i, j]))
                couplings.append(
                    SellingCoupling(
                        strategy=signals.models[i],
                        risk_model=risk.models[j],
                        together=float(together[i, j, self.lags]),
                        together_interval=(float(least[i, j]), float(most[i, j])),
                        p_together=float(p_same[i, j]),
                        given_move=float(estimate[i, j, best]),
                        lag=lags[best],
                        interval=(
                            float(estimate[i, j, best] - reach * error[i, j, best]),
                            float(estimate[i, j, best] + reach * error[i, j, best]),
                        ),
                        standard_error=float(error[i, j, best]),
                        p_adjusted=float(p[i, j, best]),
                        detectable=float(min(needed * np.median(error[i, j]), 1.0)),
                        selling_bars=money.bars,
                        cut=float(money.cut[j]),
                        cut_given_move=float(money.cut_given_move[j]),
                        sold_usd=money.sold_usd,
                        cut_usd=float(money.cut_usd[j]),
                    )
                )
        couplings.sort(key=lambda one: (one.p_adjusted, -one.given_move))
        self.result_ = StrategyRiskResult(
            couplings=tuple(couplings),
            strategies=signals.models,
            risk_models=risk.models,
            lags=lags,
            given_move=estimate,
            together=together,
            rows=rows,
            blocks=blocks,
            alpha=self.alpha,
            priced=bool(signals.exposure_usd.max() > 1.0 and risk.exposure_usd.max() > 1.0),
        )
        return self

    def _target(
        self,
        signals: ErrorPanel,
        risk: ErrorPanel,
        target: TargetId,
        at_signals: IntArray,
        at_risk: IntArray,
    ) -> _Target:
        times = signals.times_ms[at_signals]
        follows = np.concatenate(([False], np.diff(times) == risk.horizon_ms))
        k, m = risk.targets.index(target), signals.targets.index(target)
        sold = -_changes(signals.forecast[at_signals, m], follows)
        cut = _changes(np.log(-risk.forecast[at_risk, k]), follows)
        # The outcome of the row before is the return of the bar that ends here.
        moves = np.concatenate(([np.nan], risk.outcome[at_risk[:-1], k]))
        scale = np.concatenate(([np.nan], risk.scale[at_risk[:-1], k]))
        moves[~follows] = np.nan
        basis = market_basis(moves, scale, self.market_lags)
        return _Target(
            sold,
            cut,
            sold - explained_by_market(sold, basis),
            cut - explained_by_market(cut, basis),
        )

    def _memory(self, each: list[_Target]) -> float:
        """Autocorrelation time of the products of what the move does not explain."""
        times = []
        for target in each:
            product = target.sold_rest[:, :, None] * target.cut_rest[:, None, :]
            flat = product.reshape(len(product), -1)
            flat = flat[np.isfinite(flat).all(axis=1)]
            times.append(integrated_autocorrelation_time(flat))
        return float(max(times))


def _carried(target: _Target, edges: IntArray) -> FloatArray:
    """What blocks would carry of a correlation: sizes multiplied and summed, shape (B, S, N)."""
    sold, cut = (np.nan_to_num(np.abs(v)) for v in (target.sold_rest, target.cut_rest))
    return block_sums(sold[:, :, None] * cut[:, None, :], edges)


@dataclass(frozen=True, slots=True, eq=False)
class _Selling:
    bars: int
    cut: FloatArray
    cut_given_move: FloatArray
    sold_usd: float
    cut_usd: FloatArray


def _when_selling(
    each: list[_Target], strategy: int, signals: ErrorPanel, risk: ErrorPanel
) -> _Selling:
    """Means over the strongest selling bars of all coins."""
    sold, cut, rest = [], [], []
    overall = []
    for target in each:
        mine = target.sold[:, strategy]
        known = np.isfinite(mine) & np.isfinite(target.cut_rest).all(axis=1)
        if not known.any():
            continue
        bound = np.quantile(mine[known], 1.0 - _SELLING)
        rows: BoolArray = known & (mine > 0.0) & (mine >= bound)
        sold.append(mine[rows])
        cut.append(target.cut[rows])
        rest.append(target.cut_rest[rows])
        overall.append(target.cut[known].mean(axis=0))
    count = sum(len(part) for part in sold)
    n = len(risk.models)
    if not count:
        nothing = np.full(n, np.nan)
        return _Selling(0, nothing, nothing, float("nan"), nothing)
    cuts = np.concatenate(cut)
    return _Selling(
        bars=count,
        cut=cuts.mean(axis=0) - np.mean(overall, axis=0),
        cut_given_move=np.concatenate(rest).mean(axis=0),
        sold_usd=float(np.concatenate(sold).mean() * signals.exposure_usd[strategy]),
        # A fixed limit holds limit / quantile: what was x becomes x exp(-rise).
        cut_usd=np.asarray(-np.expm1(-cuts).mean(axis=0) * risk.exposure_usd),
    )


def _changes(values: FloatArray, follows: BoolArray) -> FloatArray:
    out = np.full(values.shape, np.nan)
    out[1:] = np.diff(values, axis=0)
    out[~follows] = np.nan
    return out


def _aligned(
    signals: ErrorPanel, risk: ErrorPanel
) -> tuple[tuple[TargetId, ...], IntArray, IntArray]:
    if signals.kind is not PanelKind.SIGNAL or risk.kind is not PanelKind.QUANTILE:
        raise PanelError(
            f"{signals.name} ({signals.kind.value}) and {risk.name} ({risk.kind.value})",
            remedy="give a panel of signals and a panel of quantiles",
        )
    targets = tuple(target for target in signals.targets if target in risk.targets)
    common, at_signals, at_risk = np.intersect1d(
        signals.times_ms, risk.times_ms, assume_unique=True, return_indices=True
    )
    step = int(np.min(np.diff(common))) if len(common) > 1 else 0
    if not targets or step != risk.horizon_ms:
        raise PanelError(
            f"{signals.name} and {risk.name} share {len(targets)} targets and {len(common)} times, "
            f"{step} ms apart, with a risk horizon of {risk.horizon_ms} ms",
            remedy="both on the same coins and clock, with a risk horizon of one bar",
        )
    return targets, at_signals.astype(np.int64), at_risk.astype(np.int64)
