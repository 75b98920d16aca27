"""Deribit's method: what has to hold for any accounts under both engines, to the bit.

The twin's sums run through scipy's sparse product, which may fuse multiplication and addition where
the processor's base set has that (not x86-64); there the engines agree to rounding.
"""

from __future__ import annotations

import platform
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit import DeribitMargin, shipped_deribit
from commonmode.margin.deribit.reduce import OUTPUTS, reduce_compiled, reduce_numpy
from commonmode.margin.market import MarginMarket
from venue_markets import SPOT, small_market

MARKET = small_market(stable_price=0.97)
ROWS = len(MARKET.instruments)
NAMES = MARKET.instruments.instrument.tolist()
SOUND = [row for row, name in enumerate(NAMES) if "POWER" not in name]
EXACT = platform.machine() in ("x86_64", "AMD64")
ENGINES = [DeribitMargin(shipped_deribit(), cross=cross, engine="numba") for cross in (False, True)]
methods = st.sampled_from(ENGINES)

# Up to the sizes at which the limit of an offset and the delta shock bind.
coins = st.floats(-1.0, 1.0).flatmap(lambda x: st.sampled_from([0.0, x, 50.0 * x, 30_000.0 * x]))
# A row may come twice: nothing in the table of accounts forbids it.
books = st.lists(st.tuples(st.sampled_from(SOUND), coins), max_size=14)
holdings = st.lists(st.sampled_from([0.0, 0.5, 12.0]), min_size=2, max_size=2)


def accounts(held: list[list[tuple[int, float]]], posted: list[list[float]]) -> Accounts:
    """Accounts with so many coins of each row, and BTC and USDT posted."""
    flat = [(row, size) for book in held for row, size in sorted(book)]
    rows = np.array([row for row, _ in flat], dtype=np.int32)
    collateral = np.zeros((len(held), 3))
    collateral[:, [0, 2]] = np.array(posted).reshape(len(held), 2)
    return Accounts(
        ids=np.array([f"account {i}" for i in range(len(held))], dtype=np.str_),
        offsets=np.cumsum([0, *(len(book) for book in held)], dtype=np.int64),
        instrument=rows,
        quantity=np.array([size for _, size in flat]) / MARKET.instruments.coins[rows],
        cash=np.linspace(-1e5, 1e5, len(held)),
        unrealised=np.linspace(50.0, 0.0, len(held)),
        collateral=collateral,
    )


several = st.lists(st.tuples(books, holdings), min_size=1, max_size=6).map(
    lambda rows: accounts([book for book, _ in rows], [posted for _, posted in rows])
)


@st.composite
def markets(draw: st.DrawFn) -> MarginMarket:
    """Spot or volatility moved, or time passed, up to the near expiry and beyond it."""
    return MARKET.shifted(
        spot=draw(st.sampled_from([0.3, 0.999, 1.0, 2.5])),
        vol=draw(st.sampled_from([0.0, 1.0, 1.7])),
        seconds=draw(st.sampled_from([0.0, 3600.0, 10 * 86_400.0, 20 * 86_400.0])),
        only=draw(st.sampled_from([None, 0, 1])),
    )


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def agree(one: np.ndarray, other: np.ndarray, held: Accounts) -> None:
    """Same bits, or to 1e-12 of what went into the sums."""
    if EXACT:
        assert same(one, other)
        return
    gross = np.abs(held.quantity * MARKET.instruments.coins[held.instrument]) * max(SPOT.values())
    scale = 1e6 + 10.0 * np.bincount(held.row, weights=gross, minlength=len(held))
    np.testing.assert_array_less(np.abs(one - other), np.maximum(1e-12 * scale, 1e-300))


@given(several, markets(), methods)
def test_engines_have_the_same_bits(
    held: Accounts, market: MarginMarket, method: DeribitMargin
) -> None:
    grid = method.revalue(market)
    agree(reduce_numpy(grid, held), reduce_compiled(grid, held, threads=1), held)


@given(several, markets(), methods)
def test_tables_of_the_engines_are_the_same(
    held: Accounts, market: MarginMarket, method: DeribitMargin
) -> None:
    one, other = method.margin(held, market), replace(method, engine="numpy").margin(held, market)
    assert (one.method, dict(one.failures)) == (other.method, dict(other.failures))
    assert dict(one.notices) == dict(other.notices)
    assert list(one.components) == list(other.components)
    for name in ("equity", "initial", "maintenance"):
        agree(getattr(one, name), getattr(other, name), held)
    # Parts add up to the whole, in the order in which they are listed.
    for total, parts in (
        (one.initial, one.components),
        (one.maintenance, one.maintenance_components),
    ):
        assert same(total, sum(parts.values(), np.zeros(len(held))))


def many(number: int, seed: int = 3) -> Accounts:
    rng = np.random.default_rng(seed)
    rows = rng.choice(SOUND, size=(number, 9)).astype(np.int32)
    rows.sort(axis=1)
    sizes = rng.normal(size=number * 9) * np.repeat(rng.lognormal(0.0, 4.0, number), 9)
    return Accounts(
        ids=np.arange(number).astype(np.str_),
        offsets=np.arange(0, 9 * number + 1, 9, dtype=np.int64),
        instrument=rows.ravel(),
        quantity=sizes / MARKET.instruments.coins[rows.ravel()],
        cash=rng.normal(size=number),
        unrealised=np.zeros(number),
        collateral=rng.exponential(size=(number, 3)) * [1.0, 0.0, 1.0],
    )


