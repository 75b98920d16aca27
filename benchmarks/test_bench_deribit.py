"""Deribit's portfolio margin for many accounts, its growth, one account at a time, and its peers.

Run ``OMP_NUM_THREADS=1 pytest benchmarks/test_bench_deribit.py --benchmark-only``. The target is a
million accounts of 20 positions in 2 000 instruments of four coins under the 35 scenarios of both
tables in half a second on two threads, revaluation included.

Whatever runs on one thread is measured in processor time, which a machine that is shared leaves
alone more than the clock.
"""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import pytest
from deribit_market import accounts, market, parameters

from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit import DeribitGrid, DeribitMargin, scenario_grid
from commonmode.margin.deribit.grid import COINS, DELTA, MARK
from commonmode.margin.deribit.scenarios import SCENARIOS

POSITIONS = 20
MARKET = market(2_000)
METHOD = DeribitMargin(parameters(), engine="numba")
GRID = METHOD.revalue(MARKET)


def whole(
    number: int,
    instruments: int = 2_000,
    *,
    cross: bool = False,
    engine: Any = "numba",
    threads: int = 1,
    positions: int = POSITIONS,
) -> Any:
    """A function that revalues the market and margins the accounts, compiled already."""
    table = market(instruments)
    held = accounts(number, positions, table)
    method = DeribitMargin(parameters(), cross, engine, threads)
    assert not method.margin(held.select(np.arange(10)), table).failures
    return lambda: method.margin(held, table)


