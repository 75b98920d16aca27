"""PM2 for many accounts, its growth, one account at a time, and its peers.

Run ``OMP_NUM_THREADS=1 pytest benchmarks/test_bench_pm2.py --benchmark-only``. The target is a
million accounts of 20 positions in 2 000 instruments under 33 scenarios in half a second on two
threads, revaluation included, and a what-if for one account in 50 microseconds. QuantLib is no
dependency of the project: ``pip install QuantLib`` beside it, or its row is skipped.
"""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pm2_market import accounts, market, parameters

from commonmode.margin.accounts import Accounts
from commonmode.margin.pm2 import PM2, PM2Grid

POSITIONS = 20
MARKET = market(2_001)
METHOD = PM2(parameters(), engine="numba")
GRID = METHOD.revalue(MARKET)


def whole(number: int, instruments: int, scenarios: int, threads: int) -> Any:
    """A function that revalues the market and margins the accounts, compiled already."""
    table = market(instruments)
    held = accounts(number, POSITIONS, table)
    method = PM2(parameters(scenarios), engine="numba", threads=threads)
    assert not method.margin(held.select(np.arange(10)), table).failures
    return lambda: method.margin(held, table)


@pytest.mark.benchmark(group="a million accounts: 20 positions, 2 000 instruments, 33 scenarios")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_million_accounts(benchmark: Any, threads: int) -> None:
    work = whole(1_000_000, 2_001, 33, threads)
    table = benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    assert np.isfinite(table.initial).all()
    # Seconds of processor time, all threads: what a machine that is shared still tells.
    start = time.process_time()
    work()
    benchmark.extra_info["processor_s"] = time.process_time() - start
    # Kilobytes, of the whole process: the accounts, the market and the result.
    benchmark.extra_info["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert benchmark.extra_info["peak_gib"] < 3.0


@pytest.mark.benchmark(group="growth with accounts (2 000 instruments, 33 scenarios)")
@pytest.mark.parametrize("number", [50_000, 100_000, 200_000, 400_000])
def test_accounts(benchmark: Any, number: int) -> None:
    benchmark.pedantic(whole(number, 2_001, 33, 1), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="growth with instruments (100 000 accounts, 33 scenarios)")
@pytest.mark.parametrize("instruments", [501, 1_001, 2_001, 4_001, 8_001])
def test_instruments(benchmark: Any, instruments: int) -> None:
    benchmark.pedantic(whole(100_000, instruments, 33, 1), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="growth with scenarios (100 000 accounts, 2 000 instruments)")
@pytest.mark.parametrize("scenarios", [9, 17, 33, 65, 129])
def test_scenarios(benchmark: Any, scenarios: int) -> None:
    benchmark.pedantic(whole(100_000, 2_001, scenarios, 1), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="revaluation of 2 000 instruments under 33 scenarios")
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_revaluation(benchmark: Any, engine: Any) -> None:
    method = PM2(parameters(), engine=engine)
    benchmark.pedantic(lambda: method.revalue(MARKET), rounds=20, warmup_rounds=2)


@pytest.mark.benchmark(group="revaluation of 2 000 instruments under 33 scenarios")
def test_one_expiry_moved(benchmark: Any) -> None:
    moved = replace(MARKET, vol=np.where(MARKET.expiry == 3, MARKET.vol + 0.01, MARKET.vol))
    grid = benchmark.pedantic(lambda: METHOD.requote(GRID, moved), rounds=50, warmup_rounds=2)
    np.testing.assert_array_equal(grid.rows, METHOD.revalue(moved).rows)


@pytest.mark.benchmark(group="one account of 20 positions")
def test_what_if(benchmark: Any) -> None:
    held = accounts(1, POSITIONS, MARKET)
    state = METHOD.state(held, GRID, 0)
    benchmark(lambda: METHOD.what_if(state, ((77, 1.5),)))


@pytest.mark.benchmark(group="one account of 20 positions")
def test_a_full_run(benchmark: Any) -> None:
    held = accounts(1, POSITIONS, MARKET)
    benchmark(lambda: METHOD.margin_on(held, GRID))


def one_by_one(grid: PM2Grid, held: Accounts) -> list[tuple[float, float]]:
    """(initial, maintenance) by a loop over accounts, in numpy, on the same instrument values."""
    s, n_e = grid.count, len(grid.market.expiries)
    damping, shock, skew = grid.scenarios[:3, :s]
    spot = float(grid.underlyings[0, 0])
    im_f, mm_f, peg, perp_mm, perp_im, opt_mm, opt_im = grid.terms[:7]
    found = []
    for a in range(len(held)):
        part = slice(held.offsets[a], held.offsets[a + 1])
        at, quantity = held.instrument[part], held.quantity[part]
        group, strike, perp = grid.kind[at].T
        rows = quantity[:, None] * grid.rows[at]
        options = group < n_e
        total = rows[~options, :s].sum(axis=0)
        worth = held.collateral[a] * grid.assets[:, 0]
        total = total + worth[grid.asset_follows >= 0].sum() * shock
        basis = 0.0
        for e in np.unique(group[options]):
            value = rows[group == e].sum(axis=0)
            change = np.where(value[:s] >= 0, grid.groups[e, 0], grid.groups[e, 1]) * value[:s]
            change -= value[s + 2]
            total = total + np.where(skew != 0, -np.abs(change), change)
            basis += min(value[s : s + 2].min() - value[s + 2], 0.0) * grid.groups[e, 2]
        net = np.bincount(strike[options], weights=rows[options, s + 3])
        naked = spot * np.maximum(-net, 0.0).sum()
        notional = spot * np.abs(rows[perp == 1, s + 3]).sum()
        loss = -min(basis, float((damping * total).min()))
        follows = grid.asset_follows >= 0
        keep = worth @ np.where(follows, grid.assets[:, 3], grid.assets[:, 5])
        more = worth @ np.where(follows, grid.assets[:, 4], grid.assets[:, 6])
        mm = mm_f * loss + naked * opt_mm + notional * perp_mm + keep
        im = (im_f + peg) * loss + naked * (opt_mm + opt_im) + notional * (perp_mm + perp_im)
        found.append((im + keep + more, mm))
    return found


@pytest.mark.benchmark(group="1 000 accounts, beside a loop over accounts")
def test_loop_over_accounts(benchmark: Any) -> None:
    held = accounts(1_000, POSITIONS, MARKET)
    found = benchmark.pedantic(lambda: one_by_one(GRID, held), rounds=3)
    table = METHOD.margin_on(held, GRID)
    np.testing.assert_allclose(np.array(found).T, [table.initial, table.maintenance], rtol=1e-9)


@pytest.mark.benchmark(group="1 000 accounts, beside a loop over accounts")
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_our_thousand(benchmark: Any, engine: Any) -> None:
    held = accounts(1_000, POSITIONS, MARKET)
    method = PM2(parameters(), engine=engine)
    grid = method.revalue(MARKET)
    benchmark.pedantic(lambda: method.margin_on(held, grid), rounds=10, warmup_rounds=2)


@pytest.mark.benchmark(group="one account revalued in full, beside QuantLib")
def test_quantlib(benchmark: Any) -> None:
    """Every position under every scenario by QuantLib's Black formula, one at a time."""
    ql = pytest.importorskip("QuantLib", reason="QuantLib is not installed")
    table, rule = MARKET, METHOD.parameters
    at = np.unique(accounts(1, POSITIONS, MARKET).instrument)
    at = at[table.expiry[at] >= 0]
    scenario = [k for k, s in enumerate(rule.scenarios) if s.vol == "none"]
    years = table.seconds / 31_536_000.0
    kinds = {1: ql.Option.Call, -1: ql.Option.Put}

    def revalue() -> np.ndarray:
        return np.array(
            [
                [
                    ql.blackFormula(
                        kinds[int(table.instruments.sign[i])],
                        float(table.instruments.strike[i]),
                        float(table.expiries.forward[table.expiry[i]] * rule.scenarios[k].spot),
                        float(table.vol[i] * np.sqrt(years[table.expiry[i]])),
                        float(np.exp(-0.05 * years[table.expiry[i]])),
                    )
                    for k in range(len(rule.scenarios))
                ]
                for i in at
            ]
        )

    values = benchmark.pedantic(revalue, rounds=5, warmup_rounds=1)
    # The scenarios that leave volatility alone are the same computation.
    np.testing.assert_allclose(
        values[:, scenario], GRID.rows[at][:, scenario], rtol=1e-9, atol=1e-7
    )


@pytest.mark.benchmark(group="one account revalued in full, beside QuantLib")
def test_our_whole_market(benchmark: Any) -> None:
    """All 2 000 instruments, not only the account's 20."""
    benchmark.pedantic(lambda: METHOD.revalue(MARKET), rounds=20, warmup_rounds=2)
