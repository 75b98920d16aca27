"""Indices before, during and after three crashes: ``python scripts/crisis_evidence.py``.

Protocol, written before anything was computed for October 2025. (May 2021 and November 2022 had
been monitored before, in these windows, with a baseline to 15 April 2021: 27 days ahead of May's.)

- Models: the seven risk models of ``examples/btc-shapella-2023``, walking forward, one hour ahead,
  2.5 % quantile, 2 000 hours of training; nothing fitted to a crash. BTC and ETH together.
- 2021 and 2022: Binance's spot bars, the panel committed with that example. 2025: the perpetuals of
  Binance and, again, of Bybit, recorded from 6 March to 30 November; so forecasts begin on 28 May.
- Event windows: 12 to 24 May 2021, 6 to 15 November 2022, 10 to 17 October 2025 (UTC). *Before* is
  the 90 days that end with the window's first hour, *after* the 90 days after it or what there is.
- Monitor: settings as they come (0.5 false alarms a year for all rules together). Its baseline is
  everything up to 27 days ahead of the window, and it runs from there to the end of *after*.
- Indices on the three spans: the defaults, 5 % each, one look; they describe and do not warn.

``--tables`` prints the document's tables from the stored results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import commonmode
from commonmode.adapters.feeds.recorded import cross_venue_hourly, require_recordings
from commonmode.adapters.store.packed import unpack_panel
from commonmode.app.study.models import build_models
from commonmode.app.study.schema import load_study
from commonmode.converge.bias import Bias
from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.dispersion import Disagreement
from commonmode.converge.herding import Herding
from commonmode.converge.monitoring import monitor_panel
from commonmode.converge.monitoring_result import Alert, MonitoringResult
from commonmode.converge.procyclicality import Procyclicality
from commonmode.converge.propagation import Propagation
from commonmode.converge.recalibration import RecalibrationSynchrony, panel_revisions
from commonmode.converge.tail_propagation import TailPropagation
from commonmode.core.errors import CommonmodeError
from commonmode.market.clock import utc_iso, utc_ms
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.risk import build_risk_panel

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "btc-shapella-2023"
RESULTS = ROOT / "examples" / "crises" / "evidence" / "results.json"
DAY_MS = 86_400_000
AHEAD, SPAN = 27, 90
"""Days from the baseline's end to the window, and of the spans before and after it."""


@dataclass(frozen=True)
class Crash:
    """One event.

    Attributes
    ----------
    name, source : str
    start, end : str
        Of the window.
    """

    name: str
    source: str
    start: str
    end: str


CRASHES = (
    Crash("May 2021", "spot", "2021-05-12T00:00Z", "2021-05-24T00:00Z"),
    Crash("November 2022", "spot", "2022-11-06T00:00Z", "2022-11-15T00:00Z"),
    Crash("October 2025, Binance", "binance", "2025-10-10T00:00Z", "2025-10-17T00:00Z"),
    Crash("October 2025, Bybit", "bybit", "2025-10-10T00:00Z", "2025-10-17T00:00Z"),
)


def panel_of(source: str) -> ErrorPanel:
    """The committed panel of spot bars, or one built from a venue's recorded perpetuals."""
    if source == "spot":
        return unpack_panel(EXAMPLE / "evidence" / "risk-1h.panel")
    root = require_recordings()
    models = build_models(load_study(EXAMPLE / "study.toml").models, EXAMPLE).risk
    bars = {coin: cross_venue_hourly(root, source, coin) for coin in ("BTC", "ETH")}
    return build_risk_panel(bars, models, train=2000, name=f"risk-1h {source}")


def between(panel: ErrorPanel, start_ms: int, end_ms: int) -> ErrorPanel:
    """Rows whose outcomes were known from after ``start_ms`` to ``end_ms``."""
    known = panel.times_ms + panel.horizon_ms
    low, high = np.searchsorted(known, [start_ms, end_ms], side="right")
    return panel.select_rows(slice(int(low), int(high)))


def _c2(panel: ErrorPanel) -> dict[str, Any]:
    found = EffectiveNumber().fit(panel).result_
    return {
        "value": found.effective_number,
        "interval": found.interval,
        "p": found.p_value,
        "blocks": found.blocks,
        "detectable": found.minimum_detectable_share,
    }


def _c3(panel: ErrorPanel) -> dict[str, Any]:
    found = ConditionalCoFailure().fit(panel).result_
    return {
        "value": found.ratio,
        "interval": found.interval,
        "p": found.p_value,
        "raw": found.raw_ratio,
        "detectable": found.minimum_detectable_ratio,
    }


