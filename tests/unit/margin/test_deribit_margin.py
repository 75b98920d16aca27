from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import FailureReason
from commonmode.margin.deribit import (
    EXTENDED_MOVES,
    CurrencyTerms,
    DeribitMargin,
    DeribitParameters,
    GeneralTerms,
    aggregated_pnl,
    dampening,
    delta_shock,
    deribit_from_toml,
    future_pnl,
    merged,
    option_pnl,
    roll_rate,
    scenario_grid,
    shipped_deribit,
    shipped_deribit_versions,
    shocked_vol,
    worst_case,
)
from commonmode.margin.dynamic.profit import mark_values
from commonmode.margin.method import MarginMethod
from commonmode.pricing.inverse import inverse_price
from venue_markets import SPOT, accounts_on, small_market, without_cash

MARKET = small_market()
BOTH = shipped_deribit()
BTC, ETH = BOTH.pairs["BTC"], BOTH.pairs["ETH"]
METHOD, CROSS = DeribitMargin(BOTH), DeribitMargin(BOTH, cross=True)
CALL = "BTC-10D-60000-C"
NAMES = [n for n in MARKET.instruments.instrument.tolist() if "POWER" not in n]
books = st.dictionaries(
    st.sampled_from(NAMES), st.floats(-5.0, 5.0).filter(lambda q: abs(q) > 0.01), max_size=8
)


def test_it_is_a_margin_method() -> None:
    assert isinstance(METHOD, MarginMethod)
    assert (METHOD.id, CROSS.id) == ("deribit", "deribit_cross")


def test_the_grid() -> None:
    grid = scenario_grid(BTC)
    assert len(grid) == 35
    assert grid.move[:27:3] == pytest.approx(np.linspace(-0.16, 0.16, 9))
    assert grid.vol[:3].tolist() == [-1, 0, 1]
    assert grid.move[27:].tolist() == list(EXTENDED_MOVES)
    assert grid.vol[27:].tolist() == [1] * 8
    assert grid.scale[27:] == pytest.approx(0.16 / np.abs(EXTENDED_MOVES))
    assert grid.labels()[0] == "price -16 %, vol down"
    assert grid.labels()[-1] == "price +500 %, vol up, extended"


def test_delta_one_extended_entries_are_those_of_the_edge() -> None:
    """Scaling by range / |s| leaves a linear profit at the edge, in coin and in USD."""
    grid = scenario_grid(ETH)
    for coin_settled in (True, False):
        table = future_pnl(3_000.0, grid, coin_settled=coin_settled)[0]
        assert table[27:29] == pytest.approx([table[0]] * 2)
        assert table[29:] == pytest.approx([table[26]] * 6)


def test_option_profits_are_premium_differences() -> None:
    grid = scenario_grid(BTC)
    pnl = option_pnl(60_060.0, 66_000.0, 0.1, 0.6, 1, BTC, grid, coin_settled=True)[0]
    vols = shocked_vol(np.array([0.6]), np.array([0.1]), BTC)[:, 0]
    before = inverse_price(60_060.0, 66_000.0, 0.1, 0.6)
    up = inverse_price(60_060.0 * 1.16, 66_000.0, 0.1, vols[2])
    assert pnl[26] == pytest.approx(float(up - before), rel=1e-12)
    assert pnl[13] == 0.0
    far = inverse_price(60_060.0 * 6.0, 66_000.0, 0.1, vols[2])
    scaled = float(far - before) * (0.16 / 5.0) * 6.0 / 1.16
    assert pnl[34] == pytest.approx(scaled, rel=1e-12)


def test_a_short_call_and_a_short_put_of_one_strike_make_a_future() -> None:
    """Parity in coin, C - P = 1 - K/F, scenario by scenario."""
    grid = scenario_grid(BTC)
    call, put = (
        option_pnl(60_000.0, 60_000.0, 0.2, 0.7, sign, BTC, grid, coin_settled=True)[0]
        for sign in (1, -1)
    )
    assert call - put == pytest.approx(future_pnl(60_000.0, grid, coin_settled=True)[0], abs=1e-14)


def test_volatility_shocks() -> None:
    years = np.array([30.0, 7.5, 120.0, 0.0]) / 365
    down, same, up = shocked_vol(np.full(4, 0.6), years, BTC)
    assert same.tolist() == [0.6] * 4
    assert up[:3] == pytest.approx(
        [0.6 * 1.5, 0.6 * (1 + 0.5 * 4**0.3), 0.6 * (1 + 0.5 * 0.25**0.13)]
    )
    assert down[0] == pytest.approx(0.45)
    assert down[3] == 0.0
    assert np.isfinite(up).all()
    assert shocked_vol(0.1, 0.5, BTC)[2] == 0.5


