"""Greeks by hand and by brute force, instrument by instrument."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.exposure import Greek, ResolvedBook, disagreement, greek_table, totals
from commonmode.pricing.black76 import black76_price

INDEX, FORWARD, YEARS, STRIKE, VOL = 30_000.0, 30_300.0, 0.1, 31_000.0, 0.6
D = Greek.DELTA
BTC = CurrencyCode("BTC")


@dataclass(frozen=True)
class Line:
    """A smile that is a line in log-moneyness, or in log-strike where it is sticky."""

    level: float = VOL
    slope: float = 0.0
    sticky_strike: bool = False
    reach_ms: int = 2**62

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        anchor = FORWARD if self.sticky_strike else forward
        vol = self.level + self.slope * np.log(strike / anchor)
        return np.where(expiry_ms <= self.reach_ms, vol, np.nan)


def one(kind: str, *, sign: int = 0, inverse: bool = True, size: float = 1.0, q: float = 1.0):
    dated = kind in ("option", "future")
    spot = kind in ("spot", "perpetual")
    return ResolvedBook(
        time_ms=0,
        book=np.array(["b"]),
        instrument=np.array([kind]),
        underlying=np.array(["BTC"]),
        kind=np.array([kind]),
        expiry_ms=np.array([10 if dated else 0]),
        strike=np.array([STRIKE if sign else np.nan]),
        sign=np.array([sign]),
        inverse=np.array([inverse]),
        coin_settled=np.array([inverse]),
        contract_size=np.array([size]),
        quantity=np.array([q]),
        forward=np.array([INDEX if spot else FORWARD]),
        index=np.array([INDEX]),
        years=np.array([YEARS if dated else 0.0]),
    )


def priced(positions: ResolvedBook, surface: Line | None = None, **options):
    table = greek_table(positions, {BTC: {ModelId("m"): Success(surface or Line())}}, **options)
    return table.usd[0, 0], table.coin[0, 0]


def brute(value, coin: bool):
    """Greeks of `value(index, vol, dt, rate)` in USD by central differences."""

    def v(s=1.0, vol=0.0, dt=0.0, rate=0.0):
        index = INDEX * s
        return value(index, vol, dt, rate) / (index if coin else 1.0)

    h = 1e-3
    return {
        Greek.PRICE: v(),
        Greek.DELTA: (v(s=1 + h) - v(s=1 - h)) / (2 * h),
        Greek.GAMMA: 0.01 * (v(s=1 + h) - 2 * v() + v(s=1 - h)) / h**2,
        Greek.VEGA: 0.01 * (v(vol=1e-4) - v(vol=-1e-4)) / 2e-4,
        Greek.THETA: (v(dt=1e-5) - v(dt=-1e-5)) / 2e-5 / 365,
        Greek.RHO: 0.01 * (v(rate=1e-4) - v(rate=-1e-4)) / 2e-4,
    }


@pytest.mark.parametrize("coin", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("slope", "sticky"), [(0.0, False), (-0.4, False), (-0.4, True)])
def test_option_against_central_differences(
    sign: int, inverse: bool, coin: bool, slope: float, sticky: bool
) -> None:
    surface, base_rate = Line(VOL, slope, sticky), 0.05

    def value(index: float, vol: float, dt: float, rate: float) -> float:
        forward = FORWARD * index / INDEX * np.exp(rate * YEARS)
        held = FORWARD if (rate or sticky) else forward  # rho holds the volatility
        sigma = VOL + slope * np.log(STRIKE / held) + vol
        black = float(black76_price(forward, STRIKE, YEARS - dt, sigma, sign=sign))
        if inverse:
            return black / forward * index
        return black * float(np.exp(-(base_rate + rate) * (YEARS - dt)))

    usd, in_coin = priced(
        one("option", sign=sign, inverse=inverse, size=2.0, q=-3.0), surface, rate=base_rate
    )
    want = brute(value, coin)
    got = in_coin if coin else usd
    for greek in Greek:
        assert got[greek] == pytest.approx(-6.0 * want[greek], rel=2e-3, abs=1e-7), greek


def test_without_the_smile_delta_is_black_s() -> None:
    call = one("option", sign=1)
    flat, _ = priced(call)
    own, _ = priced(call, Line(VOL, -0.4))
    black, _ = priced(call, Line(VOL, -0.4), smile=False)
    sigma = VOL - 0.4 * np.log(STRIKE / FORWARD)
    np.testing.assert_allclose(black, priced(call, Line(sigma))[0], rtol=1e-12)
    assert own[D] > black[D]  # the smile slides with the forward: the strike's volatility rises
    assert flat[D] != own[D]


def test_coin_delta_is_premium_adjusted() -> None:
    usd, coin = priced(one("option", sign=1))
    assert coin[D] == pytest.approx(usd[D] / INDEX - coin[Greek.PRICE], rel=1e-12)


@pytest.mark.parametrize("coin", [False, True])
@pytest.mark.parametrize(
    ("kind", "inverse", "size"),
    [("future", True, 10.0), ("future", False, 1.0), ("perpetual", True, 10.0), ("spot", False, 1)],
)
def test_delta_one_against_central_differences(
    kind: str, inverse: bool, size: float, coin: bool
) -> None:
    book = one(kind, inverse=inverse, size=size, q=7.0)
    start, years = float(book.forward[0]), float(book.years[0])

    def value(index: float, vol: float, dt: float, rate: float) -> float:
        forward = start * index / INDEX * float(np.exp(rate * years))
        if kind == "spot":
            return index
        return size * (index * (1 / start - 1 / forward) if inverse else forward - start)

    usd, in_coin = priced(book)
    want = brute(value, coin)
    got = in_coin if coin else usd
    for greek in Greek:
        assert got[greek] == pytest.approx(7.0 * want[greek], rel=1e-4, abs=1e-5), greek


def test_a_failed_model_is_a_failed_cell() -> None:
    option, perpetual = one("option", sign=1), one("perpetual", size=10.0)
    columns = {
        name: np.concatenate([getattr(option, name), getattr(perpetual, name)])
        for name in ResolvedBook.__dataclass_fields__
        if name not in ("time_ms", "failures")
    }
    both = replace(option, **columns)
    failure = Failure(FailureReason.CALIBRATION_FAILED, "no luck")
    table = greek_table(
        both,
        {
            BTC: {
                ModelId("good"): Success(Line()),
                ModelId("bad"): failure,
                ModelId("short"): Success(Line(reach_ms=5)),
            }
        },
    )
    np.testing.assert_array_equal(table.priced, [[True, False, False], [True, True, True]])
    assert [(f.model, f.instrument) for f in table.failures] == [("bad", None), ("short", "option")]
    assert table.failures[0].failure is failure
    summed = totals(table, by=())
    np.testing.assert_array_equal(summed.priced, [[2, 1, 1]])
    assert np.isfinite(summed.usd[0, 0]).all()
    assert np.isnan(summed.usd[0, 1]).all()
    per_expiry = totals(table, by=("expiry",))
    assert per_expiry.keys["expiry"].tolist() == [0, 10]
    assert np.isfinite(per_expiry.usd[0]).all()
    assert disagreement(per_expiry.usd).models.tolist() == [[3] * 6, [1] * 6]


def test_one_coin_s_surface_never_prices_the_other() -> None:
    ether = replace(one("option", sign=1), underlying=np.array(["ETH"]))
    fits = {BTC: {ModelId("m"): Success(Line())}, CurrencyCode("ETH"): {}}
    table = greek_table(ether, fits)
    assert np.isnan(table.usd).all()
    (failed,) = table.failures
    assert (failed.underlying, failed.instrument) == ("ETH", None)
    assert failed.failure.reason is FailureReason.MISSING_DATA


def test_totals_refuse_what_they_do_not_know() -> None:
    table = greek_table(one("spot", inverse=False), {})
    with pytest.raises(ConfigurationError, match="cannot total by moon"):
        totals(table, by=("moon",))
    assert len(totals(table, by=("book",))) == 1


def test_disagreement_by_hand() -> None:
    found = disagreement(np.array([[1.0, 2.0, 3.0, 4.0, np.nan], [-1.0, 1.0, 2.0, 3.0, 4.0]]))
    assert found.models.tolist() == [4, 5]
    np.testing.assert_allclose(found.range, [3.0, 5.0])
    np.testing.assert_allclose(found.median, [2.5, 2.0])
    # Quartiles 1.75 and 3.25: (3.25 - 1.75) / 5; models that differ in sign have no dispersion.
    np.testing.assert_allclose(found.dispersion, [0.3, np.nan])
    np.testing.assert_allclose(found.ratio, [4.0, np.nan])
    zeros = disagreement(np.zeros((1, 3)))
    assert (zeros.range[0], zeros.dispersion[0], zeros.ratio[0]) == (0.0, 0.0, 1.0)
    assert disagreement(np.array([[0.0, 1.0]])).ratio[0] == np.inf
    assert np.isnan(disagreement(np.array([[1.0, np.nan]])).range[0])


def test_compiled_and_numpy_kernels_give_the_same_table() -> None:
    rng = np.random.default_rng(3)
    n = 300
    kind = np.where(np.arange(n) % 10 == 0, "future", "option")
    dated = kind == "option"
    years = rng.integers(1, 9, n) / 12
    book = ResolvedBook(
        time_ms=0,
        book=np.full(n, "b"),
        instrument=np.array([f"i{i}" for i in range(n)]),
        underlying=np.full(n, "BTC"),
        kind=kind,
        expiry_ms=np.full(n, 10),
        strike=np.where(dated, FORWARD * np.exp(rng.normal(0, 0.4, n)), np.nan),
        sign=np.where(dated, rng.choice([-1, 1], n), 0),
        inverse=rng.random(n) < 0.5,
        coin_settled=np.ones(n, dtype=np.bool_),
        contract_size=np.ones(n),
        quantity=rng.normal(0, 10, n),
        forward=np.full(n, FORWARD),
        index=np.full(n, INDEX),
        years=years,
    )
    surfaces = {BTC: {ModelId("m"): Success(Line(VOL, -0.3)), ModelId("n"): Success(Line(1.1))}}
    for smile in (True, False):
        tables = [
            greek_table(book, surfaces, rate=0.03, smile=smile, engine=engine)
            for engine in ("numpy", "numba")
        ]
        scale = np.abs(tables[0].usd).max(axis=0)
        assert (np.abs(tables[1].usd - tables[0].usd) <= 1e-12 * scale).all()
        np.testing.assert_allclose(tables[1].usd, tables[0].usd, rtol=1e-10, atol=1e-9)
    with pytest.raises(ConfigurationError, match="engine"):
        greek_table(book, surfaces, engine="fortran")
