"""Black-76 kernels beside their peers in one run; read the ratio in brackets, not the seconds.

One thread each. The peers are no dependencies of the project; put them beside it with
``pip install fast-vollib iv-engine py_vollib_vectorized QuantLib jax`` and run
``OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 NUMBA_NUM_THREADS=1 pytest benchmarks/test_bench_black76.py
--benchmark-only``. A peer that is not installed is skipped; ``black76.c``, the same arithmetic by
hand in C, needs gcc. Cost grows with the number of options,
nothing else; a call works on OPTIONS of them.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonmode.pricing import black76_greeks, black76_implied_vol, black76_price
from commonmode.pricing.kernels import black76, black76_blocks, implied_vol, scenario_pnl

OPTIONS = 100_000
RNG = np.random.default_rng(0)
FORWARD = np.full(OPTIONS, 30_000.0)
STRIKE = FORWARD * np.exp(RNG.uniform(-0.6, 0.6, OPTIONS))
YEARS = RNG.uniform(0.02, 1.0, OPTIONS)
VOL = RNG.uniform(0.3, 1.2, OPTIONS)
CALL = STRIKE > FORWARD  # out of the money, calls and puts mixed
SIGN = np.where(CALL, 1.0, -1.0)
FLAG = np.where(CALL, "c", "p")
PRICE = black76(FORWARD, STRIKE, YEARS, VOL, sign=SIGN, greeks="price", engine="numba")["price"]
BOOK = {"forward": FORWARD, "strike": STRIKE, "years": YEARS, "vol": VOL, "sign": SIGN}


def close(values: Any, exact: Any, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(values, np.float64).ravel(), exact, rtol=tolerance)


def near(values: Any, exact: Any) -> None:
    """For peers that lose digits in the wings."""
    assert np.median(np.abs(np.asarray(values, np.float64).ravel() / exact - 1.0)) < 1e-6


def sides(*columns: Any) -> tuple[list[Any], list[Any]]:
    """Calls and puts apart, for a peer that takes them so; sorted before the clock runs."""
    return [column[CALL] for column in columns], [column[~CALL] for column in columns]


def both(function: Any, calls: Any, puts: Any) -> Any:
    """The peer on the calls, then on the puts, in one thread."""
    return np.concatenate(
        [
            function(*calls, is_call=True, parallel=False),
            function(*puts, is_call=False, parallel=False),
        ]
    )


def importable(name: str, package: str) -> Any:
    """The peer, or a skip that says why."""
    return pytest.importorskip(name, reason=f"{package} is not installed")


def in_c(folder: Path) -> Any:
    """``black76.c`` compiled for this processor."""
    gcc = shutil.which("gcc") or pytest.skip("gcc is not installed")
    library = folder / "black76.so"
    flags = "-O3 -march=native -mprefer-vector-width=512 -fno-math-errno -fno-trapping-math"
    source = Path(__file__).with_name("black76.c")
    subprocess.run(
        [gcc, *flags.split(), "-shared", "-fPIC", source, "-o", library, "-lm"], check=True
    )
    function = ctypes.CDLL(str(library)).price_and_nine
    column = np.ctypeslib.ndpointer(np.float64, flags="C_CONTIGUOUS")
    function.argtypes = [ctypes.c_long, *(6 * [column])]
    function.restype = None
    return function


def py_vollib_vectorized() -> Any:
    """Its kernels are numba's and do not compile under every version of it."""
    peer = importable("py_vollib_vectorized", "py_vollib_vectorized")
    from numba.core.errors import NumbaError

    try:
        peer.vectorized_black("c", 100.0, 100.0, 1.0, 0.0, 0.5, return_as="numpy")
    except NumbaError as error:
        pytest.skip(f"py_vollib_vectorized does not compile here: {type(error).__name__}")
    return peer


