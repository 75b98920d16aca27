"""Scenario values instrument by instrument, failures, and what a grid refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Failure, FailureReason
from commonmode.exposure import (
    Book,
    ResolvedBook,
    ScenarioGrid,
    book_pnl,
    calibrate_surfaces,
    model_surfaces,
    resolve,
    revalue,
)
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.black76 import black76_price
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.kernels import scenario_pnl
from commonmode.pricing.svi_model import SviPerExpiry

BTC = CurrencyCode("BTC")
FLAT, SVI = ModelId("flat"), ModelId("svi")


@pytest.fixture(scope="module")
def market() -> Snapshot:
    feed = LaboratoryFeed.simulate("2024-01-01T00:00Z", 48, seed=4, steps_per_hour=12)
    times = feed.snapshot_times("2024-01-02T00:00Z", "2024-01-02T00:00Z")
    return next(iter(feed.snapshots(times, ("BTC",))))


@pytest.fixture(scope="module")
def positions(market: Snapshot) -> ResolvedBook:
    chain = market.chain("BTC")
    listed = [str(name) for name in chain.names[::7]]
    first = [(name, 1.0 + i) for i, name in enumerate(listed)]
    second = [(name, -2.0) for name in listed[::2]]
    level = round(float(np.median(chain.index)), -3)
    novel = [("BTC-POWER-2", 3.0), (f"BTC-EVERLASTING-{level:.0f}-P", 1.0), ("BTC-PERPETUAL", 40.0)]
    return resolve([Book.of("one", first), Book.of("two", [*second, *novel])], market)


@dataclass(frozen=True)
class Narrow:
    """Knows one expiry, and no forward beyond a limit."""

    expiry: int
    limit: float = np.inf

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        return np.where((expiry_ms == self.expiry) & (forward < self.limit), 0.6, np.nan)


@dataclass(frozen=True)
class Broken:
    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        raise ValueError("no such smile")


def test_an_instrument_is_valued_once_whoever_holds_it(positions: ResolvedBook) -> None:
    values = revalue(positions, {BTC: Narrow(-1)}, ScenarioGrid(np.array([0.9])))
    assert len(values.instruments) == len(set(positions.instrument)) < len(positions)
    np.testing.assert_array_equal(
        values.instruments.instrument[values.rows(positions)], positions.instrument
    )


def test_options_against_the_formula(market: Snapshot, positions: ResolvedBook) -> None:
    surfaces = model_surfaces(calibrate_surfaces([SviPerExpiry(id=SVI)], market), SVI)
    scenarios = ScenarioGrid.product(
        [0.8, 1.25], [-0.05, 0.1], vol_scale=[1.3], elapsed_years=[0, 0.02]
    )
    values = revalue(positions, surfaces, scenarios)
    assert not values.failures
    fitted = surfaces[BTC].value
    table = values.instruments
    for row in np.flatnonzero(table.is_option)[:20]:
        one = table.select(np.array([row]))
        for s in range(len(scenarios)):
            forward = one.forward * scenarios.spot[s]
            vol = fitted.implied_vol(one.strike, one.years, forward, one.expiry_ms)
            vol = vol * 1.3 + scenarios.vol_shift[s]
            left = np.maximum(one.years - scenarios.elapsed_years[s], 0)
            want = black76_price(forward, one.strike, left, vol, sign=one.sign)
            want = want * one.index / one.forward
            np.testing.assert_allclose(values.usd[row, s], want[0], rtol=1e-12, atol=1e-9)


def test_futures_spot_and_perpetuals_by_hand() -> None:
    what = ["inverse", "linear", "spot"]
    book = ResolvedBook(
        time_ms=0,
        book=np.array(["b"] * 3),
        instrument=np.array(what),
        underlying=np.array(["BTC"] * 3),
        kind=np.array(["future", "perpetual", "spot"]),
        expiry_ms=np.array([10, 0, 0]),
        strike=np.full(3, np.nan),
        sign=np.zeros(3, np.int64),
        inverse=np.array([True, False, False]),
        coin_settled=np.array([True, False, False]),
        contract_size=np.array([10.0, 2.0, 1.0]),
        quantity=np.array([5.0, 1.0, -1.0]),
        forward=np.array([33_000.0, 30_000.0, 30_000.0]),
        index=np.full(3, 30_000.0),
        years=np.array([0.1, 0.0, 0.0]),
    )
    values = revalue(book, {}, ScenarioGrid(np.array([0.5, 1.2])))
    pnl = {name: values.pnl_usd[row] for name, row in zip(what, values.rows(book), strict=True)}
    coin = values.pnl_coin[values.rows(book)[0]]
    np.testing.assert_allclose(coin, [10 / 33e3 - 10 / 16.5e3, 10 / 33e3 - 10 / 39.6e3])
    np.testing.assert_allclose(pnl["inverse"], coin * [15e3, 36e3])
    np.testing.assert_allclose(pnl["linear"], [-30e3, 12e3])
    np.testing.assert_allclose(pnl["spot"], [-15e3, 6e3])
    total = book_pnl(book, values)
    np.testing.assert_allclose(total.pnl[0], 5 * pnl["inverse"] + pnl["linear"] - pnl["spot"])
    in_coin = book_pnl(book, values, unit="coin").pnl[0]
    np.testing.assert_allclose(in_coin, 5 * coin + np.array([-2.0, 2 * 0.2 / 1.2]), rtol=1e-12)


def test_an_option_that_expires_has_its_payoff(positions: ResolvedBook) -> None:
    options = positions.select(positions.is_option)
    expiry = int(options.expiry_ms[0])
    options = options.select(options.expiry_ms == expiry)
    after = float(options.years.max()) + 0.01
    values = revalue(
        options,
        {BTC: Narrow(expiry)},
        ScenarioGrid(np.array([0.7, 1.0, 1.4]), elapsed_years=np.array([after])),
    )
    table = values.instruments
    moved = np.outer(table.forward, [0.7, 1.0, 1.4])
    payoff = np.maximum(table.sign[:, None] * (moved - table.strike[:, None]), 0.0) / moved
    np.testing.assert_allclose(values.coin, payoff, rtol=1e-12, atol=1e-15)


def test_one_failed_instrument_is_one_row(positions: ResolvedBook) -> None:
    options = positions.select(positions.is_option)
    expiry = int(options.expiry_ms[0])
    values = revalue(options, {BTC: Narrow(expiry)}, ScenarioGrid(np.array([0.9, 1.0])))
    missing = np.isnan(values.usd)
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    np.testing.assert_array_equal(missing[:, 0], values.instruments.expiry_ms != expiry)
    assert set(values.failures) == set(values.instruments.instrument[missing[:, 0]])
    assert {f.reason for f in values.failures.values()} == {FailureReason.CALCULATION_FAILED}
    reached = revalue(options, {BTC: Narrow(expiry, 1.0)}, ScenarioGrid(np.array([0.9])))
    assert len(reached.failures) == len(reached.instruments)


@pytest.mark.parametrize(
    "surface", [Broken(), None, Failure(FailureReason.CALIBRATION_FAILED, "it did not converge")]
)
def test_a_failed_model_leaves_the_futures(positions: ResolvedBook, surface: object) -> None:
    surfaces = {} if surface is None else {BTC: surface}
    values = revalue(positions, surfaces, ScenarioGrid(np.array([0.9, 1.1])))
    table = values.instruments
    failed = np.isnan(values.usd).all(axis=1)
    np.testing.assert_array_equal(failed, table.is_option | table.is_curved_perpetual)
    assert len(values.failures) == failed.sum()
    said = " ".join({failure.message for failure in values.failures.values()})
    wanted = {Broken: "no such smile", type(None): "no surface"}.get(type(surface), "converge")
    assert wanted in said
    total = book_pnl(positions, values)
    assert np.isnan(total.pnl).all()
    assert total.unpriced.sum() == failed[values.rows(positions)].sum()


def test_the_streaming_kernel_agrees(market: Snapshot, positions: ResolvedBook) -> None:
    surfaces = model_surfaces(calibrate_surfaces([FlatBlack(id=FLAT)], market), FLAT)
    options = positions.select(positions.is_option & (positions.book == "one"))
    spot, shift = np.array([0.7, 0.95, 1.0, 1.3]), np.array([-0.1, 0.0, 0.3])
    values = revalue(options, surfaces, ScenarioGrid.product(spot, shift, elapsed_years=[0.01]))
    got = book_pnl(options, values, unit="coin").pnl.reshape(4, 3).T
    want = scenario_pnl(
        options.forward,
        options.strike,
        options.years,
        surfaces[BTC].value.vol,
        options.quantity,
        sign=options.sign,
        spot=spot,
        vol_shift=shift,
        elapsed=0.01,
        settlement="inverse",
        engine="numpy",
    )
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_funding_is_paid_while_time_passes(market: Snapshot, positions: ResolvedBook) -> None:
    surfaces = model_surfaces(calibrate_surfaces([FlatBlack(id=FLAT)], market), FLAT)
    novel = positions.select(positions.is_curved_perpetual)
    scenarios = ScenarioGrid(np.array([1.1]), elapsed_years=np.array([0, 0.5, 1.0]) / 365)
    values = revalue(novel, surfaces, scenarios)
    assert not values.failures
    paid = values.usd[:, :1] - values.usd
    assert (paid[:, 1:] > 0).all()
    np.testing.assert_allclose(paid[:, 2], 2 * paid[:, 1])


def test_books_of_other_instruments_are_refused(positions: ResolvedBook) -> None:
    values = revalue(positions.select(np.arange(3)), {}, ScenarioGrid(np.ones(1)))
    with pytest.raises(DataError, match="was not revalued"):
        book_pnl(positions, values)
    with pytest.raises(ConfigurationError, match="unit"):
        book_pnl(positions.select(np.arange(3)), values, unit="eur")


def test_no_positions_no_rows(positions: ResolvedBook) -> None:
    none = positions.select(np.zeros(0, np.int64))
    values = revalue(none, {}, ScenarioGrid(np.ones(2)))
    assert values.usd.shape == (0, 2)
    assert book_pnl(none, values).pnl.shape == (0, 2)


def test_coin_of_two_underlyings_does_not_add_up(positions: ResolvedBook) -> None:
    mixed = positions.select(positions.kind == "perpetual")
    both = replace(mixed, underlying=np.full(len(mixed), "ETH"), instrument=np.array(["ETH-P"]))
    columns = {
        name: np.concatenate([getattr(mixed, name), getattr(both, name)])
        for name in ResolvedBook.__slots__
        if isinstance(getattr(mixed, name), np.ndarray)
    }
    pair = replace(mixed, **columns)
    values = revalue(pair, {}, ScenarioGrid(np.array([0.9])))
    assert np.isnan(book_pnl(pair, values, unit="coin").pnl).all()
    assert np.isfinite(book_pnl(pair, values).pnl).all()


def test_grids() -> None:
    grid = ScenarioGrid.product([0.9, 1.1], [0.0, 0.1, 0.2], vol_scale=[1.0, 2.0])
    assert len(grid) == 12
    assert (grid.spot.reshape(2, 2, 3, 1)[1] == 1.1).all()
    assert (grid.vol_shift.reshape(2, 2, 3, 1)[:, :, 1] == 0.1).all()
    assert len(grid.and_today()) == 13
    spots, which = grid.distinct_spots()
    np.testing.assert_array_equal(spots[which], grid.spot)
    with pytest.raises(ValueError, match="read-only"):
        grid.spot[0] = 2.0


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"spot": 0.0}, "spot"),
        ({"spot": np.nan}, "spot"),
        ({"spot": 1.0, "vol_scale": -1.0}, "vol_scale"),
        ({"spot": 1.0, "elapsed_years": -0.1}, "elapsed_years"),
        ({"spot": 1.0, "vol_shift": np.inf}, "vol_shift"),
        ({"spot": np.ones(2), "vol_scale": np.ones(3)}, "spot"),
        ({"spot": np.ones((2, 2))}, "spot"),
    ],
)
def test_impossible_shocks_are_refused(bad: dict[str, object], word: str) -> None:
    with pytest.raises(DataError, match=word) as caught:
        ScenarioGrid(**{name: np.asarray(value) for name, value in bad.items()})
    assert caught.value.remedy


def test_unknown_dynamics_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="sticky_wicket"):
        ScenarioGrid(np.ones(1), dynamics="sticky_wicket")
