"""Findings in plain words: each index says its number, how sure it is and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from commonmode.converge.analysis import PanelAnalysis
from commonmode.converge.attribution_result import AttributionResult
from commonmode.converge.clusters import act_as_one, rank_remedies
from commonmode.converge.cofailure import CoFailureResult
from commonmode.converge.comovement import EffectiveNumberResult
from commonmode.converge.dispersion import DispersionResult
from commonmode.converge.severity import SMALL_CORRELATION, SMALL_SHARE, Severity, severity_of
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["Finding", "Severity", "panel_findings", "some_of"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One plain sentence with the numbers it rests on.

    Attributes
    ----------
    index : str
        "C1", "C2", "C3", "C4", "C6", "split", "remedy" or "greeks".
    panel : str
    severity : Severity
    sentence : str
    numbers : mapping of name to float
        Unrounded.
    """

    index: str
    panel: str
    severity: Severity
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def some_of(names: Sequence[str], most: int = 12) -> str:
    """The names, or the first of them and how many more there are: a sentence must be read."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def panel_findings(analysis: PanelAnalysis) -> tuple[Finding, ...]:
    """Everything worth saying about one panel, most important first."""
    name = analysis.panel.name
    found: list[Finding] = []
    if isinstance(analysis.c2, Success):
        found += _comovement(analysis, analysis.c2.value)
    if isinstance(analysis.c3, Success):
        found += _cofailure(name, analysis.c3.value)
    if isinstance(analysis.c4, Success) and analysis.c4.value.components:
        found.append(_attribution(name, analysis.c4.value))
    if isinstance(analysis.c1, Success):
        found += _graph(analysis)
    if isinstance(analysis.c6, Success):
        found.append(_dispersion(analysis.panel, analysis.c6.value))
    found += [
        Finding("C2", name, Severity.UNKNOWN, f"{entry.failure.message}; {entry.failure.remedy}.")
        for entry in analysis.left_out
    ]
    for index, result in (
        ("C1", analysis.c1),
        ("C2", analysis.c2),
        ("C3", analysis.c3),
        ("C6", analysis.c6),
    ):
        if isinstance(result, Failure):
            away = result.reason is FailureReason.NOT_APPLICABLE
            said = "does not apply" if away else "could not be computed"
            remedy = f" ({result.remedy})" if result.remedy else ""
            sentence = f"{index} {said}: {result.message}{remedy}."
            found.append(Finding(index, name, Severity.UNKNOWN, sentence))
    order = list(Severity)
    return tuple(sorted(found, key=lambda f: order.index(f.severity)))


def _percent(value: float) -> str:
    said = f"{100 * value:.0f} %"
    return "0 %" if said == "-0 %" else said


def _comovement(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    panel = analysis.panel
    numbers = {
        "effective_number": c2.effective_number,
        "models": float(c2.models),
        "p_value": c2.p_value,
        "minimum_detectable_share": c2.minimum_detectable_share,
    }
    few = {2: "both", 3: "three"}[min(c2.models, 3)]
    detectable = (
        f"a part carrying {_percent(min(c2.minimum_detectable_share, 1.0))} of the deviation "
        f"variance of {few} models would have been found with 80 % probability"
    )
    if c2.minimum_detectable_share >= 1.0:
        detectable = f"no part shared by {few} models only would have been found"
    if not c2.benchmarked:
        told = "only which groups move together more than the rest"
        if c2.models < 4:
            told = "and fewer than four models cannot be compared with one another either"
        sentence = (
            f"{c2.models} models, no benchmarks: how many are independent cannot be said, {told}; "
            "give benchmark_a and benchmark_b."
        )
        return [
            Finding("C2", panel.name, Severity.UNKNOWN, sentence, numbers),
            *_remedies(analysis, c2),
        ]
    if not c2.rejects:
        sentence = (
            f"No co-movement beyond chance among {c2.models} models (p = {c2.p_value:.2g}, "
            f"effective number {c2.effective_number:.1f}); {detectable}."
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
    sentence = (
        f"{c2.models} models count as {c2.effective_number:.1f} independent ones{interval}"
        f"{together}; {detectable}."
    )
    # Two that act as one among hundreds hardly change the number, and matter all the same.
    lost = 1.0 - c2.effective_number / c2.models
    severity = Severity.ALERT if clusters else severity_of(True, lost, SMALL_SHARE)
    finding = Finding("C2", panel.name, severity, sentence, numbers)
    return [finding, *_remedies(analysis, c2)]


def _remedies(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    remedies = rank_remedies(analysis.panel, c2, alpha=analysis.options.alpha)
    everybody = _shared_by_everybody(analysis, c2)
    if not remedies:
        if c2.components and c2.rejects:
            sentence = (
                "No declared component explains the co-movement: the cards miss what these models "
                "share; ask their owners, or group the models found blind: "
                + "; ".join(c.group.name for c in c2.found[:2])
                + "."
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
    excess = (
        f"{first.contrast.group.name} (used by {members}). Pairs that share it move together "
        f"{first.contrast.estimate:+.2f} more than their members do with others (adjusted p = "
        f"{first.contrast.p_adjusted:.2g})"
    )
    if c2.benchmarked:
        after = f"{first.effective_number_after:.1f}"
        excess += f"; without that the effective number would be {after}"
    excess += "."
    if first.contrast.confounded_with:
        excess += f" It cannot be told from {' or '.join(first.contrast.confounded_with)}."
    if sure:
        sentence = f"Take apart first: {excess}"
        severity = severity_of(True, first.contrast.estimate, SMALL_CORRELATION)
    elif named is not None:
        sentence = (
            f"Take apart first: {named.group.name}, which C4 points to. By C2 alone: {excess}"
        )
        severity = severity_of(True, named.deviation.estimate, SMALL_CORRELATION)
    else:
        sentence = (
            f"Look first at {excess} C4 asks more, that no factor common to all and no unlikeness "
            f"of other pairs could give them as much, and cannot confirm it among these "
            f"{c2.models} models: before taking it apart, change it and see who moves (look "
            "interventions)."
        )
        severity = Severity.NOTE
    return [
        Finding(
            "remedy",
            analysis.panel.name,
            severity,
            sentence,
            {
                "excess_correlation": first.contrast.estimate,
                "p_adjusted": first.contrast.p_adjusted,
                "effective_number_after": first.effective_number_after,
                "exposure_usd": first.exposure_usd,
            },
        ),
        *everybody,
    ]


def _shared_by_everybody(analysis: PanelAnalysis, c2: EffectiveNumberResult) -> list[Finding]:
    """What all models have in common cannot be compared with anybody; say so."""
    alpha = analysis.options.alpha
    wide = [c for c in c2.components if not c.identified and c.p_adjusted <= alpha]
    if not wide or not c2.benchmarked:
        return []
    sentence = (
        f"All models deviate together from the benchmark (mean correlation {wide[0].estimate:.2f}, "
        f"adjusted p = {wide[0].p_adjusted:.2g}). Candidates are what (nearly) all of them declare "
        f"({'; '.join(c.group.name for c in wide)}), whatever all of them leave out, and a blind "
        "spot of the benchmark: these cannot be told apart inside this population."
    )
    numbers = {"mean_correlation": wide[0].estimate, "p_adjusted": wide[0].p_adjusted}
    return [Finding("C2", analysis.panel.name, Severity.NOTE, sentence, numbers)]


def _cofailure(name: str, c3: CoFailureResult) -> list[Finding]:
    numbers = {
        "ratio": c3.ratio,
        "low": c3.interval[0],
        "high": c3.interval[1],
        "p_value": c3.p_value,
        "raw_ratio": c3.raw_ratio,
        "minimum_detectable_ratio": c3.minimum_detectable_ratio,
    }
    if math.isnan(c3.ratio):
        sentence = (
            f"Models fail together {c3.raw_ratio:.1f} times as often as by chance (market + shared "
            "design; without benchmarks the two cannot be told apart)."
        )
        return [Finding("C3", name, Severity.UNKNOWN, sentence, {"raw_ratio": c3.raw_ratio})]
    found = (
        f"Given the market's own surprise, models fail together {c3.ratio:.2f} times as often as "
        f"independent ones would (95 % interval {c3.interval[0]:.2f} to {c3.interval[1]:.2f}, "
        f"p = {c3.p_value:.2g}; a ratio of {c3.minimum_detectable_ratio:.2f} would have been found "
        f"with 80 % probability). Raw, market and design together: {c3.raw_ratio:.1f}."
    )
    # The market makes most joint failures, so the ratio is near one whatever the models share:
    # the size is the design's part of those that the market does not make.
    size = c3.ratio - 1.0
    if c3.split is not None and c3.split.market.value < 1.0:
        size = c3.split.shared_design.value / (1.0 - c3.split.market.value)
    severity = severity_of(c3.rejects, size, SMALL_SHARE)
    findings = [Finding("C3", name, severity, found, numbers)]
    if c3.split is not None:
        market, design, alone = c3.split.market, c3.split.shared_design, c3.split.individual
        sentence = (
            f"Of {c3.pair_failures:,} joint failures (pairs of models), "
            f"{_percent(market.value)} are the market's doing "
            f"({_percent(market.low)} to {_percent(market.high)}), {_percent(design.value)} shared "
            f"design ({_percent(design.low)} to {_percent(design.high)}) and "
            f"{_percent(alone.value)} individual chance."
        )
        findings.append(
            Finding(
                "split",
                name,
                severity if c3.rejects else Severity.NOTE,
                sentence,
                {
                    "market": market.value,
                    "shared_design": design.value,
                    "individual": alone.value,
                },
            )
        )
    return findings


def _attribution(name: str, c4: AttributionResult) -> Finding:
    first = c4.components[0]
    numbers = {"p_value": first.p_value, "first_share": first.first_share}
    severity = Severity.NOTE if c4.causes or c4.undeclared else Severity.FINE
    return Finding("C4", name, severity, c4.sentence, numbers)


def _graph(analysis: PanelAnalysis) -> list[Finding]:
    assert isinstance(analysis.c1, Success)
    c1 = analysis.c1.value
    shared = [b for b in c1.graph.blast if len(b.models) >= 2]
    if not shared:
        sentence = "The cards declare no component that two of these models share."
        return [Finding("C1", analysis.panel.name, Severity.FINE, sentence)]
    top = shared[0]
    sentence = (
        f"By their cards these models share {_percent(c1.mean)} of what they are made of "
        f"({_percent(c1.interval[0])} to {_percent(c1.interval[1])} if cards are imprecise). The "
        f"widest part is {top.component} ({top.layer.value}): {len(top.models)} models and "
        f"{_percent(top.share)} of the exposure rest on it."
    )
    return [
        Finding(
            "C1",
            analysis.panel.name,
            Severity.NOTE,
            sentence,
            {"mean_similarity": c1.mean, "share": top.share, "exposure_usd": top.exposure_usd},
        )
    ]


def _dispersion(panel: ErrorPanel, c6: DispersionResult) -> Finding:
    ratio, quartile, spread = c6.risk_ratio, c6.interquartile_dispersion, c6.cont_range
    best = f"Outcomes single out {c6.equally_good[0]} as better than all the others."
    if len(c6.equally_good) > 1:
        signed = panel.kind in (PanelKind.VALUE, PanelKind.SIGNAL)
        best = (
            f"Among the {len(c6.equally_good)} of {len(panel.models)} that outcomes cannot tell "
            f"from the best, the range is {_percent(spread.value)} of "
            f"{'the scale of the market' if signed else 'the figure itself'}."
        )
    apart = "The models' figures change sign, so their ratio says nothing."
    if math.isfinite(ratio.value):
        banks = " (EBA benchmarking of banks' VaR: .14 to .27 in 2020-2024)"
        apart = (
            f"The models' figures differ by a factor of {ratio.value:.2f} on average (largest over "
            f"smallest; {ratio.low:.2f} to {ratio.high:.2f}); interquartile dispersion "
            f"{quartile.value:.2f}{banks if panel.kind is PanelKind.QUANTILE else ''}."
        )
    sentence = (
        f"{apart} {best} Agreement is not safety: models agree also because they share a history."
    )
    return Finding(
        "C6",
        panel.name,
        Severity.NOTE,
        sentence,
        {
            "risk_ratio": ratio.value,
            "interquartile_dispersion": quartile.value,
            "cont_range": spread.value,
            "equally_good": float(len(c6.equally_good)),
        },
    )
