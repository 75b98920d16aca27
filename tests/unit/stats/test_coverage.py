"""Coverage tests: edges, counts, zones."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.coverage import (
    Transitions,
    basel_plus_factor_1996,
    basel_zone,
    basel_zones_text,
    christoffersen,
    independence_test,
    kupiec,
    kupiec_region,
    transitions,
)


def test_kupiec_is_finite_where_likelihoods_underflow() -> None:
    test = kupiec(np.array([0, 489, 8760]), 8760, 0.05)
    assert np.all(np.isfinite(test.statistic))
    assert test.statistic[0] == pytest.approx(-2 * 8760 * np.log(0.95))
    assert test.statistic[2] == pytest.approx(-2 * 8760 * np.log(0.05))


def test_kupiec_rejects_what_it_should() -> None:
    test = kupiec(np.array([2, 10]), 250, 0.01)
    assert test.rejects().tolist() == [False, True]


@pytest.mark.parametrize(("x", "t", "p"), [(-1, 10, 0.1), (11, 10, 0.1), (0, 0, 0.1)])
def test_kupiec_refuses_impossible_counts(x: int, t: int, p: float) -> None:
    with pytest.raises(DataError, match="exceptions"):
        kupiec(x, t, p)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_levels_lie_inside_the_unit_interval(level: float) -> None:
    with pytest.raises(DataError) as error:
        kupiec(1, 10, level)
    assert "decimal" in error.value.remedy


def test_region_is_open_and_says_when_zero_is_accepted() -> None:
    low, high = kupiec_region(100, 0.01)
    assert low == -1  # no exception in 100 days is no evidence against 1 %
    assert not kupiec(high - 1, 100, 0.01).rejects()
    assert kupiec(high, 100, 0.01).rejects()


def test_transitions_count_consecutive_pairs() -> None:
    counts = transitions(np.array([1, 1, 0, 0, 1, 0], dtype=bool))
    assert counts == Transitions(n00=1, n01=1, n10=2, n11=1)


def test_conditional_coverage_is_the_sum_of_its_parts() -> None:
    hits = np.zeros(500, dtype=bool)
    hits[[10, 11, 12, 200, 201]] = True
    test = christoffersen(hits, 0.01)
    parts = test.unconditional.statistic + test.independence.statistic
    assert test.conditional.statistic == pytest.approx(parts)
    assert test.conditional.degrees == 2
    assert (test.exceptions, test.observations) == (5, 500)
    assert test.independence.rejects()  # three in a row and two in a row


@pytest.mark.parametrize("hits", [np.zeros(20, dtype=bool), np.ones(20, dtype=bool)])
def test_a_series_of_one_kind_is_no_evidence_of_dependence(hits: np.ndarray) -> None:
    test = christoffersen(hits, 0.05)
    assert test.independence.statistic == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(test.conditional.statistic)


def test_too_short_or_empty_transitions_are_refused() -> None:
    with pytest.raises(DataError, match="two observations"):
        transitions(np.array([True]))
    with pytest.raises(DataError, match="all zero"):
        independence_test(Transitions(0, 0, 0, 0))


def test_basel_zones_and_plus_factors() -> None:
    assert [basel_zone(k) for k in (0, 4, 5, 9, 10, 250)] == [
        "green",
        "green",
        "yellow",
        "yellow",
        "red",
        "red",
    ]
    assert basel_zones_text() == "green 0-4, yellow 5-9, red 10+"
    assert basel_plus_factor_1996(np.array([4, 5, 25])).tolist() == [0.0, 0.4, 1.0]
