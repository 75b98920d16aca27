"""Parameter sets of the published methods before the parameter gate, and what it says of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from commonmode.core.result import Failure, FailureReason
from commonmode.margin.gate import NOTICES, parameter_gate
from commonmode.margin.gate_pm2 import pm2_checks
from commonmode.margin.gate_probes import reference_market
from commonmode.margin.gate_report import Finding, GateReport, Property, Witness
from commonmode.margin.method import MarginMethod
from commonmode.margin.pm2 import PM2

__all__ = ["MATERIALITY", "examine", "gate_to_json", "refusal"]

MATERIALITY: Final = 1e-3
"""Share of a probe's notional below which a failed property is a notice and refuses nothing.

Every published set has probes on which it fails by a few hundredths of a percent.
"""

# Derive's standard manager nets nothing on purpose: a hedge costs margin there.
_NOTICES: Final[Mapping[str, Collection[Property]]] = MappingProxyType(
    {"standard": NOTICES | {Property.HEDGED}}
)
_MOST: Final = 4  # holdings of a witness that a message names


def examine(method: MarginMethod, coins: Sequence[str]) -> tuple[GateReport, ...]:
    """One report per coin whose parameters are to be used.

    Parameters
    ----------
    method : MarginMethod
    coins : sequence of str
        The probes hold instruments of these. No rate: what an undiscounted method credits for a
        box is then its payoff.
    """
    checks = pm2_checks(method.parameters) if isinstance(method, PM2) else ()
    return tuple(
        parameter_gate(
            method,
            reference_market(underlying=coin, rate=0.0),
            checks=checks,
            notices=_NOTICES.get(method.id, NOTICES),
            materiality=MATERIALITY,
        )
        for coin in coins
    )


def refusal(name: str, source: str, reports: Sequence[GateReport]) -> Failure | None:
    """Why the gate refuses a set, with the book that shows it; None if it does not."""
    found = [finding for report in reports for finding in report.refusals]
    if not found:
        return None
    return Failure(
        FailureReason.INVALID_INPUT,
        f"the parameter gate refuses {source.partition(':')[0]}. "
        + " ".join(_sentence(finding) for finding in found),
        f"correct the set, name another one, or look at it with commonmode margin --method {name} "
        "--ungated",
    )


def gate_to_json(reports: Sequence[GateReport], *, used: bool) -> dict[str, Any]:
    """What the gate found, as it stands in the results."""
    return {
        "accepted": all(report.accepted for report in reports),
        "used": used,
        "probes": sum(report.probes for report in reports),
        "refusals": [_finding(f) for report in reports for f in report.refusals],
        "notices": [_finding(f) for report in reports for f in report.notices],
    }


def _sentence(finding: Finding) -> str:
    shown = "" if finding.witness is None else f" Witness: {_holdings(finding.witness)}."
    return finding.sentence + shown


def _holdings(witness: Witness) -> str:
    shown = ", ".join(f"{quantity:g} {name}" for name, quantity in witness.holdings[:_MOST])
    more = len(witness.holdings) - _MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "property": finding.property.value,
        "sentence": finding.sentence,
        "witness": None if finding.witness is None else dict(finding.witness.holdings),
    }
