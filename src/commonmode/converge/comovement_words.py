"""C2 in words: how many independent models there are, and what to take apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commonmode.converge.clusters import act_as_one, rank_remedies
from commonmode.converge.comovement import EffectiveNumberResult
from commonmode.converge.finding import Finding, between, percent, some_of
from commonmode.converge.severity import SMALL_CORRELATION, SMALL_SHARE, Severity, severity_of
from commonmode.core.result import Success

if TYPE_CHECKING:
    from commonmode.converge.analysis import PanelAnalysis

__all__ = ["comovement_findings"]


def comovement_findings(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    """The number, what explains it, and what all models have in common.

    Parameters
    ----------
    analysis : PanelAnalysis
    c2 : EffectiveNumberResult
        Of the same panel.
    """
    panel = analysis.panel
    numbers = {
        "effective_number": c2.effective_number,
        "models": float(c2.models),
        "p_value": c2.p_value,
        "minimum_detectable_share": c2.minimum_detectable_share,
    }
    few = {2: "both", 3: "three"}[min(c2.models, 3)]
    detectable = (
        f"a part carrying {percent(min(c2.minimum_detectable_share, 1.0))} of the deviation "
        f"variance of {few} models would have been found with 80 % probability"
    )
    if c2.minimum_detectable_share >= 1.0:
        detectable = f"no part shared by {few} models only would have been found"
    if not c2.benchmarked:
        told = "only which groups move together more than the rest"
        if c2.models < 4:
            told = "and fewer than four models cannot be compared with one another either"
        sentence = (
            f"{c2.models} models, no benchmarks: how many are independent cannot be said, {told}, "
            "so there is no interval and no detectable effect. What to do: give benchmark_a and "
            "benchmark_b."
        )
        return [
            Finding("C2", panel.name, Severity.UNKNOWN, sentence, numbers),
            *_remedies(analysis, c2),
        ]
    if not c2.rejects:
        sentence = (
            f"No co-movement beyond chance among {c2.models} models (p = {c2.p_value:.2g}, "
            f"effective number {c2.effective_number:.1f}; no interval: independence is the edge of "
            f"its range); {detectable}. What to do: nothing; a longer panel shows smaller parts."
        )
        return [Finding("C2", panel.name, Severity.FINE, sentence, numbers)]
    interval = ""
    if c2.interval is not None:
        numbers |= {"low": c2.interval[0], "high": c2.interval[1]}
        interval = f" (95 % interval {c2.interval[0]:.1f} to {c2.interval[1]:.1f})"
    clusters = act_as_one(panel, c2)
    together = ""
    if clusters:
        first = clusters[0]
        together = (
            f"; {len(first.models)} of them act as one ({some_of(first.models)}: mean "
            f"correlation {first.mean_correlation:.2f})"
        )
    # Two that act as one among hundreds hardly change the number, and matter all the same.
    lost = 1.0 - c2.effective_number / c2.models
    severity = Severity.ALERT if clusters else severity_of(True, lost, SMALL_SHARE)
    todo = (
        "count them as that many, and take apart what they share; the remedy says what first"
        if severity is Severity.ALERT
        else f"watch it; fewer than {percent(SMALL_SHARE)} of the models are lost"
    )
    sentence = (
        f"{c2.models} models count as {c2.effective_number:.1f} independent ones{interval}"
        f"{together}; {detectable}. What to do: {todo}."
    )
    finding = Finding("C2", panel.name, severity, sentence, numbers)
    return [finding, *_remedies(analysis, c2)]


def _remedies(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    remedies = rank_remedies(analysis.panel, c2, alpha=analysis.options.alpha)
    everybody = _shared_by_everybody(analysis, c2)
    if not remedies:
        if c2.components and c2.rejects:
            sentence = (
                f"No declared component explains the co-movement of these {c2.models} models: the "
                "cards miss what they share. What to do: ask their owners, or group the models "
                "found blind: " + "; ".join(c.group.name for c in c2.found[:2]) + "."
            )
            lost = 1.0 - c2.effective_number / c2.models
            severity = severity_of(True, lost, SMALL_SHARE)
            return [Finding("remedy", analysis.panel.name, severity, sentence), *everybody]
        return everybody
    # C4 asks more of a part than C2 does: what it advises comes first, and what it does not
    # confirm is said to be unconfirmed, so that the two never advise different things.
    sure, named = True, None
    if isinstance(analysis.c4, Success):
        named = analysis.c4.value.advised
        advised = () if named is None else named.group.members
        remedies = tuple(sorted(remedies, key=lambda one: one.contrast.group.members != advised))
        sure = remedies[0].contrast.group.members == advised
    first = remedies[0]
    members = ", ".join(first.contrast.group.members)
    low, high = first.contrast.interval
    name = f"{first.contrast.group.name} (used by {members})"
    excess = (
        f"Pairs that share it move together {first.contrast.estimate:+.2f} "
        f"({between(low, high, '+.2f')}) more than with others (adjusted p = "
        f"{first.contrast.p_adjusted:.2g})"
    )
    if c2.benchmarked:
        after = f"{first.effective_number_after:.1f}"
        excess += f"; without it the effective number would be {after}"
    excess += "."
    if first.contrast.confounded_with:
        excess += f" It cannot be told from {' or '.join(first.contrast.confounded_with)}."
    if sure:
        sentence = f"Take apart first: {name}. {excess}"
        severity = severity_of(True, first.contrast.estimate, SMALL_CORRELATION)
    elif named is not None:
        sentence = (
            f"Take apart first: {named.group.name}, which C4 points to. By C2 alone: {name}. "
            f"{excess}"
        )
        severity = severity_of(True, named.deviation.estimate, SMALL_CORRELATION)
    else:
        # What to do stands first: a screen may have no room for the numbers.
        sentence = (
            f"Look first at {name}: change it and see who moves (look interventions) before taking "
            f"it apart, for C4 cannot confirm it among these {c2.models} models. {excess}"
        )
        severity = Severity.NOTE
    numbers = {
        "excess_correlation": first.contrast.estimate,
        "low": low,
        "high": high,
        "p_adjusted": first.contrast.p_adjusted,
        "effective_number_after": first.effective_number_after,
        "exposure_usd": first.exposure_usd,
    }
    return [Finding("remedy", analysis.panel.name, severity, sentence, numbers), *everybody]


def _shared_by_everybody(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    """What all models have in common cannot be compared with anybody; say so."""
    alpha = analysis.options.alpha
    wide = [c for c in c2.components if not c.identified and c.p_adjusted <= alpha]
    if not wide or not c2.benchmarked:
        return []
    low, high = wide[0].interval
    needed = c2.minimum_detectable_common
    detectable = (
        f"{percent(needed)} of variance in all of them would have been found with 80 % probability"
        if needed < 1.0
        else "so few blocks would have found nothing"
    )
    sentence = (
        f"All models deviate together from the benchmark (mean correlation {wide[0].estimate:.2f}, "
        f"{between(low, high)}; adjusted p = {wide[0].p_adjusted:.2g}; {detectable}). Candidates "
        f"are what (nearly) all of them declare ({'; '.join(c.group.name for c in wide)}), "
        "whatever all of them leave out, and a blind spot of the benchmark: these cannot be told "
        "apart inside this population. What to do: add a model that uses none of it."
    )
    numbers = {
        "mean_correlation": wide[0].estimate,
        "low": low,
        "high": high,
        "p_adjusted": wide[0].p_adjusted,
        "minimum_detectable_common": needed,
    }
    return [Finding("C2", analysis.panel.name, Severity.NOTE, sentence, numbers)]
