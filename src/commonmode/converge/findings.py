"""Findings in plain words: each index says its number, how sure it is and what to do."""

from __future__ import annotations

import math

from commonmode.converge.analysis import PanelAnalysis
from commonmode.converge.attribution_result import AttributionResult
from commonmode.converge.cofailure_words import cofailure_findings
from commonmode.converge.comovement_words import comovement_findings
from commonmode.converge.dispersion import DispersionResult
from commonmode.converge.finding import Finding, between, failure_sentence, percent, some_of
from commonmode.converge.severity import Severity
from commonmode.core.result import Failure, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["Finding", "Severity", "panel_findings", "some_of"]


def panel_findings(analysis: PanelAnalysis) -> tuple[Finding, ...]:
    """Everything worth saying about one panel, most important first."""
    name = analysis.panel.name
    found: list[Finding] = []
    if isinstance(analysis.c2, Success):
        found += comovement_findings(analysis, analysis.c2.value)
    if isinstance(analysis.c3, Success):
        found += cofailure_findings(name, analysis.c3.value)
    if isinstance(analysis.c4, Success) and analysis.c4.value.components:
        found.append(_attribution(name, analysis.c4.value))
    if isinstance(analysis.c1, Success):
        found += _graph(analysis)
    if isinstance(analysis.c6, Success):
        found.append(_dispersion(analysis.panel, analysis.c6.value))
    found += [
        Finding(
            "C2",
            name,
            Severity.UNKNOWN,
            f"{entry.failure.message}. What to do: {entry.failure.remedy}.",
        )
        for entry in analysis.left_out
    ]
    for index, result in (
        ("C1", analysis.c1),
        ("C2", analysis.c2),
        ("C3", analysis.c3),
        ("C6", analysis.c6),
    ):
        if isinstance(result, Failure):
            sentence = failure_sentence(index, result)
            found.append(Finding(index, name, Severity.UNKNOWN, sentence))
    order = list(Severity)
    return tuple(sorted(found, key=lambda f: order.index(f.severity)))


def _attribution(name: str, c4: AttributionResult) -> Finding:
    first = c4.components[0]
    low, high = first.deviation.interval
    numbers = {
        "excess": first.deviation.estimate,
        "low": low,
        "high": high,
        "p_value": first.p_value,
        "first_share": first.first_share,
    }
    severity = Severity.NOTE if c4.causes or c4.undeclared else Severity.FINE
    return Finding("C4", name, severity, c4.sentence, numbers)


def _graph(analysis: PanelAnalysis) -> list[Finding]:
    assert isinstance(analysis.c1, Success)
    c1 = analysis.c1.value
    shared = [b for b in c1.graph.blast if len(b.models) >= 2]
    if not shared:
        sentence = (
            "The cards declare no component that two of these models share (0 %, declared and not "
            "estimated: no interval, no detectable effect). What to do: try the cards out (look "
            "interventions)."
        )
        return [Finding("C1", analysis.panel.name, Severity.FINE, sentence)]
    top = shared[0]
    sentence = (
        f"By their cards these models share {percent(c1.mean)} of what they are made of "
        f"({percent(c1.interval[0])} to {percent(c1.interval[1])} if cards are imprecise; declared "
        f"and not tested, so no detectable effect). The widest part is {top.component} "
        f"({top.layer.value}): {len(top.models)} models and {percent(top.share)} of the exposure "
        "rest on it. What to do: plan for its failure at all of them at once, and try the cards "
        "out (look interventions)."
    )
    return [
        Finding(
            "C1",
            analysis.panel.name,
            Severity.NOTE,
            sentence,
            {
                "mean_similarity": c1.mean,
                "low": c1.interval[0],
                "high": c1.interval[1],
                "share": top.share,
                "exposure_usd": top.exposure_usd,
            },
        )
    ]


def _dispersion(panel: ErrorPanel, c6: DispersionResult) -> Finding:
    ratio, quartile, spread = c6.risk_ratio, c6.interquartile_dispersion, c6.cont_range
    best = f"Outcomes single out {c6.equally_good[0]} as better than all the others."
    if len(c6.equally_good) > 1:
        signed = panel.kind in (PanelKind.VALUE, PanelKind.SIGNAL)
        best = (
            f"Among the {len(c6.equally_good)} of {len(panel.models)} that outcomes cannot tell "
            f"from the best, the range is {percent(spread.value)} "
            f"({between(spread.low, spread.high, '.0f', 100)} %) of "
            f"{'the scale of the market' if signed else 'the figure itself'}."
        )
    apart = "The models' figures change sign, so their ratio says nothing."
    if math.isfinite(ratio.value):
        banks = "; EBA benchmarking of banks' VaR: .14 to .27 in 2020-2024"
        apart = (
            f"The models' figures differ by a factor of {ratio.value:.2f} on average (largest over "
            f"smallest; {ratio.low:.2f} to {ratio.high:.2f}); interquartile dispersion "
            f"{quartile.value:.2f} ({quartile.low:.2f} to {quartile.high:.2f}"
            f"{banks if panel.kind is PanelKind.QUANTILE else ''})."
        )
    sentence = (
        f"{apart} {best} A description, with no detectable effect. What to do: decide with the "
        "range and not with one figure; agreement is not safety, for models agree also because "
        "they share a history."
    )
    return Finding(
        "C6",
        panel.name,
        Severity.NOTE,
        sentence,
        {
            "risk_ratio": ratio.value,
            "risk_ratio_low": ratio.low,
            "risk_ratio_high": ratio.high,
            "interquartile_dispersion": quartile.value,
            "cont_range": spread.value,
            "cont_range_low": spread.low,
            "cont_range_high": spread.high,
            "equally_good": float(len(c6.equally_good)),
        },
    )
