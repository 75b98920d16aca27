"""What ``commonmode margin`` is asked wrongly, and accounts that cannot be margined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from margin_questions import GOOD, LATER, asked, by_name

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
