"""What can be read off a parameter set of our own method before anything is margined with it."""

from __future__ import annotations

from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.gate_report import (
    Finding,
    GateReport,
    ParameterCheck,
    Property,
    Severity,
)

__all__ = ["dynamic_checks", "dynamic_report"]


def _bought_option(p: DynamicParameters) -> ParameterCheck:
    """A bought option loses at most its price, so no more than that may be asked for it.

    Shortfall, floor and buffer are all bounded by that price; what multiplies them is not. The
    time that closing takes is left out: it depends on the account.
    """
    shortfall = p.multiplier * p.maintenance_share * max(1.0, p.floor)
    moves = p.mix.hypothetical_share * p.maintenance_hypothetical
    numbers = {"factor on the shortfall": shortfall, "factor on hypothetical moves": moves}
    text = "A bought option needs no more maintenance margin than it can lose"
    if max(shortfall, moves) <= 1.0:
        return ParameterCheck(True, f"{text}.", numbers)
    reasons = []
    if shortfall > 1.0:
        reasons.append(
            f"multiplier {p.multiplier:g} x maintenance_share {p.maintenance_share:g} x floor "
            f"{max(1.0, p.floor):g} (1 where it is less) is {shortfall:g}"
        )
    if moves > 1.0:
        reasons.append(
            f"hypothetical_share {p.mix.hypothetical_share:g} x maintenance_hypothetical "
            f"{p.maintenance_hypothetical:g} is {moves:g}"
        )
    return ParameterCheck(
        False,
        f"{text} is violated: {' and '.join(reasons)}, above 1, so a bought option can lower the "
        "balance of an account. Lower one of them.",
        numbers,
    )


def dynamic_checks(parameters: DynamicParameters) -> tuple[ParameterCheck, ...]:
    """Checks of a parameter set for :func:`~commonmode.margin.gate.parameter_gate`.

    A bought option never asks more maintenance margin than it can lose. The levels and shares that
    keep maintenance at or below the initial margin are bounds of ``DynamicParameters`` itself.
    """
    return (_bought_option(parameters),)


def dynamic_report(parameters: DynamicParameters) -> GateReport:
    """The checks alone as a report, for where the probes take too long.

    Parameters
    ----------
    parameters : DynamicParameters
        In force: with the multiplier that is used.

    Returns
    -------
    GateReport
        Without probes: that it is accepted says no more than that the checks passed.
    """
    findings = tuple(
        Finding(Property.PARAMETERS, check.passed, Severity.REFUSE, check.sentence, check.numbers)
        for check in dynamic_checks(parameters)
    )
    return GateReport("dynamic", findings, 0)
