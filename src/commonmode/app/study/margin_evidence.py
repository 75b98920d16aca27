"""The backtest's results as plain values for JSON: numbers unrounded, NaN as null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from commonmode.app.study import results
from commonmode.app.study.margin_backtest import BacktestResult, FamilyRun, run_backtest
from commonmode.app.study.margin_family import LEVEL, PERIODS
from commonmode.app.study.margin_october import OctoberResult, run_october
from commonmode.core.protocols import Progress
from commonmode.margin.backtest.assess import Assessment
from commonmode.margin.backtest.portfolios import HOUSE_PORTFOLIOS, Portfolio
from commonmode.margin.backtest.select import ACCEPTED_FROM, Candidate
from commonmode.margin.backtest.walk import Settings
from commonmode.market.clock import utc_iso

__all__ = ["backtest_evidence", "margin_backtest"]


def plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences and numbers as JSON has them."""
    if isinstance(value, Settings):
        own = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        return {"label": value.label, **own}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    return results.plain(value)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _candidate(each: Candidate) -> dict[str, Any]:
    s = each.settings
    own = {f.name: plain(getattr(each, f.name)) for f in fields(each) if f.name != "settings"}
    return {
        "half_lives": "/".join(f"{h:g}" for h in s.half_lives),
        "level": s.level,
        "correlation_stress": s.correlation_stress,
        "stressed_weight": s.stressed_weight,
        "floor": s.floor,
        "buffer": s.buffer,
        "window_days": s.window_days,
        **own,
    }


def _assessment(key: tuple[str, str, str], each: Assessment) -> dict[str, Any]:
    # Cells of every portfolio once: the group "published" is a part of "all" where both are there.
    whole = [plain(cell) for cell in each.cells if cell.regime == "all"]
    out = {f.name: plain(getattr(each, f.name)) for f in fields(each) if f.name != "cells"}
    names = dict(zip(("configuration", "period", "group"), key, strict=True))
    return {**names, **out, "portfolios": _columns(whole)}


def _run(run: FamilyRun) -> dict[str, Any]:
    return {
        "family": run.family,
        "horizon_hours": run.bars,
        "settings": plain(run.settings),
        "multipliers": {
            name: {
                "from": [utc_iso(int(t)) for t in walked.starts_ms],
                "value": plain(walked.multiplier),
                "low": plain(walked.low),
                "high": plain(walked.high),
            }
            for name, walked in run.walked.items()
        },
        "results": [_assessment(key, each) for key, each in run.results.items()],
    }


def _words(portfolio: Portfolio) -> dict[str, Any]:
    legs = [
        f"{leg.weight:+g} {leg.coin} {leg.kind}"
        + (f" {leg.days:g} d" if leg.is_option else "")
        + (f" {100 * leg.delta:g} delta" if leg.delta else "")
        for leg in portfolio.legs
    ]
    return {"name": portfolio.name, "legs": legs, "hedged": portfolio.hedged}


def backtest_evidence(result: BacktestResult, october: OctoberResult | None) -> dict[str, Any]:
    """Everything the report and the documentation show.

    Of the candidates on the training period those are kept whose coverage is not rejected: the
    others could not be chosen.

    Parameters
    ----------
    result : BacktestResult
    october : OctoberResult, optional
    """
    return {
        "schema": "margin-backtest/1",
        "target": LEVEL,
        "periods": plain(PERIODS),
        "portfolios": [_words(each) for each in HOUSE_PORTFOLIOS],
        "inputs": plain(result.data),
        "implied_volatility": plain(result.implied),
        "chosen": plain(result.chosen),
        "first_step": _columns([_candidate(each) for each in result.first]),
        "second_step_tried": len(result.second),
        "second_step": _columns(
            [_candidate(each) for each in result.second if each.p_value >= ACCEPTED_FROM]
        ),
        "runs": [_run(run) for run in result.runs],
        "frontier": _columns([plain(point) for point in result.frontier]),
        "fits": plain(result.fits),
        "october_2025": None if october is None else plain(october),
    }


def margin_backtest(
    root: Path | None = None, *, progress: Progress | None = None, draws: int = 300
) -> dict[str, Any]:
    """The whole backtest and October 2025, as plain values: what the command prints.

    Parameters
    ----------
    root : Path, optional
        Folder of the recordings; found by itself if left out.
    progress : Progress, optional
    draws : int
        Of the block bootstraps.

    Raises
    ------
    DataError
        If the recordings are not here.
    """
    result = run_backtest(root, progress=progress, draws=draws)
    settings = {name: each.settings for name, each in result.chosen.items()}
    return backtest_evidence(result, run_october(settings, root, progress=progress))
