"""What C4 says: advice where the data decide, what it would take where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.attribution_result import (
    BIAS,
    Attributed,
    AttributionResult,
    LayerRegression,
)
from commonmode.converge.groups import Group, GroupContrast
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Success
from commonmode.register.cards import Layer
from commonmode.stats.qap import MrqapResult


def part(
    name: str,
    users: str,
    *,
    cause: bool = False,
    p: float = 0.4,
    ahead: float = 0.9,
    first: float = 0.3,
    estimate: float = 0.4,
    error: float = 0.2,
    between: float = 0.0,
    blocks: int = 0,
    identified: bool = True,
) -> Attributed:
    members = tuple(ModelId(user) for user in users)
    group = Group(name, members, ((Layer.CODE, ComponentId(name)),))
    contrast = GroupContrast(
        group=group,
        estimate=estimate,
        standard_error=error,
        t=estimate / error,
        p_single=p,
        p_adjusted=p,
        identified=identified,
        between_pairs=between,
        blocks=blocks,
    )
    return Attributed(
        group=group,
        deviation=contrast,
        cofailure=None,
        p_value=p,
        first_share=first,
        ahead_share=ahead,
        rank_low=1,
        rank_high=2,
        loadings=(0.5,) * len(members),
        is_cause=cause,
    )


def result(*components: Attributed, layers: tuple[LayerRegression, ...] = ()) -> AttributionResult:
    return AttributionResult(
        components=components,
        undeclared=(),
        layers=tuple(Success(layer) for layer in layers),
        alpha=0.05,
        critical=2.5,
        models=7,
    )


def test_a_part_that_stands_and_leads_is_to_be_taken_apart() -> None:
    found = result(part("x", "abc", cause=True, p=0.01), part("y", "ab"))
    assert found.advised is found.components[0]
    assert "x is the likeliest cause: its 3 users have +0.40 more" in found.sentence
    assert "ahead of every part that overlaps it in 90 % of resamples" in found.sentence
    assert found.sentence.endswith("What to do: take it apart first.")


@pytest.mark.parametrize("ahead", [0.0, 0.01, 0.5])
def test_a_part_that_stands_behind_another_is_no_ground_to_act(ahead: float) -> None:
    first = part("x", "ab", cause=True, p=0.001, ahead=ahead, first=0.01)
    found = result(first, part("y", "abc", first=0.99), part("z", "de", first=0.0))
    assert found.causes == (first,)
    assert found.advised is None
    said = found.sentence
    assert "take it apart" not in said
    assert f"it fits better than y in only {100 * ahead:.0f} % of resamples" in said
    # Who overlaps and what would decide it, and nobody who does not overlap.
    assert "x by a, b; y by a, b, c" in said
    assert "models that use one of them and none of the others, beside these 7" in said
    assert "z" not in said


def test_the_next_cause_is_advised_where_the_first_is_contested() -> None:
    contested = part("x", "ab", cause=True, p=0.001, ahead=0.1)
    clear = part("z", "def", cause=True, p=0.02, ahead=0.95)
    found = result(contested, clear, part("y", "abc"))
    assert found.advised is clear
    assert found.sentence.startswith("z is the likeliest cause")


def test_nothing_stands_and_a_longer_history_would_help() -> None:
    # At 2.5 standard errors .4 needs an error of .16: (.2 / .16)^2 times the history.
    said = result(part("x", "ab", estimate=0.4, error=0.2)).sentence
    assert said.startswith("None of 1 declared components is a cause at 5 %.")
    assert "x fits best (first in 30 % of resamples)" in said
    assert "histories 1.6 times as long." in said
    assert "What to do: judge it again with such a history, or with further models" in said
    assert "take it apart" not in said


def test_nothing_stands_and_no_history_would_help() -> None:
    error = float(np.hypot(0.05, 0.2))
    said = result(part("x", "ab", estimate=0.4, error=error, between=0.2)).sentence
    assert "A longer history would not settle it" in said
    assert "further models, with it and without, beside these 7" in said


def test_nothing_to_compare_with_is_said() -> None:
    said = result(part("x", "abc", p=0.001, identified=False)).sentence
    assert "cannot be judged" in said
    assert "models that do not use it" in said


def test_nothing_together_is_not_explained_away() -> None:
    said = result(part("x", "ab", estimate=-0.1)).sentence
    assert said.startswith("None of 1 declared components is a cause at 5 %: no users move")
    assert "What to do: nothing" in said


def test_an_excess_has_its_interval_and_what_would_have_been_found() -> None:
    # Blocks' sum of squares .04 about none, of which .4^2 / 16 is the excess itself.
    one = part("x", "ab", estimate=0.4, error=0.2, blocks=16)
    error = np.sqrt((0.04 - 0.4**2 / 16) * 16 / 15)
    assert one.deviation.centred_error == pytest.approx(error)
    half = 2.131449545559323 * error  # Student's, 15 degrees of freedom
    assert one.deviation.interval == pytest.approx((0.4 - half, 0.4 + half))
    said = result(one).sentence
    assert f"({0.4 - half:+.2f} to {0.4 + half:+.2f})" in said
    assert "would have been found with 80 % probability" in said
    few = result(part("x", "ab")).sentence
    assert "no interval: too few blocks of time" in few
    assert "no excess could have been found" in few


def biased(p: float) -> LayerRegression:
    numbers = np.array([0.3])
    found = MrqapResult(
        (BIAS,), numbers, numbers, np.array([p]), np.array([2 * p]), 0.1, 21, 99, False
    )
    return LayerRegression(BIAS, "deviation", found)


def test_a_shared_bias_is_a_cause_of_its_own() -> None:
    x = part("x", "ab")
    assert "Models that are biased alike move together (+0.30" in (
        result(x, layers=(biased(0.01),)).sentence
    )
    assert "biased alike" not in result(x, layers=(biased(0.06),)).sentence
    assert result(x, layers=(biased(0.06),)).bias_layer is not None
    assert result(x).bias_layer is None
