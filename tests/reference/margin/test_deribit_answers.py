"""Deribit's two published portfolio-margin answers, entry by entry.

Futures only. The parameters are read from the shipped files and compared with those in the answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonmode.core.arrays import FloatArray
from commonmode.core.units import YEAR_MS
from commonmode.margin.deribit import (
    CurrencyTerms,
    aggregated_pnl,
    dampening,
    delta_shock,
    future_pnl,
    requirement,
    roll_rate,
    scenario_grid,
    shipped_deribit,
    worst_case,
)

pytestmark = pytest.mark.oracles

CASES = {"A": ("BTC", "2024-06-17"), "B": ("ETH", "2026-02-15")}


def _answer(oracles: Path, name: str) -> dict[str, Any]:
    text = (oracles / "margin_other" / "deribit_simulate.json").read_text()
    answer = json.loads(text)[name]
    assert isinstance(answer, dict)
    return answer


def _standard(rows: FloatArray) -> FloatArray:
    """The nine prices, after a check that volatility changes nothing."""
    table = rows[:27].reshape(9, 3)
    assert np.all(table == table[:, :1])
    return table[:, 0]


def _terms_of(money: dict[str, Any]) -> CurrencyTerms:
    return CurrencyTerms(
        annualised_move=money["annualised_move_risk"],
        least_move=money["min_annualised_move"],
        dampener_usd=money["extended_dampener"],
        pnl_offset=money["pnl_offset"],
        offset_limit_usd=money["max_offsetable_pnl"],
        haircut=money["haircut"],
    )


@pytest.mark.parametrize("name", CASES)
def test_shipped_parameters_are_those_of_the_answer(oracles: Path, name: str) -> None:
    coin, version = CASES[name]
    answer, parameters = _answer(oracles, name), shipped_deribit(version)
    pair, shown = parameters.pairs[coin], answer["pair"]
    assert pair.price_range == shown["price_range"]
    assert (pair.vol_up, pair.vol_down) == (
        shown["volatility_range_up"],
        shown["volatility_range_down"],
    )
    assert pair.least_vol_up == shown["min_volatility_for_shock_up"]
    assert (pair.short_power, pair.long_power) == (
        shown["short_term_vega_power"],
        shown["long_term_vega_power"],
    )
    assert pair.extended_factor == shown["extended_table_factor"]
    assert pair.delta_threshold_usd == shown["delta_total_liq_shock_threshold"]
    assert (pair.delta_slope, pair.delta_most) == (shown["m_inc"], shown["max_delta_shock"])
    assert parameters.currencies[coin] == _terms_of(answer["ccy"])
    if "ccy_usd" in answer:
        assert parameters.currencies["USD"] == _terms_of(answer["ccy_usd"])
    assert parameters.general.maintenance == answer["mm_factor"]


@pytest.mark.parametrize("name", CASES)
def test_every_number_of_the_answer(oracles: Path, name: str) -> None:
    coin, version = CASES[name]
    answer, parameters = _answer(oracles, name), shipped_deribit(version)
    pair, money, index = parameters.pairs[coin], parameters.currencies[coin], answer["index"]
    grid = scenario_grid(pair)
    held = answer["positions"]
    coins = np.array([size for size, _ in held.values()])
    # Quoted to the last digit of a double, in coin.
    per_coin = future_pnl(np.full(len(coins), index), grid, coin_settled=True)
    own = coins[:, None] * per_coin
    for row, instrument in enumerate(held):
        if instrument not in answer["initial"]:
            continue
        want = answer["initial"][instrument]
        assert _standard(own[row]) == pytest.approx(want["standard"], rel=1e-14, abs=1e-17)
        assert own[row, 27:] == pytest.approx(want["extended"], rel=1e-14)
    forgiven = dampening(grid, pair, money, index, coin_settled=True)
    total = aggregated_pnl(own.sum(axis=0)[None, :], grid, forgiven, money, index)
    assert _standard(total[0]) == pytest.approx(answer["aggregated_standard"], rel=1e-13, abs=1e-17)
    assert total[0, 27:].tolist() == answer["aggregated_extended"]
    worst = worst_case(total)
    assert worst.loss[0] == pytest.approx(answer["worst_case"], rel=1e-13)
    years = np.array(
        [
            (1000 * expiry - answer["timestamp_ms"]) / YEAR_MS if expiry else 0.0
            for _, expiry in held.values()
        ]
    )
    roll = float(np.sum(np.abs(coins) * roll_rate(years, money)))
    assert roll == pytest.approx(answer["roll_shock"], rel=1e-12)
    delta = float(delta_shock(coins.sum(), index, pair))
    assert delta == answer["delta_shock"] == 0.0
    orders = {
        "correlation": answer["correlation_contingency"],
        "open_orders": answer["open_orders_margin"],
        "spot": answer["spot_margin"],
        "market_maker_protection": answer["mmp_margin"],
    }
    margin = requirement(worst.loss[0], roll, delta, parameters.general, **orders)
    assert margin.risk_matrix == pytest.approx(answer["risk_matrix_margin"], abs=5e-10)
    assert margin.initial == pytest.approx(answer["initial_margin"], abs=1e-9)
    assert margin.maintenance == pytest.approx(answer["maintenance_margin"], abs=4e-10)
    # The venue adds up from a worst case rounded to nine decimals; so done, nothing is left over.
    rounded = requirement(round(worst.loss[0], 9), roll, delta, parameters.general, **orders)
    assert rounded.risk_matrix == pytest.approx(answer["risk_matrix_margin"], abs=1e-14)
    assert rounded.maintenance == pytest.approx(answer["maintenance_margin"], abs=1e-14)
    assert round(float(rounded.initial), 9) == answer["initial_margin"]
