"""What must hold of scenario values whatever the book, the smile and the shocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Success
from commonmode.exposure import (
    Greek,
    ResolvedBook,
    ScenarioGrid,
    book_pnl,
    greek_table,
    revalue,
)
from curved_smiles import Parabola, surfaces

BTC = CurrencyCode("BTC")
INDEX = 30_000.0
CURVED = ("power_perpetual", "everlasting_option")

kinds = st.sampled_from(
    ["call", "put", "future", "perpetual", "spot", "power_perpetual", "everlasting_option"]
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        kinds,
        st.integers(1, 4),  # expiry
        st.floats(0.5, 2.0),  # moneyness
        st.integers(-50, 50).filter(bool),
        st.booleans(),  # inverse
    ),
    min_size=1,
    max_size=15,
)
shocks = st.lists(
    st.tuples(st.floats(0.3, 3.0), st.floats(0.5, 2.0), st.floats(-0.2, 0.5), st.floats(0.0, 0.5)),
    min_size=1,
    max_size=6,
)
dynamics = st.sampled_from(["model", "sticky_strike", "sticky_delta"])


def positions(drawn: list[tuple]) -> ResolvedBook:
    book, what, expiry, moneyness, quantity, inverse = (
        np.array(column) for column in zip(*drawn, strict=True)
    )
    option = np.isin(what, ["call", "put"])
    struck = option | (what == "everlasting_option")
    dated = option | (what == "future")
    inverse = inverse & (option | np.isin(what, ["future", "perpetual"]))
    forward = INDEX * np.where(dated, 1 + 0.01 * expiry, 1.0)
    strike = np.where(struck, INDEX * moneyness, np.nan)
    names = [f"{w}|{e}|{k}|{i}" for w, e, k, i in zip(what, expiry, strike, inverse, strict=True)]
    sign = np.where(np.isin(what, ["call", "everlasting_option"]), 1, np.where(option, -1, 0))
    return ResolvedBook(
        time_ms=0,
        book=book,
        instrument=np.array(names),
        underlying=np.full(len(drawn), "BTC"),
        kind=np.where(option, "option", what),
        expiry_ms=np.where(dated, expiry, 0).astype(np.int64),
        strike=strike,
        sign=sign.astype(np.int64),
        inverse=inverse,
        coin_settled=inverse,
        contract_size=np.where(inverse & ~option, 10.0, 1.0),
        quantity=quantity.astype(np.float64),
        forward=forward,
        index=np.full(len(drawn), INDEX),
        years=np.where(dated, expiry / 12.0, 0.0),
        power=np.where(what == "power_perpetual", 2.0, np.nan),
        smile_expiry_ms=expiry.astype(np.int64),
        smile_forward=INDEX * (1 + 0.01 * expiry),
        smile_years=expiry / 12.0,
    )


def grid(drawn: list[tuple], how: str = "model") -> ScenarioGrid:
    columns = (np.array(column) for column in zip(*drawn, strict=True))
    names = ("spot", "vol_scale", "vol_shift", "elapsed_years")
    return ScenarioGrid(**dict(zip(names, columns, strict=True)), dynamics=how)


@given(rows, surfaces, shocks, dynamics)
def test_nothing_happens_nothing_is_earned(
    drawn: list[tuple], surface: Parabola, moves: list[tuple], how: str
) -> None:
    book = positions(drawn)
    values = revalue(book, {BTC: surface}, grid([*moves, (1.0, 1.0, 0.0, 0.0)], how))
    assert not values.failures
    assert np.isfinite(values.usd).all()
    np.testing.assert_array_equal(values.pnl_usd[:, -1], 0.0)
    np.testing.assert_array_equal(book_pnl(book, values).pnl[:, -1], 0.0)


@given(rows, surfaces, shocks, dynamics, st.randoms(use_true_random=False))
def test_order_of_scenarios_is_irrelevant(
    drawn: list[tuple], surface: Parabola, moves: list[tuple], how: str, random
) -> None:
    order = list(range(len(moves)))
    random.shuffle(order)
    book, scenarios = positions(drawn), grid(moves, how)
    whole = revalue(book, {BTC: surface}, scenarios)
    mixed = revalue(book, {BTC: surface}, scenarios.select(np.array(order)))
    np.testing.assert_array_equal(mixed.usd, whole.usd[:, order])


@given(rows, rows, surfaces, shocks)
def test_pnl_is_additive_over_positions(
    one: list[tuple], other: list[tuple], surface: Parabola, moves: list[tuple]
) -> None:
    together = positions([*one, *other])
    values = revalue(together, {BTC: surface}, grid(moves))
    scale = (
        1e-12 * (np.abs(together.quantity) @ np.abs(values.pnl_usd)[values.rows(together)]) + 1e-9
    )
    all_in_one = replace(together, book=np.full(len(together), "all"))
    total = book_pnl(all_in_one, values).pnl[0]
    by_book = book_pnl(together, values)
    assert set(by_book.books) == set(together.book)
    assert (np.abs(by_book.pnl.sum(axis=0) - total) <= scale).all()
    halves = [
        book_pnl(replace(p, book=np.full(len(p), "h")), values).pnl[0]
        for p in map(positions, (one, other))
    ]
    assert (np.abs(halves[0] + halves[1] - total) <= scale).all()
    by_hand = (values.pnl_usd[values.rows(together)] * together.quantity[:, None]).sum(axis=0)
    assert (np.abs(by_hand - total) <= scale).all()


@given(rows, surfaces, shocks, dynamics)
def test_inverse_is_linear_over_the_shocked_forward(
    drawn: list[tuple], surface: Parabola, moves: list[tuple], how: str
) -> None:
    options = [(b, "call" if q > 0 else "put", e, m, q, True) for b, _, e, m, q, _ in drawn]
    coin_book = positions(options)
    usd_book = replace(coin_book, inverse=np.zeros(len(coin_book), np.bool_))
    scenarios = grid(moves, how)
    coin, usd = (revalue(book, {BTC: surface}, scenarios) for book in (coin_book, usd_book))
    shocked = np.outer(usd.instruments.forward, scenarios.spot)
    np.testing.assert_allclose(coin.coin, usd.usd / shocked, rtol=1e-12, atol=1e-15)


@given(rows, surfaces, shocks, dynamics, st.floats(-0.1, 0.2))
def test_put_call_parity_in_every_scenario(
    drawn: list[tuple], surface: Parabola, moves: list[tuple], how: str, rate: float
) -> None:
    pairs = list(dict.fromkeys((e, round(m, 3)) for _, _, e, m, _, _ in drawn))
    scenarios = grid(moves, how)
    calls, puts = (
        positions([("b", what, e, m, 1, False) for e, m in pairs]) for what in ("call", "put")
    )
    call, put = (revalue(side, {BTC: surface}, scenarios, rate=rate) for side in (calls, puts))
    row = [values.rows(side) for values, side in ((call, calls), (put, puts))]
    left = np.maximum(calls.years[:, None] - scenarios.elapsed_years, 0.0)
    forward = calls.forward[:, None] * scenarios.spot - calls.strike[:, None]
    np.testing.assert_allclose(
        call.usd[row[0]] - put.usd[row[1]], np.exp(-rate * left) * forward, rtol=1e-9, atol=1e-7
    )


@given(rows, surfaces, st.floats(0.0, 0.1))
def test_greeks_are_its_derivatives(drawn: list[tuple], surface: Parabola, rate: float) -> None:
    book = positions(drawn)
    h, v, t = 1e-4, 1e-4, 1e-5
    scenarios = ScenarioGrid(
        spot=np.array([1 + h, 1 - h, 1, 1, 1]),
        vol_shift=np.array([0, 0, v, -v, 0]),
        elapsed_years=np.array([0, 0, 0, 0, t]),
    )
    values = revalue(book, {BTC: surface}, scenarios, rate=rate)
    table = greek_table(book, {BTC: {ModelId("m"): Success(surface)}}, rate=rate)
    usd = table.usd[:, 0] / book.quantity[:, None]
    up, down, high, low, later = values.pnl_usd[values.rows(book)].T
    scale = book.index * book.contract_size
    # Delta is measured by the table over a move of 1 % of the smile, here over a hundredth of it.
    np.testing.assert_allclose(
        (up - down) / (2 * h), usd[:, Greek.DELTA], atol=2e-3 * scale.max(), rtol=2e-3
    )
    np.testing.assert_allclose(
        0.01 * (high - low) / (2 * v), usd[:, Greek.VEGA], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(later / t / 365, usd[:, Greek.THETA], rtol=2e-3, atol=1e-2)
    if not np.isin(book.kind, CURVED).any():
        np.testing.assert_allclose(
            values.today[values.rows(book)], usd[:, Greek.PRICE], rtol=1e-12, atol=1e-9
        )


@given(rows, surfaces, shocks, dynamics)
def test_engines_agree(drawn: list[tuple], surface: Parabola, moves: list[tuple], how: str) -> None:
    book, scenarios = positions(drawn), grid(moves, how)
    slow, fast = (
        revalue(book, {BTC: surface}, scenarios, engine=engine) for engine in ("numpy", "numba")
    )
    np.testing.assert_allclose(fast.usd, slow.usd, rtol=1e-11, atol=1e-10 * INDEX)


@given(surfaces, st.floats(0.5, 2.0))
def test_dynamics_are_what_they_are_called(surface: Parabola, spot: float) -> None:
    """A surface in moneyness is its own sticky delta; without a move all three are one."""
    book = positions([("a", "call", 2, 1.1, 1, True), ("a", "put", 1, 0.8, 1, False)])
    by = {
        how: revalue(book, {BTC: surface}, ScenarioGrid(np.array([spot, 1.0]), dynamics=how)).usd
        for how in ("model", "sticky_strike", "sticky_delta")
    }
    np.testing.assert_allclose(by["model"], by["sticky_delta"], rtol=1e-9)
    np.testing.assert_allclose(by["model"][:, 1], by["sticky_strike"][:, 1], rtol=1e-12)
    flat = Parabola(0.6, 0.0, 0.0)
    still = [
        revalue(book, {BTC: flat}, ScenarioGrid(np.array([spot]), dynamics=how)).usd
        for how in ("model", "sticky_strike")
    ]
    assert still[0] == pytest.approx(still[1], rel=1e-12)
