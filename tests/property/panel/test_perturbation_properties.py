"""Algebra of the perturbations: nothing changed is nothing changed, and only what is said moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.forecast import Ewma, HistoricalSimulation
from commonmode.panel.perturbations import (
    add_noise,
    delay,
    drop,
    scale_past_moves,
    shift,
    swap_field,
)
from simulated_bars import make_history

BARS = make_history(300, 1)
PRICES = ("open", "high", "low", "close")
RNG = np.random.default_rng(0)


def same(one, two) -> None:
    for name in PRICES:
        np.testing.assert_allclose(one.column(name), two.column(name), rtol=1e-12)


def test_a_change_of_size_zero_changes_nothing() -> None:
    for change in (
        shift(PRICES, 0.0),
        delay(PRICES, 0),
        add_noise(PRICES, 0.0),
        scale_past_moves(1.0, youngest=3, oldest=100, columns=PRICES),
        drop(()),
    ):
        same(change(BARS, RNG), BARS)


@settings(max_examples=25)
@given(st.floats(0.1, 8.0), st.integers(0, 100), st.integers(1, 400))
def test_only_the_band_of_ages_is_scaled(factor: float, youngest: int, width: int) -> None:
    oldest = youngest + width
    changed = scale_past_moves(factor, youngest=youngest, oldest=oldest)(BARS, RNG)
    ratio = changed.log_returns[1:] / BARS.log_returns[1:]
    age = np.arange(len(BARS) - 1)[::-1]
    inside = (age >= youngest) & (age < oldest)
    np.testing.assert_allclose(ratio[inside], factor, rtol=1e-6)
    np.testing.assert_allclose(ratio[~inside], 1.0, rtol=1e-6)
    assert changed.column("close")[-1] == pytest.approx(BARS.column("close")[-1])


@settings(max_examples=25)
@given(st.integers(0, 50), st.integers(0, 50))
def test_delays_add_up(first: int, second: int) -> None:
    twice = delay(PRICES, second)(delay(PRICES, first)(BARS, RNG), RNG)
    same(twice, delay(PRICES, first + second)(BARS, RNG))


@settings(max_examples=25)
@given(st.floats(-500.0, 500.0), st.integers(1, 50))
def test_a_shift_is_in_basis_points_of_the_last_bars(size: float, bars: int) -> None:
    changed = shift(("close",), size, bars=bars)(BARS, RNG).column("close") / BARS.column("close")
    np.testing.assert_allclose(changed[-bars:], 1.0 + size / 1e4)
    np.testing.assert_array_equal(changed[:-bars], 1.0)


def test_the_data_themselves_are_left_alone() -> None:
    before = BARS.content_hash
    for change in (shift(PRICES, 9.0), delay(PRICES, 2), add_noise(PRICES, 1.0), drop(("close",))):
        change(BARS, RNG)
    assert BARS.content_hash == before
    assert np.isnan(drop(("close",))(BARS, RNG).column("close")).all()


def test_noise_is_the_same_fault_in_all_columns_of_a_feed() -> None:
    flat = replace(BARS, columns={"close": BARS.column("close"), "open": BARS.column("close")})
    changed = add_noise(("close", "open"), 1.0)(flat, np.random.default_rng(1))
    np.testing.assert_array_equal(changed.column("close"), changed.column("open"))


def test_swaps_touch_only_who_has_the_part() -> None:
    halve = swap_field("window", 500, 250)
    assert halve(Ewma(window=500)).window == 250
    other = HistoricalSimulation(window=700)
    assert halve(other) is other
    assert halve(3) == 3


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="funding"):
        drop(("funding",))(BARS, RNG)
    with pytest.raises(ConfigurationError, match="remedy:"):
        scale_past_moves(2.0, youngest=5, oldest=5)
