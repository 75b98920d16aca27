"""Posted coins and the stablecoin of account in ``commonmode margin``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from margin_questions import CALL, GOOD, asked, by_name

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
