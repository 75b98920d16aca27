"""What is found and small is noted; what is found and large enough to act on is an alert."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge import further
from commonmode.converge.analysis import IndexOptions, PanelAnalysis, analyse_panel
from commonmode.converge.attribution_result import AttributionResult
from commonmode.converge.bias_words import bias_findings
from commonmode.converge.findings import Finding, panel_findings
from commonmode.converge.further import FurtherLook, further_looks
from commonmode.converge.propagation_result import FollowingLink
from commonmode.converge.severity import SMALL_CORRELATION, Severity, severity_of
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.converge.strategies_result import StrategyRiskResult
from commonmode.converge.strategy_words import strategy_findings
from commonmode.converge.tail_propagation import TailLink
from commonmode.core.ids import ModelId
from commonmode.core.result import Success
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from strategy_worlds import selling_world


@pytest.mark.parametrize(
    ("found", "size", "expected"),
    [
        (False, 0.9, Severity.FINE),
        (True, 0.02, Severity.NOTE),
        (True, SMALL_CORRELATION, Severity.ALERT),
        (True, -0.9, Severity.NOTE),  # not in the direction that is looked for
        (True, float("nan"), Severity.NOTE),
    ],
)
def test_significance_alone_makes_a_note(found: bool, size: float, expected: Severity) -> None:
    assert severity_of(found, size, SMALL_CORRELATION) is expected


def coupled(given_move: float) -> StrategyRiskResult:
    """The surest pair significant with this correlation, the others not."""
    result = StrategyRiskCoupling(lags=1, market_lags=1, flips=199).fit(*selling_world(1)).result_
    rest = tuple(replace(one, p_adjusted=0.5, p_together=0.5) for one in result.couplings[1:])
    first = replace(result.couplings[0], given_move=given_move, p_adjusted=0.001)
    return replace(result, couplings=(first, *rest))


def test_a_small_coupling_is_noted_and_nothing_is_to_be_taken_apart() -> None:
    small, large = coupled(0.03), coupled(0.3)
    (noted,), (raised,) = strategy_findings(small), strategy_findings(large)
    assert (noted.severity, raised.severity) == (Severity.NOTE, Severity.ALERT)
    assert "take it apart" not in noted.sentence
    assert "What to do: nothing yet" in noted.sentence
    assert "take it apart" in raised.sentence
    assert "What to do: nothing yet" in small.sentence
    assert "none reaches 0.10 (at most +0.03)" in small.sentence
    assert "take apart what the pairs of 0.10 or more share beside the price" in large.sentence


@pytest.fixture(scope="module")
def analysis() -> PanelAnalysis:
    world = simulate_world(
        WorldConfig(models=6, times=800, planted_share=0.7, deviation_autocorrelation=0.5), seed=2
    )
    panel = panel_of_world(world, name="p")
    return analyse_panel(panel, world.cards, IndexOptions(flips=199, draws=199))


def remedy(analysis: PanelAnalysis, *, confirmed: bool) -> Finding:
    """What C2 advises where C4 confirms its first part, and where it confirms none."""
    assert isinstance(analysis.c4, Success)
    c4: AttributionResult = analysis.c4.value
    parts = tuple(replace(one, is_cause=confirmed, ahead_share=1.0) for one in c4.components[:1])
    told = replace(analysis, c4=Success(replace(c4, components=parts)))
    (one,) = (finding for finding in panel_findings(told) if finding.index == "remedy")
    return one


def test_only_what_c4_confirms_is_to_be_taken_apart(analysis: PanelAnalysis) -> None:
    sure, unsure = remedy(analysis, confirmed=True), remedy(analysis, confirmed=False)
    assert sure.sentence.startswith("Take apart first: planted component")
    assert sure.severity is Severity.ALERT
    assert unsure.sentence.startswith("Look first at planted component")
    assert "cannot confirm it among these 6 models" in unsure.sentence
    assert "Take apart first" not in unsure.sentence
    assert unsure.severity is Severity.NOTE


@pytest.fixture(scope="module")
def looked() -> dict[str, FurtherLook]:
    world = simulate_world(WorldConfig(models=5, times=1500, planted_share=0.5), seed=4)
    panel = panel_of_world(world, name="p")
    panel = replace(panel, scale=np.exp(0.3 * np.sin(np.arange(1500) / 100.0))[:, None])
    names = ["bias", "propagation", "tail", "herding", "procyclicality"]
    return {look.name: look for look in further_looks(panel, names)}


def severity_with(look: FurtherLook, size: float) -> Severity:
    """Severity of the look's first finding if what it looks for is found with this size."""
    assert isinstance(look.result, Success)
    result = look.result.value
    match look.name:
        case "propagation":
            pair = result.models[0], result.models[1]
            link = FollowingLink(*pair, 1, size, (size, size), 0.01, 0.01, 0.01)
            return further._propagation("p", replace(result, rejects=True, links=(link,)))[
                0
            ].severity
        case "tail":
            link = TailLink(ModelId("a"), ModelId("b"), 1, 1.0 + size, (1.0, 2.0), 0.01)
            return further._tail("p", replace(result, rejects=True, links=(link,)))[0].severity
        case "herding":
            first = replace(result.models[0], herds=True, pull=size)
            changed = replace(result, models=(first, *result.models[1:]))
            return further._herding("p", changed, 0.05)[0].severity
        case "procyclicality":
            excess = replace(result.crowd_excess, value=-size)
            changed = replace(result, crowd_excess=excess, p_crowd=0.01)
            return further._procyclicality("p", changed, 0.05)[0].severity
        case "bias":
            shared = replace(result.shared[0], estimate=-size, p_adjusted=0.01)
            rest = (replace(one, p_adjusted=1.0) for one in result.shared[1:])
            changed = replace(result, shared=(shared, *rest))
            return bias_findings("p", changed)[0].severity
    raise AssertionError(look.name)


@pytest.mark.parametrize("name", ["propagation", "tail"])
def test_what_comes_later_is_a_note_however_large(
    looked: dict[str, FurtherLook], name: str
) -> None:
    assert severity_with(looked[name], 0.9) is Severity.NOTE


@pytest.mark.parametrize("name", ["bias", "herding", "procyclicality"])
def test_a_look_raises_what_is_large_and_notes_what_is_only_found(
    looked: dict[str, FurtherLook], name: str
) -> None:
    assert severity_with(looked[name], 0.02) is Severity.NOTE
    assert severity_with(looked[name], 0.3) is Severity.ALERT
