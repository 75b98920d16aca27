"""Model risk of books: quotes, parameters, hedging errors, ranges and the reserve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import BookId, CurrencyCode, ModelId
from commonmode.core.random import stream
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.exposure import Book, Greek, calibrate_surfaces, greek_table, resolve
from commonmode.exposure.hedging import HedgeRecord, compare_hedges, hedge_errors, record_hedges
from commonmode.exposure.model_risk import ModelRiskSettings, model_risk, total_reserve
from commonmode.exposure.parameter_risk import parameter_sd, shared_error_sd
from commonmode.exposure.quote_fit import QuoteFit, quote_fit
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.black76 import black76_price
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.fourier import HestonModel
from commonmode.pricing.ssvi_model import EssviJoint
from commonmode.pricing.svi_model import SviPerExpiry

BTC = CurrencyCode("BTC")
FLAT, SVI, ESSVI = ModelId("flat"), ModelId("svi"), ModelId("essvi")


@dataclass(frozen=True)
class Level:
    """One volatility for everything."""

    vol: float

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        return np.full(len(strike), self.vol)


@pytest.fixture(scope="module")
def markets() -> list[Snapshot]:
    feed = LaboratoryFeed.simulate("2024-01-01T00:00Z", 72, seed=4, steps_per_hour=12)
    times = feed.snapshot_times("2024-01-02T00:00Z", "2024-01-03T00:00Z")
    return list(feed.snapshots(times, ("BTC",)))


def names(market: Snapshot, count: int = 3) -> list[str]:
    """Two-sided options near the money, of the latest expiries."""
    chain = market.chain("BTC")
    near = chain.two_sided & (np.abs(chain.log_moneyness) < 0.1)
    rows = np.flatnonzero(near)
    rows = rows[np.argsort(-chain.expiry_ms[rows], kind="stable")]
    return [str(name) for name in chain.names[rows[:count]]]


def test_a_surface_inside_all_quotes_is_at_no_distance(markets: list[Snapshot]) -> None:
    market = markets[0]
    chain = market.chain("BTC")
    rows = np.flatnonzero(chain.two_sided & (chain.bid_iv > 0))[:1]
    one = replace(market, chains={BTC: chain.select(rows)})
    quoted = one.chain("BTC")
    bid, ask = float(quoted.bid_iv[0]), float(quoted.ask_iv[0])
    fits = quote_fit(
        {BTC: {
            FLAT: Success(Level(0.5 * (bid + ask))),
            SVI: Success(Level(ask + 0.1)),
            ESSVI: Failure(FailureReason.CALIBRATION_FAILED, "no"),
        }},
        one,
    )[BTC]  # fmt: skip
    assert set(fits) == {FLAT, SVI}
    assert fits[FLAT] == QuoteFit(quotes=1, inside=1.0, worst_usd=0.0, mean_usd=0.0)
    f, k, t = quoted.forward, quoted.strike, quoted.years
    gap = black76_price(f, k, t, np.array([ask + 0.1]), sign=quoted.sign)
    gap = gap - black76_price(f, k, t, np.array([ask]), sign=quoted.sign)
    assert fits[SVI].inside == 0.0
    assert fits[SVI].worst_usd == pytest.approx(float((gap * quoted.index / f)[0]))


def test_calibrated_smiles_reproduce_more_quotes_than_a_flat_one(markets: list[Snapshot]) -> None:
    models = [FlatBlack(id=FLAT), SviPerExpiry(id=SVI)]
    fits = quote_fit(calibrate_surfaces(models, markets[0]), markets[0])[BTC]
    assert fits[SVI].inside > fits[FLAT].inside
    assert fits[SVI].mean_usd < fits[FLAT].mean_usd


def test_parameter_sd_is_that_of_refits_with_their_covariance(markets: list[Snapshot]) -> None:
    market = markets[0]
    surfaces = calibrate_surfaces([EssviJoint(id=ESSVI), SviPerExpiry(id=SVI)], market)
    fitted = surfaces[BTC][ESSVI]
    assert isinstance(fitted, Success)
    surface = fitted.value
    held = names(market, 1)[0]
    positions = resolve([Book.of("one", [(held, 3.0)]), Book.of("two", [(held, -6.0)])], market)
    books, sd = parameter_sd(positions, surfaces, (ESSVI, SVI))
    assert books.tolist() == ["one", "two"]
    assert np.isnan(sd[:, 1]).all()  # this fit gives no covariance
    assert sd[1, 0] == pytest.approx(2.0 * sd[0, 0])
    # Against draws of the parameters of the option's own slice.
    row = int(np.searchsorted(surface.expiry_ms, positions.expiry_ms[0]))  # type: ignore[attr-defined]
    fit = surface.fit  # type: ignore[attr-defined]
    base = np.array([fit.slices.theta[row], fit.slices.rho[row], fit.slices.psi[row]])
    draws = stream(1, "draws").multivariate_normal(base, fit.covariance[row], 300)
    values = []
    for theta, rho, psi in draws:
        columns = {name: np.array(getattr(fit.slices, name)) for name in ("theta", "rho", "psi")}
        for name, value in zip(("theta", "rho", "psi"), (theta, rho, psi), strict=True):
            columns[name][row] = value
        moved = replace(fit.slices, **columns)
        table = greek_table(
            positions.select(np.array([0])),
            {BTC: {ESSVI: Success(replace(surface, fit=replace(fit, slices=moved)))}},  # type: ignore[type-var]
        )
        values.append(float(table.usd[0, 0, Greek.PRICE]))
    assert sd[0, 0] == pytest.approx(np.std(values), rel=0.15)


def test_quotes_off_together_by_hand(markets: list[Snapshot]) -> None:
    surfaces = calibrate_surfaces([EssviJoint(id=ESSVI), SviPerExpiry(id=SVI)], markets[0])
    held = names(markets[0], 2)
    books = [Book.of("both", [(held[0], 3.0), (held[1], -1.0)]), Book.of("none", [("BTC_USD", 1)])]
    table = greek_table(resolve(books, markets[0]), surfaces)
    order, sd = shared_error_sd(table, surfaces)
    assert order.tolist() == ["both", "none"]
    assert (sd[1] == 0.0).all()
    column = table.models.index(ESSVI)
    vega = table.usd[:, column, Greek.VEGA]
    fitted = surfaces[BTC][ESSVI]
    assert isinstance(fitted, Success)
    slices = fitted.value.slices  # type: ignore[attr-defined]
    row = slices.locate(table.positions.expiry_ms)[0]
    points = 100.0 * slices.rmse[row]
    mine = table.positions.book == "both"
    alike = len(set(row[mine])) == 1
    by_hand = (
        abs(np.sum(vega[mine] * points[mine]))
        if alike
        else np.sqrt(np.sum((vega[mine] * points[mine]) ** 2))
    )
    assert sd[0, column] == pytest.approx(by_hand)  # half in common: as large as what is seen
    _, third = shared_error_sd(table, surfaces, share=1.0 / 3.0)
    assert third[0, column] == pytest.approx(by_hand / np.sqrt(2.0))


def test_parameter_sd_of_one_law_for_all_expiries(markets: list[Snapshot]) -> None:
    heston = ModelId("heston")
    surfaces = calibrate_surfaces([HestonModel(id=heston)], markets[0])
    held = names(markets[0], 2)
    books = [Book.of("option", [(held[0], 1.0)]), Book.of("future", [("BTC-PERPETUAL", 10.0)])]
    order, sd = parameter_sd(resolve(books, markets[0]), surfaces, (heston,))
    assert order.tolist() == ["future", "option"]
    assert sd[0, 0] == 0.0  # needs no parameter
    assert sd[1, 0] > 0.0 or np.isnan(sd[1, 0])


def risk_of(market: Snapshot, vols: dict[str, float], inside: dict[str, float], **more: object):  # type: ignore[no-untyped-def]
    held = names(market, 1)[0]
    positions = resolve(
        [Book.of("long", [(held, 10.0)]), Book.of("short", [(held, -10.0)])], market
    )
    table = greek_table(positions, {BTC: {ModelId(m): Success(Level(v)) for m, v in vols.items()}})
    fits = {BTC: {ModelId(m): QuoteFit(100, s, 0.0, 0.0) for m, s in inside.items()}}
    return model_risk(table, fits, **more), table  # type: ignore[arg-type]


def test_range_and_reserve_by_hand(markets: list[Snapshot]) -> None:
    vols = {"a": 0.5, "b": 0.55, "c": 0.9}
    share = {"a": 0.9, "b": 0.8, "c": 0.1}  # c misses the quotes
    own = {BookId("long"): ModelId("b"), BookId("short"): ModelId("b")}
    (long, short), table = risk_of(markets[0], vols, share, own=own)
    value = dict(zip(long.models, long.values, strict=True))
    step = value[ModelId("b")] - value[ModelId("a")]
    assert step > 0
    assert long.admitted.tolist() == [True, True, False]
    assert long.range == pytest.approx(step)
    assert short.range == pytest.approx(step)
    # Carried at the higher of two; 90 % of a normal law seen twice: t_1(0.9) = 3.0777.
    below = 3.0776835 * np.sqrt(0.5) * np.sqrt(1.5)
    assert long.reserve == pytest.approx((0.5 + below) * step)
    assert short.reserve == pytest.approx((below - 0.5) * step)
    assert long.prudent.ranked == pytest.approx(2 / 3)
    assert "2 of 3 models" in long.sentence
    assert "90 % confidence by a normal law (ranks of 2 reach 67 %)" in long.sentence
    assert "What to do: hold the reserve" in long.sentence
    assert total_reserve((long, short)) == (
        pytest.approx(2 * below * step),
        pytest.approx(below * step),
    )
    assert table.models == long.models


def test_parameter_error_adds_to_the_reserve_and_scenarios_to_the_words(
    markets: list[Snapshot],
) -> None:
    vols, share = {"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.9}
    exact, _ = risk_of(markets[0], vols, share)
    assert exact[0].range == 0.0
    assert exact[0].reserve == 0.0
    pnl = np.array([-100.0, 0.0, 50.0])
    noisy, _ = risk_of(
        markets[0],
        vols,
        share,
        parameter_sd=np.full((2, 2), 7.0),
        scenario_pnl={BookId("long"): pnl},
    )
    assert noisy[0].reserve == pytest.approx(7.0 * 1.2815515655446004, rel=1e-6)
    assert "the calibration's noise is up to $14 (two deviations)" in noisy[0].sentence
    assert noisy[0].expected_loss == pytest.approx(50.0 / 3.0)
    losses = list(noisy[0].worst_loss.values())
    assert noisy[0].expected_loss < losses[0] < losses[1] < losses[2] <= 100.0
    assert "past moves lose $17 on average and lose" in noisy[0].sentence
    assert "in the worst case within 0.02 nats" in noisy[0].sentence
    carried = exact[0].prudent.value
    assert exact[0].carried == carried
    assert "nothing to hold; the book is carried at the prudent end" in exact[0].sentence
    assert np.isnan(noisy[1].expected_loss)


def test_penalised_range_lies_between_none_and_all(markets: list[Snapshot]) -> None:
    held = names(markets[0], 1)[0]
    positions = resolve([Book.of("x", [(held, 10.0)])], markets[0])
    table = greek_table(positions, {BTC: {FLAT: Success(Level(0.5)), SVI: Success(Level(0.6))}})

    def at(error: float) -> float:
        fits = {BTC: {FLAT: QuoteFit(9, 1.0, 0.0, 0.0), SVI: QuoteFit(9, 0.0, error, error)}}
        return model_risk(table, fits)[0].penalised

    whole = float(np.ptp(table.usd[0, :, Greek.PRICE]))
    assert at(0.0) == pytest.approx(whole)
    assert at(whole / 20.0) == pytest.approx(whole / 2.0)  # half on ten contracts
    assert at(1e9) == 0.0


def test_too_few_models_that_reproduce_the_quotes_is_said(markets: list[Snapshot]) -> None:
    found, _ = risk_of(markets[0], {"a": 0.5, "b": 0.6}, {"a": 0.9, "b": 0.1})
    assert np.isnan(found[0].range)
    assert "only 1 reproduce" in found[0].sentence
    assert "widen the set of models" in found[0].sentence
    assert found[0].reserve > 0.0  # then all models count: nothing is hidden


def test_hedge_errors_by_hand() -> None:
    mark = np.array([[10.0], [13.0], [12.0]])
    index = np.array([[100.0], [110.0], [99.0]])
    delta = np.array([[[20.0, 0.0]], [[10.0, 0.0]], [[0.0, 0.0]]])
    np.testing.assert_allclose(
        hedge_errors(mark, delta, index)[:, 0],
        [[3.0 - 2.0, 3.0], [-1.0 + 1.0, -1.0]],
        atol=1e-12,
    )


def simulated_record(seed: int, wrong: float, times: int = 200) -> HedgeRecord:
    """An asset whose true cash delta is 50; one model hedges with 50 + wrong, one with a twin."""
    rng = stream(seed, "hedge-test")
    move = 0.01 * rng.standard_t(4, times)
    index = 100.0 * np.cumprod(1.0 + np.append(0.0, move))
    mark = 500.0 + np.append(0.0, np.cumsum(50.0 * move + 0.1 * rng.standard_normal(times)))
    noise = rng.standard_normal((times + 1, 1, 2))
    delta = 50.0 + np.stack(
        [noise[..., 0], noise[..., 1], np.full((times + 1, 1), wrong)], axis=-1
    )  # fmt: skip
    return HedgeRecord(
        time_ms=np.arange(times + 1, dtype=np.int64) * 3_600_000,
        instruments=np.array(["X"]),
        models=(ModelId("one"), ModelId("twin"), ModelId("wrong")),
        mark_usd=mark[:, None],
        index=index[:, None],
        delta_usd=delta,
    )


def test_hedges_differ_when_deltas_do_and_not_otherwise() -> None:
    twins, found = [], []
    for seed in range(60):
        result = compare_hedges(simulated_record(seed, 20.0), flips=399, rng=seed)
        twins.append(result.p_value[1] <= 0.05)
        found.append(result.p_value[2] <= 0.05)
    assert np.mean(twins) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(found) > 0.9


def test_comparison_in_money_and_words() -> None:
    record = simulated_record(1, 20.0)
    result = compare_hedges(record, np.array([-3.0]), reference=ModelId("twin"))
    direct = -3.0 * hedge_errors(record.mark_usd, record.delta_usd, record.index)[:, 0]
    np.testing.assert_allclose(result.rmse, np.sqrt((direct**2).mean(axis=0)))
    assert result.p_value[1] == 1.0
    assert result.unit == "USD"
    assert result.rmse.max() < result.unhedged
    assert "differs from that of twin for wrong by" in result.sentence
    assert "What to do: do not hedge with wrong" in result.sentence
    assert result.apart_low[2] > 0.0
    assert result.apart_low[0] < 0.0 < result.apart_high[0]
    assert abs(result.against_reference[0]) < result.detectable[0]
    with pytest.raises(DataError):
        compare_hedges(record, reference=ModelId("nobody"))
    short = replace(
        record,
        time_ms=record.time_ms[:4],
        mark_usd=record.mark_usd[:4],
        index=record.index[:4],
        delta_usd=record.delta_usd[:4],
    )
    with pytest.raises(DataError):
        compare_hedges(short)


def test_recorded_hedges_cut_most_of_the_risk(markets: list[Snapshot]) -> None:
    models = [SviPerExpiry(id=SVI), FlatBlack(id=FLAT)]
    record = record_hedges(markets, models, [*names(markets[0], 6), "BTC-1JAN20-10000-C"])
    assert record.mark_usd.shape == (25, 7)
    gone = record.instruments == "BTC-1JAN20-10000-C"
    assert np.isnan(record.mark_usd[:, gone]).all()
    assert np.isfinite(record.mark_usd[:, ~gone]).mean() > 0.8
    result = compare_hedges(record)
    assert result.models == (SVI, FLAT)
    assert result.rmse[0] < result.unhedged
    with pytest.raises(DataError):
        record_hedges(markets[:1], models, names(markets[0], 1))


def test_bad_settings_and_shapes_are_refused(markets: list[Snapshot]) -> None:
    with pytest.raises(ConfigurationError):
        ModelRiskSettings(inside=2.0)
    with pytest.raises(ConfigurationError):
        ModelRiskSettings(radii=(0.0,))
    with pytest.raises(DataError):
        risk_of(markets[0], {"a": 0.5}, {"a": 1.0}, parameter_sd=np.zeros((1, 5)))
