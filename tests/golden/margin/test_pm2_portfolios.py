"""Our own portfolios: the file is what its generator makes, and says what it should.

The comparison with the engine is in the engine's own tests; these guard the answers.
"""

from __future__ import annotations

import json
import math
from typing import Any

import generate_pm2_portfolios as generator
import pm2_accounts
import pytest
from pm2_by_hand import pm2, settlement_forward


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """The file as it is."""
    read: dict[str, Any] = json.loads(generator.OUTPUT.read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def results(stored: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Answers by the name of the case."""
    return {case["name"]: case for case in stored["cases"]}


def test_the_generator_makes_the_file_as_it_is(stored: dict[str, Any]) -> None:
    made = generator.portfolios()
    assert stored["sha256"] == generator.sha256()
    assert generator.text(made) + "\n" == generator.OUTPUT.read_text(encoding="utf-8")


def test_both_parameter_sets_have_the_published_33_scenarios(stored: dict[str, Any]) -> None:
    for case in stored["cases"]:
        rows = case["parameters"]["Scenarios"]
        assert len(rows) == 33
        assert len({(r["SpotShock"], r["VolShockDirection"]) for r in rows}) == 33
        answer = case["result"]
        assert [len(answer[k]) for k in ("reg_losses", "tail_losses", "skew_losses")] == [23, 8, 2]


def test_each_kind_of_worst_loss_decides_somewhere(results: dict[str, dict[str, Any]]) -> None:
    decided = {name: _decides(case["result"]) for name, case in results.items()}
    assert set(decided.values()) == {"reg_losses", "tail_losses", "skew_losses", "basis"}
    assert decided["deep_wings 2026-09-24"] == "tail_losses"
    assert decided["calendar 2026-09-24"] == "basis"


def _decides(answer: dict[str, Any]) -> str:
    worst = {k: min(row[-1] for row in answer[k]) for k in answer if k.endswith("_losses")}
    worst["basis"] = answer["ForwardContingency"]
    return min(worst, key=lambda kind: worst[kind])


@pytest.mark.parametrize("published", [generator.MAIN, generator.BEFORE])
def test_a_box_is_its_discounted_payoff(results: dict[str, dict[str, Any]], published: str) -> None:
    case = results[f"long_box {published}"]
    years = 201 / 365
    value = 3 * 15_000.0 * math.exp(-0.042 * years)
    margin = case["parameters"]["Margin"]
    kept = margin["BASE_STATIC_DISCOUNT"] * math.exp(-0.1 * years)
    answer = case["result"]
    assert answer["OptionMTM"] == pytest.approx(value, rel=1e-13)
    for key in ("reg_losses", "tail_losses"):
        for row, scenario in zip(
            answer[key],
            [r for r in case["parameters"]["Scenarios"] if _listed(r) == key],
            strict=True,
        ):
            expected = scenario["DampeningFactor"] * value * (kept - 1)
            assert row[2] == pytest.approx(expected, rel=1e-11)
    net = case["scenario"]["Cash"] + value
    assert answer["MMOptionCont"] == 0.0  # every call sold is netted by the put of its strike
    assert answer["MM"] == pytest.approx(net + 0.8 * value * (kept - 1), rel=1e-12)


def _listed(scenario: dict[str, Any]) -> str:
    if scenario["VolShockDirection"] in ("LINEAR", "ABS"):
        return "skew_losses"
    return "reg_losses" if abs(scenario["SpotShock"] - 1) < 0.25 else "tail_losses"


def test_confidence_is_charged_where_it_is_low(results: dict[str, dict[str, Any]]) -> None:
    staked = results["staked_collateral_low_confidence 2026-09-24"]
    charge = 0.4 * (0.59 * 25 * 4_475.0 + 0.72 * 18 * 4_390.0) / 1.0002
    assert staked["result"]["OracleCont"] == pytest.approx(-charge, rel=1e-14)
    straddle = results["perp_hedged_straddle 2026-09-24"]["result"]
    charge = 0.4 * 0.48 * (14.5 + 70) * pm2_accounts.ETH
    assert straddle["OracleCont"] == pytest.approx(-charge, rel=1e-14)


def test_the_peg_raises_only_the_initial_factor(results: dict[str, dict[str, Any]]) -> None:
    answer = results["many_expiries_stable_off_peg 2026-09-24"]["result"]
    assert answer["IMLossFactor"] == pytest.approx(1 + 4 * (0.99 - 0.934), rel=1e-15)
    assert answer["MMLossFactor"] == 0.8


def test_an_expired_option_is_its_intrinsic_value(results: dict[str, dict[str, Any]]) -> None:
    answer = results["expired_and_negative_rate 2026-09-24"]["result"]
    intrinsic = -5 * 171.0 - 2 * 329.0
    assert answer["OptionMTMPerExpiry"][0] == pytest.approx(intrinsic, rel=1e-15)


def test_half_the_average_known_moves_half_as_far() -> None:
    known = pm2_accounts.last_half_hour()
    near = known["OptionFeeds"][0]
    share = 870 / 1800
    moved = settlement_forward(near, 1.14)
    assert float(moved) == pytest.approx(near["Forward"] * (1 + 0.14 * share), rel=1e-15)


def test_a_negative_rate_counts_as_none(results: dict[str, dict[str, Any]]) -> None:
    case = results["expired_and_negative_rate 2026-09-24"]
    scenario = pm2_accounts.expired_and_negative_rate()
    scenario["OptionFeeds"][1]["Rate"] = 0.0
    assert float(pm2(scenario, case["parameters"])["IM"]) == case["result"]["IM"]
