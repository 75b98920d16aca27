"""The kernels' front: outputs, columns, engines, threads, limits, scenario grids."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.pricing import black76_greeks, black76_implied_vol, inverse_greeks
from commonmode.pricing.kernels import (
    black76,
    black76_blocks,
    implied_vol,
    inverse76,
    ready,
    scenario_pnl,
)
from commonmode.pricing.kernels.columns import BLOCK, INVERSE, LINEAR, as_columns

N = 3 * BLOCK + 17


@pytest.fixture(scope="module")
def book():
    rng = np.random.default_rng(7)
    forward = np.full(N, 30_000.0)
    return {
        "forward": forward,
        "strike": forward * np.exp(rng.uniform(-0.6, 0.6, N)),
        "years": rng.uniform(0.01, 1.0, N),
        "vol": rng.uniform(0.3, 1.2, N),
        "sign": np.where(rng.random(N) < 0.5, 1.0, -1.0),
    }


def test_importing_loads_no_numba():
    code = (
        "import sys, commonmode.pricing.kernels as k\n"
        "k.black76(100.0, [90.0, 110.0], 1.0, 0.5)\n"
        "k.implied_vol(10.0, 100.0, 100.0, 1.0)\n"
        "k.scenario_pnl(100.0, [90.0], 1.0, 0.5, 1.0, spot=[0.9, 1.1])\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_linear_kernel_is_its_twin(book, rate):
    got = black76(**book, rate=rate, greeks="all", engine="numba")
    twin = black76_greeks(**book, rate=rate)
    assert got.names == LINEAR
    for name in LINEAR:
        # Near a change of sign the error is one of the parts.
        exact = getattr(twin, name)
        scale = np.abs(exact) + 1e-6 * np.abs(exact).max()
        assert np.max(np.abs(got[name] - exact) / scale) < 1e-11, name
        assert np.median(np.abs(got[name] - exact) / scale) < 1e-15, name


def test_inverse_kernel_is_its_twin(book):
    got = inverse76(**book, engine="numba")
    twin = inverse_greeks(**book)
    assert got.names == INVERSE
    for name in INVERSE:
        exact = getattr(twin, name)
        scale = np.abs(exact) + 1e-6 * np.abs(exact).max()
        assert np.max(np.abs(got[name] - exact) / scale) < 1e-11, name
    alone = inverse76(**book, greeks="price", engine="numba")["price_coin"]
    np.testing.assert_allclose(alone, got["price_coin"], rtol=1e-15)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize("rate", [0.0, 0.03])
def test_smaller_sets_are_the_same_numbers(book, engine, rate):
    every = black76(**book, rate=rate, greeks="all", engine=engine)
    for greeks, rows in (("price", 1), ("five", 6), ("nine", 10)):
        part = black76(**book, rate=rate, greeks=greeks, engine=engine)
        assert part.names == LINEAR[:rows]
        np.testing.assert_array_equal(part.values, every.values[:rows])


def test_names_choose_the_smallest_set_that_holds_them():
    def names(greeks):
        return black76(100.0, 90.0, 1.0, 0.5, greeks=greeks, engine="numpy").names

    assert names("price") == names(("price",)) == LINEAR[:1]
    assert names(("rho", "delta")) == LINEAR[:6]
    assert names("vanna") == LINEAR[:10]
    assert names(("ultima",)) == LINEAR
    with pytest.raises(ConfigurationError, match="vana"):
        names(("vana",))
    with pytest.raises(KeyError, match="not computed"):
        black76(100.0, 90.0, 1.0, 0.5, greeks="price", engine="numpy")["delta"]


def test_threads_do_not_change_a_bit(book):
    one = black76(**book, greeks="nine", engine="numba").values
    for threads in (2, 3, 8):
        many = black76(**book, greeks="nine", engine="numba", threads=threads).values
        assert many.tobytes() == one.tobytes()
    price = one[0].copy()
    rest = {name: book[name] for name in ("forward", "strike", "years", "sign")}
    vols = implied_vol(price, **rest, engine="numba")
    assert implied_vol(price, **rest, engine="numba", threads=4).tobytes() == vols.tobytes()


def test_blocks_and_scalars_do_not_change_a_bit(book):
    whole = black76(**book, greeks="nine", engine="numba").values
    scalar = black76(**(book | {"forward": 30_000.0}), greeks="nine", engine="numba").values
    assert scalar.tobytes() == whole.tobytes()
    seen = 0
    for rows, part in black76_blocks(**book, greeks="nine", engine="numba"):
        np.testing.assert_array_equal(part.values, whole[:, rows])
        seen += rows.stop - rows.start
    assert seen == N
    single = black76(**{k: v[5:6] for k, v in book.items()}, greeks="nine", engine="numba")
    np.testing.assert_array_equal(single.values[:, 0], whole[:, 5])


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_out_is_used_again(book, engine):
    out = np.full((6, N), np.nan)
    got = black76(**book, out=out, engine=engine)
    assert got.values is out
    assert np.isfinite(out).all()
    first = out.copy()
    black76(**book, out=out, engine=engine)
    np.testing.assert_array_equal(out, first)
    for wrong in (np.empty((5, N)), np.empty((6, N), np.float32), np.empty((N, 6)).T):
        with pytest.raises(DataError, match="out must be"):
            black76(**book, out=wrong, engine=engine)


def test_polars_columns_are_taken_without_a_copy(book):
    frame = pl.DataFrame(book)
    n, columns = as_columns(**{name: frame[name] for name in book})
    assert n == N
    for column, name in zip(columns, book, strict=True):
        view = frame[name].to_numpy(allow_copy=False)
        assert column.ctypes.data == view.ctypes.data
    got = black76(**{name: frame[name] for name in book}, engine="numba")
    assert got.values.tobytes() == black76(**book, engine="numba").values.tobytes()


def test_columns_of_any_layout_are_taken(book):
    exact = black76(**book, engine="numba").values
    frozen = {name: column.copy() for name, column in book.items()}
    for column in frozen.values():
        column.flags.writeable = False
    table = np.array(list(book.values())).T  # a column is then strided
    strided = dict(zip(book, table.T, strict=True))
    raw = {name: bytearray(b"x" + column.tobytes()) for name, column in book.items()}
    shifted = {name: np.frombuffer(data, np.float64, offset=1) for name, data in raw.items()}
    assert not shifted["vol"].flags.aligned
    for columns in (frozen, strided, shifted):
        assert black76(**columns, engine="numba").values.tobytes() == exact.tobytes()
    single = {name: column[:8].astype(np.float32) for name, column in book.items()}
    np.testing.assert_allclose(black76(**single, engine="numba")["price"], exact[0, :8], rtol=1e-3)


def test_columns_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r"forward 2, .*strike 3|strike 3"):
        black76([1.0, 2.0], [1.0, 2.0, 3.0], 1.0, 0.5)
    with pytest.raises(DataError, match="one dimension"):
        black76(np.ones((2, 2)), 1.0, 1.0, 0.5)
    with pytest.raises(ConfigurationError, match="engine"):
        black76(1.0, 1.0, 1.0, 0.5, engine="fortran")  # type: ignore[arg-type]
    assert black76([], [], [], []).values.shape == (6, 0)


def test_limits_are_the_twins():
    forward = np.array([100, 100, 100, 0, 0, 100, 1e308, 1e-308, -1, np.nan, 100, 100.0])
    strike = np.array([90, 100, 110, 100, 0, 0, 1e300, 1e-300, 100, 100, 1e6, 100.0])
    years = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1e-6, np.inf])
    vol = np.array([0.5, 0.5, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.5])
    for sign in (1.0, -1.0):
        got = black76(forward, strike, years, vol, sign=sign, greeks="all", engine="numba")
        twin = black76_greeks(forward, strike, years, vol, sign=sign)
        for name in LINEAR:
            np.testing.assert_allclose(got[name], getattr(twin, name), rtol=1e-13, atol=1e-300)


def test_deep_out_of_the_money_deltas_keep_their_digits():
    strike = np.array([1e4, 2e4, 2e5, 1e6])
    got = black76(3e4, strike, 0.05, 0.5, sign=[-1.0, -1.0, 1.0, 1.0], engine="numba")
    twin = black76_greeks(3e4, strike, 0.05, 0.5, sign=[-1, -1, 1, 1])
    np.testing.assert_allclose(got["delta"], twin.delta, rtol=1e-13)
    assert np.all(got["delta"] != 0)


def test_implied_vol_falls_back_and_is_nan_where_the_twin_is(book):
    price = np.array([9.999, 10.0, 12.0, 100.0, 101.0, np.nan, -1.0])
    got = implied_vol(price, 100.0, 90.0, 1.0, engine="numba")
    np.testing.assert_allclose(got, black76_implied_vol(price, 100.0, 90.0, 1.0), rtol=1e-13)
    huge = black76(1.0, 2.0, 1.0, [7.0, 8.0], greeks="price", engine="numpy")["price"]
    np.testing.assert_allclose(
        implied_vol(huge, 1.0, 2.0, 1.0, engine="numba"),
        black76_implied_vol(huge, 1.0, 2.0, 1.0),
        rtol=1e-12,  # so close to the bound the price knows no more
    )


def test_a_used_kernel_is_ready(book):
    implied_vol(10.0, 100.0, 100.0, 1.0, engine="numba")
    assert ready("implied_vol", 1, False)


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_scenario_grid_is_its_twin(book, settlement):
    part = {name: column[:300] for name, column in book.items()}
    part["years"] = part["years"].copy()
    part["years"][:3] = 0.0
    quantity = np.random.default_rng(1).normal(size=300)
    spot, shift = np.array([0.5, 0.8, 0.99, 1.0, 1.2, 3.0, 10.0]), np.array([-2.0, -0.1, 0.0, 0.3])
    grid = {"spot": spot, "vol_shift": shift, "settlement": settlement}
    fast = scenario_pnl(**part, quantity=quantity, **grid, engine="numba")
    twin = scenario_pnl(**part, quantity=quantity, **grid, engine="numpy")
    assert fast.shape == (4, 7)
    np.testing.assert_allclose(fast, twin, atol=1e-12 * np.abs(twin).max())
    assert fast[2, 3] == 0.0
    threads = scenario_pnl(**part, quantity=quantity, **grid, engine="numba", threads=3)
    assert threads.tobytes() == fast.tobytes()


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize(
    ("years", "vol"),
    [(0.0, 0.5), (1e-300, 0.5), (1.0, 0.0), (1.0, 1e80), (1.0, 1e160), (1e300, 1e200)],
)
def test_scenarios_at_the_ends_of_volatility(settlement, years, vol):
    """At the money too, where the time value is last to go, and where squares overflow."""
    spot = np.array([0.5, 1.0, 2.0])
    for strike in (100.0, 50.0, 77.0):
        for sign in (1.0, -1.0):
            fast, twin = (
                scenario_pnl(
                    *(100.0, strike, years, vol, 1.0),
                    **{"spot": spot, "sign": sign, "settlement": settlement, "engine": engine},
                )
                for engine in ("numba", "numpy")
            )
            np.testing.assert_allclose(fast, twin, rtol=1e-13, atol=1e-13)


def test_scenarios_by_hand():
    kw = {"spot": [0.9, 1.1], "vol_scale": [1.0, 2.0], "rate": 0.04, "elapsed": 0.25}
    for engine in ("numba", "numpy"):
        got = scenario_pnl(100.0, [95.0], 0.5, 0.6, -2.0, **kw, engine=engine)
        for j, vol in enumerate((0.6, 1.2)):
            for m, spot in enumerate((90.0, 110.0)):
                later = black76(spot, 95.0, 0.25, vol, rate=0.04, greeks="price").values[0, 0]
                now = black76(100.0, 95.0, 0.5, 0.6, rate=0.04, greeks="price").values[0, 0]
                assert got[j, m] == pytest.approx(-2.0 * (later - now), rel=1e-12)


def test_scenarios_name_what_cannot_be_valued():
    with pytest.raises(DataError, match="strike of position 1"):
        scenario_pnl(100.0, [90.0, 0.0], 1.0, 0.5, 1.0, spot=[1.0])
    with pytest.raises(DataError, match="vol of position 0"):
        scenario_pnl(100.0, 90.0, 1.0, [-0.5], 1.0, spot=[1.0])
    with pytest.raises(DataError, match="shock"):
        scenario_pnl(100.0, 90.0, 1.0, 0.5, 1.0, spot=[0.0])
    with pytest.raises(ConfigurationError, match="coin"):
        scenario_pnl(100.0, 90.0, 1.0, 0.5, 1.0, spot=[1.0], rate=0.1, settlement="inverse")
    with pytest.raises(ConfigurationError, match="engine"):
        scenario_pnl(100.0, 90.0, 1.0, 0.5, 1.0, spot=[1.0], engine="c")  # type: ignore[arg-type]
