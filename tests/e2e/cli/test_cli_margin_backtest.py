"""``commonmode margin-backtest`` on the results that come with the project."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parents[3] / "examples" / "margin-backtest" / "evidence" / "results.json"


def test_stored_results_are_shown_on_every_surface(cli, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = cli("margin-backtest", "--results", RESULTS, "--html", page)
    assert ran.code == 0
    assert "Chosen on the training period" in ran.out
    assert "October 2025" in ran.out
    html = page.read_text(encoding="utf-8")
    assert 'id="plot-frontier"' in html
    assert "No option surface of that day is known" in html
    # Nothing is fetched when the page is opened.
    assert 'src="http' not in html
    assert cli("margin-backtest", "--results", RESULTS, "--json").json == json.loads(
        RESULTS.read_text(encoding="utf-8")
    )


def test_a_file_that_is_no_result_is_refused(cli, tmp_path: Path) -> None:
    ran = cli("margin-backtest", "--results", tmp_path / "none.json")
    assert ran.code == 2
    assert "results file" in ran.err
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert "is not JSON" in cli("margin-backtest", "--results", broken).err
