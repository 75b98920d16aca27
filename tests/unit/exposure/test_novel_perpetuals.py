"""Power perpetuals and everlasting options in a book: resolved, priced, differentiated."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.ids import ModelId
from commonmode.exposure.book import Book, resolve
from commonmode.exposure.greeks import Greek, greek_table
from commonmode.exposure.surfaces import calibrate_surfaces
from commonmode.exposure.totals import totals
from commonmode.market.instruments import InstrumentKind, parse_perpetual_name
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.perpetuals import everlasting_option, power_perpetual
from commonmode.pricing.svi_model import SviPerExpiry

MODELS = (FlatBlack(id=ModelId("flat")), SviPerExpiry(id=ModelId("svi")))


@pytest.fixture(scope="module")
def market() -> Snapshot:
    feed = LaboratoryFeed.simulate("2024-01-01T00:00Z", 48, seed=4, steps_per_hour=12)
    times = feed.snapshot_times("2024-01-02T00:00Z", "2024-01-02T00:00Z")
    return next(iter(feed.snapshots(times, ("BTC",))))


def test_names_are_read() -> None:
    squeeth = parse_perpetual_name("BTC-POWER-2")
    assert squeeth is not None
    assert (squeeth.kind, squeeth.power) == (InstrumentKind.POWER_PERPETUAL, 2.0)
    put = parse_perpetual_name("ETH-EVERLASTING-1800-P")
    assert put is not None
    assert (put.kind, put.strike, put.sign) == (InstrumentKind.EVERLASTING_OPTION, 1800.0, -1)
    assert parse_perpetual_name("BTC-PERPETUAL") is None


def test_priced_under_every_model_with_its_own_volatility(market: Snapshot) -> None:
    index = float(np.median(market.chain("BTC").index))
    strike = round(index, -3)
    trades = [("BTC-POWER-2", 3.0), (f"BTC-EVERLASTING-{strike:.0f}-P", -2.0)]
    positions = resolve(Book.of("novel", trades), market)
    assert not positions.failures
    surfaces = calibrate_surfaces(MODELS, market)
    table = greek_table(positions, surfaces)
    assert np.isfinite(table.usd).all()
    (coin,) = surfaces
    for m, model in enumerate(MODELS):
        fitted = surfaces[coin][model.id].value
        vol = fitted.implied_vol(
            np.array([positions.smile_forward[0], strike]),
            positions.smile_years,
            positions.smile_forward,
            positions.smile_expiry_ms,
        )
        power = power_perpetual(positions.index[0], vol[0], power=2.0, funding_years=1 / 365)
        put = everlasting_option(
            positions.index[1], strike, vol[1], funding_years=1 / 365, sign=-1, payments=1
        )
        price = table.usd[:, m, Greek.PRICE]
        np.testing.assert_allclose(price, [3 * power.price / 1e4, -2 * put.price], rtol=1e-12)
        # Twice the value for a square, to first order; the short put gains when spot rises.
        assert table.usd[0, m, Greek.DELTA] == pytest.approx(2 * price[0], rel=1e-12)
        assert table.usd[1, m, Greek.DELTA] > 0
        assert table.usd[1, m, Greek.VEGA] < 0


def test_they_add_up_with_the_rest_of_the_book(market: Snapshot) -> None:
    listed = str(market.chain("BTC").names[10])
    surfaces = calibrate_surfaces(MODELS, market)

    def total(trades: list[tuple[str, float]]) -> np.ndarray:
        return totals(greek_table(resolve(Book.of("b", trades), market), surfaces), by=()).usd

    both = total([("BTC-POWER-2", 1.0), (listed, 5.0), ("BTC-PERPETUAL", -20.0)])
    apart = total([("BTC-POWER-2", 1.0)]) + total([(listed, 5.0), ("BTC-PERPETUAL", -20.0)])
    np.testing.assert_allclose(both, apart, rtol=1e-12)


def test_gross_exposure_of_a_power_is_its_value_in_coins(market: Snapshot) -> None:
    positions = resolve(Book.of("b", [("BTC-POWER-2", 1.0)]), market)
    np.testing.assert_allclose(positions.gross_usd, positions.index**2 / 1e4)


def test_impossible_instruments_are_failed_positions(market: Snapshot) -> None:
    trades = [("BTC-POWER-0", 1.0), ("DOGE-POWER-2", 1.0), ("BTC-EVERLASTING-0-C", 1.0)]
    positions = resolve(Book.of("b", trades), market)
    assert len(positions) == 0
    assert len(positions.failures) == 3
    assert all(f.failure.remedy for f in positions.failures)
