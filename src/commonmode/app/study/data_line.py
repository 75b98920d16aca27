"""One line on a study's data: real or simulated, which and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from commonmode.app.study.panels import BuiltPanel
from commonmode.app.study.schema import StudyFile
from commonmode.core.result import Success

__all__ = ["data_line"]


def data_line(study: StudyFile, panels: Sequence[BuiltPanel]) -> str:
    """Where the data come from, with the spans of the panels that were built.

    Parameters
    ----------
    study : StudyFile
    panels : sequence of BuiltPanel
    """
    if study.market.source == "laboratory":
        return f"laboratory market: simulated, seed {study.study.seed}; no real data"
    if study.market.source == "files":
        paths = [h.path for h in study.market.histories] + [c.path for c in study.market.chains]
        return "tables of your own: " + ", ".join(Path(path).name for path in paths)
    spans: list[str] = []
    for family in ("surface", "risk"):
        times = [
            built.panel.value.times_ms
            for built in panels
            if built.settings.family == family
            and isinstance(built.panel, Success)
            and len(built.panel.value.times_ms)
        ]
        if times:
            first = min(int(t[0]) for t in times)
            last = max(int(t[-1]) for t in times)
            spans.append(_span(first, last, days=family == "surface"))
    return " ".join(["real market, recorded", " and ".join(spans)]).strip()


def _span(first_ms: int, last_ms: int, *, days: bool) -> str:
    """``12-13 April 2023`` for snapshots, ``hourly 2020-2023`` for histories."""
    first, last = (datetime.fromtimestamp(ms / 1000, tz=UTC) for ms in (first_ms, last_ms))
    if not days:
        return f"hourly {first.year}-{last.year}" if first.year != last.year else f"{first.year}"
    if (first.year, first.month) == (last.year, last.month):
        start = f"{first.day}-" if first.day != last.day else ""
        return f"{start}{last.day} {last:%B %Y}"
    return f"{first.day} {first:%B %Y} - {last.day} {last:%B %Y}"
