"""Published margin cases in their publishers' files: read, run, and refused when broken."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commonmode.app.cli.main import app
from commonmode.app.verify import Status, load_cases, run_cases, shipped_figures
from commonmode.core.errors import DataError

WAD = 10**18


def pm2_file() -> dict[str, Any]:
    """One of the shipped accounts as the publisher would write it: losses are texts."""
    stored = json.loads((shipped_figures() / "margin.json").read_text(encoding="utf-8"))
    case = stored["cases"][0]
    result = copy.deepcopy(case["expected"])
    for kind in ("reg_losses", "tail_losses", "skew_losses"):
        result[kind] = [[*row[:-1], repr(row[-1])] for row in result[kind]]
    return {**case["inputs"], "Result": result}


def auction_file() -> dict[str, Any]:
    """By hand: 100 of value, 60 short of maintenance, asked at 0.98.

    The buffer is -60 + 0.2 (-60 - 100) = -92; half of it is sold for 49, which leaves
    100 - 50 + 49 = 99 of value and -60 + 30 + 49 = 19 of balance.
    """
    answer = {
        "PreMtM": 100,
        "PreMM": -60,
        "PreBM": -92,
        "PreFMax": 92 / 190,
        "fLiquidatedOfOriginal": 92 / 190,
        "ExpectedBidPrice": 98 * 92 / 190,
        "PostMtM": 100 - 2 * 92 / 190,
        "PostMM": -60 + 158 * 92 / 190,
        "PostBM": 0,
        "PostFMax": 0,
    }
    results = {name: round(value * WAD) for name, value in answer.items()}
    action = {"Time": 0, "Liquidator": {"PercentWant": WAD}, "Results": results}
    return {"Test1": {"InitialPortfolio": {}, "LiquidationFee": 0, "Actions": [action]}}


def insolvent_file() -> dict[str, Any]:
    content = auction_file()
    content["Test1"]["Actions"][0]["Results"]["PreMtM"] = -WAD
    return content


def standard_file() -> dict[str, Any]:
    """A put 100 in the money sold on one ETH at no volatility: its mark is 100.

    Initially 15 % of 1500 and the mark; in maintenance the larger of 7.5 % of spot and of mark.
    """
    one = [WAD]
    scenario = {
        "OptionUnderlying": ["ETH"],
        "OptionExpiries": [500_400],
        "OptionStrikes": [1_600 * WAD],
        "OptionIsCall": [0],
        "OptionAmounts": [-WAD],
        "OptionVols": [0],
        "OptionVolConfidences": one,
        "Forwards": [1_500 * WAD],
        "ForwardConfidences": one,
        "PerpPrice": [1_500 * WAD, 28_000 * WAD],
        "SpotPerpConfidences": [[WAD, WAD], [WAD, WAD]],
        "USDCValue": WAD,
        "Cash": 1_000 * WAD,
        "ETHSpotPrice": 1_500 * WAD,
        "BTCSpotPrice": 28_000 * WAD,
        "SettlementPriceETH": 1_500 * WAD,
        "SettlementPriceBTC": 28_000 * WAD,
    }
    for coin in ("ETH", "BTC"):
        names = ("Perps_{}", "w{}", "LastEntry{}", "Account{}FundingIndex", "{}GlobalFundingIndex")
        scenario |= {name.format(coin): 0 for name in names}
    scenario["LastEntryETH"] = None
    result = {"realIM": (1_000 - 325) * WAD, "realMM": (1_000 - 212.5) * WAD}
    result |= {"ETHOptionIM": -325 * WAD, "ETHOptionIsolatedMM": -212.5 * WAD}
    return {"Test1": {"Scenario": scenario, "Result": result}}


def deribit_file() -> dict[str, Any]:
    """One coin short at 100 USD, range 25 %: the worst is up to 125, -(-0.25 / 1.25) = 0.2 coin."""
    pair = {
        "price_range": 0.25,
        "volatility_range_up": 0.5,
        "volatility_range_down": 0.25,
        "min_volatility_for_shock_up": 0.5,
        "short_term_vega_power": 0.3,
        "long_term_vega_power": 0.13,
        "extended_table_factor": 1,
        "delta_total_liq_shock_threshold": 1e6,
        "m_inc": 1e-6,
        "max_delta_shock": 0.1,
    }
    money = {
        "annualised_move_risk": 0.05,
        "min_annualised_move": 0.01,
        "extended_dampener": 1e9,
        "pnl_offset": 0,
        "max_offsetable_pnl": 0,
        "haircut": 0,
    }
    moves = [step * 0.0625 for step in range(-4, 5)]
    losses = [-move / (1 + move) for move in moves]
    orders = ("correlation_contingency", "open_orders_margin", "spot_margin", "mmp_margin")
    return {
        "note": "by hand",
        "A": {
            "mm_factor": 0.8,
            "pair": pair,
            "ccy": money,
            "timestamp_ms": 0,
            "index": 100,
            "positions": {"BTC-PERPETUAL": [-1, None]},
            **dict.fromkeys(orders, 0),
            "initial": {"BTC-PERPETUAL": {"standard": losses}},
            "aggregated_standard": [min(loss, 0) for loss in losses],
            "aggregated_extended": [0] * 8,
            "worst_case": 0.2,
            "roll_shock": 0.01,
            "delta_shock": 0,
            "risk_matrix_margin": 0.21,
            "initial_margin": 0.21,
            "maintenance_margin": 0.168,
        },
    }


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


FILES = {
    "pm2": pm2_file,
    "auction": auction_file,
    "standard": standard_file,
    "deribit": deribit_file,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_shape_passes(name: str, tmp_path: Path) -> None:
    report = run_cases([write(tmp_path, "own.json", FILES[name]())])
    (result,) = report.results
    assert result.status is Status.PASS, result.message
    assert result.case.id.startswith("own")
    assert result.case.source
    assert result.ratio is not None


@pytest.mark.parametrize("kind", ["reg_losses", "tail_losses", "skew_losses"])
def test_one_wrong_scenario_fails_the_account(kind: str, tmp_path: Path) -> None:
    content = pm2_file()
    content["Result"][kind][1][-1] = str(float(content["Result"][kind][1][-1]) + 0.01)
    (result,) = run_cases([write(tmp_path, "a.json", content)]).results
    assert result.status is Status.FAIL
    assert f"{kind}[1]" in result.message


@pytest.mark.parametrize("key", ["IM", "MM", "OptionMTM", "OracleCont", "IMLossFactor"])
def test_one_wrong_figure_fails_the_account(key: str, tmp_path: Path) -> None:
    content = pm2_file()
    content["Result"][key] = content["Result"][key] * 1.00001 + 1e-6
    (result,) = run_cases([write(tmp_path, "a.json", content)]).results
    assert result.status is Status.FAIL
    assert f"value.{key} " in result.message


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("standard", ("Result", "realMM")),
        ("auction", ("Actions", 0, "Results", "ExpectedBidPrice")),
        ("deribit", ("roll_shock",)),
    ],
)
def test_a_wrong_answer_fails_its_case(
    name: str, path: tuple[str | int, ...], tmp_path: Path
) -> None:
    content = FILES[name]()
    at = next(entry for entry in content.values() if isinstance(entry, dict))
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] *= 1.01
    (result,) = run_cases([write(tmp_path, "a.json", content)]).results
    assert result.status is Status.FAIL
    assert str(path[-1]) in result.message


def test_a_file_without_its_answer_is_computed(tmp_path: Path) -> None:
    content = pm2_file()
    answer = content.pop("Result")["IM"]
    (result,) = run_cases([write(tmp_path, "q.json", content)]).results
    assert result.status is Status.COMPUTED
    assert result.value["IM"] == pytest.approx(answer, rel=1e-9)


def test_an_insolvent_auction_is_not_supported_and_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", insolvent_file())
    (result,) = run_cases([path]).results
    assert result.status is Status.UNSUPPORTED
    assert "steps" in result.message
    shown = CliRunner().invoke(app, ["verify", str(path)])
    assert shown.exit_code == 0
    assert "1 unsupported" in shown.stdout
    assert "insolvent auction" in shown.stdout


def test_options_on_deribit_are_not_supported(tmp_path: Path) -> None:
    content = deribit_file()
    content["A"]["positions"]["BTC-28JUN24-70000-C"] = [1, 1719561600]
    (result,) = run_cases([write(tmp_path, "a.json", content)]).results
    assert result.status is Status.UNSUPPORTED
    assert "volatility" in result.message


def test_an_option_without_a_feed_fails_with_the_reason(tmp_path: Path) -> None:
    content = pm2_file()
    content["Scenario"]["Options"][0]["Expiry"] = 99
    (result,) = run_cases([write(tmp_path, "a.json", content)]).results
    assert result.status is Status.FAIL
    assert "no feed for the expiry 99 s" in result.message


def test_discount_factors_of_an_expired_option_are_not_compared(tmp_path: Path) -> None:
    content = pm2_file()
    content["Result"]["discount_factors"] = [[1, 1]]
    path = write(tmp_path, "a.json", content)
    assert "discount_factors" in load_cases([path]).cases[0].expected
    content["Scenario"]["OptionFeeds"][0]["FeedExpiry"] = 0
    (case,) = load_cases([write(tmp_path, "a.json", content)]).cases
    assert "discount_factors" not in case.expected
    assert "IM" in case.expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"Scenario": {}}, "neither a list"),
        ({"Test1": {"Scenario": {}, "Parameters": {}}}, "neither a list"),
        ({**pm2_file(), "Result": {"IM": 1.0}}, "lacks 'MM'"),
        ({**pm2_file(), "Scenario": "none"}, "cannot be read"),
        ({**auction_file(), "Test2": {"Actions": []}}, "Test2 lacks 'LiquidationFee'"),
        ({"Test1": {"Scenario": {}, "Result": {"realIM": 0}}}, "lacks 'realMM'"),
        ({"A": {"pair": {}, "ccy": {}, "positions": {}}}, "lacks 'price_range'"),
    ],
)
def test_broken_files_say_what_is_wrong_and_what_is_read(
    content: Any, words: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "bad.json", content)
    with pytest.raises(DataError, match=r"bad\.json") as error:
        load_cases([path])
    assert words in str(error.value)
    assert "{Scenario, Parameters, Result}" in str(error.value.remedy)