def columns(benchmark: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """The function's second call on, so that what compiles has compiled."""
    function(*args, **kwargs)
    return benchmark.pedantic(function, args, kwargs, rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="price and Greeks of 100 000 options")
class TestGreeks:
    """Ours returns ten columns; the peers one (price) or five."""

    def test_ours_price_and_nine_greeks(self, benchmark: Any) -> None:
        out = np.empty((10, OPTIONS))
        columns(benchmark, black76, **BOOK, greeks="nine", out=out, engine="numba")
        close(out[0], PRICE)

    def test_c_price_and_nine_greeks(self, benchmark: Any, tmp_path: Path) -> None:
        out, ours = np.empty((10, OPTIONS)), np.empty((10, OPTIONS))
        args = (OPTIONS, FORWARD, STRIKE, YEARS, VOL, SIGN, out)
        columns(benchmark, in_c(tmp_path), *args)
        close(out, black76(**BOOK, greeks="nine", out=ours, engine="numba").values.ravel())

    def test_ours_price_and_twelve_greeks(self, benchmark: Any) -> None:
        out = np.empty((13, OPTIONS))
        columns(benchmark, black76, **BOOK, greeks="all", out=out, engine="numba")
        close(out[0], PRICE)

    def test_ours_price_alone(self, benchmark: Any) -> None:
        out = np.empty((1, OPTIONS))
        columns(benchmark, black76, **BOOK, greeks="price", out=out, engine="numba")
        close(out[0], PRICE)

    def test_ours_block_by_block(self, benchmark: Any) -> None:
        def consume() -> float:
            return sum(
                float(part["gamma"].sum())
                for _, part in black76_blocks(**BOOK, greeks="nine", engine="numba")
            )

        assert columns(benchmark, consume) > 0

    def test_own_numpy_twin(self, benchmark: Any) -> None:
        close(columns(benchmark, black76_greeks, **BOOK).price, PRICE)

    def test_fast_vollib_price(self, benchmark: Any) -> None:
        peer = importable("fast_vollib", "fast-vollib")
        args = (FLAG, FORWARD, STRIKE, YEARS, 0.0, VOL)
        close(columns(benchmark, peer.fast_black, *args, return_as="numpy"), PRICE)

    def test_fast_vollib_five_greeks(self, benchmark: Any) -> None:
        peer = importable("fast_vollib", "fast-vollib")
        args = (FLAG, FORWARD, STRIKE, YEARS, 0.0, VOL)
        columns(benchmark, peer.get_all_greeks, *args, model="black", return_as="dict")

    def test_py_vollib_vectorized_price(self, benchmark: Any) -> None:
        peer = py_vollib_vectorized()
        args = (FLAG, FORWARD, STRIKE, YEARS, 0.0, VOL)
        near(columns(benchmark, peer.vectorized_black, *args, return_as="numpy"), PRICE)

    def test_py_vollib_vectorized_five_greeks(self, benchmark: Any) -> None:
        peer = py_vollib_vectorized()
        args = (FLAG, FORWARD, STRIKE, YEARS, 0.0, VOL)
        columns(benchmark, peer.get_all_greeks, *args, model="black", return_as="dict")

    def test_iv_engine_price(self, benchmark: Any) -> None:
        peer = importable("iv_engine", "iv-engine")
        got = columns(benchmark, both, peer.black_prices, *sides(FORWARD, STRIKE, YEARS, VOL))
        close(got, np.concatenate([PRICE[CALL], PRICE[~CALL]]))

    def test_quantlib_price(self, benchmark: Any) -> None:
        ql = importable("QuantLib", "QuantLib")
        kinds = [ql.Option.Call if call else ql.Option.Put for call in CALL]
        rows = list(zip(kinds, STRIKE.tolist(), (VOL * np.sqrt(YEARS)).tolist(), strict=True))

        def price() -> list[float]:
            return [ql.blackFormula(kind, k, 30_000.0, s) for kind, k, s in rows]

        near(columns(benchmark, price), PRICE)

    def test_quantlib_five_greeks(self, benchmark: Any) -> None:
        ql = importable("QuantLib", "QuantLib")
        payoffs = [
            ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, k)
            for call, k in zip(CALL, STRIKE.tolist(), strict=True)
        ]
        rows = list(zip(payoffs, (VOL * np.sqrt(YEARS)).tolist(), YEARS.tolist(), strict=True))

        def greeks() -> list[float]:
            prices = []
            for payoff, s, t in rows:
                b = ql.BlackCalculator(payoff, 30_000.0, s)
                b.delta(30_000.0), b.gamma(30_000.0), b.vega(t), b.theta(30_000.0, t), b.rho(t)
                prices.append(b.value())
            return prices

        near(columns(benchmark, greeks), PRICE)


@pytest.mark.benchmark(group="implied vol of 100 000 options")
class TestImpliedVol:
    """Out-of-the-money prices in, vols out."""

    args = (PRICE, FORWARD, STRIKE, YEARS)

    def test_ours(self, benchmark: Any) -> None:
        out = np.empty((1, OPTIONS))
        got = columns(benchmark, implied_vol, *self.args, sign=SIGN, out=out, engine="numba")
        close(got, VOL, 1e-12)

    def test_own_numpy_twin(self, benchmark: Any) -> None:
        close(columns(benchmark, black76_implied_vol, *self.args, sign=SIGN), VOL, 1e-12)

    def test_iv_engine(self, benchmark: Any) -> None:
        peer = importable("iv_engine", "iv-engine")
        got = columns(benchmark, both, peer.implied_volatilities, *sides(*self.args))
        close(got, np.concatenate([VOL[CALL], VOL[~CALL]]))

    def test_fast_vollib(self, benchmark: Any) -> None:
        peer = importable("fast_vollib", "fast-vollib")
        args = (PRICE, FORWARD, STRIKE, 0.0, YEARS, FLAG)
        got = columns(
            benchmark,
            peer.fast_implied_volatility_black,
            *args,
            return_as="numpy",
            on_error="ignore",
        )
        near(got, VOL)

    def test_py_vollib_vectorized(self, benchmark: Any) -> None:
        peer = py_vollib_vectorized()
        args = (PRICE, FORWARD, STRIKE, 0.0, YEARS, FLAG)
        got = columns(
            benchmark,
            peer.vectorized_implied_volatility_black,
            *args,
            return_as="numpy",
            on_error="ignore",
        )
        near(got, VOL)

    def test_quantlib(self, benchmark: Any) -> None:
        ql = importable("QuantLib", "QuantLib")
        kinds = [ql.Option.Call if call else ql.Option.Put for call in CALL]
        rows = list(zip(kinds, STRIKE.tolist(), PRICE.tolist(), strict=True))

        def solve() -> list[float]:
            return [ql.blackFormulaImpliedStdDev(kind, k, 30_000.0, p) for kind, k, p in rows]

        got = np.array(columns(benchmark, solve)) / np.sqrt(YEARS)
        near(got, VOL)


