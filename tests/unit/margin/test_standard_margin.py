from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import FailureReason
from commonmode.margin.method import MarginMethod
from commonmode.margin.standard import (
    CollateralTerms,
    StandardMarket,
    settlement_forward,
    worst_payoff,
)
from commonmode.margin.standard_method import StandardMargin
from commonmode.margin.standard_parameters import (
    shipped_standard,
    shipped_standard_versions,
    standard_from_toml,
)
from venue_markets import SPOT, accounts_on, small_market, without_cash

MARKET = small_market()
METHOD = StandardMargin(shipped_standard())
CALL, PUT = "BTC-10D-60000-C", "BTC-10D-60000-P"
NAMES = [
    name
    for name in MARKET.instruments.instrument.tolist()
    if name.startswith("BTC") and "POWER" not in name
]
books = st.dictionaries(
    st.sampled_from(NAMES), st.floats(-5.0, 5.0).filter(lambda q: abs(q) > 0.01), max_size=8
)


def test_it_is_a_margin_method() -> None:
    assert isinstance(METHOD, MarginMethod)
    assert METHOD.id == "standard"


def test_delta_one_requirements() -> None:
    held = accounts_on(
        MARKET, [{"BTC_USDC-PERPETUAL": -2.0}, {"ETH-PERPETUAL": 3000.0}, {"BTC-10D": 600.6}, {}]
    )
    table = METHOD.margin(held, MARKET)
    # 2 BTC, one ETH (3 000 contracts of a dollar), 0.1 BTC (forward 60 060, contracts of ten).
    notional = np.array([120_000.0, 3_000.0, 6_006.0, 0.0])
    np.testing.assert_allclose(table.initial, 0.1 * notional, rtol=1e-12)
    np.testing.assert_allclose(table.maintenance, 0.065 * notional, rtol=1e-12)
    assert table.equity.tolist() == [0.0] * 4


def test_a_long_option_needs_its_mark_and_a_short_straddle_both_legs() -> None:
    held = accounts_on(MARKET, [{CALL: 1.0}, {CALL: -1.0, PUT: -1.0}])
    table = METHOD.margin(held, MARKET)
    assert table.initial[0] == table.equity[0] > 0.0
    assert table.maintenance[1] == pytest.approx(2 * 0.09 * SPOT["BTC"])
    assert table.initial[1] == pytest.approx(2 * 0.15 * SPOT["BTC"])


def test_bad_accounts_do_not_touch_the_others() -> None:
    books_ = [{CALL: -1.0}, {"BTC-POWER-2": 1.0}, {CALL: -1.0}, {}, {}, {CALL: -1.0}]
    posted = {(3, "DOGE"): 5.0, (4, "BTC"): 1.0}
    held = without_cash(accounts_on(MARKET, books_, collateral=posted), 2)
    table = METHOD.margin(held, MARKET)
    alone = METHOD.margin(accounts_on(MARKET, books_[:1]), MARKET)
    assert sorted(table.failures) == [1, 2, 3]
    assert table.failures[1].reason is FailureReason.UNSUPPORTED
    assert table.failures[2].reason is FailureReason.MISSING_DATA
    assert "DOGE" in table.failures[3].message
    assert np.isnan(table.initial[[1, 2, 3]]).all()
    assert np.isnan(table.components["options"][[1, 2, 3]]).all()
    assert table.initial[0] == table.initial[5] == alone.initial[0]
    assert table.initial[4] == pytest.approx(SPOT["BTC"] * (1 - 0.75 * 0.93))
    assert table.maintenance[4] == pytest.approx(SPOT["BTC"] * (1 - 0.75))


def test_a_failed_account_has_no_legs() -> None:
    held = accounts_on(MARKET, [{"BTC-POWER-2": 1.0}])
    with pytest.raises(DataError, match="POWER"):
        METHOD.legs(held, MARKET, 0)