def _c5(panel: ErrorPanel) -> dict[str, Any]:
    found = Propagation().fit(panel).result_
    first = found.links[0] if found.links else None
    return {
        "value": found.splits[-1].lagged,
        "interval": found.splits[-1].lagged_interval,
        "p": found.p_value,
        "links": len(found.links),
        "first": "" if first is None else f"{first.receiver} after {first.sender}",
        "detectable": found.minimum_detectable,
    }


def _tail(panel: ErrorPanel) -> dict[str, Any]:
    found = TailPropagation().fit(panel).result_
    return {"value": found.same_time_lift, "p": found.p_value, "links": len(found.links)}


def _synchrony(panel: ErrorPanel) -> dict[str, Any]:
    found = RecalibrationSynchrony().fit(panel_revisions(panel)).result_
    return {
        "value": found.correlation,
        "interval": found.interval,
        "p": found.p_value,
        "raw": found.raw,
        "detectable": found.minimum_detectable,
    }


def _herding(panel: ErrorPanel) -> dict[str, Any]:
    found = Herding().fit(panel).result_
    return {
        "value": found.outcomes,
        "p": found.p_outcomes,
        "herd": [m.model for m in found.models if m.herds],
    }


def _cycle(panel: ErrorPanel) -> dict[str, Any]:
    found = Procyclicality().fit(panel).result_
    crowd = found.crowd_excess
    return {
        "value": crowd.value,
        "interval": (crowd.low, crowd.high),
        "p": found.p_crowd,
        "detectable": found.minimum_detectable,
    }


def _bias(panel: ErrorPanel) -> dict[str, Any]:
    found = Bias().fit(panel).result_
    (level,) = (e for e in found.shared if e.kind.value == "level")
    return {
        "value": level.estimate,
        "interval": level.interval,
        "p": level.p_adjusted,
        "shared": [e.kind.value for e in found.found_shared],
        "detectable": level.detectable,
    }


def _c6(panel: ErrorPanel) -> dict[str, Any]:
    ratio = Disagreement().fit(panel).result_.risk_ratio
    return {"value": ratio.value, "interval": (ratio.low, ratio.high)}


def _breaches(panel: ErrorPanel) -> dict[str, Any]:
    """Share of model-hours breached; hours in which all models were, and in which any was."""
    failed = panel.failed & panel.complete[:, :, None]
    count = failed.sum(axis=2)
    return {
        "value": float(failed.sum() / (panel.complete.sum() * failed.shape[2])),
        "all": int((count == failed.shape[2]).sum()),
        "any": int((count > 0).sum()),
        "hours": len(panel.times_ms),
    }


INDICES: dict[str, Callable[[ErrorPanel], dict[str, Any]]] = {
    "breaches": _breaches,
    "C2": _c2,
    "C3": _c3,
    "C5": _c5,
    "tail": _tail,
    "recalibration": _synchrony,
    "herding": _herding,
    "procyclicality": _cycle,
    "bias": _bias,
    "C6": _c6,
}


def measured(panel: ErrorPanel) -> dict[str, Any]:
    """Every index on one span; where there is none, why."""
    out: dict[str, Any] = {}
    for name, index in INDICES.items():
        try:
            out[name] = index(panel)
        except CommonmodeError as error:
            out[name] = {"none": error.message}
    return out


def watched(panel: ErrorPanel, start_ms: int, end_ms: int, last_ms: int) -> dict[str, Any]:
    """The monitor from 27 days ahead of the window to the end of what comes after it."""
    panel = between(panel, 0, last_ms)
    result = monitor_panel(panel, start_ms - AHEAD * DAY_MS)
    spans = ((0, start_ms), (start_ms, end_ms), (end_ms, last_ms + 1))
    number, ratio = result.effective_number, result.cofailure
    assert ratio is not None
    return {
        "baseline_days": result.baseline_blocks,
        "baseline_end": utc_iso(result.baseline_end_ms),
        "baseline_correlation": result.baseline_score,
        "expected_by_chance": result.false_alarms_per_year * result.years,
        "detectable": next(r.detectable for r in result.rules if np.isfinite(r.detectable)),
        "alarms": [[_alarm(a) for a in result.alerts if lo <= a.time_ms < hi] for lo, hi in spans],
        "number": [number.at(t) for t in (start_ms, end_ms, last_ms)],
        "ratio": [ratio.at(t) for t in (start_ms, end_ms, last_ms)],
        "levels": {
            level.name: None if level.first_ms is None else utc_iso(level.first_ms)
            for level in result.levels
        },
        "nearest": _nearest(result, start_ms),
    }


