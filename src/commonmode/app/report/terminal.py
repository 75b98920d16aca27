"""A study on one terminal screen: five answers, a row per panel, where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from commonmode.app.report.further import further_sentences
from commonmode.app.report.looks import look_sentences, looks_alone
from commonmode.app.report.margin_section import margin_line
from commonmode.app.report.words import (
    clean,
    estimate,
    interval,
    number,
    p_value,
    percent,
)

__all__ = ["SCREEN_LINES", "render_terminal"]

SCREEN_LINES = 40
_WIDE = 96  # columns the table needs; narrower terminals get a paragraph per panel
_PANELS = 6
_INDENT = 3
_REST = " ... (report)"
_COLUMNS = (
    "panel",
    "models",
    "count as (95%)",
    "p",
    "fail together (95%)",
    "joint failures",
    "visible from",
)
_HOW_TO_READ = (
    "count as: independent models of equal diversity; p: of so much agreement if all were "
    "independent. fail together: joint failures over those of independent models. joint failures: "
    "market / shared design / chance. visible from: smallest shared part of 3 models, and failure "
    "ratio, found with 80% probability."
)


def render_terminal(
    results: Mapping[str, Any], console: Console, *, report: Path | None = None
) -> None:
    """Print the study so that a fresh reader can answer the five questions.

    At most ``SCREEN_LINES`` lines where the console has 100 columns or more; answers too long for
    that are cut with a pointer to the report. Further looks, which are there only if somebody asked
    for them, come on top of that.

    Parameters
    ----------
    results : mapping
        As published in ``schema/results.schema.json``.
    console : rich.console.Console
    report : Path, optional
        Where report.html was written; without it the last line is left to the caller.
    """
    study = results["study"]
    wide = console.width >= _WIDE
    head = [
        Text(clean(study["data_line"]), style="bold"),
        Text(f"{clean(study['title'])} (seed {study['seed']}, commonmode {study['version']})"),
        Text(""),
    ]
    panels = results["panels"][:_PANELS]
    hidden = len(results["panels"]) - len(panels)
    tail: list[Text] = []
    if panels and wide:
        tail.append(Text(_HOW_TO_READ, style="dim"))
    if hidden:
        tail.append(Text(f"{hidden} more panels are in the report"))
    tail += _not_computed(results)
    last = Text(" ").join(_margin_and_ownership(results))
    if last:
        tail.append(last)
    if report is not None:
        tail.append(Text.assemble("Full report: ", (clean(report), "bold")))
    if study["source"] == "laboratory":
        tail.append(Text("Simulated market: says that the method works, nothing about real ones."))
    body = _table(panels) if wide else None
    paragraphs = [] if wide else [_paragraph(panel) for panel in panels]
    used = sum(_lines(text, console) for text in (*head, *paragraphs, *tail))
    used += len(panels) + 3 if wide and panels else 1
    used += report is None
    room = SCREEN_LINES - used if console.width >= 100 else 10**6

    for text in head:
        console.print(text)
    for question, answer in () if looks_alone(results) else _answers(results, console, room):
        console.print(question)
        console.print(Padding(answer, (0, 0, 0, _INDENT)))
    console.print()
    if body is not None and panels:
        console.print(body)
        console.print()
    looks = [
        Text.assemble((name, "bold"), ": ", _tight(sentence))
        for name, sentence in (
            *(said for panel in panels for said in further_sentences(panel, named=len(panels) > 1)),
            *look_sentences(results),
        )
    ]
    legend = int(bool(panels) and wide)  # stays with its table
    for text in (*paragraphs, *tail[:legend], *looks, *tail[legend:]):
        console.print(text)


def _lines(text: Text, console: Console, indent: int = 0) -> int:
    return max(len(text.wrap(console, max(console.width - indent, 1))), 1)


def _answers(results: Mapping[str, Any], console: Console, room: int) -> list[tuple[Text, Text]]:
    """Question and answer; the longest answers are cut until all five fit into ``room`` lines."""
    texts = [
        (clean(a["question"]), _tight(_by_name(a["answer"], results["panels"])))
        for a in results["answers"]
    ]
    questions = [Text(f"{i}. {q}", style="bold cyan") for i, (q, _) in enumerate(texts, 1)]
    width = max(console.width - _INDENT, 1)
    wrapped = [
        [line.plain for line in Text(answer).wrap(console, width)] or [""] for _, answer in texts
    ]
    left = [len(lines) for lines in wrapped]
    # The longest gives way first, line by line, down to one line each.
    while len(left) + sum(left) > room and max(left, default=0) > 1:
        left[left.index(max(left))] -= 1
    answers = [Text(_cut(lines, most, width)) for lines, most in zip(wrapped, left, strict=True)]
    return list(zip(questions, answers, strict=True))


def _by_name(answer: str, panels: list[dict[str, Any]]) -> str:
    """Panels by their short names, which the table explains, instead of their titles."""
    for panel in sorted(panels, key=lambda p: -len(p["title"])):
        if len(panel["title"]) > len(panel["name"]):
            answer = answer.replace(panel["title"], panel["name"])
    return answer


def _tight(text: str) -> str:
    """Without the space before a percent sign, at which a line could break."""
    return clean(text).replace(" %", "%")


def _cut(lines: list[str], most: int, width: int) -> str:
    """As many lines as there is room for; the last one says where the rest is."""
    kept = " ".join(line.strip() for line in lines[:most])
    if most == len(lines):
        return kept
    last = len(lines[most - 1].strip())
    over = max(last + len(_REST) - width, 0)
    return (kept[: len(kept) - over].rsplit(" ", 1)[0] if over else kept) + _REST


def _table(panels: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in _COLUMNS:
        table.add_column(heading, no_wrap=heading != "panel", overflow="ellipsis")
    for panel in panels:
        table.add_row(*(Text(_tight(cell)) for cell in _cells(panel)))
    return table


def _cells(panel: Mapping[str, Any]) -> tuple[str, ...]:
    c2, c3 = panel["c2"], panel["c3"]
    count, p, found = "failed", "", []
    if c2["status"] == "ok":
        count = estimate(c2["effective_number"], c2["interval"], 1)
        p = p_value(c2["p_value"])
        share = c2["minimum_detectable_share"]
        found.append("nothing" if share is not None and share >= 1 else percent(share))
    together, split = "not claimed" if c3.get("reason") == "not_applicable" else "failed", ""
    if c3["status"] == "ok":
        together = estimate(c3["ratio"], c3["interval"])
        found.append(f"{number(c3['minimum_detectable_ratio'])}x")
        split = _split(c3)
    return (
        clean(panel["name"]),
        str(len(panel["models"])),
        count,
        p,
        together,
        split,
        ", ".join(found),
    )


def _split(c3: Mapping[str, Any]) -> str:
    if c3["split"] is None:
        return "cannot be split"
    parts = (c3["split"][key]["value"] for key in ("market", "shared_design", "individual"))
    return " / ".join(percent(part).removesuffix(" %") for part in parts) + " %"


def _paragraph(panel: Mapping[str, Any]) -> Text:
    """What the table says, in words, for narrow terminals."""
    text = Text.assemble((clean(panel["name"]), "bold"), ": ")
    c2, c3 = panel["c2"], panel["c3"]
    said = []
    if c2["status"] == "ok":
        inside = interval(c2["interval"], 1)
        said.append(
            f"{len(panel['models'])} models count as {number(c2['effective_number'], 1)}"
            + (f" (95 % {inside})" if inside else "")
            + f", p {p_value(c2['p_value'])}"
        )
    else:
        said.append(f"number of independent models: failed, {clean(c2['message'])}")
    if c3["status"] == "ok":
        said.append(
            f"fail together {number(c3['ratio'])} times as often as independent models "
            f"(95 % {interval(c3['interval'])}); joint failures market / shared design / chance "
            f"{_split(c3)}"
        )
    else:
        said.append(f"joint failures: {clean(c3['message'])}")
    return text.append(_tight("; ".join(said) + "."))


def _not_computed(results: Mapping[str, Any]) -> list[Text]:
    """Failed parts, counted."""
    cells = sum(cell["count"] for panel in results["panels"] for cell in panel["failed_cells"])
    parts = len(results["failures"])
    if not cells and not parts:
        return []
    first = results["failures"][0] if parts else None
    said = f" ({clean(first['where'])}: {clean(first['message'])})" if first else ""
    return [Text(f"Not computed: {parts} parts{said}, {cells} failed cells.", style="yellow")]


def _margin_and_ownership(results: Mapping[str, Any]) -> list[Text]:
    """What the accounts have to hold, and that who holds what is assumed."""
    texts = []
    if results["margin"] is not None:
        texts.append(Text(_tight(margin_line(results["margin"], brief=True))))
    if results["population"] is not None:
        # Up to the first colon; the report has the whole of it.
        said = clean(results["population"]["ownership"]).split(":")[0].rstrip(".")
        texts.append(Text(f"{said}.", style="dim"))
    return texts