def test_an_underlying_without_terms_fails_whoever_holds_it() -> None:
    market = replace(MARKET, underlyings=replace(MARKET.underlyings, name=np.array(["BTC", "SOL"])))
    table = METHOD.margin(accounts_on(market, [{CALL: 1.0}, {"ETH-PERPETUAL": 1.0}]), market)
    assert list(table.failures) == [1]
    assert table.failures[1].reason is FailureReason.UNSUPPORTED


def test_a_stablecoin_off_its_peg_and_doubtful_oracles_raise_initial_margin_only() -> None:
    held = accounts_on(MARKET, [{CALL: -1.0, "BTC_USDC-PERPETUAL": 2.0}])
    calm = METHOD.margin(held, MARKET)
    broken = METHOD.margin(held, small_market(stable_price=0.65))
    doubtful = METHOD.margin(held, small_market(confidence=0.5))
    assert broken.initial - calm.initial == pytest.approx(3 * SPOT["BTC"] * 2.0 * 0.34)
    assert doubtful.initial - calm.initial == pytest.approx(3 * SPOT["BTC"] * 0.5)
    assert broken.maintenance == calm.maintenance == doubtful.maintenance


def test_an_instrument_listed_twice_is_netted() -> None:
    twice = accounts_on(MARKET, [{CALL: 3.0}])
    row = twice.instrument[0]
    twice = replace(
        twice,
        offsets=np.array([0, 2]),
        instrument=np.array([row, row], dtype=np.int32),
        quantity=np.array([3.0, -2.0]),
    )
    once = METHOD.margin(accounts_on(MARKET, [{CALL: 1.0}]), MARKET)
    assert METHOD.margin(twice, MARKET).initial == pytest.approx(once.initial)


@given(st.lists(books, min_size=1, max_size=5))
def test_accounts_do_not_depend_on_their_neighbours(many: list[dict[str, float]]) -> None:
    held = accounts_on(MARKET, many, cash=10.0)
    together = METHOD.margin(held, MARKET)
    for row in range(len(many)):
        alone = METHOD.margin(held.select(np.array([row])), MARKET)
        assert alone.initial[0] == together.initial[row]
        assert alone.maintenance[0] == together.maintenance[row]
        assert alone.equity[0] == together.equity[row]
    assert np.all(together.initial >= together.maintenance)


@given(books, st.floats(0.1, 50.0))
def test_requirement_grows_with_size_and_legs_add_up(book: dict[str, float], scale: float) -> None:
    scaled = {name: scale * quantity for name, quantity in book.items()}
    held = accounts_on(MARKET, [book, scaled], collateral={(0, "USDT"): 7.0})
    table = METHOD.margin(held, MARKET)
    size = 1.0 + sum(map(abs, book.values())) * SPOT["BTC"]
    haircut = table.components["collateral"][0]
    assert table.initial[1] == pytest.approx(
        scale * (table.initial[0] - haircut), abs=1e-9 * scale * size
    )
    legs = METHOD.legs(held, MARKET, 0)
    assert legs.initial.sum() == pytest.approx(table.initial[0], abs=1e-9 * size)
    assert legs.maintenance.sum() == pytest.approx(table.maintenance[0], abs=1e-9 * size)


@given(books, st.sampled_from([n for n in NAMES if "-48000-" in n]), st.floats(0.01, 5.0))
def test_a_long_option_below_the_others_never_lowers_the_balance(
    book: dict[str, float], name: str, more: float
) -> None:
    wider = {**book, name: book.get(name, 0.0) + more}
    table = METHOD.margin(accounts_on(MARKET, [book, wider]), MARKET)
    size = 1.0 + sum(map(abs, wider.values())) * SPOT["BTC"]
    assert np.diff(table.maintenance_balance)[0] >= -1e-9 * size
    assert np.diff(table.initial_balance)[0] >= -1e-9 * size


