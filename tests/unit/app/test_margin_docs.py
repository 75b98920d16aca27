"""What the documents show of margin is so: the account file, the screen of the demo."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from commonmode.app.report import render_terminal
from commonmode.app.study.accounts import read_accounts
from commonmode.app.study.run import Source, run_study
from commonmode.core.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_account_files_of_the_document_are_read(tmp_path: Path) -> None:
    toml, csv = tmp_path / "accounts.toml", tmp_path / "accounts.csv"
    toml.write_text(blocks("docs/margin.md", "toml")[0], encoding="utf-8")
    csv.write_text(blocks("docs/margin.md", "csv")[0], encoding="utf-8")
    (one,) = read_accounts(toml).accounts
    assert str(one.book.id) == "covered-call"
    assert {str(each.asset): each.amount for each in one.collateral} == {"BTC": 1.0, "WSTETH": 3.0}
    assert [str(asset.follows) for asset in read_accounts(toml).assets] == ["ETH"]
    (same,) = read_accounts(csv).accounts
    assert same.cash == one.cash
    assert same.book.positions == one.book.positions[:1]


@pytest.mark.parametrize(
    "line",
    [
        "stable_price = nan",
        "stable_price = inf",
        "confidences = { BTC = nan }",
        "confidences = { BTC = 1.5 }",
        "rates = { BTC = inf }",
        "assets = [{ name = 'X', price = 1.0, confidence = nan }]",
    ],
)
def test_figures_that_are_none_are_refused_by_name(tmp_path: Path, line: str) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(line + "\n[[accounts]]\nid = 'a'\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=line.partition(" ")[0]):
        read_accounts(file)


@pytest.mark.slow
def test_readme_shows_the_screen_of_the_demo() -> None:
    """Every index recomputed from the evidence, on a terminal of a hundred columns."""
    shown = next(block for block in blocks("README.md", "console") if "make demo" in block)
    shown = shown.partition("\n")[2].partition("report: ")[0].rstrip()
    results = run_study(ROOT / "examples" / "btc-shapella-2023", source=Source.EVIDENCE).results
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    render_terminal(results, console)
    assert isinstance(console.file, io.StringIO)
    screen = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert "\n".join(screen).rstrip() == shown
