"""Further looks: what each says, that they do not disturb one another, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.app.report.further import further_section
from commonmode.app.study.further import look_failures, look_to_json
from commonmode.converge.bias import BiasResult
from commonmode.converge.findings import Severity
from commonmode.converge.further import LOOKS, FurtherLook, further_looks
from commonmode.converge.monitoring import MonitoringSettings
from commonmode.converge.monitoring_result import MonitoringResult
from commonmode.converge.propagation import Propagation
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.panel.laboratory import panel_of_world
from following_worlds import following_panel, following_views, pushed_tail
from sentences import lacks

FAST = MonitoringSettings(every=60, paths=400, flips=99, draws=49)


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    """Half a year of hours; four of eight models share half of their deviations' variance."""
    world = simulate_world(WorldConfig(times=4400, planted_share=0.5, planted_models=4), seed=1)
    made = panel_of_world(world)
    scale = np.exp(0.3 * np.sin(np.arange(4400) / 200.0))[:, None]
    return replace(made, scale=scale)


@pytest.fixture(scope="module")
def looks(panel: ErrorPanel) -> dict[str, FurtherLook]:
    return {look.name: look for look in further_looks(panel, ["all"], monitoring=FAST)}


def test_all_are_there_in_order_and_speak_for_themselves(
    looks: dict[str, FurtherLook], panel: ErrorPanel
) -> None:
    assert tuple(looks) == LOOKS
    for name, look in looks.items():
        assert isinstance(look.result, Success), look
        assert look.findings
        for finding in look.findings:
            assert (finding.index, finding.panel) == (name, panel.name)
            assert finding.sentence.endswith(".")
        if name != "bias":
            assert look.findings[0].sentence == look.result.value.sentence
        assert look.findings[0].numbers
        assert (name, lacks(look.findings[0].sentence)) == (name, [])


def test_planted_sharing_is_called_synchrony_and_nobody_is_called_a_follower(
    looks: dict[str, FurtherLook],
) -> None:
    assert looks["recalibration"].findings[0].severity is Severity.ALERT
    assert looks["propagation"].findings[0].severity is Severity.FINE
    assert looks["tail"].findings[0].severity is Severity.FINE
    assert looks["herding"].findings[0].severity is not Severity.ALERT


def test_a_look_says_the_same_whoever_else_is_asked_for(
    looks: dict[str, FurtherLook], panel: ErrorPanel
) -> None:
    one, two = further_looks(panel, ["tail", "propagation", "tail"])
    assert (one.name, two.name) == ("propagation", "tail")
    assert one.findings == looks["propagation"].findings
    assert two.findings == looks["tail"].findings
    direct = Propagation().fit(panel).result_
    assert one.findings[0].numbers == direct.numbers


def test_options_reach_the_looks(panel: ErrorPanel) -> None:
    until = int(panel.times_ms[24 * 90])
    coarse, tail, monitor = further_looks(
        panel,
        ["monitoring", "tail", "propagation"],
        alpha=0.01,
        seed=3,
        every=2,
        tail_level=0.1,
        baseline_until_ms=until,
        monitoring=FAST,
    )
    assert isinstance(coarse.result, Success)
    assert isinstance(tail.result, Success)
    assert isinstance(monitor.result, Success)
    direct = Propagation(alpha=0.01, every=2, rng=3).fit(panel).result_
    assert coarse.result.value.sentence == direct.sentence
    assert tail.result.value.level == 0.1
    assert isinstance(monitor.result.value, MonitoringResult)
    assert monitor.result.value.baseline_blocks == 90


def test_monitoring_tells_what_changed_and_when(panel: ErrorPanel) -> None:
    """Everybody is of one mind from the middle on."""
    assert panel.benchmark_a is not None
    half = len(panel.times_ms) // 2
    forecast = panel.forecast.copy()
    forecast[half:] = forecast[half:].mean(axis=2, keepdims=True) * np.exp(
        0.02 * np.random.default_rng(1).standard_normal(forecast[half:].shape)
    )
    (look,) = further_looks(replace(panel, forecast=forecast), ["monitoring"], monitoring=FAST)
    assert look.findings[0].severity is Severity.ALERT
    assert isinstance(look.result, Success)
    rules = {alert.rule for alert in look.result.value.alerts}
    assert len(look.findings) == 1 + len(rules)
    assert look.findings[0].numbers["alarms"] == len(look.result.value.alerts)


def test_what_cannot_be_said_is_a_failed_cell_and_harms_nobody(panel: ErrorPanel) -> None:
    short = replace(panel.select_rows(slice(0, 500)), scale=np.ones((500, 1)))
    looks = {look.name: look for look in further_looks(short, ["all"])}
    reasons = {
        name: look.result.reason for name, look in looks.items() if isinstance(look.result, Failure)
    }
    assert reasons == {
        "tail": FailureReason.MISSING_DATA,
        "procyclicality": FailureReason.NOT_APPLICABLE,
        "monitoring": FailureReason.MISSING_DATA,
    }
    for name in reasons:
        result = looks[name].result
        assert isinstance(result, Failure)
        assert result.message
        assert result.remedy
        (finding,) = looks[name].findings
        assert finding.severity is Severity.UNKNOWN
        assert result.remedy in finding.sentence
    (alone,) = further_looks(short, ["bias"])
    assert alone.findings == looks["bias"].findings
    assert isinstance(alone.result, Success)
    assert isinstance(alone.result.value, BiasResult)