def test_a_long_option_above_the_others_may_lower_it() -> None:
    """The venue's rule, not a slip: a new strike is one more price at which payoffs are looked at.

    Calls short net lose on up to it, more than the unpaired charge that the new call takes away.
    """
    book = {"BTC-10D-48000-C": -5.1, "BTC-10D-60000-C": 5.0}
    table = METHOD.margin(accounts_on(MARKET, [book, {**book, "BTC-10D-72000-C": 0.001}]), MARKET)
    lost = 0.1 * 12_000 - 0.001 * 1.1 * 60_060
    assert np.diff(table.maintenance_balance)[0] == pytest.approx(-lost, rel=1e-9)


@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(-5, 5), st.integers(1, 9), st.sampled_from([-1.0, 1.0])),
            max_size=5,
        ),
        max_size=4,
    )
)
def test_worst_payoff_is_the_minimum_over_prices(
    groups: list[list[tuple[float, int, float]]],
) -> None:
    flat = [option for group in groups for option in group]
    q, k, sign = (np.array([o[i] for o in flat], dtype=np.float64) for i in range(3))
    offsets = np.cumsum([0, *map(len, groups)], dtype=np.int64)
    found = worst_payoff(q, k, sign, offsets)
    prices = np.linspace(0.0, 9.0, 91)
    for g, group in enumerate(groups):
        total = sum(
            (quantity * np.maximum(s * (prices - strike), 0.0) for quantity, strike, s in group),
            np.zeros(91),
        )
        last = max((strike for _, strike, _ in group), default=0)
        least = min(0.0, float(total[prices <= last + 1e-9].min()))
        assert found.payoff[g] == pytest.approx(least, abs=1e-9)
        assert np.isnan(found.price[g]) == (found.payoff[g] == 0.0)


def test_settlement_average() -> None:
    known = settlement_forward(
        100.0, np.array([3600.0, 900.0, 900.0]), np.array([7.0, 45.0, np.nan])
    )
    assert known.tolist() == [100.0, 95.0, 100.0]


def test_offsets_are_checked() -> None:
    with pytest.raises(DataError, match="offsets"):
        worst_payoff(np.ones(2), np.ones(2), np.ones(2), np.array([0, 1]))


def test_shipped_sets_are_read() -> None:
    assert shipped_standard_versions() == ("defaults", "main-network")
    for version in shipped_standard_versions():
        assert set(shipped_standard(version).markets) == {"BTC", "ETH"}
    with pytest.raises(ConfigurationError, match="main-network"):
        shipped_standard("2019")


HEADER = 'name = "mine"\nversion = "1"\nunderlyings = ["BTC"]\nsource = "desk"\n'
DEPEG = "[depeg]\nthreshold = 0.99\nfactor = 2.0\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name = ", "not TOML"),
        (DEPEG, "name is missing"),
        (HEADER + "colour = 1\n", "colour is not known"),
        (HEADER + 'valid_from = "soon"\n', "valid_from"),
        (HEADER, "markets is missing"),
        (HEADER + DEPEG + "[markets]\n", "at least one market"),
        (HEADER + DEPEG + "[markets.BTC]\nmost = 0.1\n", "least is missing"),
        (HEADER + DEPEG + "[markets.BTC]\nmost = 'a lot'\n", "is missing"),
    ],
)
def test_files_with_mistakes_say_where(text: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        standard_from_toml(text, where="mine.toml")


GOOD = shipped_standard().markets["BTC"]


@pytest.mark.parametrize(
    "change",
    [
        {"least": 0.2},
        {"mm_call": 0.14},
        {"unpaired_initial": 1.05},
        {"put_offset": 0.9},
        {"perp_maintenance": 0.2},
        {"option_confidence": 1.5},
        {"confidence_factor": float("nan")},
    ],
)
def test_bounds_of_a_market(change: dict[str, float]) -> None:
    assert isinstance(GOOD, StandardMarket)
    with pytest.raises(ConfigurationError):
        replace(GOOD, **change)


def test_bounds_of_collateral() -> None:
    with pytest.raises(ConfigurationError, match=r"\[0, 1\]"):
        CollateralTerms(factor=1.2)
