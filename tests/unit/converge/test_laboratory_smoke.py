"""The laboratory itself: a small version of what the slow lane asserts, and its bookkeeping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from commonmode.converge.controls import (
    circular_shift_test,
    raw_ratio_test,
    with_single_benchmark,
)
from commonmode.converge.evidence import SECTIONS, run_section, section_names
from commonmode.converge.laboratory import WorldRow, WorldTable, run_worlds, zero_check
from commonmode.core.errors import ConfigurationError, PanelError
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world

SMALL = WorldConfig(times=600)


def test_twenty_worlds_of_each_kind() -> None:
    planted = run_worlds(WorldConfig(planted_share=0.3), range(1, 11), c3=False)
    silent = run_worlds(WorldConfig(), range(1, 21))
    assert planted.rate("found").value >= 0.9
    # more than 4 of 20 at 5 % would happen by chance once in 400 times
    assert silent.rate("c2_rejects").value <= 0.2
    assert silent.rate("c3_rejects").value <= 0.2
    assert silent.spread("ratio").mean == pytest.approx(1.0, abs=0.02)


def test_controls_fail_where_the_indices_hold() -> None:
    for seed in (1, 2, 3):
        panel = panel_of_world(simulate_world(WorldConfig(), seed=seed))
        assert raw_ratio_test(panel).p_value <= 0.05
    table = run_worlds(WorldConfig(times=2000), range(4), c2=False, c3=False, controls=True)
    assert table.rate("single_benchmark_c2").value == 1.0
    assert table.rate("raw_ratio").value == 1.0
    assert table.rate("c2_rejects").worlds == 0


def test_circular_shift_is_a_p_value_and_needs_a_plain_panel() -> None:
    panel = panel_of_world(simulate_world(SMALL, seed=1))
    p = circular_shift_test(panel, shifts=19, rng=1)
    assert 0.05 <= p <= 1.0
    assert p == circular_shift_test(panel, shifts=19, rng=1)
    # with everybody alike no shifted panel comes near
    alike = panel_of_world(
        simulate_world(WorldConfig(times=600, planted_share=0.9, planted_models=8), seed=1)
    )
    assert circular_shift_test(alike, shifts=19) == pytest.approx(0.05)
    forecast = panel.forecast.copy()
    forecast[3] = np.nan
    with pytest.raises(PanelError, match="no gaps"):
        circular_shift_test(replace(panel, forecast=forecast))


def test_single_benchmark_puts_the_first_in_both_places() -> None:
    panel = with_single_benchmark(panel_of_world(simulate_world(SMALL, seed=1)))
    assert panel.benchmark_b is panel.benchmark_a


class _Backwards:
    """An executor that does the work in the opposite order."""

    def map(self, function: Callable[[Any], Any], pieces: Iterable[Any]) -> Iterator[Any]:
        return iter([function(piece) for piece in reversed(list(pieces))][::-1])


class _Told:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def start(self, label: str, total: int) -> None:
        self.calls.append(("start", total))

    def advance(self, label: str, steps: int = 1) -> None:
        self.calls.append(("advance", steps))

    def finish(self, label: str) -> None:
        self.calls.append(("finish", 0))


def test_rows_depend_on_the_seed_only() -> None:
    told = _Told()
    forward = run_worlds(SMALL, range(3), progress=told)
    backward = run_worlds(SMALL, range(3), executor=_Backwards())
    assert forward.rows == backward.rows
    assert told.calls == [("start", 3), *[("advance", 1)] * 3, ("finish", 0)]
    with pytest.raises(ConfigurationError, match="no seeds"):
        run_worlds(SMALL, [])


def test_rates_and_spreads_count_the_worlds_where_the_question_arose() -> None:
    rows = tuple(
        WorldRow(seed=i, c2_rejects=i < 1, found=None if i < 2 else True, ratio=float(i))
        for i in range(4)
    )
    table = WorldTable(SMALL, 8.0, 1.0, rows)
    rate = table.rate("c2_rejects")
    assert (rate.value, rate.worlds) == (0.25, 4)
    assert rate.standard_error == pytest.approx(np.sqrt(0.25 * 0.75 / 4))
    assert table.rate("found").worlds == 2
    assert np.isnan(table.rate("c3_covers").value)
    spread = table.spread("ratio")
    assert spread.mean == 1.5
    assert spread.deviation == pytest.approx(np.std([0, 1, 2, 3], ddof=1))
    assert np.isnan(table.spread("detectable_ratio").mean)


def test_zero_check_says_what_it_saw() -> None:
    check = zero_check(seed=1, worlds=6)
    assert check.passed
    assert "found and ranked first" in str(check)
    assert "6 worlds with nothing planted" in str(check)
    assert len(check.silent.rows) == 6


def test_zero_check_fails_where_the_planted_part_is_too_small_to_be_seen() -> None:
    check = zero_check(seed=1, worlds=1, share=0.01)
    assert not check.passed
    assert "NOT found" in str(check)


def test_sections_are_named_and_run() -> None:
    assert set(section_names()) == set(SECTIONS)
    with pytest.raises(ConfigurationError, match="no section"):
        run_section("nothing", [1])
    outcomes = run_section("detectable", [1])
    assert [o.printed is not None for o in outcomes] == [True] * 6
    assert outcomes[0].table.config.planted_share == pytest.approx(outcomes[0].printed)