def test_hardly_a_day_is_too_short_and_no_failure(panel: ErrorPanel) -> None:
    looks = further_looks(panel.select_rows(slice(0, 34)), ["all"])
    reasons = {look.name: look.result.reason for look in looks if isinstance(look.result, Failure)}
    assert set(reasons.values()) == {FailureReason.MISSING_DATA}
    assert set(reasons) >= {"bias", "propagation", "tail", "procyclicality", "monitoring"}
    assert look_failures(panel.name, looks) == []
    for look in looks:
        if look.name in reasons:
            assert "needs more data than there are" in look.findings[0].sentence
            assert "What to do: " in look.findings[0].sentence


def test_a_baseline_that_is_badly_chosen_is_a_failure(panel: ErrorPanel) -> None:
    looks = further_looks(panel, ["monitoring"], baseline_until_ms=int(panel.times_ms[48]))
    (failure,) = look_failures(panel.name, looks)
    assert failure["reason"] == "calculation_failed"
    assert "baseline" in failure["remedy"]


def test_without_benchmarks_only_what_needs_none_is_said(panel: ErrorPanel) -> None:
    bare = replace(panel, benchmark_a=None, benchmark_b=None)
    looks = {look.name: look.result for look in further_looks(bare, ["all"])}
    away = {name for name, result in looks.items() if isinstance(result, Failure)}
    assert away == {"recalibration", "herding", "procyclicality", "monitoring"}
    for name in away:
        result = looks[name]
        assert isinstance(result, Failure)
        assert result.reason is FailureReason.NOT_APPLICABLE


def test_one_model_and_other_kinds(panel: ErrorPanel) -> None:
    alone = panel.select_models(panel.models[:1])
    done = [look.name for look in further_looks(alone, ["all"]) if isinstance(look.result, Success)]
    assert done == ["bias"]
    values = replace(panel, kind=PanelKind.VALUE, level=0.0)
    (look,) = further_looks(values, ["procyclicality"])
    assert isinstance(look.result, Failure)
    assert look.result.reason is FailureReason.NOT_APPLICABLE


def test_copies_of_one_model_fail_by_name(panel: ErrorPanel) -> None:
    copies = replace(panel, forecast=np.repeat(panel.forecast[:, :, :1], 8, axis=2))
    looks = further_looks(copies, ["propagation", "tail", "recalibration", "herding"])
    propagation = looks[0].result
    assert isinstance(propagation, Failure)
    assert "nobody follows anybody" in propagation.message
    assert all(look.findings for look in looks)


def test_noise_that_swamps_is_unknown_and_not_fine() -> None:
    views = following_views("alone", 2, noise=10.0, noise_memory=0.0, times=1500)
    (look,) = further_looks(following_panel(*views), ["propagation"])
    assert isinstance(look.result, Success)
    assert look.result.value.swamped
    assert look.findings[0].severity is Severity.UNKNOWN


def test_who_passes_on_how_much_is_published_with_every_lag_and_horizon() -> None:
    views = following_views("chain", 1, strength=0.25)
    (look,) = further_looks(following_panel(*views), ["propagation"])
    assert look.findings[0].severity is Severity.NOTE  # whoever is later need not have read
    published = look_to_json(look)
    tables = {table["name"]: table for table in published["tables"]}
    assert list(tables) == ["net", "grid", "shares"]
    assert tables["net"]["columns"] == ["model", "net", "low", "high"]
    top = tables["net"]["rows"][0]
    assert top[0] == "model-0"
    assert top[2] > 0
    assert len(tables["grid"]["rows"]) == 4 * 3
    for table in tables.values():
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    assert tables["shares"]["rows"][0][2] == max(row[2] for row in tables["shares"]["rows"])
    models = [row[0] for row in tables["net"]["rows"]]
    (shown,) = further_section({"models": models, "further": [published]})
    assert [table.caption for table in shown["tables"]] == [t["title"] for t in tables.values()]


def test_a_later_tail_is_a_note_that_does_not_say_why() -> None:
    views = pushed_tail(*following_views("alone", 11, times=5000), chance=0.5, seed=11)
    (look,) = further_looks(following_panel(*views), ["tail"])
    assert look.findings[0].severity is Severity.NOTE
    assert "cannot be told apart" in look.findings[0].sentence


def test_bad_requests_name_the_remedy(panel: ErrorPanel) -> None:
    with pytest.raises(ConfigurationError, match="propagaton") as caught:
        further_looks(panel, ["bias", "propagaton"])
    assert "monitoring, or all" in caught.value.remedy
    for wrong in ({"every": 0}, {"tail_level": 0.5}, {"alpha": 0.0}):
        with pytest.raises(ConfigurationError):
            further_looks(panel, ["bias"], **wrong)  # type: ignore[arg-type]
    assert further_looks(panel, []) == ()
