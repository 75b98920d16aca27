"""``commonmode margin`` on the laboratory: methods side by side, what-if, gate, bad input."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.margin.parameter_files import shipped_file

METHODS = ("pm2", "standard", "deribit", "dynamic")
HEAD = """
[study]
name = "margin"
title = "Margin <img src=x onerror=alert(1)>"
seed = 3
"""
MODELS = """
[[models]]
id = "svi"
type = "svi"
[[models]]
id = "flat"
type = "flat-black"
[[models]]
id = "hs"
type = "historical-simulation"
options = { window = 200 }
[[panels]]
name = "world"
family = "world"
world = { times = 300 }
[population]
snapshot = 2024-02-10T00:00:00Z
desk = 2
[margin]
parameters = { pm2 = "2025-12-08-exchanged" }
"""
LABORATORY = """
[market]
source = "laboratory"
underlyings = ["BTC", "ETH"]
start = 2023-11-01T00:00:00Z
hours = 2500
"""
CALL, PUT = "BTC-2024-03-29-36000-C", "BTC-2024-03-29-34000-P"
LATER = "BTC-2024-06-28-38000-C"
GOOD = f"""
[[accounts]]
id = "strangle"
cash = 30000.0
positions = {{ "{CALL}" = -2.0, "{PUT}" = -2.0, "BTC-PERPETUAL" = 5000 }}

[[accounts]]
id = "covered"
cash = 1000.0
collateral = {{ BTC = 2.0 }}
positions = {{ "{CALL}" = -1.5 }}

