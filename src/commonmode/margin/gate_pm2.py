"""What can be read off a PM2 parameter set before anything is margined with it."""

from __future__ import annotations

from commonmode.margin.gate_report import ParameterCheck
from commonmode.margin.pm2.parameters import PM2Parameters

__all__ = ["pm2_checks"]


def _discounts(p: PM2Parameters) -> ParameterCheck:
    long, short = p.discount.long_base, p.discount.short_base
    numbers = {"long base": long, "short base": short}
    if 0.0 < long <= 1.0 <= short:
        return ParameterCheck(True, "Static discounts: 0 < long base <= 1 <= short base.", numbers)
    reasons = []
    if long > 1.0:
        reasons.append(f"net-long expiries are marked up by {100 * (long - 1.0):.3g} %")
    if long <= 0.0:
        reasons.append("net-long expiries count for nothing")
    if short < 1.0:
        reasons.append(f"net-short expiries are marked down by {100 * (1.0 - short):.3g} %")
    exchanged = 0.0 < short <= 1.0 <= long
    remedy = (
        f"The two look exchanged: set long base {short:g} and short base {long:g}."
        if exchanged
        else "Set the long base above 0 and at most to 1 and the short base to at least 1."
    )
    return ParameterCheck(
        False,
        f"Static discounts: long base {long:g} and short base {short:g} violate "
        f"0 < long base <= 1 <= short base, so {' and '.join(reasons)}. {remedy}",
        numbers,
    )


def _factors(p: PM2Parameters) -> ParameterCheck:
    numbers = {"initial factor": p.loss.initial, "maintenance factor": p.loss.maintenance}
    passed = 0.0 < p.loss.maintenance <= p.loss.initial
    text = "Loss factors: 0 < maintenance <= initial"
    if passed:
        return ParameterCheck(True, f"{text}.", numbers)
    return ParameterCheck(
        False,
        f"{text} is violated by {p.loss.maintenance:g} and {p.loss.initial:g}: accounts could be "
        "opened below the level at which they are liquidated. Raise the initial factor.",
        numbers,
    )


def _grid(p: PM2Parameters) -> ParameterCheck:
    spots = [each.spot for each in p.scenarios if each.damping > 0.0]
    numbers = {"lowest spot": min(spots, default=1.0), "highest spot": max(spots, default=1.0)}
    passed = numbers["lowest spot"] < 1.0 < numbers["highest spot"] and p.basis.down < 1.0
    text = "Scenarios: spot falls in some and rises in others, and so does the basis"
    if passed:
        return ParameterCheck(True, f"{text}.", numbers)
    return ParameterCheck(
        False,
        f"{text} is violated: a book exposed to one side only would need nothing. Add scenarios "
        "on the other side.",
        numbers,
    )


def pm2_checks(parameters: PM2Parameters) -> tuple[ParameterCheck, ...]:
    """Checks of a PM2 parameter set for :func:`~commonmode.margin.gate.parameter_gate`.

    ``0 < long base <= 1 <= short base``; maintenance factor no higher than the initial one;
    scenarios on both sides of today's spot.
    """
    return _discounts(parameters), _factors(parameters), _grid(parameters)
