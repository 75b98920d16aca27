"""Biases in plain words: what it is, how sure, what would have been found, what to do."""

from __future__ import annotations

import math
from typing import Final

from commonmode.converge.bias import BiasEstimate, BiasResult
from commonmode.converge.bias_kinds import BiasKind
from commonmode.converge.finding import Finding
from commonmode.converge.severity import SMALL_SHARE, Severity, severity_of
from commonmode.panel.error_panel import PanelKind

__all__ = ["bias_findings", "bias_sentence"]

# What a positive and a negative estimate mean, and what to do about each.
_MEANING: Final = {
    BiasKind.EFFICIENCY: (
        ("moves too little: its high figures are still too low", "let it follow the data faster"),
        ("moves too much: its high figures are too high", "shrink it towards its long-run level"),
    ),
    BiasKind.REGIME: (
        ("understates in stress more than in calm", "let its level follow the market's state"),
        ("overstates in stress more than in calm", "shorten its memory of crises"),
    ),
    BiasKind.REACTION: (
        ("under-reacts: after it revises, outcomes go further the same way", "raise its speed"),
        ("over-reacts: its revisions overshoot", "lower its speed"),
    ),
    BiasKind.HERDING: (
        ("herds: it stops short of its own view on the consensus's side", "decouple it"),
        ("exaggerates: where it differs from the others it differs too much", "shrink the gap"),
    ),
    BiasKind.RECENCY: (
        ("says more risk than the benchmark in stress than in calm", "lengthen its window"),
        ("says less risk than the benchmark in stress than in calm", "shorten its window"),
    ),
    BiasKind.ANCHORING: (
        ("is anchored: it keeps to its previous value", "shorten its window or update it faster"),
        ("overshoots the benchmark's news", "damp its updates"),
    ),
}


def _level(panel_kind: PanelKind, up: bool) -> tuple[str, str]:
    if panel_kind is PanelKind.QUANTILE:
        said = "is breached more often than stated" if up else "is breached less often than stated"
        return said, "deepen its quantile" if up else "it costs capital; make it shallower"
    if panel_kind is PanelKind.VOL:
        said = "states too little volatility" if up else "states too much volatility"
        return said, "scale it up" if up else "scale it down"
    return ("forecasts too low" if up else "forecasts too high"), "correct its level"


def _amount(result: BiasResult, one: BiasEstimate) -> str:
    e, (low, high) = one.estimate, one.interval
    relative = result.panel_kind in (PanelKind.QUANTILE, PanelKind.VOL)
    base = "the stated rate" if result.panel_kind is PanelKind.QUANTILE else "the stated variance"
    if one.kind is BiasKind.ANCHORING:
        return f"weight {e:.2f} on it, {low:.2f} to {high:.2f}"
    if one.kind is BiasKind.RECENCY:
        unit = " in logs" if relative else " market scales"
        return f"{e:+.2f}{unit}, {low:+.2f} to {high:+.2f}"
    each = " per standard deviation"
    per = each if one.kind in (BiasKind.EFFICIENCY, BiasKind.REACTION) else ""
    if relative:
        return f"{100 * e:+.0f} % of {base}{per}, {100 * low:+.0f} to {100 * high:+.0f} %"
    return f"{e:+.2f} market scales{per}, {low:+.2f} to {high:+.2f}"


def _found_size(result: BiasResult, one: BiasEstimate) -> str:
    if not math.isfinite(one.detectable):
        return "so few blocks would have found nothing"
    relative = result.panel_kind in (PanelKind.QUANTILE, PanelKind.VOL)
    plain = one.kind in (BiasKind.ANCHORING, BiasKind.RECENCY) or not relative
    size = f"{one.detectable:.2f}" if plain else f"{100 * one.detectable:.0f} %"
    return f"{size} would have been found with 80 % probability"


def bias_sentence(result: BiasResult, one: BiasEstimate) -> str:
    """One bias with its number, interval, adjusted p-value, detectable size and remedy."""
    who = f"{one.model}" if one.model is not None else "The models' mean"
    up = one.estimate > 0
    if one.kind is BiasKind.LEVEL:
        said, remedy = _level(result.panel_kind, up)
    else:
        said, remedy = _MEANING[one.kind][0 if up else 1]
    sure = f"adjusted p = {one.p_adjusted:.2g}"
    if one.p_adjusted > result.alpha:
        return (
            f"{who}: no {one.kind.value} bias beyond chance ({_amount(result, one)}; {sure}; "
            f"{_found_size(result, one)}). What to do: nothing; smaller ones would not be seen."
        )
    return (
        f"{who} {said} ({_amount(result, one)}; {sure}; {_found_size(result, one)}). "
        f"What to do: {remedy}."
    )


def bias_findings(panel: str, result: BiasResult) -> tuple[Finding, ...]:
    """What is worth saying: shared biases first, then each model's clearest, then what is absent.

    Parameters
    ----------
    panel : str
        Name of the panel.
    result : BiasResult
    """
    found: list[Finding] = []
    for one in result.found_shared:
        text = bias_sentence(result, one)
        text += " A bias that all share is a common cause: nobody else is there to be right."
        severity = severity_of(True, abs(one.estimate), SMALL_SHARE)
        found.append(Finding("bias", panel, severity, text, _numbers(one)))
    told = set()
    for one in result.found:
        if one.model in told:
            continue
        told.add(one.model)
        text = bias_sentence(result, one)
        found.append(Finding("bias", panel, Severity.NOTE, text, _numbers(one)))
    if not result.found_shared:
        level = min(result.shared, key=lambda one: one.p_adjusted)
        text = (
            f"No bias is shared by these {len(result.models)} models beyond chance; the nearest: "
            f"{bias_sentence(result, level)}"
        )
        found.append(Finding("bias", panel, Severity.FINE, text, _numbers(level)))
    if not told:
        nearest = min(result.estimates, key=lambda one: one.p_adjusted)
        text = (
            f"No single model of {len(result.models)} is biased beyond chance in any of "
            f"{len(result.kinds)} ways; the nearest: {bias_sentence(result, nearest)}"
        )
        found.append(Finding("bias", panel, Severity.FINE, text, _numbers(nearest)))
    return tuple(found)


def _numbers(one: BiasEstimate) -> dict[str, float]:
    return {
        "estimate": one.estimate,
        "low": one.interval[0],
        "high": one.interval[1],
        "p_adjusted": one.p_adjusted,
        "detectable": one.detectable,
    }