@pytest.mark.parametrize("method", ENGINES, ids=lambda method: method.id)
def test_threads_pieces_and_neighbours_change_no_bit(method: DeribitMargin) -> None:
    held, grid = many(2_000), method.revalue(MARKET)
    out = reduce_compiled(grid, held, threads=1)
    # Every term of the requirement is at work somewhere.
    assert all((out[OUTPUTS.index(name)] > 0.0).any() for name in ("worst", "roll", "delta"))
    for threads, chunk in ((2, 64), (3, 501), (8, 1), (2, 10_000)):
        assert same(out, reduce_compiled(grid, held, threads=threads, chunk=chunk))
    order = np.random.default_rng(0).permutation(len(held))
    assert same(out[:, order], reduce_compiled(grid, held.select(order), threads=1))
    agree(reduce_numpy(grid, held), out, held)


@given(several, st.integers(0, ROWS - 1), methods)
def test_what_cannot_be_valued_fails_its_holders_alone(
    held: Accounts, row: int, method: DeribitMargin
) -> None:
    why = Failure(FailureReason.MISSING_DATA, f"{NAMES[row]}: no quote", "wait for one")
    broken = replace(MARKET, failures={row: why})
    holders = set(held.row[held.instrument == row].tolist())
    sound = method.margin(held, MARKET)
    for engine in ("numba", "numpy"):
        table = replace(method, engine=engine).margin(held, broken)
        assert dict(table.failures) == dict.fromkeys(holders, why)
        others = [a for a in range(len(held)) if a not in holders]
        agree(table.initial[others], sound.initial[others], held.select(np.array(others, int)))
        assert np.isnan(table.initial[sorted(holders)]).all()
        assert not set(table.notices) & holders


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("method", ENGINES, ids=lambda method: method.id)
def test_reasons_by_account(method: DeribitMargin, engine: str) -> None:
    power, call = NAMES.index("BTC-POWER-2"), NAMES.index("ETH-60D-3000-C")
    held = accounts(
        [[(0, 1.0)], [(power, 1.0)], [(call, 1.0)], [(0, 1.0)], [(0, np.nan)], [(0, np.inf)], []],
        [[0.0, 0.0]] * 7,
    )
    posted, given_ = held.collateral.copy(), {6: Failure(FailureReason.MISSING_DATA, "x", "y")}
    posted[3, 1] = 1.0
    held = replace(held, collateral=posted, failures=given_)
    market = replace(MARKET, vol=np.where(np.arange(ROWS) == call, np.nan, MARKET.vol))
    table = replace(method, engine=engine).margin(held, market)
    words = {row: why.message for row, why in table.failures.items()}
    assert sorted(words) == [1, 2, 3, 4, 5, 6]
    assert "POWER" in words[1]
    assert "account 2" in words[2]
    assert "DOGE" in words[3]
    assert words[6] == "x"
    assert np.isfinite([table.equity[0], table.initial[0], table.maintenance[0]]).all()
    assert np.isnan([values[1:] for values in table.components.values()]).all()


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("row", [-1, ROWS])
def test_positions_outside_the_table_are_refused(engine: str, row: int) -> None:
    held = many(3)
    held.instrument[4] = row
    with pytest.raises(DataError, match="account 0: a position is in no row"):
        replace(ENGINES[0], engine=engine).margin(held, MARKET)


@settings(max_examples=50)
@given(books, st.lists(st.tuples(st.sampled_from(SOUND), coins), max_size=4), methods)
def test_what_if_is_the_margin_of_the_account_with_the_trades(
    book: list[tuple[int, float]], trades: list[tuple[int, float]], method: DeribitMargin
) -> None:
    held = accounts([[(0, 1.0)], book], [[0.5, 0.0], [0.0, 12.0]])
    contracts = {}
    low, high = held.offsets[1:].tolist()
    for at in range(low, high):
        row = int(held.instrument[at])
        contracts[row] = contracts.get(row, 0.0) + float(held.quantity[at])
    for row, size in trades:
        contracts[row] = contracts.get(row, 0.0) + size
    kept = sorted(row for row, size in contracts.items() if size != 0.0)
    after = replace(
        held.select(np.array([1])),
        offsets=np.array([0, len(kept)]),
        instrument=np.array(kept, dtype=np.int32),
        quantity=np.array([contracts[row] for row in kept], dtype=np.float64),
        cash=held.cash[1:] + 310.0,
    )
    grid = method.revalue(MARKET)
    one, other = method.what_if(held, grid, 1, trades, cash=310.0), method.margin_on(after, grid)
    assert same(one.initial, other.initial)
    assert same(one.equity, other.equity)
    assert one.ids.tolist() == ["account 1"]


def test_what_if_in_an_unknown_row() -> None:
    grid = ENGINES[0].revalue(MARKET)
    with pytest.raises(DataError, match=f"row {ROWS}"):
        ENGINES[0].what_if(many(2), grid, 0, [(ROWS, 1.0)])