@pytest.mark.benchmark(group="a million accounts: 20 positions, 2 000 instruments, 35 scenarios")
@pytest.mark.parametrize("cross", [False, True], ids=["by currency", "cross"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_million_accounts(benchmark: Any, threads: int, cross: bool) -> None:
    work = whole(1_000_000, cross=cross, threads=threads)
    table = benchmark.pedantic(work, rounds=10, warmup_rounds=1)
    assert np.isfinite(table.initial).all()
    assert all((table.components[name] > 0.0).any() for name in ("worst", "roll", "delta"))
    # Seconds of processor time, all threads: what a machine that is shared still tells.
    start = time.process_time()
    work()
    benchmark.extra_info["processor_s"] = time.process_time() - start
    # Kilobytes, of the whole process: the accounts, the market and the result.
    benchmark.extra_info["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert benchmark.extra_info["peak_gib"] < 3.0


@pytest.mark.benchmark(group="growth with accounts (2 000 instruments)", timer=time.process_time)
@pytest.mark.parametrize("number", [50_000, 100_000, 200_000, 400_000])
def test_accounts(benchmark: Any, number: int) -> None:
    benchmark.pedantic(whole(number), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="growth with instruments (100 000 accounts)", timer=time.process_time)
@pytest.mark.parametrize("instruments", [500, 1_000, 2_000, 4_000, 8_000])
def test_instruments(benchmark: Any, instruments: int) -> None:
    benchmark.pedantic(whole(100_000, instruments), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(
    group="growth with positions (100 000 accounts, 2 000 instruments)", timer=time.process_time
)
@pytest.mark.parametrize("positions", [5, 10, 20, 40, 80])
def test_positions(benchmark: Any, positions: int) -> None:
    benchmark.pedantic(whole(100_000, positions=positions), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(
    group="revaluation of 2 000 instruments under 35 scenarios", timer=time.process_time
)
def test_revaluation(benchmark: Any) -> None:
    benchmark.pedantic(lambda: METHOD.revalue(MARKET), rounds=20, warmup_rounds=2)


@pytest.mark.benchmark(group="100 000 accounts, both engines", timer=time.process_time)
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_engines(benchmark: Any, engine: Any) -> None:
    benchmark.pedantic(whole(100_000, engine=engine), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="one account of 20 positions")
@pytest.mark.parametrize("beside", [1, 1_000_000])
def test_what_if(benchmark: Any, beside: int) -> None:
    """One account of a table of so many."""
    held = accounts(beside, POSITIONS, MARKET)
    benchmark(lambda: METHOD.what_if(held, GRID, beside // 2, ((77, 1.5),)))


@pytest.mark.benchmark(group="one account of 20 positions")
def test_a_full_run(benchmark: Any) -> None:
    held = accounts(1, POSITIONS, MARKET)
    benchmark(lambda: METHOD.margin_on(held, GRID))


def one_by_one(grid: DeribitGrid, held: Accounts) -> list[tuple[float, float, float]]:
    """(equity, initial, maintenance) by a loop over accounts, in numpy, on the same values."""
    table, names = grid.market.instruments, grid.market.underlyings.name.tolist()
    spots = dict(zip(names, grid.market.underlyings.spot.tolist(), strict=True))
    terms = grid.parameters
    found = []
    for a in range(len(held)):
        part = slice(held.offsets[a], held.offsets[a + 1])
        at = held.instrument[part]
        coins = held.quantity[part] * grid.rows[at, COINS]
        apart, dollars = 0.0, np.zeros(SCENARIOS)
        roll = shock = 0.0
        for coin in names:
            for in_coin in (True, False):
                mine = (table.underlying[at] == coin) & (table.coin_settled[at] == in_coin)
                if not mine.any():
                    continue
                rows, size = grid.rows[at[mine]], coins[mine]
                pair, spot = terms.pairs[coin], spots[coin]
                money = terms.currencies[coin if in_coin else "USD"]
                unit = spot if in_coin else 1.0
                scenarios = scenario_grid(pair)
                pnl = unit * (size @ rows[:, :SCENARIOS])
                far = np.where(scenarios.extended, np.abs(scenarios.move) / pair.price_range, 1.0)
                worth = 1.0 / (1.0 + scenarios.edge) if in_coin else 1.0
                forgiven = (np.maximum(far, 1.0) - 1.0) * money.dampener_usd * worth
                gain = np.clip(pnl * money.pnl_offset, 0.0, money.offset_limit_usd)
                kept = np.minimum(pnl + forgiven, 0.0) + gain * ~scenarios.extended
                if in_coin:
                    apart += max(-kept.min(), 0.0)
                else:
                    dollars += kept
                delta = size * rows[:, DELTA]
                expiry = np.where(grid.market.expiry[at[mine]] >= 0, table.years[at[mine]], 0.0)
                for years in np.unique(expiry):
                    move = max(np.expm1(money.annualised_move * years), money.least_move)
                    roll += abs(delta[expiry == years].sum()) * move * spot
                net = abs(delta.sum())
                rate = max(net - pair.delta_threshold_usd / spot, 0.0) * pair.delta_slope
                shock += net * min(rate, pair.delta_most) * spot
        risk = apart + max(-dollars.min(), 0.0) + roll + shock
        prices, lost = grid.assets.T
        cash = (held.cash[a] + held.unrealised[a]) * grid.market.stable_price
        equity = cash + coins @ grid.rows[at, MARK] + held.collateral[a] @ prices
        cut = held.collateral[a] @ lost
        found.append((equity, risk + cut, terms.general.maintenance * risk + cut))
    return found


@pytest.mark.benchmark(group="1 000 accounts, beside a loop over accounts", timer=time.process_time)
def test_loop_over_accounts(benchmark: Any) -> None:
    held = accounts(1_000, POSITIONS, MARKET)
    found = benchmark.pedantic(lambda: one_by_one(GRID, held), rounds=3)
    table = METHOD.margin_on(held, GRID)
    equity, initial, maintenance = np.array(found).T
    np.testing.assert_allclose(initial, table.initial, rtol=1e-9)
    np.testing.assert_allclose(maintenance, table.maintenance, rtol=1e-9)
    np.testing.assert_allclose(equity, table.equity, rtol=1e-9, atol=1e-4)


@pytest.mark.benchmark(group="1 000 accounts, beside a loop over accounts", timer=time.process_time)
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_our_thousand(benchmark: Any, engine: Any) -> None:
    held = accounts(1_000, POSITIONS, MARKET)
    method = DeribitMargin(parameters(), engine=engine)
    benchmark.pedantic(lambda: method.margin_on(held, GRID), rounds=10, warmup_rounds=2)
