"""All indices of one panel: what is left out, what does not apply, what is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.analysis import IndexOptions, PanelAnalysis, analyse_panel
from commonmode.converge.findings import Severity, panel_findings
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.core.words import usd
from commonmode.lab.worlds import ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import ComponentUse, Layer

QUICK = IndexOptions(flips=199, draws=199)
WHY = Failure(FailureReason.CALIBRATION_FAILED, "no minimum found", "loosen the bounds")


@pytest.fixture(scope="module")
def world() -> ForecastWorld:
    return simulate_world(
        WorldConfig(models=6, times=800, planted_share=0.7, deviation_autocorrelation=0.5), seed=2
    )


@pytest.fixture(scope="module")
def panel(world: ForecastWorld) -> ErrorPanel:
    return panel_of_world(world, name="p")


def silenced(panel: ErrorPanel, column: int, share: float) -> ErrorPanel:
    """The panel in which one model fails in the first ``share`` of the times."""
    forecast = panel.forecast.copy()
    rows = round(share * len(panel.times_ms))
    forecast[:rows, :, column] = np.nan
    cell = CellFailure(panel.models[column], panel.targets[0], int(panel.times_ms[0]), rows, WHY)
    return replace(panel, forecast=forecast, failures=(cell,) if rows else ())


def numbers(analysis: PanelAnalysis) -> list[object]:
    found: list[object] = []
    for result in (analysis.c2, analysis.c3, analysis.c6):
        assert isinstance(result, Success)
        found.append(repr(result.value))
    return found


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_model_that_mostly_failed_changes_nothing_for_the_others(
    share: float, world: ForecastWorld, panel: ErrorPanel
) -> None:
    analysis = analyse_panel(silenced(panel, 1, share), world.cards, QUICK)
    (gone,) = analysis.left_out
    assert gone.model == panel.models[1]
    assert gone.answered == pytest.approx(1 - share)
    assert gone.failure.reason is FailureReason.CALIBRATION_FAILED
    assert "no minimum found" in gone.failure.message
    assert gone.failure.remedy == "loosen the bounds"
    assert analysis.given.models == panel.models
    assert gone.model not in analysis.panel.models
    rest = tuple(m for m in panel.models if m != gone.model)
    without = analyse_panel(panel.select_models(rest), world.cards, QUICK)
    assert without.left_out == ()
    assert numbers(analysis) == numbers(without)


def test_a_model_that_sometimes_failed_costs_its_times(panel: ErrorPanel) -> None:
    analysis = analyse_panel(silenced(panel, 1, 0.25), (), QUICK)
    assert analysis.left_out == ()
    assert isinstance(analysis.c2, Success)
    assert analysis.c2.value.rows == 600
    assert analysis.c2.value.models == 6


def test_where_too_few_would_be_left_nobody_is_left_out(panel: ErrorPanel) -> None:
    analysis = analyse_panel(silenced(panel.select_models(panel.models[:2]), 0, 1.0), (), QUICK)
    assert analysis.left_out == ()
    assert isinstance(analysis.c2, Failure)
    assert "0 times with every forecast" in analysis.c2.message


def test_without_cards_the_graph_does_not_apply(world: ForecastWorld, panel: ErrorPanel) -> None:
    nobody = analyse_panel(panel, (), QUICK).c1
    assert isinstance(nobody, Failure)
    assert nobody.reason is FailureReason.NOT_APPLICABLE
    strangers = tuple(replace(card, model=ModelId(f"x{card.model}")) for card in world.cards)
    others = analyse_panel(panel, strangers, QUICK).c1
    assert isinstance(others, Failure)
    assert others.reason is FailureReason.NOT_APPLICABLE
    one = analyse_panel(panel, world.cards[:1], QUICK).c1
    assert isinstance(one, Failure)
    assert one.reason is FailureReason.CALCULATION_FAILED


def test_no_tail_no_co_failure(panel: ErrorPanel) -> None:
    short = analyse_panel(panel, (), replace(QUICK, tail=False)).c3
    assert isinstance(short, Failure)
    assert short.reason is FailureReason.NOT_APPLICABLE
    vol = replace(
        panel,
        kind=PanelKind.VOL,
        level=0.0,
        forecast=-panel.forecast,
        outcome=np.abs(panel.outcome) + 1e-6,
        benchmark_a=-panel.benchmark_a,  # type: ignore[operator]
        benchmark_b=-panel.benchmark_b,  # type: ignore[operator]
    )
    assert isinstance(analyse_panel(vol, (), QUICK).c3, Failure)


def zero_scale(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, scale=np.zeros_like(panel.scale))


def twins(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, forecast=np.repeat(panel.forecast[:, :, :1], 6, axis=2))


def the_benchmark_itself(panel: ErrorPanel) -> ErrorPanel:
    forecast = panel.forecast.copy()
    forecast[:, :, 0] = panel.benchmark_a
    return replace(panel, forecast=forecast)


def one_benchmark_twice(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, benchmark_b=panel.benchmark_a)


def no_benchmarks(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, benchmark_a=None, benchmark_b=None)


def one_model(panel: ErrorPanel) -> ErrorPanel:
    return panel.select_models(panel.models[:1])


def two_models(panel: ErrorPanel) -> ErrorPanel:
    return panel.select_models(panel.models[:2])


def nothing_happens(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, outcome=np.zeros_like(panel.outcome))


def constants(panel: ErrorPanel) -> ErrorPanel:
    level = np.full_like(panel.outcome, -0.02)
    return replace(
        panel,
        forecast=np.full_like(panel.forecast, -0.02),
        benchmark_a=level,
        benchmark_b=level,
    )


def no_exposure(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, exposure_usd=np.zeros(len(panel.models)))


@pytest.mark.parametrize(
    "degenerate",
    [
        zero_scale,
        twins,
        the_benchmark_itself,
        one_benchmark_twice,
        no_benchmarks,
        one_model,
        two_models,
        nothing_happens,
        constants,
        no_exposure,
    ],
)
def test_degenerate_panels_are_values_or_failures_with_a_remedy(
    degenerate: Callable[[ErrorPanel], ErrorPanel], world: ForecastWorld, panel: ErrorPanel
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = analyse_panel(degenerate(panel), world.cards, QUICK)
        findings = panel_findings(analysis)
    for result in (analysis.c1, analysis.c2, analysis.c3, analysis.c6):
        assert isinstance(result, Success) or result.remedy
    assert findings
    assert all("nan" not in finding.sentence.split() for finding in findings)
    order = list(Severity)
    assert [order.index(f.severity) for f in findings] == sorted(
        order.index(f.severity) for f in findings
    )


def test_findings_of_a_planted_cause(world: ForecastWorld, panel: ErrorPanel) -> None:
    findings = panel_findings(analyse_panel(panel, world.cards, QUICK))
    first = findings[0]
    assert (first.index, first.severity) == ("C2", Severity.ALERT)
    remedy = next(finding for finding in findings if finding.index == "remedy")
    assert "planted component" in remedy.sentence
    assert remedy.numbers["effective_number_after"] > first.numbers["effective_number"]
    assert {finding.index for finding in findings} >= {"C1", "C2", "C3", "C6", "remedy"}


def test_undeclared_cause_is_found_and_has_no_name(world: ForecastWorld, panel: ErrorPanel) -> None:
    """The only declared part is shared by a model with the cause and one without."""
    outsider = next(m for m in panel.models if m not in world.planted_models)
    users = (world.planted_models[0], outsider)
    part = ComponentUse(ComponentId("a library"), Layer.CODE)
    cards = tuple(
        replace(card, components=(part,) if card.model in users else ()) for card in world.cards
    )
    findings = panel_findings(analyse_panel(panel, cards, QUICK))
    remedy = next(finding for finding in findings if finding.index == "remedy")
    assert "the cards miss what they share" in remedy.sentence


def test_findings_say_when_an_index_does_not_apply_or_failed(panel: ErrorPanel) -> None:
    findings = panel_findings(analyse_panel(nothing_happens(panel), (), QUICK))
    by_index = {finding.index: finding.sentence for finding in findings}
    assert by_index["C1"].startswith("C1 does not apply: ")
    assert by_index["C3"].startswith("C3 could not be computed: ")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0.0, "$0"),
        (12.4, "$12"),
        (999.0, "$999"),
        (12_345.0, "$12.3k"),
        (340e6, "$340m"),
        (999.7e6, "$1bn"),
        (1.234e9, "$1.23bn"),
        (5.2e12, "$5.2tn"),
        (-340e6, "-$340m"),
        (-3.0, "-$3"),
        (float("nan"), "an unknown amount"),
        (float("inf"), "an unknown amount"),
    ],
)
def test_dollars_in_words(amount: float, words: str) -> None:
    assert usd(amount) == words