[[assets]]
name = "USDX"
price = 1.0
"""


@pytest.fixture
def study(write: Callable[[str], Path]) -> Path:
    return write(HEAD + LABORATORY + MODELS)


def asked(cli: Any, study: Path, accounts: str, *words: object) -> tuple[int, dict[str, Any]]:
    path = study.parent / "accounts.toml"
    path.write_text(accounts, encoding="utf-8")
    ran = cli("margin", study, "--accounts", path, "--json", *words)
    assert ran.err == ""
    return ran.code, ran.json


def by_name(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {account["account"]: account["methods"] for account in value["accounts"]}


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


# ---- the parameter gate --------------------------------------------------------------------------


def test_a_refused_set_needs_a_word(cli, study: Path) -> None:
    words = ("--parameters", "pm2=2025-12-08", "--no-thresholds")
    code, value = asked(cli, study, GOOD, *words)
    assert code == 1
    (failure,) = value["failures"]
    assert failure["method"] == "pm2"
    assert "long base 1.02 and short base 0.98" in failure["message"]
    assert "Witness: " in failure["message"]
    assert "--ungated" in failure["remedy"]
    assert not value["gates"]["pm2"]["accepted"]
    assert value["gates"]["pm2"]["refusals"][1]["witness"]
    # The other methods are as they are without it.
    _, plain = asked(cli, study, GOOD, "--no-thresholds")
    for name, cells in by_name(plain).items():
        others = {method: cell for method, cell in cells.items() if method != "pm2"}
        assert by_name(value)[name] == others
    screen = cli("margin", study, *words, "--ungated", "--method", "pm2")
    assert screen.code == 0
    assert "WARNING: pm2 uses parameters that the parameter gate refuses" in screen.out


def test_own_parameters(cli, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = shipped_file("pm2", "2025-12-08-exchanged")
    own = study.parent / "elsewhere"
    own.mkdir()
    (own / "mine.toml").write_text(text.replace("up = 0.5\n", "up = 0.6\n"))
    monkeypatch.chdir(own)
    words = ("--no-thresholds", "--method", "pm2")
    _, mine = asked(cli, study, GOOD, *words, "--parameters", "pm2=mine.toml")
    _, theirs = asked(cli, study, GOOD, *words)
    strangle = by_name(mine)["strangle"]["pm2"]["initial"]
    assert strangle > by_name(theirs)["strangle"]["pm2"]["initial"]
    (own / "mine.toml").write_text(text.replace("up = 0.5\n", "up = -0.5\n"))
    wrong = cli("margin", study, "--parameters", "pm2=mine.toml")
    assert wrong.code == 2
    assert "vol_shock.up" in wrong.err


MISTAKES = {
    "method": (("--method", "pm3"), "pm3"),
    "marks": (("--marks", "hs"), "surface models"),
    "account": (("--account", "nobody"), "accounts: desk-1"),
    "parameters": (("--parameters", "pm2:mine"), "METHOD=VERSION"),
    "version": (("--parameters", "pm2=1999"), "2026-09-24"),
    "trade": (("--account", "desk-1", "--trade", "BTC-PERPETUAL"), "INSTRUMENT=CONTRACTS"),
    "file": (("--accounts", "no/such.toml"), "no file of accounts"),
    "time": (("--at", "2030-01-01"), "remedy:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_said(mistake: str, cli, study: Path) -> None:
    words, said = MISTAKES[mistake]
    ran = cli("margin", study, *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


# ---- bad accounts harm nobody else ---------------------------------------------------------------

BAD = {
    "unknown instrument": ('positions = { "BTC-NO-SUCH" = 1 }', "invalid_input", "BTC-NO-SUCH"),
    "unlisted strike": (
        'positions = { "BTC-2024-03-29-36001-C" = 1 }',
        "invalid_input",
        "36001",
    ),
    "expired option": (
        'positions = { "BTC-2024-01-05-36000-C" = 1 }',
        "invalid_input",
        "2024-01-05",
    ),
    "position that is no number": (f'positions = {{ "{LATER}" = nan }}', "invalid_input", "nan"),
    "infinite cash": ("cash = inf", "invalid_input", "inf"),
    "collateral without a price": ("collateral = { NOCOIN = 1.0 }", "missing_data", "NOCOIN"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_account_harms_nobody_else(kind: str, cli, study: Path) -> None:
    """The others' numbers to the last bit, and the reason with what to do about it."""
    line, reason, word = BAD[kind]
    _, plain = asked(cli, study, GOOD)
    code, value = asked(cli, study, f'[[accounts]]\nid = "bad"\n{line}\n{GOOD}')
    assert code == 1
    accounts = by_name(value)
    for cell in accounts.pop("bad").values():
        assert cell["initial"] is cell["equity"] is cell["healthy"] is None
        assert cell["failure"]["reason"] == reason
        assert word in cell["failure"]["message"]
        assert cell["failure"]["remedy"]
    assert accounts == by_name(plain)
    assert value["failures"] == []


def test_instruments_of_one_method_only(cli, study: Path) -> None:
    _, plain = asked(cli, study, GOOD)
    novel = 'positions = { "BTC-POWER-2" = -1, "BTC-EVERLASTING-36000-P" = -1 }\ncash = 90000.0'
    code, value = asked(cli, study, f'[[accounts]]\nid = "novel"\n{novel}\n{GOOD}')
    assert code == 0  # dynamic margins them
    accounts = by_name(value)
    cells = accounts.pop("novel")
    assert cells["dynamic"]["failure"] is None
    assert cells["dynamic"]["initial"] > 0
    for method in ("pm2", "standard", "deribit"):
        assert cells[method]["failure"]["reason"] == "unsupported"
        assert "BTC-POWER-2" in cells[method]["failure"]["message"]
    before = by_name(plain)
    # The search for thresholds is shared: where it looks depends on whom it serves, and its roots
    # are those of its tolerance. Everything else is the same to the bit.
    found, alone = (
        [cell.pop("thresholds")["spot_factors"] for cell in each["strangle"].values()]
        for each in (accounts, before)
    )
    assert accounts == before
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


