"""Which models act as one, and which part to take apart first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.clusters import act_as_one, rank_remedies
from commonmode.converge.comovement import EffectiveNumber, EffectiveNumberResult
from commonmode.converge.groups import Group, GroupContrast
from commonmode.core.ids import ModelId
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from commonmode.stats.comovement import effective_number

N = 6


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    made = panel_of_world(simulate_world(WorldConfig(models=N, times=300), seed=1))
    return replace(made, exposure_usd=10.0 ** np.arange(N))


@pytest.fixture(scope="module")
def silent(panel: ErrorPanel) -> EffectiveNumberResult:
    return EffectiveNumber(flips=199, draws=199).fit(panel).result_


def with_correlation(
    result: EffectiveNumberResult,
    pairs: dict[tuple[int, int], float],
    components: tuple[GroupContrast, ...] = (),
) -> EffectiveNumberResult:
    """The result that these correlations would give, were they known exactly."""
    correlation = np.eye(N)
    for (i, j), value in pairs.items():
        correlation[i, j] = correlation[j, i] = value
    excess = sum(value**2 for value in pairs.values())
    return replace(
        result,
        rejects=True,
        correlation=correlation,
        effective_number=float(effective_number(excess, N)),
        components=components,
    )


def contrast(panel: ErrorPanel, name: str, rows: list[int], **more: object) -> GroupContrast:
    members = tuple(panel.models[i] for i in rows)
    values: dict[str, object] = {
        "group": Group(name, members),
        "estimate": 0.8,
        "standard_error": 0.1,
        "t": 8.0,
        "p_single": 0.001,
        "p_adjusted": 0.002,
    }
    return GroupContrast(**(values | more))  # type: ignore[arg-type]


def test_no_clusters_without_co_movement(panel: ErrorPanel, silent: EffectiveNumberResult) -> None:
    loud = with_correlation(silent, {(0, 1): 0.9})
    assert act_as_one(panel, replace(loud, rejects=False)) == ()
    assert len(act_as_one(panel, loud)) == 1


def test_clusters_largest_first_with_their_exposure(
    panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    result = with_correlation(silent, {(0, 1): 0.9, (2, 3): 0.7, (2, 4): 0.7, (3, 4): 0.6})
    three, two = act_as_one(panel, result)
    assert three.models == tuple(panel.models[i] for i in (2, 3, 4))
    assert three.mean_correlation == pytest.approx(2 / 3)
    assert three.exposure_usd == 11_100.0
    assert two.models == panel.models[:2]
    assert two.exposure_usd == 11.0
    assert len(act_as_one(panel, result, threshold=0.8)) == 1


def test_correlations_beyond_one_do_not_break_the_tree(
    panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    result = with_correlation(silent, {(0, 1): 1.0 + 1e-12})
    assert act_as_one(panel, result)[0].models == panel.models[:2]


def test_remedy_says_what_would_be_left(panel: ErrorPanel, silent: EffectiveNumberResult) -> None:
    part = contrast(panel, "feed", [0, 1], estimate=0.8)
    result = with_correlation(silent, {(0, 1): 0.8, (2, 3): 0.5}, (part,))
    (remedy,) = rank_remedies(panel, result)
    assert remedy.effective_number_after == pytest.approx(float(effective_number(0.25, N)))
    assert remedy.gain == pytest.approx(remedy.effective_number_after - result.effective_number)
    assert remedy.exposure_usd == 11.0


def test_remedy_never_lowers_the_stated_number(
    panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    """The index is debiased, so what is taken off comes off the debiased sum."""
    part = contrast(panel, "feed", [0, 1], estimate=0.3)
    result = with_correlation(silent, {(0, 1): 0.3, (2, 3): 0.3, (4, 5): 0.3}, (part,))
    debiased = replace(result, effective_number=5.9)
    (remedy,) = rank_remedies(panel, debiased)
    assert remedy.effective_number_after > 5.9


def test_remedies_best_first_and_what_cannot_be_told_apart_last(
    panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    parts = (
        contrast(panel, "small", [4, 5], estimate=0.5),
        contrast(panel, "large", [0, 1], estimate=0.9),
        contrast(panel, "twin", [2, 3], estimate=0.95, confounded_with=("its complement",)),
    )
    result = with_correlation(silent, {(0, 1): 0.9, (2, 3): 0.95, (4, 5): 0.5}, parts)
    names = [remedy.contrast.group.name for remedy in rank_remedies(panel, result)]
    assert names == ["large", "small", "twin"]


@pytest.mark.parametrize(
    "why",
    [
        {"p_adjusted": 0.06},
        {"estimate": -0.5},
        {"identified": False},
        {"explained_by": "another"},
        {"estimate": 1e-16},
    ],
    ids=lambda why: next(iter(why)),
)
def test_what_is_no_remedy(
    why: dict[str, object], panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    result = with_correlation(silent, {(0, 1): 0.8}, (contrast(panel, "feed", [0, 1], **why),))
    assert rank_remedies(panel, result) == ()


def test_level_is_the_caller_s(panel: ErrorPanel, silent: EffectiveNumberResult) -> None:
    result = with_correlation(silent, {(0, 1): 0.8}, (contrast(panel, "feed", [0, 1]),))
    assert rank_remedies(panel, result, alpha=0.001) == ()
    assert len(rank_remedies(panel, result, alpha=0.01)) == 1


def test_without_benchmarks_nothing_is_said_about_the_number(
    panel: ErrorPanel, silent: EffectiveNumberResult
) -> None:
    parts = (contrast(panel, "b", [2, 3], estimate=0.5), contrast(panel, "a", [0, 1]))
    result = with_correlation(silent, {(0, 1): 0.8, (2, 3): 0.5}, parts)
    found = rank_remedies(panel, replace(result, benchmarked=False, effective_number=float("nan")))
    assert [remedy.contrast.group.name for remedy in found] == ["a", "b"]
    assert all(np.isnan(remedy.gain) for remedy in found)
    assert ModelId("model-1") in found[0].contrast.group.members