def _alarm(alert: Alert) -> dict[str, str]:
    return {
        "time": utc_iso(alert.time_ms),
        "since": utc_iso(alert.since_ms),
        "rule": alert.rule,
    }


def _nearest(result: MonitoringResult, start_ms: int) -> dict[str, float]:
    """How near each rule came to its threshold before the window, as a share of it."""
    near = {}
    for rule in result.rules:
        before = rule.statistic[rule.time_ms <= start_ms]
        near[rule.name] = float(np.nanmax(before) / rule.threshold) if len(before) else float("nan")
    return near


def crash_results(crash: Crash, panel: ErrorPanel) -> dict[str, Any]:
    """Everything about one event."""
    start, end = utc_ms(crash.start), utc_ms(crash.end)
    known = panel.times_ms + panel.horizon_ms
    last = min(end + SPAN * DAY_MS, int(known[-1]))
    spans = {
        "before": (max(start - SPAN * DAY_MS, int(known[0]) - 1), start),
        "during": (start, end),
        "after": (end, last),
    }
    return {
        "spans": {name: [utc_iso(lo), utc_iso(hi)] for name, (lo, hi) in spans.items()},
        "monitor": watched(panel, start, end, last),
        "indices": {name: measured(between(panel, *span)) for name, span in spans.items()},
    }


def _number(told: dict[str, Any], digits: int = 2) -> str:
    if "none" in told:
        return "none"
    if "first" in told:  # the benchmarks' noise swamps the share passed on, not its test
        text = f"{told['p']:.2f}"
        return f"**{text}**" if told["p"] <= 0.05 else text
    text = f"{told['value']:.{digits}f}"
    if told.get("interval"):
        low, high = told["interval"]
        text += f" ({low:.{digits}f} to {high:.{digits}f})"
    return f"**{text}**" if told.get("p", 1.0) <= 0.05 else text


_ROWS = {
    "C2": "C2, effective number of 7",
    "C3": "C3, co-failure ratio",
    "C5": "C5, p that nobody follows anybody",
    "recalibration": "recalibration, correlation beyond the market's",
    "herding": "herding, by outcomes",
    "procyclicality": "procyclicality, crowd's excess slope",
    "bias": "bias, crowd's level (0.5: breached half as often again)",
    "C6": "C6, largest over smallest quantile",
}


def tables(results: dict[str, Any]) -> str:
    """Markdown of both tables."""
    crashes = results["crashes"]
    lines = [
        "| | baseline, days | alarms before / during / after | by chance | effective number at "
        "start, end, later | co-failure ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, told in crashes.items():
        seen = told["monitor"]
        alarms = " / ".join(str(len(part)) for part in seen["alarms"])
        number = ", ".join(f"{v:.1f}" for v in seen["number"])
        ratio = ", ".join(f"{v:.2f}" for v in seen["ratio"])
        lines.append(
            f"| {name} | {seen['baseline_days']} | {alarms} | {seen['expected_by_chance']:.2f} "
            f"| {number} | {ratio} |"
        )
    lines += ["", "| | index | before | during | after |", "| --- | --- | --- | --- | --- |"]
    for name, told in crashes.items():
        spans = [told["indices"][part] for part in ("before", "during", "after")]
        hours = " | ".join(
            f"{100 * s['breaches']['value']:.1f} % ({s['breaches']['all']} of "
            f"{s['breaches']['any']})"
            for s in spans
        )
        lines.append(f"| {name} | breached (hours: all of any) | {hours} |")
        for key, words in _ROWS.items():
            lines.append(f"| | {words} | {' | '.join(_number(s[key]) for s in spans)} |")
    return "\n".join(lines)


def main() -> None:
    """Compute and store, or print what is stored."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.tables:
        results: dict[str, Any] = {"version": commonmode.__version__, "crashes": {}}
        panels: dict[str, ErrorPanel] = {}
        for crash in CRASHES:
            print(crash.name, file=sys.stderr)
            if crash.source not in panels:
                panels[crash.source] = panel_of(crash.source)
            panel = panels[crash.source]
            told = crash_results(crash, panel)
            results["crashes"][crash.name] = told | {"panel": panel.content_hash}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(tables(json.loads(options.out.read_text())))


if __name__ == "__main__":
    main()