NAMES = {
    "confidences": ("[confidences]\nBCT = 0.9\n", "confidences: 'BCT'"),
    "rates": ("[rates]\nbtc = 0.05\n", "rates: 'btc'"),
    "follows": (
        '[[assets]]\nname = "WSTETH"\nprice = 2000.0\nfollows = "ETC"\n',
        "asset WSTETH follows: 'ETC'",
    ),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_misspelt_coin_is_not_taken_for_another_one(kind: str, cli, study: Path) -> None:
    lines, said = NAMES[kind]
    (study.parent / "a.toml").write_text(GOOD + lines)
    ran = cli("margin", study, "--accounts", study.parent / "a.toml")
    assert ran.code == 2
    assert said in ran.err
    assert "coins: BTC, ETH" in ran.err
    assert "did you mean" in ran.err


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


POSTED = """
[[accounts]]
id = "posted"
positions = { "BTC-PERPETUAL" = 5000 }
collateral = { WSTBTC = 1.5, USDC = 2000 }

[[assets]]
name = "WSTBTC"
price = 36000.0
follows = "BTC"

[[assets]]
name = "USDC"
price = 0.999
"""


def test_what_is_posted_gives_way_when_it_is_needed(cli, study: Path) -> None:
    words = ("--method", "dynamic", "--parameters", "dynamic=conventional")
    code, value = asked(cli, study, POSTED, *words)
    assert code == 0
    (cell,) = by_name(value)["posted"].values()
    np.testing.assert_allclose(cell["equity"], 1.5 * 36_000 + 2_000 * 0.999)
    legs = {leg["leg"]: leg["initial"] for leg in value["legs"]["dynamic"]["legs"]}
    assert value["legs"]["dynamic"]["scenario"] == "coins -30 %, vol +50 %, WSTBTC -10 %"
    # A quarter of the worst hypothetical move: the token falls with its coin and by its basis.
    basis = 36_000 * (1 - 0.7 * 0.9)
    np.testing.assert_allclose(legs["WSTBTC"], 0.25 * 1.5 * basis, rtol=1e-9)
    assert "USDC" not in legs


def test_the_stablecoin_that_cash_is_counted_in_is_shocked(cli, study: Path) -> None:
    """A tenth off the peg in a hypothetical move, of which a quarter is covered."""
    one = '[[accounts]]\nid = "idle"\ncash = 1e6\npositions = { "BTC-PERPETUAL" = 1 }\n'
    words = ("--method", "dynamic", "--no-thresholds")
    for parameters in ("2022-01-01", "conventional"):
        chosen = ("--parameters", f"dynamic={parameters}")
        _, value = asked(cli, study, one, *words, *chosen)
        (cell,) = by_name(value)["idle"].values()
        np.testing.assert_allclose(cell["components"]["loss"], 0.25 * 0.1 * 1e6, rtol=1e-3)
        legs = {leg["leg"]: leg["initial"] for leg in value["legs"]["dynamic"]["legs"]}
        np.testing.assert_allclose(legs["cash"], 0.25 * 0.1 * 1e6, rtol=1e-12)
        assert "USDC -10 %" in value["legs"]["dynamic"]["scenario"]
        _, still = asked(cli, study, 'stable = ""\n' + one, *words, *chosen)
        (cell,) = by_name(still)["idle"].values()
        assert cell["components"]["loss"] < 10.0  # that of ten dollars of a perpetual
    # Cash that a population is assumed to have is not said to be a stablecoin.
    ran = cli("margin", study, "--json", *words)
    assert all("cash" not in str(leg) for leg in ran.json.get("legs", {}).values())


def test_the_fitted_parameters_are_the_default(cli, study: Path) -> None:
    words = ("--method", "dynamic", "--no-thresholds")
    _, default = asked(cli, study, GOOD, *words)
    _, named = asked(cli, study, GOOD, *words, "--parameters", "dynamic=2022-01-01")
    _, other = asked(cli, study, GOOD, *words, "--parameters", "dynamic=conventional")
    assert default == named
    (source,) = [one["parameters"] for one in default["methods"]]
    assert "Fitted on training period 2022-01-01: half-life 72 h" in source
    assert "multiplier 0." in source
    assert "for the floor" in source
    (source,) = [one["parameters"] for one in other["methods"]]
    assert "nothing fitted" in source
    # Maintenance is four fifths of the shortfall that the initial margin covers.
    for cells in by_name(default).values():
        first, second = (cells["dynamic"][k] for k in ("components", "maintenance_components"))
        np.testing.assert_allclose(second["loss"], 0.8 * first["loss"], rtol=1e-9)
    wrong = cli("margin", study, "--parameters", "dynamic=1999")
    assert wrong.code == 2
    assert "2022-01-01" in wrong.err


def test_own_parameters_of_our_method_and_the_control_on_the_command_line(cli, study: Path) -> None:
    """A speed limit of one holds the shortfall at what it was, a buffer raises it."""
    text, _ = shipped_file("dynamic", "2022-01-01")
    words = ("--method", "dynamic", "--no-thresholds")

    def losses(old: str, new: str) -> tuple[dict[str, float], str]:
        assert old in text
        (study.parent / "mine.toml").write_text(text.replace(old, new))
        path = study.parent / "mine.toml"
        _, value = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={path}")
        cells = {name: cell["dynamic"] for name, cell in by_name(value).items()}
        said = value["methods"][0]["parameters"]
        return {name: cell["components"]["loss"] for name, cell in cells.items()}, said

    as_shipped, _ = losses("floor = 1.0", "floor = 1.0")
    bare, _ = losses("floor = 1.0", "floor = 0.0")
    higher, _ = losses("floor = 1.0", "floor = 2.0")
    limited, said = losses("daily_limit = inf", "daily_limit = 1.0")
    assert "control replayed over 30 days" in said
    for name, loss in as_shipped.items():
        assert bare[name] <= loss < higher[name]
        assert limited[name] <= loss
    assert limited != as_shipped
    (study.parent / "mine.toml").write_text(text.replace("floor = 1.0", "floor = -1.0"))
    words = ("--parameters", f"dynamic={study.parent / 'mine.toml'}")
    wrong = cli("margin", study, *words)
    assert wrong.code == 2
    assert "floor" in wrong.err


def test_a_stablecoin_at_65_cents(cli, study: Path) -> None:
    words = ("--no-thresholds",)
    _, plain = asked(cli, study, GOOD, *words)
    # Posted by one account: its own matter.
    posted = '[[accounts]]\nid = "poster"\ncash = 9000.0\ncollateral = { USDX = 20000.0 }\n'
    posted += f'positions = {{ "{CALL}" = -1 }}\n'
    _, value = asked(cli, study, posted + GOOD.replace("price = 1.0", "price = 0.65"), *words)
    accounts = by_name(value)
    poster = accounts.pop("poster")
    assert accounts == by_name(plain)
    for method in ("pm2", "standard"):  # nothing known of the coin: not accepted
        assert "USDX" in poster[method]["failure"]["message"]
    # Ours counts it at its price and has it lose a tenth in hypothetical moves.
    assert poster["dynamic"]["failure"] is None
    assert 9_000 < poster["dynamic"]["equity"] < 9_000 + 0.65 * 20_000
    # The coin that cash is counted in: everybody's, and everybody is told.
    _, value = asked(cli, study, "stable_price = 0.65\n" + GOOD, *words)
    assert value["stable_price"] == 0.65
    for name, cells in by_name(value).items():
        for cell in cells.values():
            assert any("0.65" in notice for notice in cell["notices"])
        assert cells["pm2"]["initial"] > by_name(plain)[name]["pm2"]["initial"]


# ---- markets that are broken ---------------------------------------------------------------------

FILES = """
[market]
source = "files"
underlyings = ["BTC", "ETH"]
"""
CHAIN = """
[[market.chains]]
underlying = "{coin}"
path = "{coin}.csv"
venue = "mine"
settlement = "coin"
volatility = "decimal"
columns = {{ {columns} }}
"""
COLUMNS = ("time", "quote_time", "name", "expiry", "strike", "type", "forward", "index")
PRICES = ("bid", "ask", "mark", "bid_iv", "ask_iv", "mark_iv")


def table_of(coin: str) -> pl.DataFrame:
    start = datetime(2023, 11, 1, tzinfo=UTC)
    feed = LaboratoryFeed.simulate(start, 2500, seed=3, steps_per_hour=12)
    times = feed.snapshot_times("2024-02-10T00:00Z", "2024-02-10T00:00Z")
    chain = next(iter(feed.snapshots(times, (coin,)))).chain(coin)
    values = {
        "time": np.full(len(chain), chain.time_ms),
        "quote_time": chain.quote_ms,
        "name": chain.names,
        "expiry": chain.expiry_ms,
        "strike": chain.strike,
        "type": np.where(chain.sign > 0, "C", "P"),
        "forward": chain.forward,
        "index": chain.index,
        "bid": chain.bid.values,
        "ask": chain.ask.values,
        "mark": chain.mark.values,
        "bid_iv": chain.bid_iv,
        "ask_iv": chain.ask_iv,
        "mark_iv": chain.mark_iv,
    }
    return pl.DataFrame(values).with_columns(pl.selectors.float().fill_nan(None))


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    return {coin: table_of(coin) for coin in ("BTC", "ETH")}


def files_study(folder: Path, tables: dict[str, pl.DataFrame]) -> Path:
    columns = ", ".join(f'{name} = "{name}"' for name in (*COLUMNS, *PRICES))
    for coin, table in tables.items():
        table.write_csv(folder / f"{coin}.csv")
    chains = "".join(CHAIN.format(coin=coin, columns=columns) for coin in tables)
    (folder / "study.toml").write_text(HEAD + FILES + chains + MODELS)
    return folder / "study.toml"


FAULTS = {
    # An hour old where ten minutes are allowed; without a forward; without an index.
    "stale": ("stale_data", "s old, 600 s are allowed"),
    "no forward": ("missing_data", "forward"),
    "no index": ("missing_data", "ETH"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_feed_harms_who_depends_on_it(
    fault: str, cli, tmp_path: Path, tables: dict[str, pl.DataFrame]
) -> None:
    reason, word = FAULTS[fault]
    words = ("--method", "pm2", "--method", "standard", "--method", "deribit")
    option = str(tables["ETH"].filter(pl.col("expiry") == pl.col("expiry").max())["name"][40])
    holder = f'[[accounts]]\nid = "holder"\ncash = 9e3\npositions = {{ "{option}" = -1 }}\n'
    study = files_study(tmp_path, tables)
    _, plain = asked(cli, study, GOOD + holder, *words)
    assert all(cell["failure"] is None for cell in by_name(plain)["holder"].values())
    none = pl.lit(None, pl.Float64)
    broken = {
        "stale": {"quote_time": pl.col("quote_time") - 3_600_000},
        "no forward": {"forward": none},
        "no index": {"index": none},
    }[fault]
    files_study(tmp_path, {**tables, "ETH": tables["ETH"].with_columns(**broken)})
    code, value = asked(cli, study, GOOD + holder, *words)
    assert code == 1
    accounts, before = by_name(value), by_name(plain)
    for cell in accounts.pop("holder").values():
        assert cell["failure"]["reason"] == reason
        assert word in cell["failure"]["message"]
        assert cell["failure"]["remedy"]
    del before["holder"]
    assert accounts == before


NEGATIVE = '''
"""A surface whose variance is negative below a strike."""

from dataclasses import dataclass, replace

import numpy as np

from commonmode.core.result import Success
from commonmode.pricing import FlatBlack


@dataclass(frozen=True)
class Fitted:
    inner: object

    def implied_vol(self, strike, years, forward, expiry_ms):
        vol = self.inner.implied_vol(strike, years, forward, expiry_ms)
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.where(np.asarray(strike) < 35000.0, -0.01, vol * vol))


@dataclass(frozen=True)
class Negative(FlatBlack):
    def calibrate(self, chain):
        found = super().calibrate(chain)
        return Success(Fitted(found.value)) if isinstance(found, Success) else found
'''


def test_a_surface_of_negative_variance(
    cli, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account whose option has no volatility fails; who holds others does not."""
    folder = tmp_path / "site"
    info = folder / "negative_surface-0.1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "negative_surface.py").write_text(NEGATIVE)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: negative-surface\nVersion: 0.1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[commonmode.models]\nnegative = negative_surface:Negative\n"
    )
    monkeypatch.syspath_prepend(folder)
    text = study.read_text().replace('type = "flat-black"', 'type = "negative"')
    study.write_text(text)
    code, value = asked(cli, study, GOOD, "--marks", "flat")
    assert code == 1
    accounts = by_name(value)
    for cell in accounts["strangle"].values():
        assert PUT in cell["failure"]["message"]
    alone = GOOD[GOOD.index('[[accounts]]\nid = "covered"') :]
    _, plain = asked(cli, study, alone, "--marks", "flat")
    assert accounts["covered"] == by_name(plain)["covered"]
    assert all(cell["failure"] is None for cell in accounts["covered"].values())
    # As one model among others it has no opinion on that put, and harms no margin.
    code, value = asked(cli, study, GOOD, "--marks", "svi", "--no-thresholds")
    assert code == 0
    for cell in by_name(value)["strangle"].values():
        assert cell["initial_by_model"]["flat"] is None
        assert cell["initial"] > 0


def test_what_the_fitted_method_covers_stands_with_its_figures(cli, study: Path) -> None:
    words = ("--no-thresholds", "--method", "dynamic")
    _, value = asked(cli, study, GOOD, *words, "--method", "pm2")
    said = {one["method"]: one["covers"] for one in value["methods"]}
    assert said == {"dynamic": "99 % of the losses over 1 h, and no crash", "pm2": ""}
    accounts = study.parent / "accounts.toml"
    page = study.parent / "page.html"
    shown = cli("margin", study, "--accounts", accounts, *words, "--html", page)
    sentence = "dynamic is meant to cover 99 % of the losses over 1 h, and no crash"
    # Under the table of figures, before anything else is said.
    assert shown.out.index(sentence) < shown.out.index("dynamic: Fitted")
    assert "--parameters dynamic=conventional" in shown.out
    assert sentence in page.read_text(encoding="utf-8")
    _, plain = asked(cli, study, GOOD, *words, "--parameters", "dynamic=conventional")
    assert [one["covers"] for one in plain["methods"]] == [""]
    file = study.parent / "moves.toml"
    text = shipped_file("dynamic", "2022-01-01")[0]
    file.write_text(text.replace("coin_move = 0.0", "coin_move = 0.3"), encoding="utf-8")
    _, moved = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={file}")
    (covers,) = [one["covers"] for one in moved["methods"]]
    assert covers.endswith("25 % of the loss in the worst stated move")
    # The monthly fit is of the shipped windows: with others it is the file's that counts.
    file.write_text(text.replace("window_hours = 2160", "window_hours = 1440"), encoding="utf-8")
    _, other = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={file}")
    (source,) = [one["parameters"] for one in other["methods"]]
    assert "as in the file: it is fitted monthly for a horizon of 1 h" in source


def test_a_file_under_which_a_bought_option_hurts_is_refused(cli, study: Path) -> None:
    file = study.parent / "own.toml"
    text = shipped_file("dynamic", "2022-01-01")[0]
    file.write_text(text.replace("floor = 1.0", "floor = 9.0"), encoding="utf-8")
    words = ("--no-thresholds", "--method", "dynamic", "--parameters", f"dynamic={file}")
    code, value = asked(cli, study, GOOD, *words)
    assert code == 1
    (failure,) = value["failures"]
    assert "floor 9" in failure["message"]
    assert "--ungated" in failure["remedy"]
    assert value["gates"]["dynamic"]["used"] is False
    code, value = asked(cli, study, GOOD, *words, "--ungated")
    assert code == 0
    assert value["gates"]["dynamic"] | {"refusals": []} == {
        "accepted": False,
        "used": True,
        "probes": 0,
        "refusals": [],
        "notices": [],
    }
