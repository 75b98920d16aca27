"""What the coupling of strategies and risk models comes to: each pair, and all of them."""

from __future__ import annotations

from dataclasses import dataclass

from commonmode.converge.finding import between, found_from
from commonmode.converge.severity import SMALL_CORRELATION
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId

__all__ = ["SellingCoupling", "StrategyRiskResult"]


@dataclass(frozen=True, slots=True)
class SellingCoupling:
    """One strategy and one risk model.

    Attributes
    ----------
    strategy, risk_model : ModelId
    together : float
        Correlation of selling and cutting in the same bar, the market's move left in.
    together_interval : (float, float)
        95 %, Student's over blocks of time.
    given_move : float
        The same given the market's moves, at ``lag``.
    lag : int
        Bars from selling to cutting at which it is surest; negative: the risk model goes first.
    p_together : float
        Of ``together``; one-sided, adjusted for all pairs.
    standard_error, p_adjusted : float
        Of ``given_move``; one-sided, adjusted for all pairs and lags.
    interval : (float, float)
        95 % interval of ``given_move`` over blocks of time, for all lags together.
    detectable : float
        Correlation given the move that would have been found with 80 % probability.
    selling_bars : int
        The 5 % of bars in which the strategy sells most.
    cut, cut_given_move : float
        Mean rise of the risk model's log quantile in those bars beyond its mean over all bars, and
        the part that the market's move does not explain.
    sold_usd, cut_usd : float
        Mean USD sold in those bars by the strategy, and by the book under the risk model if its
        limit is fixed, for the panels' exposures.
    """

    strategy: ModelId
    risk_model: ModelId
    together: float
    together_interval: tuple[float, float]
    p_together: float
    given_move: float
    lag: int
    interval: tuple[float, float]
    standard_error: float
    p_adjusted: float
    detectable: float
    selling_bars: int
    cut: float
    cut_given_move: float
    sold_usd: float
    cut_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class StrategyRiskResult:
    """All pairs of a signal panel and a risk panel.

    Attributes
    ----------
    couplings : tuple of SellingCoupling
        Smallest p first, then largest.
    strategies, risk_models : tuple of ModelId
    lags : tuple of int, length L
    given_move : float64, shape (S, N, L)
    together : float64, shape (S, N, L)
    rows, blocks : int
    alpha : float
    priced : bool
        Both panels state exposures, so that USD mean something.
    """

    couplings: tuple[SellingCoupling, ...]
    strategies: tuple[ModelId, ...]
    risk_models: tuple[ModelId, ...]
    lags: tuple[int, ...]
    given_move: FloatArray
    together: FloatArray
    rows: int
    blocks: int
    alpha: float
    priced: bool

    @property
    def sentence(self) -> str:
        """How many pairs go together, what would have been found, and what to do."""
        nearest = self.couplings[0]
        needed = max(one.detectable for one in self.couplings)
        told = (
            f"In {len(self.found)} of {len(self.couplings)} pairs of a strategy and a risk model "
            f"the model cuts when the strategy sells beyond what the market's move explains, in "
            f"{len(self.through_the_move)} more because the price moved; the surest are "
            f"{nearest.strategy} and {nearest.risk_model}: correlation {nearest.given_move:+.2f} "
            f"({between(*nearest.interval, '+.2f')}) given the move. In {self.rows:,} bars, "
            f"{self.blocks} blocks, {found_from(needed)} in any pair. "
        )
        largest = max((one.given_move for one in self.found), default=0.0)
        if largest >= SMALL_CORRELATION:
            todo = f"take apart what the pairs of {SMALL_CORRELATION:.2f} or more share"
            return f"{told}What to do: {todo} beside the price."
        if self.found:
            told += (
                f"Beyond the move none reaches {SMALL_CORRELATION:.2f} (at most {largest:+.2f}). "
            )
        if self.through_the_move:
            return told + "What to do: count their sales together in a stress."
        smaller = " yet; look again with a longer history" if self.found else ""
        return f"{told}What to do: nothing{smaller or '; smaller couplings may be there'}."

    @property
    def found(self) -> tuple[SellingCoupling, ...]:
        """Pairs that go together beyond the market's move."""
        return tuple(one for one in self.couplings if one.p_adjusted <= self.alpha)

    @property
    def through_the_move(self) -> tuple[SellingCoupling, ...]:
        """Other pairs that go together in the same bar, the market's move left in."""
        rest = [
            one
            for one in self.couplings
            if one.p_adjusted > self.alpha and one.p_together <= self.alpha
        ]
        return tuple(sorted(rest, key=lambda one: -one.together))
