"""``commonmode margin`` on the laboratory: methods side by side, what-if, solvency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from margin_questions import CALL, GOOD, LATER, METHODS, PUT, asked, by_name


def test_methods_stand_side_by_side(cli, study: Path) -> None:
    code, value = asked(cli, study, GOOD)
    assert code == 0
    accounts = by_name(value)
    assert list(accounts) == ["strangle", "covered"]
    for cells in accounts.values():
        assert set(cells) == set(METHODS)
        for method, cell in cells.items():
            assert cell["failure"] is None
            assert cell["initial"] >= cell["maintenance"] > 0
            for parts, total in (
                ("components", "initial"),
                ("maintenance_components", "maintenance"),
            ):
                np.testing.assert_allclose(sum(cell[parts].values()), cell[total], rtol=1e-9)
            balance = cell["equity"] - cell["maintenance"]
            np.testing.assert_allclose(cell["maintenance_balance"], balance, rtol=1e-12)
            assert cell["healthy"] == (balance >= 0)
            assert set(cell["initial_by_model"]) == {"svi", "flat"}
            assert cell["thresholds"] is not None
            if method != "dynamic":  # whose initial margin has the models' disagreement in it
                assert cell["initial_by_model"]["svi"] == cell["initial"]
    # Short both sides: it falls when spot moves far enough either way.
    factors = accounts["strangle"]["pm2"]["thresholds"]["spot_factors"]
    assert min(factors) < 1 < max(factors)
    assert all(gate["accepted"] and gate["used"] for gate in value["gates"].values())


def test_a_threshold_is_where_the_balance_is_zero(cli, study: Path) -> None:
    """A perpetual alone: the balance is a line."""
    text = '[[accounts]]\nid = "long"\ncash = 2000.0\npositions = { "BTC-PERPETUAL" = 1000 }\n'
    _, value = asked(cli, study, text, "--method", "deribit")
    cell = by_name(value)["long"]["deribit"]
    (factor,) = cell["thresholds"]["spot_factors"]
    # 10 000 USD, coin-settled: its profit in USD and its requirement are both linear in spot.
    loss = 10_000 * (1 - factor)
    np.testing.assert_allclose(2000 - loss, cell["maintenance"], rtol=1e-3)


def test_accounts_of_a_table(cli, study: Path) -> None:
    _, value = asked(cli, study, GOOD, "--no-thresholds")
    rows = [
        ("strangle", "cash", "30000"),
        ("strangle", CALL, "-2"),
        ("strangle", PUT, "-2"),
        ("strangle", "BTC-PERPETUAL", "5000"),
        ("covered", "cash", "1000"),
        ("covered", "collateral:BTC", "2"),
        ("covered", CALL, "-1"),
        ("covered", CALL, "-0.5"),
        ("typo", CALL, "many"),
    ]
    table = study.parent / "accounts.csv"
    table.write_text("account,instrument,quantity\n" + "\n".join(map(",".join, rows)))
    ran = cli("margin", study, "--accounts", table, "--json", "--no-thresholds")
    assert ran.code == 1  # nobody could margin "typo"
    accounts = by_name(ran.json)
    assert {name: accounts[name] for name in ("strangle", "covered")} == by_name(value)
    why = accounts["typo"]["pm2"]["failure"]
    assert why["reason"] == "invalid_input"
    assert CALL in why["message"]
    table.with_suffix(".parquet").write_bytes(b"not a table")
    broken = cli("margin", study, "--accounts", table.with_suffix(".parquet"))
    assert broken.code == 2
    assert "remedy:" in broken.err


def test_what_if(cli, study: Path) -> None:
    words = ("--account", "strangle", "--trade", f"{LATER}=2", "--no-thresholds")
    code, value = asked(cli, study, GOOD, *words)
    assert code == 0
    after = value["what_if"]["after"]
    assert value["what_if"]["trades"] == {LATER: 2.0}
    assert after["account"] == "strangle"
    traded = GOOD.replace('"BTC-PERPETUAL" = 5000', f'"BTC-PERPETUAL" = 5000, "{LATER}" = 2')
    _, direct = asked(cli, study, traded, "--account", "strangle", "--no-thresholds")
    for method, cell in by_name(direct)["strangle"].items():
        # The requirement is that of the book after the trades; the option has been paid for.
        assert after["methods"][method]["initial"] == cell["initial"]
        before = value["accounts"][0]["methods"][method]
        np.testing.assert_allclose(after["methods"][method]["equity"], before["equity"], rtol=1e-9)
    for method, legs in value["legs"].items():
        total = sum(leg["initial"] for leg in legs["legs"])
        want = value["accounts"][0]["methods"][method]["initial"]
        np.testing.assert_allclose(total, want, rtol=1e-6, err_msg=method)
    code, value = asked(
        cli, study, GOOD, "--account", "strangle", "--trade", "GOLD-BAR=2", words[-1]
    )
    assert code == 1  # no method can margin the account after the trades
    two = cli(
        "margin", study, "--accounts", study.parent / "accounts.toml", "--trade", f"{LATER}=2"
    )
    assert two.code == 2
    assert "--account" in two.err


def test_screen(cli, study: Path) -> None:
    (study.parent / "a.toml").write_text(GOOD)
    words = ("--accounts", study.parent / "a.toml", "--account", "strangle")
    ran = cli("margin", study, *words, "--trade", f"{LATER}=2")
    assert ran.code == 0
    for word in ("strangle", "scenario loss", "close out", f"After +2 {LATER}", "worst in:"):
        assert word in ran.out
    everybody = cli("margin", study, "--no-thresholds", "--method", "standard")
    assert everybody.code == 0
    assert "desk-1" in everybody.out


def test_the_nearest_under_every_model_by_every_method(cli, study: Path) -> None:
    _, value = asked(cli, study, GOOD)
    ranked = {one["method"]: one for one in value["nearest"]}
    assert set(ranked) == set(METHODS)
    for method, one in ranked.items():
        assert set(one["by_model"]) == {"svi", "flat"}
        own = by_name(value)["strangle"][method]["thresholds"]
        first = one["by_model"]["svi"][0]
        assert first["account"] == "strangle"
        np.testing.assert_allclose(first["daily_vols"], own["daily_vols"], rtol=0.05)
    assert all(one["searched"] for one in value["methods"])


@pytest.mark.slow
def test_solvency_fund_and_capital_efficiency(cli, study: Path) -> None:
    thin = '[[accounts]]\nid = "thin"\ncash = 13e3\npositions = { "BTC-PERPETUAL" = 6000 }\n'
    words = ("--method", "pm2", "--method", "dynamic", "--no-thresholds")
    code, value = asked(cli, study, thin + GOOD, "--fund", 1000, *words)
    assert code == 0
    found = value["solvency"]
    assert found["failure"] is None
    assert found["failures"] == []
    assert found["days"] > 60
    assert set(found["methods"]) == {"pm2", "dynamic"}
    for one in found["methods"].values():
        held = one["accounts"]["thin"]
        assert 0 <= held["shortfall"] <= held["liquidation"] <= 1
        assert held["shortfall"] < held["upper"] < 1
        covered = one["accounts"]["covered"]
        assert covered["liquidation"] == 0
        assert covered["loss_given_liquidation"] is None
        # The covered call offsets its coin; one perpetual has nothing to offset.
        np.testing.assert_allclose(held["isolated_over_portfolio"], 1.0, rtol=1e-9)
        np.testing.assert_allclose(
            covered["isolated_over_portfolio"],
            covered["isolated_initial"] / covered["initial"],
            rtol=1e-12,
        )
        assert covered["isolated_over_portfolio"] > 1.1
        fund = one["fund"]
        assert fund["fund"] == 1000
        assert fund["covers_one"] == (fund["cover_one"] <= 1000)
        crash = one["stress"][0]
        assert crash["move"] == "coins -30 %, vol +50 %"
        assert crash["liquidated"] >= 1
        # 60 000 USD of a coin-settled perpetual lose 30 %, and 13 000 are there.
        assert crash["shortfall"] > 0.3 * 60_000 - 13_000
        assert crash["shortfall"] >= crash["two_largest"]
    path = study.parent / "accounts.toml"
    words = ("--method", "standard", "--no-thresholds", "--solvency")
    screen = cli("margin", study, "--accounts", path, *words)
    assert screen.code == 0
    for word in ("Solvency on", "somebody falls short on", "of two"):
        assert word in screen.out
