"""The backtest's committed results: what they say is what the pictures and tables show."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commonmode.app.report.margin_backtest import (
    coverage_figure,
    frontier_figure,
    october_rows,
    render_backtest,
)

RESULTS = Path(__file__).parents[3] / "examples" / "margin-backtest" / "evidence" / "results.json"


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_results_are_small_and_hold_no_nan(evidence: dict[str, Any]) -> None:
    assert RESULTS.stat().st_size < 300_000
    assert evidence["schema"] == "margin-backtest/1"
    assert len(evidence["portfolios"]) == 31


def test_the_choice_follows_the_rule(evidence: dict[str, Any]) -> None:
    table = evidence["second_step"]
    assert min(table["p_value"]) >= 0.05
    cheapest = evidence["chosen"]["cheapest"]
    bounded = evidence["chosen"]["bounded"]
    assert cheapest["cost"] == min(table["cost"])
    inside = [c for c, t in zip(table["cost"], table["travel_usd"], strict=True) if t <= 1.0]
    assert bounded["cost"] == min(inside)


def test_frontier_picture(evidence: dict[str, Any]) -> None:
    figure = frontier_figure(evidence)
    assert figure is not None
    ours, chosen, others = figure["data"]
    at = others["text"].index("pm2")
    assert (others["x"][at], others["y"][at]) == (pytest.approx(1.0), 1.0)
    assert chosen["text"] == ["bounded", "cheapest"]
    # More of the same control travels less: the stressed weights follow the bare filter.
    assert ours["x"][:4] == sorted(ours["x"][:4], reverse=True)
    assert frontier_figure({**evidence, "frontier": {"label": [], "period": []}}) is None


def test_coverage_picture(evidence: dict[str, Any]) -> None:
    figure = coverage_figure(evidence)
    assert figure is not None
    for line in figure["data"]:
        # Less coverage is cheaper.
        pairs = sorted(zip(line["x"], line["y"], strict=True))
        assert [y for _, y in pairs] == sorted(y for _, y in pairs)
    assert {line["name"] for line in figure["data"]} >= {"dynamic", "pm2", "deribit", "standard"}


def test_terminal_tables(evidence: dict[str, Any]) -> None:
    console = Console(width=200, record=True, file=StringIO())
    render_backtest(evidence, console)
    printed = console.export_text()
    assert "MODELLED volatility" in printed
    assert "No option surface of 10-11 October 2025 is known" in printed
    for word in ("bounded", "cheapest", "frozen", "PM2 scan range", "bybit", "holdout"):
        assert word in printed


def test_october_rows(evidence: dict[str, Any]) -> None:
    for venue in evidence["october_2025"]["venues"]:
        rows = october_rows(venue["published"])
        assert {row[0] for row in rows} >= {"pm2", "deribit", "standard", "static haircut"}
        for each in venue["equal"]:
            assert each["breaches"] <= each["breaches_adverse"]
            assert math.isfinite(each["worst"])
