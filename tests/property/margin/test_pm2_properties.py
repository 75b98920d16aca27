"""PM2: what has to hold for any book, any trade and any moved quote, to the bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.pm2 import PM2, PM2Grid, revalue
from commonmode.margin.pm2.method import reduce_compiled
from commonmode.margin.pm2.reduce import reduce_numpy
from pm2_world import accounts, market, parameters

MARKET = market()
ROWS = len(MARKET.instruments)
METHOD = PM2(parameters(), engine="numba")
GRID = METHOD.revalue(MARKET)

amounts = st.floats(-50.0, 50.0).map(lambda x: round(x, 3))
books = st.dictionaries(st.integers(0, ROWS - 1), amounts, max_size=12)
holdings = st.lists(st.sampled_from([0.0, 0.5, 12.0]), min_size=4, max_size=4)
factors = st.sampled_from([0.7, 0.999, 1.0, 1.02, 1.5])


def several(held: list[dict[int, float]], collateral: list[list[float]]) -> Accounts:
    return accounts(
        held,
        cash=np.linspace(-1e5, 1e5, len(held)),
        collateral=np.array(collateral).reshape(len(held), 4),
    )


pairs = st.lists(st.tuples(books, holdings), min_size=1, max_size=6).map(
    lambda rows: several([book for book, _ in rows], [held for _, held in rows])
)


@st.composite
def moves(draw: st.DrawFn) -> MarginMarket:
    """One vol, one forward, one rate or one perpetual price moved; or time has passed."""
    what = draw(st.sampled_from(["vol", "forward", "rate", "perp", "spot", "time", "lost"]))
    factor = draw(factors)
    e = draw(st.integers(0, len(MARKET.expiries) - 1))
    table, own = MARKET.expiries, MARKET.underlyings
    at = np.arange(len(table)) == e
    if what == "vol":
        row = draw(st.integers(0, ROWS - 1))
        vol = np.where(np.arange(ROWS) == row, MARKET.vol * factor, MARKET.vol)
        return replace(MARKET, vol=vol)
    if what in ("forward", "rate"):
        column = np.where(at, getattr(table, what) * factor, getattr(table, what))
        return replace(MARKET, expiries=replace(table, **{what: column}))
    if what == "lost":
        forward = np.where(at, np.nan, table.forward)
        return replace(MARKET, expiries=replace(table, forward=forward))
    if what == "perp":
        return replace(MARKET, underlyings=replace(own, perp_price=own.perp_price * factor))
    return MARKET.shifted(spot=factor) if what == "spot" else MARKET.shifted(seconds=3600.0)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def full(grid: PM2Grid, held: Accounts) -> np.ndarray:
    return reduce_compiled(grid, held, threads=1)[0]


@given(pairs)
def test_engines_reduce_to_the_same_bits(held: Accounts) -> None:
    out, worst = reduce_numpy(GRID, held)
    compiled, binding = reduce_compiled(GRID, held, threads=1)
    assert same(out, compiled)
    assert same(worst, binding)


@given(pairs, st.integers(2, 4), st.integers(1, 5))
def test_threads_and_pieces_do_not_show(held: Accounts, threads: int, piece: int) -> None:
    whole = full(GRID, held)
    assert same(whole, reduce_compiled(GRID, held, threads=threads, chunk=piece)[0])
    for row in range(len(held)):
        assert same(whole[:, [row]], full(GRID, held.select(np.array([row]))))


@settings(max_examples=60)
@given(
    books,
    holdings,
    st.lists(st.one_of(st.lists(st.tuples(st.integers(0, ROWS - 1), amounts)), moves())),
)
def test_any_sequence_of_trades_and_quotes_has_the_bits_of_a_full_run(
    book: dict[int, float], held: list[float], steps: list[list[tuple[int, float]] | MarginMarket]
) -> None:
    state = METHOD.state(several([book], [held]), GRID, 0)
    for step in steps:
        if isinstance(step, MarginMarket):
            state = METHOD.moved(state, METHOD.requote(state.grid, step))
            anew = METHOD.revalue(step)
        else:
            state = METHOD.what_if(state, step, cash=-10.0)
            anew = state.grid
        margin = full(anew, state.accounts)
        assert same(state.out, margin)


@given(moves(), moves(), st.sampled_from(["numba", "numpy"]))
def test_moved_quotes_have_the_bits_of_a_full_revaluation(
    first: MarginMarket, second: MarginMarket, engine: str
) -> None:
    grid = revalue(first, METHOD.parameters, engine=engine)  # type: ignore[arg-type]
    moved = METHOD.requote(grid, second)
    anew = revalue(second, METHOD.parameters, engine=engine)  # type: ignore[arg-type]
    for name in ("rows", "fault", "kind", "linear_oracle", "groups", "assets", "terms"):
        assert same(getattr(moved, name), getattr(anew, name)), name


@given(books, holdings)
def test_legs_add_up_exactly(book: dict[int, float], held: list[float]) -> None:
    account = several([book], [held])
    table = METHOD.margin_on(account, GRID)
    legs = METHOD.legs(account, MARKET, 0)
    kept = sum(amount != 0.0 for amount in book.values())
    assert len(legs.leg) == kept + sum(amount != 0.0 for amount in held)
    if len(legs.leg):
        assert math.fsum(legs.initial) == table.initial[0]
        assert math.fsum(legs.maintenance) == table.maintenance[0]


@given(books, holdings, st.floats(0.1, 20.0))
def test_legs_are_the_slopes_of_the_requirement(
    book: dict[int, float], held: list[float], size: float
) -> None:
    """Requirement and legs grow with the account: without that Euler's rule would not hold."""
    account = several([book], [held])
    grown = replace(account, quantity=size * account.quantity, collateral=size * account.collateral)
    one, many = METHOD.margin_on(account, GRID), METHOD.margin_on(grown, GRID)
    np.testing.assert_allclose(many.initial, size * one.initial, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(many.maintenance, size * one.maintenance, rtol=1e-9, atol=1e-6)


@given(pairs)
def test_components_make_the_requirement(held: Accounts) -> None:
    table = METHOD.margin_on(held, GRID)
    np.testing.assert_allclose(sum(table.components.values()), table.initial, rtol=1e-13)
    np.testing.assert_allclose(
        sum(table.maintenance_components.values()), table.maintenance, rtol=1e-13
    )


@given(pairs, st.integers(0, 5), st.integers(0, ROWS - 1))
def test_an_account_that_fails_leaves_the_others_alone(
    held: Accounts, row: int, instrument: int
) -> None:
    vol = np.where(np.arange(ROWS) == instrument, -0.1, MARKET.vol)
    broken = METHOD.margin(held, replace(MARKET, vol=vol))
    sound = METHOD.margin_on(held, GRID)
    is_option = MARKET.instruments.kind[instrument] == "option"
    for a in range(len(held)):
        part = slice(held.offsets[a], held.offsets[a + 1])
        holds = np.any((held.instrument[part] == instrument) & (held.quantity[part] != 0.0))
        if holds and is_option:
            assert a in broken.failures
            assert np.isnan(broken.initial[a])
        else:
            assert a not in broken.failures
            assert same(broken.initial[a], sound.initial[a])