def test_the_dampener_forgives_small_far_losses_only() -> None:
    grid, money = scenario_grid(BTC), BOTH.currencies["BTC"]
    forgiven = dampening(grid, BTC, money, 60_000.0, coin_settled=True)
    assert not forgiven[:27].any()
    # 50 % is 3.125 ranges: 2.125 dampeners of 100 000 USD, in coin at 116 % of the index.
    assert forgiven[29] == pytest.approx(2.125 * 100_000 / (1.16 * 60_000))
    small, large = np.full((1, 35), -1.0), np.full((1, 35), -1000.0)
    assert aggregated_pnl(small, grid, forgiven, money, 60_000.0)[0, 29] == 0.0
    assert aggregated_pnl(large, grid, forgiven, money, 60_000.0)[0, 29] == pytest.approx(
        -1000.0 + forgiven[29]
    )


def test_gains_offset_in_part_and_up_to_a_limit() -> None:
    grid, money = scenario_grid(ETH), BOTH.currencies["ETH"]
    none = np.zeros(35)
    gains = aggregated_pnl(np.array([[10.0] * 35, [1e6] * 35]), grid, none, money, 2_000.0)
    assert gains[0, :27].tolist() == [6.0] * 27
    assert gains[1, 0] == 10_000.0
    assert not gains[:, 27:].any()


def test_worst_case_of_what_never_loses() -> None:
    worst = worst_case(np.array([[0.0, 1.0], [-2.0, -3.0], [np.nan, 1.0]]))
    assert worst.loss == pytest.approx([0.0, 3.0, np.nan], nan_ok=True)
    assert worst.scenario.tolist()[:2] == [-1, 1]


def test_roll_and_delta_shocks() -> None:
    rate = roll_rate(np.array([0.0, 0.25, 2.0]), BOTH.currencies["ETH"])
    assert rate == pytest.approx([0.005, np.expm1(0.0125), np.expm1(0.1)])
    # 20 m USD are 10 000 ETH at 2 000; 0.000004 per ETH above, at most 10 %.
    shock = delta_shock(np.array([9_999.0, -15_000.0, 1e6]), 2_000.0, ETH)
    assert shock == pytest.approx([0.0, 15_000 * 0.02, 1e5])


def test_a_short_perpetual_in_coin_loses_less_than_one_in_dollars_upwards() -> None:
    held = accounts_on(MARKET, [{"BTC-PERPETUAL": -6_000.0}, {"BTC_USDC-PERPETUAL": -1.0}])
    table = METHOD.margin(held, MARKET)
    spot = SPOT["BTC"]
    assert table.components["worst"] == pytest.approx([spot * 0.16 / 1.16, spot * 0.16])
    assert table.components["roll"] == pytest.approx([spot * 0.01] * 2)
    assert table.maintenance == pytest.approx(0.8 * table.initial)


def test_currencies_stand_alone_or_offset_one_another() -> None:
    hedged = {"BTC_USDC-PERPETUAL": 1.0, "ETH_USDC-PERPETUAL": -20.0}
    coins = {"ETH-PERPETUAL": 60_000.0, "ETH_USDC-PERPETUAL": -20.0}
    held = accounts_on(MARKET, [hedged, coins])
    apart, together = METHOD.margin(held, MARKET), CROSS.margin(held, MARKET)
    # One settlement currency is one portfolio in both models.
    assert apart.initial[0] == together.initial[0]
    down, up, usd = 60_000 * 0.18 / 0.82, 60_000 * 0.18 / 1.18, 60_000 * 0.18
    assert apart.components["worst"][1] == pytest.approx(down + usd)
    # 40 % of the dollars gained on the way down count, 60 % of the coins on the way up.
    assert together.components["worst"][1] == pytest.approx(max(down - 0.4 * usd, usd - 0.6 * up))


def test_bad_accounts_do_not_touch_the_others() -> None:
    books_ = [{CALL: -1.0}, {"BTC-POWER-2": 1.0}, {CALL: -1.0}, {}, {}, {CALL: -1.0}]
    posted = {(3, "DOGE"): 5.0, (4, "USDT"): 100.0}
    held = without_cash(accounts_on(MARKET, books_, collateral=posted), 2)
    table = METHOD.margin(held, MARKET)
    assert sorted(table.failures) == [1, 2, 3]
    assert table.failures[1].reason is FailureReason.UNSUPPORTED
    assert table.failures[2].reason is FailureReason.MISSING_DATA
    assert np.isnan(table.maintenance[[1, 2, 3]]).all()
    alone = METHOD.margin(accounts_on(MARKET, books_[:1]), MARKET)
    assert table.initial[0] == table.initial[5] == alone.initial[0] > 0.0
    assert (table.equity[4], table.initial[4]) == (100.0, 0.0)


def test_options_in_coin_are_worth_their_premium_at_the_index() -> None:
    table = METHOD.margin(accounts_on(MARKET, [{CALL: -1.0}]), MARKET)
    row = MARKET.instruments.instrument.tolist().index(CALL)
    worth = mark_values(MARKET)[row]
    assert MARKET.instruments.forward[row] != MARKET.instruments.index[row]
    assert table.equity[0] == pytest.approx(-worth, rel=1e-12)


def test_cash_counts_at_the_price_of_the_stablecoin() -> None:
    held = accounts_on(MARKET, [{CALL: -1.0}], cash=1_000.0, collateral={(0, "BTC"): 1.0})
    sound = METHOD.margin(held, MARKET)
    assert not sound.notices
    broken = METHOD.margin(held, small_market(stable_price=0.65))
    assert broken.equity[0] == pytest.approx(sound.equity[0] - 350.0)
    assert broken.initial[0] == sound.initial[0]
    assert "0.65" in broken.notices[0][0]