@pytest.mark.benchmark(group="1 000 options x 1 000 scenarios to a P&L vector")
class TestScenarioGrid:
    """40 spots x 25 vols; the peers get the sums in a form that they fuse best."""

    rows = slice(0, 1000)
    quantity = RNG.normal(size=1000)
    spots = np.linspace(0.6, 1.4, 40)
    shifts = np.linspace(-0.2, 0.3, 25)

    def ours(self, engine: Any) -> Any:
        book = {name: column[self.rows] for name, column in BOOK.items()}
        return scenario_pnl(
            **book, quantity=self.quantity, spot=self.spots, vol_shift=self.shifts, engine=engine
        )

    def test_ours(self, benchmark: Any) -> None:
        got = columns(benchmark, self.ours, "numba")
        np.testing.assert_allclose(got, self.ours("numpy"), atol=1e-10 * np.abs(got).max())

    def test_own_numpy_twin(self, benchmark: Any) -> None:
        columns(benchmark, self.ours, "numpy")

    def today(self) -> float:
        book = {name: column[self.rows] for name, column in BOOK.items()}
        return float(self.quantity @ black76_price(**book))

    def test_numpy_in_blocks(self, benchmark: Any) -> None:
        """The textbook formula on (options x spots) blocks, one vol at a time."""
        from scipy.special import ndtr

        base = self.today()

        def grid() -> Any:
            out = np.zeros((25, 40))
            for start in range(0, 1000, 100):
                part = slice(self.rows.start + start, self.rows.start + start + 100)
                f = FORWARD[part, None] * self.spots
                k, t = STRIKE[part, None], YEARS[part, None]
                x, sign = np.log(f / k), SIGN[part, None]
                for j, shift in enumerate(self.shifts):
                    s = (VOL[part, None] + shift) * np.sqrt(t)
                    d = x / s + 0.5 * s
                    value = sign * (f * ndtr(sign * d) - k * ndtr(sign * (d - s)))
                    out[j] += self.quantity[start : start + 100] @ value
            return out - base

        np.testing.assert_allclose(columns(benchmark, grid), self.ours("numba"), atol=1e-6)

    def test_numpy_on_the_whole_grid(self, benchmark: Any) -> None:
        """The textbook formula on one (options x vols x spots) array."""
        from scipy.special import ndtr

        base = self.today()
        f0, k, t, v, sign = (
            column[self.rows, None, None] for column in (FORWARD, STRIKE, YEARS, VOL, SIGN)
        )

        def grid() -> Any:
            f = f0 * self.spots
            s = (v + self.shifts[:, None]) * np.sqrt(t)
            d = np.log(f / k) / s + 0.5 * s
            value = sign * (f * ndtr(sign * d) - k * ndtr(sign * (d - s)))
            return np.tensordot(self.quantity, value, 1) - base

        np.testing.assert_allclose(columns(benchmark, grid), self.ours("numba"), atol=1e-6)

    def test_jax(self, benchmark: Any) -> None:
        jax = importable("jax", "jax")
        jax.config.update("jax_enable_x64", True)
        jnp, ndtr = jax.numpy, jax.scipy.special.ndtr
        base = self.today()

        @jax.jit
        def grid(f0: Any, k: Any, t: Any, v: Any, sign: Any, q: Any, spots: Any, by: Any) -> Any:
            def one(shift: Any) -> Any:
                f = f0[:, None] * spots
                s = ((v + shift) * jnp.sqrt(t))[:, None]
                d = jnp.log(f / k[:, None]) / s + 0.5 * s
                sg = sign[:, None]
                return q @ (sg * (f * ndtr(sg * d) - k[:, None] * ndtr(sg * (d - s))))

            return jax.lax.map(one, by) - base

        arrays = [column[self.rows] for column in (FORWARD, STRIKE, YEARS, VOL, SIGN)]
        arrays = [jnp.asarray(a) for a in (*arrays, self.quantity, self.spots, self.shifts)]
        got = columns(benchmark, lambda: grid(*arrays).block_until_ready())
        np.testing.assert_allclose(got, self.ours("numba"), atol=1e-6)
