"""PM2: what fails and says why, what several coins add up to, what parameters may be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.margin import MarginMethod
from commonmode.margin.pm2 import (
    PM2,
    feed_vol,
    parameters_from_toml,
    profile,
    shipped_parameters,
    shipped_versions,
)
from pm2_world import COINS, accounts, market, parameters

MARKET = market()
NAMES = {name: row for row, name in enumerate(MARKET.instruments.instrument.tolist())}
CALL, PUT = NAMES["BTC-1-112000-C"], NAMES["BTC-1-112000-P"]
ETH_PUT = NAMES["ETH-2-4100-P"]
PERP, INVERSE, FUTURE = NAMES["BTC-PERPETUAL"], NAMES["BTC-INVERSE"], NAMES["BTC-FUTURE"]
METHOD = PM2(parameters(), engine="numpy")
SOUND = {NAMES["BTC-2-112000-C"]: -1.0}


def one(book: dict[int, float], **changes: object) -> float:
    return float(METHOD.margin(accounts([book], **changes), MARKET).initial[0])  # type: ignore[arg-type]


def test_it_is_a_margin_method() -> None:
    assert isinstance(METHOD, MarginMethod)
    assert METHOD.id == "pm2"


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"forward": np.nan}, FailureReason.MISSING_DATA, "forward, rate or a confidence"),
        ({"rate": np.nan}, FailureReason.MISSING_DATA, "forward, rate or a confidence"),
        ({"vol_confidence": np.nan}, FailureReason.MISSING_DATA, "confidence of its expiry"),
        ({"vol": -0.2}, FailureReason.ARBITRAGE, "implied volatility is -0.2"),
        ({"vol": np.nan}, FailureReason.MISSING_DATA, "implied volatility is nan"),
    ],
)
def test_a_bad_feed_fails_the_accounts_of_its_expiry_alone(
    change: dict[str, float], reason: FailureReason, words: str
) -> None:
    ((name, value),) = change.items()
    bad = MARKET
    if name == "vol":
        bad = replace(bad, vol=np.where(bad.expiry == 1, value, bad.vol))
    else:
        column = getattr(bad.expiries, name).copy()
        column[1] = value
        bad = replace(bad, expiries=replace(bad.expiries, **{name: column}))
    both = accounts([{CALL: 1.0}, SOUND, {CALL: 0.0, **SOUND}])
    table = METHOD.margin(both, bad)
    assert list(table.failures) == [0]
    assert table.failures[0].reason is reason
    assert words in table.failures[0].message
    assert table.failures[0].remedy
    assert np.isnan(table.equity[0])
    assert not table.healthy[0]
    assert table.initial[1] == table.initial[2] == METHOD.margin(both, MARKET).initial[1]


@pytest.mark.parametrize("feed", ["spot", "spot_confidence"])
def test_without_a_spot_all_of_the_coin_fails(feed: str) -> None:
    gone = replace(
        MARKET.underlyings, **{feed: np.array([np.nan, getattr(MARKET.underlyings, feed)[1]])}
    )
    held = np.zeros((4, 4))
    held[2, 0] = held[3, 2] = 1.0
    table = METHOD.margin(
        accounts([{CALL: 1.0}, {ETH_PUT: -1.0}, {}, {}], collateral=held),
        replace(MARKET, underlyings=gone),
    )
    assert sorted(table.failures) == ([0, 2] if feed == "spot_confidence" else [0])
    assert "BTC" in table.failures[0].message


def test_a_missing_perpetual_price_leaves_options_alone() -> None:
    gone = replace(MARKET.underlyings, perp_price=np.array([np.nan, 4100.0]))
    table = METHOD.margin(
        accounts([{PERP: 1.0}, {CALL: 1.0}, {FUTURE: 1.0}]), replace(MARKET, underlyings=gone)
    )
    assert list(table.failures) == [0]
    assert "perpetual price" in table.failures[0].message


def test_what_the_market_says_has_failed_fails_with_its_words() -> None:
    why = Failure(FailureReason.STALE_DATA, "quote of last week", "wait")
    table = METHOD.margin(accounts([{CALL: 1.0}, SOUND]), replace(MARKET, failures={CALL: why}))
    assert table.failures == {0: why}


def test_an_account_that_failed_before_stays_failed() -> None:
    why = Failure(FailureReason.INVALID_INPUT, "no such instrument", "correct it")
    table = METHOD.margin(replace(accounts([{}, SOUND]), failures={0: why}), MARKET)
    assert table.failures == {0: why}
    assert np.isnan(table.initial[0])
    assert np.isfinite(table.initial[1])


def test_a_quantity_that_is_no_number() -> None:
    table = METHOD.margin(accounts([{CALL: np.nan}, SOUND], cash=np.array([0.0, 5.0])), MARKET)
    assert list(table.failures) == [0]
    assert table.failures[0].reason is FailureReason.INVALID_INPUT
    assert "quantity nan" in table.failures[0].message


def test_cash_that_is_no_number() -> None:
    table = METHOD.margin(accounts([SOUND, SOUND], cash=np.array([np.nan, 0.0])), MARKET)
    assert list(table.failures) == [0]


def test_collateral_that_is_not_accepted() -> None:
    assets = replace(MARKET.assets, name=np.array(["BTC", "ETH", "USDT", "DOGE"]))
    held = np.array([[0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 9.0, 0.0]])
    table = METHOD.margin(accounts([SOUND, SOUND], collateral=held), replace(MARKET, assets=assets))
    assert list(table.failures) == [0]
    assert table.failures[0].reason is FailureReason.UNSUPPORTED
    assert "DOGE" in table.failures[0].message


@pytest.mark.parametrize("kind", ["power_perpetual", "everlasting_option", "spot"])
def test_novel_instruments_are_not_in_pm2(kind: str) -> None:
    kinds = MARKET.instruments.kind.astype("<U24").copy()
    kinds[PERP] = kind
    novel = replace(MARKET, instruments=replace(MARKET.instruments, kind=kinds))
    table = METHOD.margin(accounts([{PERP: 1.0}, SOUND]), novel)
    assert table.failures[0].reason is FailureReason.UNSUPPORTED
    assert list(table.failures) == [0]


def test_a_coin_that_the_parameters_do_not_cover() -> None:
    method = PM2(shipped_parameters("2026-09-24"), engine="numpy")
    table = method.margin(accounts([{ETH_PUT: 1.0}, SOUND]), MARKET)
    assert list(table.failures) == [0]
    assert "does not cover ETH" in table.failures[0].message


def test_a_stablecoin_that_broke_is_margined_with_a_notice() -> None:
    held = accounts([SOUND, {}])
    at_par = METHOD.margin(held, MARKET)
    table = METHOD.margin(held, replace(MARKET, stable_price=0.65))
    assert not table.failures
    assert not at_par.notices
    assert "is 2.36 instead of 1" in table.notices[0][0]  # 1 + 4 (0.99 - 0.65)
    loss = at_par.components["scenario_loss"][0]
    assert table.components["peg"][0] == pytest.approx(1.36 * loss, rel=1e-12)
    assert table.maintenance[0] == at_par.maintenance[0]


@pytest.mark.parametrize("price", [np.nan, 0.0, -1.0])
def test_without_a_price_of_the_stablecoin_nothing_is_margined(price: float) -> None:
    table = METHOD.margin(accounts([SOUND, {CALL: 1.0}]), replace(MARKET, stable_price=price))
    assert sorted(table.failures) == [0, 1]
    assert "stablecoin" in table.failures[0].message


def test_coins_are_margined_apart_and_added() -> None:
    left, right = {CALL: -3.0, PERP: 2.0}, {ETH_PUT: -40.0}
    assert one(left | right) == pytest.approx(one(left) + one(right), rel=1e-14)


def test_collateral_is_shocked_only_with_contracts_of_its_coin() -> None:
    """BTC beside short ETH puts is not shocked, and has the larger haircut."""
    terms = METHOD.parameters.collateral["BTC"]
    btc = np.array([[2.0, 0.0, 0.0, 0.0]])
    worth = 2.0 * MARKET.assets.price[0] / MARKET.stable_price
    assert one({ETH_PUT: -1.0}, collateral=btc) == pytest.approx(
        one({ETH_PUT: -1.0}) + worth * (terms.other_maintenance + terms.other_initial)
    )
    # Alone, it is what is shocked: down 14 % is the worst.
    assert one({}, collateral=btc) == pytest.approx(
        worth * (0.14 + terms.maintenance + terms.initial)
    )


def test_an_inverse_perpetual_is_its_coins() -> None:
    perp_price = MARKET.underlyings.perp_price[0]
    coins = 10.0 / perp_price
    assert one({INVERSE: 70_000.0}) == pytest.approx(one({PERP: 70_000.0 * coins}), rel=1e-12)


def test_a_dated_future_is_a_perpetual_at_its_forward() -> None:
    grid = METHOD.revalue(MARKET)
    pnl = profile(grid, accounts([{FUTURE: 3.0}])).pnl[0]
    shocks = np.array([s.damping * (s.spot - 1.0) for s in METHOD.parameters.scenarios])
    np.testing.assert_allclose(pnl, 3.0 * MARKET.expiries.forward[2] * shocks, rtol=1e-12)


def test_naked_shorts_are_netted_by_strike() -> None:
    names = METHOD.margin(accounts([{CALL: -5.0, PUT: 3.0}, {CALL: 5.0, PUT: -3.0}]), MARKET)
    spot, charge = MARKET.underlyings.spot[0], METHOD.parameters.contingency
    share = charge.option_maintenance + charge.option_initial
    assert names.components["naked_shorts"][0] == pytest.approx(2.0 * spot * share)
    assert names.components["naked_shorts"][1] == 0.0


def test_a_perpetual_lends_its_confidence_to_the_expiries() -> None:
    doubtful = replace(MARKET.underlyings, perp_confidence=np.array([0.2, 1.0]))
    bad = replace(MARKET, underlyings=doubtful)
    option = NAMES["BTC-2-112000-C"]
    table = METHOD.margin(accounts([{option: 2.0}, {option: 2.0, PERP: 1.0}]), bad)
    assert table.components["oracle"][0] == 0.0
    spot = MARKET.underlyings.spot[0]
    assert table.components["oracle"][1] == pytest.approx(0.4 * 0.8 * spot * 3.0)


def test_expired_options_are_their_payoff() -> None:
    later = MARKET.shifted(seconds=10 * 86_400.0)
    table = METHOD.margin(accounts([{CALL: 2.0}]), later)
    payoff = MARKET.expiries.forward[1] - 112_000.0
    assert table.equity[0] == pytest.approx(2.0 * payoff)


def test_positions_out_of_order_are_refused() -> None:
    held = replace(accounts([{CALL: 1.0, PERP: 1.0}]), instrument=np.array([PERP, CALL], np.int32))
    for engine in ("numpy", "numba"):
        with pytest.raises(DataError, match="account-0"):
            PM2(parameters(), engine=engine).margin(held, MARKET)
    outside = replace(held, instrument=np.array([CALL, 10_000], np.int32))
    for engine in ("numpy", "numba"):
        with pytest.raises(DataError, match="order"):
            PM2(parameters(), engine=engine).margin(outside, MARKET)


def test_an_unordered_market_is_refused() -> None:
    expiry = MARKET.expiry.copy()
    expiry[[0, 10]] = expiry[[10, 0]]
    with pytest.raises(DataError, match="not ordered"):
        METHOD.revalue(replace(MARKET, expiry=expiry))


def test_legs_of_an_account_that_failed() -> None:
    with pytest.raises(DataError, match="quantity nan"):
        METHOD.legs(accounts([{CALL: np.nan}]), MARKET, 0)


def test_what_if_before_a_trade() -> None:
    grid = METHOD.revalue(MARKET)
    state = METHOD.state(accounts([SOUND], cash=np.array([50_000.0])), grid, 0)
    price = float(grid.rows[CALL, grid.count + 2])
    after = METHOD.what_if(state, [(CALL, 1.0)], cash=-price)
    assert after.equity == pytest.approx(state.equity)
    assert after.failure is None
    assert set(after.components) >= {"initial", "maintenance", "initial.oracle"}
    back = METHOD.what_if(after, [(CALL, -1.0)], cash=price)
    assert (back.initial, back.maintenance) == (state.initial, state.maintenance)
    with pytest.raises(DataError, match="instrument row"):
        METHOD.what_if(state, [(len(NAMES), 1.0)])


def test_a_small_job_does_not_load_the_compiler() -> None:
    code = (
        "import sys, pm2_world\n"
        "from commonmode.margin.pm2 import PM2\n"
        "PM2(pm2_world.parameters()).margin(pm2_world.accounts([{0: 1.0}]), pm2_world.market())\n"
        "assert 'numba' not in sys.modules\n"
    )
    path = str(__import__("pm2_world").__file__).rsplit("/", 1)[0]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=path)


def test_svi_of_negative_variance_is_an_error() -> None:
    slice_ = {"b": 0.1, "rho": 0.0, "m": 0.0, "sigma": 0.1, "forward": 100.0, "years": 0.5}
    assert feed_vol(100.0, a=0.02, **slice_) == pytest.approx(np.sqrt(0.03 / 0.5))
    with pytest.raises(DataError, match="total variance"):
        feed_vol(100.0, a=-0.02, **slice_)


# --- parameters ---------------------------------------------------------------------------------


def text_of(version: str) -> str:
    from importlib.resources import files

    name = f"pm2-{version}.toml"
    return (files("commonmode.margin") / "parameters" / name).read_text(encoding="utf-8")


def test_shipped_sets() -> None:
    assert {"2025-12-08", "2026-09-24"} <= set(shipped_versions())
    for version in ("2025-12-08", "2026-09-24"):
        found = shipped_parameters(version)
        assert found.version == version == found.valid_from.isoformat()
        assert len(found.scenarios) == 33
        assert found.source
    # Published: the older set has its static discounts the wrong way round. It can be read.
    assert shipped_parameters("2025-12-08").discount.long_base == 1.02
    assert shipped_parameters("2025-12-08").underlyings == COINS
    with pytest.raises(ConfigurationError, match="2031"):
        shipped_parameters("2031")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("maintenance = 0.8", "maintenance = -0.8", "loss.maintenance is -0.8"),
        ("floor_days = 1.0", "floor_days = 0.0", "vol_shock.floor_days is 0.0"),
        ("up = 0.4\n", 'up = "0.4"\n', "vol_shock.up is '0.4'"),
        ("up = 0.4\n", "", "vol_shock.up is missing"),
        ("up = 0.4\n", "up = nan\n", "vol_shock.up is nan"),
        ("add = 0.5", "add = 0.5\nsub = 1.0", "basis.sub is not known"),
        ('[0.895, "up", 1.0]', '[0.895, "sideways", 1.0]', "scenarios[21]"),
        ('[0.895, "up", 1.0]', '[-0.895, "up", 1.0]', "scenarios.spot[21] is -0.895"),
        ('[1.0, "linear_skew", 1.0]', '[1.1, "linear_skew", 1.0]', "scenarios.spot[31]"),
        ("[skew]", "[scew]", "scew is not known"),
        ("valid_from = 2026-09-24", "", "valid_from is missing"),
        ('["BTC"]', '"BTC"', "underlyings is missing"),
        ("risk_cancelling = true", "risk_cancelling = 1", "risk_cancelling is not true or false"),
        ("[loss]", "[loss", "Expected"),
    ],
)
def test_parameters_out_of_bounds_are_refused_by_name(old: str, new: str, key: str) -> None:
    text = text_of("2026-09-24")
    assert old in text
    with pytest.raises(ConfigurationError) as caught:
        parameters_from_toml(text.replace(old, new, 1), where="own.toml")
    assert "own.toml" in caught.value.message
    assert key in caught.value.message
    assert caught.value.remedy
