"""Strategies against risk models, in plain words."""

from __future__ import annotations

from commonmode.converge.finding import Finding, between, found_from
from commonmode.converge.severity import SMALL_CORRELATION, Severity, severity_of
from commonmode.converge.strategies_result import SellingCoupling, StrategyRiskResult
from commonmode.core.words import usd

__all__ = ["coupling_sentence", "strategy_findings"]


def coupling_sentence(one: SellingCoupling, *, alpha: float, priced: bool) -> str:
    """How much they go together, how sure, what it moves, and what to do."""
    bars = f"{abs(one.lag)} {'bar' if abs(one.lag) == 1 else 'bars'}"
    when = f"{bars} {'later' if one.lag > 0 else 'earlier'}" if one.lag else "in the same bar"
    extra = round(100.0 * one.cut_given_move, 1) + 0.0  # no minus before a rounded zero
    selling = (
        f"in the {one.selling_bars:,} bars in which {one.strategy} sells most, {one.risk_model} "
        f"raises its quantile by {100.0 * one.cut:+.1f} % on average, {extra:+.1f} % more than "
        "the market's move explains"
    )
    money = ""
    if priced:
        money = (
            f"; a mean bar of those sells {usd(one.sold_usd)} by the strategy and "
            f"{usd(one.cut_usd)} under the risk limit"
        )
    given = between(*one.interval, "+.2f")
    same = between(*one.together_interval, "+.2f")
    sure = f"adjusted p = {one.p_adjusted:.2g}; {found_from(one.detectable)}"
    if one.p_adjusted <= alpha:
        todo = (
            "find what they share or watch beside the price, and take it apart"
            if one.given_move >= SMALL_CORRELATION
            else f"nothing yet; it is there, and smaller than the {SMALL_CORRELATION:.2f} from "
            "which a coupling is raised"
        )
        return (
            f"{one.risk_model} cuts when {one.strategy} sells: correlation {one.given_move:+.2f} "
            f"({given}) given the market's move, {when} ({sure}), and {one.together:+.2f} ({same}) "
            f"in the same bar with it; {selling}{money}. What to do: {todo}."
        )
    if one.p_together <= alpha:
        return (
            f"{one.risk_model} cuts when {one.strategy} sells, because the price moved: "
            f"correlation {one.together:+.2f} ({same}) in the same bar (adjusted p = "
            f"{one.p_together:.2g}), {one.given_move:+.2f} at most given the move ({given}; "
            f"{sure}); {selling}{money}. What to do: count their sales together; look on the cards "
            "whether they read the move by the same estimator."
        )
    return (
        f"{one.risk_model} does not cut when {one.strategy} sells (correlation {one.together:+.2f} "
        f"({same}) in the same bar, {one.given_move:+.2f} at most given the market's move "
        f"({given}); {sure}); {selling}{money}. What to do: nothing."
    )


def strategy_findings(result: StrategyRiskResult) -> tuple[Finding, ...]:
    """Couplings beyond the market's move, then those through it; the nearest where none is.

    Parameters
    ----------
    result : StrategyRiskResult
    """

    def say(one: SellingCoupling, severity: Severity) -> Finding:
        text = coupling_sentence(one, alpha=result.alpha, priced=result.priced)
        return Finding("strategies", one.strategy, severity, text, _numbers(one))

    said = [say(one, severity_of(True, one.given_move, SMALL_CORRELATION)) for one in result.found]
    said += [say(one, Severity.NOTE) for one in result.through_the_move]
    return tuple(said) or (say(result.couplings[0], Severity.FINE),)


def _numbers(one: SellingCoupling) -> dict[str, float]:
    return {
        "together": one.together,
        "together_low": one.together_interval[0],
        "together_high": one.together_interval[1],
        "p_together": one.p_together,
        "given_move": one.given_move,
        "low": one.interval[0],
        "high": one.interval[1],
        "lag": float(one.lag),
        "p_adjusted": one.p_adjusted,
        "detectable": one.detectable,
        "cut": one.cut,
        "cut_given_move": one.cut_given_move,
        "sold_usd": one.sold_usd,
        "cut_usd": one.cut_usd,
    }
