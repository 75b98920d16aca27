"""Size, power and coverage of every index by simulation: ``python scripts/index_evidence``.

Every case is a kind of world and what is asked in each; a world's seed is drawn from the stream of
its case and number, so a case gives the same answers alone or with others. What misses its promise
by more than two standard errors is simulated again on 500 further worlds (unless it misses by a
mile), and both rounds are shown: of some five hundred questions a few miss by chance. Answers are
written after every case; a run that was stopped goes on where it was.

    python scripts/index_evidence                # everything: about twenty minutes on one core
    python scripts/index_evidence --only C5      # cases whose index or world contains the text
    python scripts/index_evidence --tables       # the document's tables from the stored answers
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).resolve().parent)]

from bar_screen_cases import BAR_SCREEN_CASES  # noqa: E402
from card_cases import CARD_CASES  # noqa: E402
from crowd_cases import CROWD_CASES  # noqa: E402
from cycle_cases import CYCLE_CASES  # noqa: E402
from evidence_case import SEED, Case, Rate  # noqa: E402
from evidence_tables import missed, rates, table  # noqa: E402
from figure_cases import FIGURE_CASES  # noqa: E402
from following_cases import FOLLOWING_CASES  # noqa: E402
from layer_cases import LAYER_CASES  # noqa: E402
from limit_cases import LIMIT_CASES  # noqa: E402
from money_cases import MONEY_CASES  # noqa: E402
from spread_cases import SPREAD_CASES  # noqa: E402
from tape_screen_cases import TAPE_SCREEN_CASES  # noqa: E402
from watch_cases import WATCH_CASES  # noqa: E402

import commonmode  # noqa: E402

CASES: tuple[Case, ...] = (
    *CROWD_CASES,
    *FOLLOWING_CASES,
    *CYCLE_CASES,
    *WATCH_CASES,
    *MONEY_CASES,
    *SPREAD_CASES,
    *CARD_CASES,
    *LAYER_CASES,
    *FIGURE_CASES,
    *BAR_SCREEN_CASES,
    *TAPE_SCREEN_CASES,
    *LIMIT_CASES,
)
RESULTS = ROOT / "examples" / "indices" / "evidence" / "results.json"
AGAIN = 500
_LOST = 0.1  # further off than this no second round is needed to see it


def sources() -> str:
    """Hash of the generator and of the worlds it takes from the tests."""
    files = sorted(Path(__file__).resolve().parent.glob("*.py"))
    files += [*sorted((ROOT / "tests").glob("*_worlds.py")), ROOT / "tests" / "planted_models.py"]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def load(path: Path) -> dict[str, Any]:
    """Stored results; empty if there are none."""
    if not path.exists():
        return {"cases": {}}
    return dict(json.loads(path.read_text()))


def save(path: Path, results: dict[str, Any]) -> None:
    """Written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(results, indent=0, ensure_ascii=False) + "\n")
    fresh.replace(path)


def run_case(case: Case) -> dict[str, Any]:
    """All worlds of a case, and a second round where a promise was missed."""
    planted = case.planted()
    told: dict[str, Any] = {
        "planted": None if planted != planted else planted,
        "questions": [q.name for q in case.questions],
        "answers": [case.answers(w, planted) for w in range(case.worlds)],
    }
    missed = [
        rate
        for question, rate, _ in rates(case, told)
        if rate.off(question) and _close(rate, question.nominal or 0.0)
    ]
    if missed:
        told["again"] = [case.answers(w, planted, again=True) for w in range(AGAIN)]
    return told


def _close(rate: Rate, nominal: float) -> bool:
    return abs(rate.value - nominal) <= _LOST


def main() -> None:
    """Run what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="cases whose index or world contains this")
    parser.add_argument("--tables", action="store_true", help="print tables, simulate nothing")
    parser.add_argument("--force", action="store_true", help="simulate what is stored as well")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    results = load(options.out)
    wanted = [c for c in CASES if options.only in c.name]
    if options.tables:
        known = [c for c in wanted if c.name in results["cases"]]
        for index in dict.fromkeys(c.index for c in known):
            mine = [c for c in known if c.index == index]
            print(f"### {index}\n\n{table(mine, results['cases'])}\n")
        print(missed(known, results["cases"]), file=sys.stderr)
        return
    for number, case in enumerate(wanted, 1):
        stored = results["cases"].get(case.name, {})
        asked = [q.name for q in case.questions]
        known = stored.get("questions") == asked and len(stored["answers"]) == case.worlds
        if known and not options.force:
            continue
        begun = time.perf_counter()
        results["cases"][case.name] = run_case(case)
        names = [c.name for c in CASES]
        results |= {
            "version": commonmode.__version__,
            "seed": SEED,
            "generator": sources(),
            "cases": {n: results["cases"][n] for n in names if n in results["cases"]},
        }
        save(options.out, results)
        said = ", ".join(
            f"{q.name} {100 * r.value:.1f}" + (f" ({100 * a.value:.1f})" if a else "")
            for q, r, a in rates(case, results["cases"][case.name])
        )
        spent = time.perf_counter() - begun
        print(f"{number}/{len(wanted)} {case.name}: {said} [{spent:.0f} s]", file=sys.stderr)


if __name__ == "__main__":
    main()