def test_a_failed_account_has_no_legs() -> None:
    held = accounts_on(MARKET, [{"BTC-POWER-2": 1.0}])
    with pytest.raises(DataError, match="POWER"):
        METHOD.legs(held, MARKET, 0)


def test_an_unknown_coin_and_an_empty_set_of_accounts() -> None:
    market = replace(MARKET, underlyings=replace(MARKET.underlyings, name=np.array(["SOL", "XRP"])))
    table = METHOD.margin(accounts_on(market, [{CALL: 1.0}, {}]), market)
    assert list(table.failures) == [0]
    assert table.initial[1] == 0.0
    assert len(METHOD.margin(accounts_on(MARKET, []), MARKET)) == 0


@settings(max_examples=30)
@given(st.lists(books, min_size=1, max_size=5), st.booleans())
def test_accounts_do_not_depend_on_their_neighbours(
    many: list[dict[str, float]], cross: bool
) -> None:
    method = CROSS if cross else METHOD
    held = accounts_on(MARKET, many, cash=10.0)
    together = method.margin(held, MARKET)
    for row in range(len(many)):
        alone = method.margin(held.select(np.array([row])), MARKET)
        assert alone.initial[0] == together.initial[row]
        assert alone.equity[0] == together.equity[row]
    assert np.all(together.initial >= together.maintenance)


@settings(max_examples=40)
@given(books, st.booleans())
def test_legs_add_up(book: dict[str, float], cross: bool) -> None:
    method = CROSS if cross else METHOD
    held = accounts_on(MARKET, [book], collateral={(0, "USDT"): 7.0})
    table, legs = method.margin(held, MARKET), method.legs(held, MARKET, 0)
    size = 1.0 + sum(map(abs, book.values())) * SPOT["BTC"]
    assert legs.initial.sum() == pytest.approx(table.initial[0], abs=1e-9 * size)
    assert legs.maintenance.sum() == pytest.approx(table.maintenance[0], abs=1e-9 * size)
    assert len(legs.leg) == len(book) + 1


@settings(max_examples=40)
@given(books)
def test_offsets_never_cost_anything(book: dict[str, float]) -> None:
    held = accounts_on(MARKET, [book])
    apart, together = METHOD.margin(held, MARKET), CROSS.margin(held, MARKET)
    size = 1.0 + sum(map(abs, book.values())) * SPOT["BTC"]
    assert together.initial[0] <= apart.initial[0] + 1e-9 * size


def test_legs_of_a_large_book_share_the_delta_shock() -> None:
    held = accounts_on(MARKET, [{"BTC_USDC-PERPETUAL": 800.0, CALL: -300.0, "BTC-10D": 9e6}])
    for method in (METHOD, CROSS):
        table, legs = method.margin(held, MARKET), method.legs(held, MARKET, 0)
        assert table.components["delta"][0] > 0.0
        assert legs.initial.sum() == pytest.approx(table.initial[0], rel=1e-12)
    assert "USD: price -16 %" in METHOD.legs(held, MARKET, 0).scenario


def test_shipped_sets_are_read_and_merged() -> None:
    assert shipped_deribit_versions() == ("2024-06-17", "2026-02-15")
    old, new = (shipped_deribit(version) for version in shipped_deribit_versions())
    both = merged(old, new)
    assert set(both.pairs) == {"BTC", "ETH"}
    assert both.currencies["USD"] == new.currencies["USD"] != old.currencies["USD"]
    with pytest.raises(ConfigurationError, match="2026-02-15"):
        shipped_deribit("2019-01-01")


@pytest.mark.parametrize(
    "change",
    [
        {"price_range": 0.7},
        {"vol_up": -0.1},
        {"vol_down": 1.1},
        {"extended_factor": float("nan")},
        {"delta_slope": -1e-5},
        {"long_power": 2.0},
    ],
)
def test_bounds_of_a_pair(change: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="bounds"):
        replace(BTC, **change)


def test_bounds_of_the_rest() -> None:
    good = BOTH.currencies["BTC"]
    assert isinstance(good, CurrencyTerms)
    with pytest.raises(ConfigurationError, match="pnl_offset"):
        replace(good, pnl_offset=1.5)
    with pytest.raises(ConfigurationError, match="maintenance"):
        GeneralTerms(maintenance=0.0)
    with pytest.raises(ConfigurationError, match="no currency terms for BTC, USD"):
        DeribitParameters({"BTC": BTC}, {}, GeneralTerms())


def test_a_file_with_a_mistake_says_where() -> None:
    text = (
        'name = "a"\nversion = "1"\nunderlyings = ["BTC"]\nsource = "b"\n[pairs.BTC]\nrange = 1\n'
    )
    with pytest.raises(ConfigurationError, match=r"mine\.toml: pairs\.BTC\.range is not known"):
        deribit_from_toml(text, where="mine.toml")
