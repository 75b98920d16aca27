"""How often C4 names the right cause, world by world: what docs/evidence.md states, to look up.

    python scripts/cause_evidence.py             # ten minutes of two cores
    python scripts/cause_evidence.py --tables    # the rates, from what is stored

The worlds and the rules of scoring are those of ``commonmode.lab.causes``, whose author had not
seen the estimator; the seeds were written into docs/evidence.md before they were run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import commonmode
from commonmode.adapters.compute.processes import ProcessExecutor
from commonmode.converge.cause_evidence import score_attribution
from commonmode.lab.causes_design import WorldKind
from commonmode.lab.causes_prior import draw_design
from commonmode.lab.causes_score import CauseRate, CauseScore

__all__ = ["DRAWN", "QUIET", "RESULTS", "kinds", "rates", "row", "sources"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "examples" / "causes" / "evidence" / "results.json"
DRAWN, QUIET = range(45_000, 45_400), range(44_000, 44_600)
"""As the prior draws them, and without any cause."""

_KINDS = (
    "own windows", "unlisted factor", "strong unlisted factor", "blind benchmarks",
    "noisy benchmarks", "long memory", "short history", "regime switching", "heavy tails", "gaps",
    "death", "late start", "houses", "near decoys", "cards: undeclared", "cards: false user",
)  # fmt: skip
_SIZES = ((0, 7), (8, 14), (15, 99))

Row = Mapping[str, Any]


def sources() -> str:
    """Hash of this file and of the worlds."""
    files = [Path(__file__), *sorted((ROOT / "src/commonmode/lab").glob("causes*.py"))]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def row(seed: int, quiet: bool, ours: CauseScore, oracle: CauseScore) -> dict[str, Any]:
    """One world, its difficulties and both scores."""
    design = draw_design(seed, kind=WorldKind.NONE if quiet else None)
    return {
        "seed": seed,
        "quiet": quiet,
        "models": design.models,
        "tags": list(ours.tags),
        "nameable": ours.nameable,
        "identifiable": ours.identifiable,
        "ours": _score(ours),
        "oracle": _score(oracle),
    }


def _score(one: CauseScore) -> dict[str, Any]:
    return {
        "outcome": one.outcome.value,
        "right_first": one.right_first,
        "credit": one.credit,
        "detected": one.detected,
        "false_names": len(one.false_names),
        "proxies": len(one.proxies),
    }


def _rate(rows: Iterable[Row], hit: Callable[[Row], bool]) -> CauseRate:
    told = [bool(hit(one)) for one in rows]
    return CauseRate(sum(told), len(told))


def rates(rows: Sequence[Row], who: str) -> dict[str, CauseRate]:
    """The table's rates, of C4 (``ours``) or of the oracle."""

    def right(one: Row) -> bool:
        return bool(one[who]["right_first"])

    def alarm(one: Row) -> bool:
        return bool(one[who]["outcome"] == "false alarm")

    drawn = [one for one in rows if not one["quiet"]]
    named = [one for one in drawn if one["nameable"]]
    clear = [one for one in named if one["identifiable"]]
    best = [one for one in named if one["oracle"]["right_first"] and one["oracle"]["detected"]]
    none = [one for one in drawn if "kind: none" in one["tags"]]
    some = [one for one in drawn if "kind: none" not in one["tags"]]
    return {
        "right first, identifiable": _rate(clear, right),
        "right first, oracle right": _rate(best, right),
        "right first, nameable": _rate(named, right),
        "right first and significant": _rate(
            named, lambda one: right(one) and one[who]["detected"]
        ),
        "false alarms, as drawn": _rate(none, alarm),
        "false alarms, without any cause": _rate([one for one in rows if one["quiet"]], alarm),
        "false names": _rate(some, lambda one: one[who]["false_names"] > 0),
    }


def kinds(rows: Sequence[Row]) -> dict[str, CauseRate]:
    """False alarms by what is difficult about the worlds without any cause, and by their size."""
    quiet = [one for one in rows if one["quiet"]]

    def alarms(some: Iterable[Row]) -> CauseRate:
        return _rate(some, lambda one: one["ours"]["outcome"] == "false alarm")

    found = {kind: alarms(one for one in quiet if kind in one["tags"]) for kind in _KINDS}
    for low, high in _SIZES:
        name = f"{low} to {high} models"
        found[name] = alarms(one for one in quiet if low <= one["models"] <= high)
    return found


def _simulate(seeds: range, quiet: bool) -> list[dict[str, Any]]:
    found = score_attribution(
        seeds, kind=WorldKind.NONE if quiet else None, executor=ProcessExecutor()
    )
    return [
        row(seed, quiet, own, best)
        for seed, own, best in zip(seeds, found.scores, found.oracle_scores, strict=True)
    ]


def main() -> None:
    """Simulate, or print what is stored."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", action="store_true", help="print rates, simulate nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.tables:
        worlds = [*_simulate(DRAWN, quiet=False), *_simulate(QUIET, quiet=True)]
        told = {"version": commonmode.__version__, "generator": sources(), "worlds": worlds}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(one) for one in told.pop("worlds"))
        head = json.dumps(told)[:-1]
        options.out.write_text(f'{head}, "worlds": [\n{lines}\n]}}\n')
    worlds = json.loads(options.out.read_text())["worlds"]
    ours, oracle = rates(worlds, "ours"), rates(worlds, "oracle")
    for name, rate in ours.items():
        print(f"{name}: {rate}; oracle {oracle[name]}")
    for name, rate in kinds(worlds).items():
        print(f"  false alarms, {name}: {rate}")


if __name__ == "__main__":
    main()
