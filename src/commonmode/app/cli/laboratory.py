"""``commonmode laboratory``: size, power and coverage of the indices on worlds of known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonmode.app.cli.common import errors_as_messages, progress_bars, workers_executor

if TYPE_CHECKING:
    from collections.abc import Callable

    from commonmode.converge.evidence import Outcome
    from commonmode.converge.laboratory import Rate, WorldTable

    Column = tuple[str, Callable[[Outcome], str]]

__all__ = ["laboratory"]

TITLES = {
    "acceptance": "Nothing planted, and a component carrying 30 % in three of eight models",
    "controls": "Rejections when nothing is planted, with one step of the method left out",
    "persistence": "Deviations that last longer (AR 0.9 above)",
    "noise": "Less and more benchmark noise (deviations have sd 0.15; 0.15 above)",
    "power": "Power of C3",
    "detectable": "Power at the minimum detectable effect that is printed (nominal 80 %)",
}


def laboratory(
    seeds: Annotated[int, typer.Option(min=1, help="Worlds of each kind.")] = 200,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first world.")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this section (repeatable): " + ", ".join(TITLES) + "."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="20 worlds of each kind, the first two sections.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables as docs/evidence.md holds them.")
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print every rate as JSON and nothing else.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes all cores.")] = 0,
) -> None:
    """Measure what the indices promise on simulated worlds whose truth is known.

    The numbers depend on the seeds only, not on the machine or the number of processes.
    """
    from rich.console import Console

    from commonmode.converge.evidence import run_section

    names = only or list(TITLES)
    if quick:
        seeds, names = min(seeds, 20), only or list(TITLES)[:2]
    numbers = range(first_seed, first_seed + seeds)
    found: dict[str, tuple[Outcome, ...]] = {}
    with errors_as_messages(), progress_bars(False) as bars, workers_executor(workers) as executor:
        for name in names:
            found[name] = run_section(name, numbers, executor=executor, progress=bars)
    if json_:
        typer.echo(_to_json(found, numbers))
        return
    for name, outcomes in found.items():
        if markdown:
            typer.echo(f"### {TITLES[name]}\n")
        for part, columns in _parts(name).items():
            headings = [heading for heading, _ in columns]
            cells = [[value(outcome) for _, value in columns] for outcome in outcomes]
            if markdown:
                caption = f"{part.removeprefix(': ')}:\n\n" if part else ""
                typer.echo(f"{caption}{_markdown(headings, cells)}\n")
            else:
                _print(Console(), f"{TITLES[name]}{part}", headings, cells)
    if not markdown:
        typer.echo(
            f"Seeds {numbers[0]} to {numbers[-1]}. Rates in %, ± the simulation's own standard "
            "error; means with their standard deviation in brackets."
        )


def _percent(rate: Rate) -> str:
    if not rate.worlds:
        return ""
    return f"{100 * rate.value:.1f} ± {100 * rate.standard_error:.1f}"


def _rate(heading: str, question: str) -> Column:
    return heading, lambda outcome: _percent(outcome.table.rate(question))


def _mean(heading: str, quantity: str, digits: int) -> Column:
    def cell(outcome: Outcome) -> str:
        spread = outcome.table.spread(quantity)
        return f"{spread.mean:.{digits}f} ({spread.deviation:.{digits}f})"

    return heading, cell


def _covered(heading: str, question: str) -> Column:
    def cell(outcome: Outcome) -> str:
        rate = outcome.table.rate(question)
        return f"{_percent(rate)} ({rate.worlds})" if rate.worlds else ""

    return heading, cell


def _parts(section: str) -> dict[str, list[Column]]:
    """The section's tables: what is added to the title, and the columns."""
    label: Column = ("worlds", lambda outcome: outcome.experiment.label)
    c2: list[Column] = [
        label,
        _rate("rejects %", "c2_rejects"),
        _rate("found first %", "found"),
        _rate("found blind %", "found_blind"),
        ("true", lambda outcome: f"{outcome.table.true_effective_number:.2f}"),
        _mean("mean", "effective_number", 2),
        _covered("covers % (of)", "c2_covers"),
    ]
    c3: list[Column] = [
        label,
        _rate("rejects %", "c3_rejects"),
        _rate("ranked first %", "c3_first"),
        ("true", lambda outcome: f"{outcome.table.true_ratio:.3f}"),
        _mean("mean", "ratio", 3),
        _rate("covers %", "c3_covers"),
    ]
    if section == "controls":
        rejections = {
            ": C2": {
                "as it is %": "c2_rejects",
                "single benchmark %": "single_benchmark_c2",
                "circular shift %": "circular_shift",
            },
            ": C3": {
                "as it is %": "c3_rejects",
                "single benchmark %": "single_benchmark_c3",
                "surprise unknown %": "raw_ratio",
            },
        }
        return {
            part: [label, *(_rate(heading, question) for heading, question in columns.items())]
            for part, columns in rejections.items()
        }
    if section == "power":
        return {"": c3}
    if section == "detectable":
        printed: Column = ("printed", lambda outcome: f"{outcome.printed:.3f}")
        return {"": [label, printed, ("power %", lambda outcome: _percent(_power(outcome)))]}
    return {": C2, effective number": c2, ": C3, co-failure ratio": c3}


def _power(outcome: Outcome) -> Rate:
    return outcome.table.rate("c2_rejects" if outcome.experiment.c2 else "c3_rejects")


def _markdown(headings: list[str], cells: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _print(console: Any, title: str, headings: list[str], cells: list[list[str]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for line in cells:
        table.add_row(*line)
    console.print(table)


def _to_json(found: dict[str, tuple[Outcome, ...]], seeds: range) -> str:
    import json

    sections = {
        name: [
            {"label": o.experiment.label, "printed": o.printed, **_table(o.table)} for o in outcomes
        ]
        for name, outcomes in found.items()
    }
    return json.dumps({"seeds": [seeds[0], seeds[-1]], "sections": sections}, indent=2)


def _table(table: WorldTable) -> dict[str, Any]:
    """Configuration, truth and the summary of every question that was asked."""
    from dataclasses import asdict, fields

    summary: dict[str, Any] = {}
    for field in fields(table.rows[0]):
        answers = [a for row in table.rows if (a := getattr(row, field.name)) is not None]
        if field.name == "seed" or not answers:
            continue
        yes_or_no = isinstance(answers[0], bool)
        summary[field.name] = asdict(
            table.rate(field.name) if yes_or_no else table.spread(field.name)
        )
    return {
        "config": asdict(table.config),
        "true_effective_number": table.true_effective_number,
        "true_ratio": table.true_ratio,
        "summary": summary,
    }
