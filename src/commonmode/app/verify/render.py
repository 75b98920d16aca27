"""A verification in the terminal: every case, what failed or is not supported and why, counts."""

from __future__ import annotations

import json

from rich.console import Group
from rich.table import Table
from rich.text import Text

from commonmode.app.verify.run import CaseResult, Status, VerifyReport

__all__ = ["render"]

_STYLE = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.COMPUTED: "cyan",
    Status.UNSUPPORTED: "dim",
}


def render(report: VerifyReport) -> Group:
    """Table of all cases with their error against the tolerance, and the counts."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("case", "method", "status", "error", "error/tolerance"):
        right = heading.startswith("error")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for result in report.results:
        table.add_row(
            Text(result.case.id),
            Text(_short(result.case.method)),
            Text(result.status.value, style=_STYLE[result.status]),
            Text(_number(result.error)),
            Text(_number(result.ratio)),
        )
    parts: list[Table | Text] = [table]
    parts.extend(_reason(result) for result in report.results if result.status is Status.FAIL)
    parts.extend(
        Text(f"{r.case.id}: {r.message}", _STYLE[r.status])
        for r in report.results
        if r.status is Status.UNSUPPORTED
    )
    computed = [result for result in report.results if result.status is Status.COMPUTED]
    parts.extend(Text(f"{r.case.id} = {json.dumps(r.value)}") for r in computed)
    counts = Text("\n")
    for status in Status:
        counts.append(f"{report.count(status)} {status.value}  ", style=_STYLE[status])
    parts.append(counts)
    if report.skipped:
        parts.append(Text(f"{len(report.skipped)} JSON files without cases were skipped", "dim"))
    return Group(*parts)


def _reason(result: CaseResult) -> Text:
    text = Text(f"{result.case.id}: {result.message}", style=_STYLE[Status.FAIL])
    if result.case.source:
        text.append(f"\n  source: {result.case.source}", style="dim")
    return text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _short(method: str, width: int = 60) -> str:
    return method if len(method) <= width else method[: width - 1] + "…"
