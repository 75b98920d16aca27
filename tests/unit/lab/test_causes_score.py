"""What counts as right about a cause, on worlds written out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.lab.causes_cards import identifiability
from commonmode.lab.causes_design import WorldKind
from commonmode.lab.causes_prior import draw_design
from commonmode.lab.causes_score import CauseOutcome, CauseRate, score_causes, tally
from commonmode.lab.causes_truth import CauseTruth, TrueCause

CAUSE = draw_design(0).causes[0]


def truth(declared: Mapping[str, set[int]], causes: Mapping[str, set[int]]) -> CauseTruth:
    """A truth with given cards and true users."""
    cards = {name: frozenset(users) for name, users in declared.items()}
    true = []
    for name, users in causes.items():
        told, tied = identifiability(cards, name, frozenset(users))  # type: ignore[arg-type]
        true.append(
            TrueCause(
                name=name,  # type: ignore[arg-type]
                design=CAUSE,
                users=frozenset(users),
                identifiability=told,
                tied=tied,
                share=np.zeros(6),
                pair_correlation=np.zeros((6, 6)),
                series=np.zeros((1, 1)),
                factor_correlation=0.0,
            )
        )
    kind = list(WorldKind)[len(causes)]
    return CauseTruth(
        version="1",
        seed=0,
        kind=kind,
        causes=tuple(true),
        declared=cards,  # type: ignore[arg-type]
        correlation=np.eye(6),
        nuisance_correlation=np.zeros((6, 6)),
        effective_number=6.0,
        tags=(f"kind: {kind.value}",),
    )


CARDS = {"a": {0, 1, 2}, "b": {1, 2, 3}, "c": {3, 4}, "d": {4, 5}}
ONE = truth(CARDS, {"a": {0, 1, 2}})
NONE = truth(CARDS, {})
TWO = truth(CARDS, {"a": {0, 1, 2}, "d": {4, 5}})
TIED = truth(CARDS | {"e": {0, 1, 2}}, {"a": {0, 1, 2}})
HIDDEN = truth({k: v for k, v in CARDS.items() if k != "a"}, {"a": {0, 1, 2}})


def test_one_cause() -> None:
    score = score_causes(["a", "b", "c"], {"a"}, ONE)
    assert score.outcome is CauseOutcome.RIGHT
    assert (score.right_first, score.credit, score.detected, score.causes_found) == (
        True,
        1,
        True,
        1,
    )
    wrong = score_causes(["b", "a"], {"a", "b", "c"}, ONE)
    assert wrong.outcome is CauseOutcome.WRONG
    assert wrong.detected
    assert wrong.proxies == ("b",)
    assert wrong.false_names == ("c",)
    assert score_causes(["a"], {"b"}, ONE).outcome is CauseOutcome.WRONG


def test_right_first_without_significance_is_a_miss() -> None:
    score = score_causes(["a"], set(), ONE)
    assert score.outcome is CauseOutcome.MISS
    assert score.right_first
    assert not score.detected
    assert score_causes([], set(), ONE).outcome is CauseOutcome.MISS


def test_ties_cannot_be_broken() -> None:
    for ranking in (["a", "e"], ["e", "a"], [{"a", "e"}]):
        score = score_causes(ranking, {"a", "e"}, TIED)
        assert score.outcome is CauseOutcome.TIE
        assert score.right_first
        assert score.credit == 0.5
        assert not score.false_names
        assert not score.proxies
        assert not score.identifiable


def test_a_first_set_counts_with_its_right_part() -> None:
    score = score_causes([{"a", "b"}], {"a"}, ONE)
    assert not score.right_first
    assert score.credit == 0.5
    assert score.outcome is CauseOutcome.WRONG


def test_no_cause() -> None:
    assert score_causes(["a", "b"], set(), NONE).outcome is CauseOutcome.QUIET
    score = score_causes(["a", "b"], {"b"}, NONE)
    assert score.outcome is CauseOutcome.FALSE_ALARM
    assert not score.nameable
    assert score.false_names == ("b",)


def test_two_causes() -> None:
    for first in ("a", "d"):
        score = score_causes([first, "b"], {"a", "d"}, TWO)
        assert score.outcome is CauseOutcome.RIGHT
        assert score.causes_found == 2
        assert score.identifiable
    assert score_causes(["d"], {"d"}, TWO).causes_found == 1
    assert score_causes([{"a", "d"}], {"d"}, TWO).credit == 1.0


def test_undeclared_cause() -> None:
    assert score_causes(["b"], set(), HIDDEN).outcome is CauseOutcome.QUIET
    assert score_causes(["b"], {"b"}, HIDDEN).outcome is CauseOutcome.PROXY
    assert score_causes(["c"], {"b", "c"}, HIDDEN).outcome is CauseOutcome.FALSE_ALARM
    assert not score_causes(["b"], {"b"}, HIDDEN).nameable


def test_unknown_names_are_refused() -> None:
    for ranking, significant in ((["z"], set()), (["a", {"b", "z"}], set()), (["a"], {"z"})):
        with pytest.raises(ConfigurationError, match="no component z"):
            score_causes(ranking, significant, ONE)


def test_tally() -> None:
    scores = [
        score_causes(["a"], {"a"}, ONE),
        score_causes(["b"], {"b"}, ONE),
        score_causes(["a"], {"a", "e"}, TIED),
        score_causes(["a"], {"a"}, NONE),
        score_causes(["a"], set(), NONE),
        score_causes(["b"], {"c"}, HIDDEN),
    ]
    best = [score_causes(["a"], {"a"}, ONE), *scores[1:]]
    total = tally(scores, best)
    assert (total.right_first.hits, total.right_first.worlds) == (2, 3)
    assert (total.strict.hits, total.strict.worlds) == (1.5, 3)
    assert (total.right_and_significant.hits, total.right_and_significant.worlds) == (2, 3)
    identifiable = total.right_first_identifiable
    assert (identifiable.hits, identifiable.worlds) == (1, 2)
    assert (total.right_first_where_oracle.hits, total.right_first_where_oracle.worlds) == (2, 2)
    assert (total.false_alarms.hits, total.false_alarms.worlds) == (1, 2)
    assert (total.false_names.hits, total.false_names.worlds) == (1, 4)
    assert (total.proxies.hits, total.proxies.worlds) == (1, 4)
    assert math.isnan(tally(scores).right_first_where_oracle.value)
    with pytest.raises(ConfigurationError, match="worlds"):
        tally(scores, best[:2])


def test_wilson_interval() -> None:
    """Wilson's interval of 8 in 10 (Newcombe 1998, method 3, by its formula): .490 to .943."""
    assert CauseRate(8, 10).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert CauseRate(0, 10).interval[0] == 0.0
    assert math.isnan(CauseRate(0, 0).interval[1])
    assert "10 worlds" in str(CauseRate(8, 10))
