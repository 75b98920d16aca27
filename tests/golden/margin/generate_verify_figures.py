"""Some of our own PM2 accounts as the cases that come with `commonmode verify`.

    python tests/golden/margin/generate_verify_figures.py

reads `pm2_portfolios.json` (see `generate_pm2_portfolios.py`) and writes `margin.json` into the
package's figures: the same accounts, parameters and answers, the answers in the published cases'
names and rows ([move of spot, direction of volatility, profit or loss]).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from generate_pm2_portfolios import OUTPUT as PORTFOLIOS
from generate_pm2_portfolios import text

OUTPUT = (
    Path(__file__).resolve().parents[3]
    / "src"
    / "commonmode"
    / "app"
    / "verify"
    / "figures"
    / "margin.json"
)
# One whose basis decides, one against collateral, one with the stablecoin off its peg.
CHOSEN = (
    "calendar 2026-09-24",
    "covered_call_in_coin 2026-09-24",
    "many_expiries_stable_off_peg 2026-09-24",
)
DIRECTIONS = {"Up": 1, "None": 0, "Down": -1}
SOURCE = (
    "Own account under the published method and its parameters of 2026-09-24; answer of an "
    "implementation that shares no code with this package, at 50 digits"
)

Json = dict[str, Any]


def figures() -> Json:
    """The whole file as data."""
    stored = json.loads(PORTFOLIOS.read_text(encoding="utf-8"))
    by_name = {case["name"]: case for case in stored["cases"]}
    return {
        "generator": "tests/golden/margin/generate_verify_figures.py",
        "sha256": sha256(),
        "cases": [_case(by_name[name]) for name in CHOSEN],
    }


def sha256() -> str:
    """Digest of this generator and of the portfolios, one after the other."""
    sources = (Path(__file__).resolve(), PORTFOLIOS)
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _case(case: Json) -> Json:
    # The verified program takes profit of perpetuals as given, and finds the worst of each kind.
    left_out = ("PerpMTM", "worst_loss")
    expected = {key: value for key, value in case["result"].items() if key not in left_out}
    for kind in ("reg_losses", "tail_losses"):
        expected[kind] = [
            [round(shock - 1, 12), DIRECTIONS[direction], profit]
            for shock, direction, profit in expected[kind]
        ]
    return {
        "id": f"pm2-{case['name'].partition(' ')[0].replace('_', '-')}",
        "method": "Derive PM2 margin",
        "topic": "margin",
        "inputs": {"Scenario": case["scenario"], "Parameters": case["parameters"]},
        "expected": expected,
        "tolerance": {"rel": 1e-9, "abs": 1e-9},
        "source": SOURCE,
    }


def main() -> None:
    """Write the file and say which generator made it."""
    made = figures()
    OUTPUT.write_text(text(made) + "\n", encoding="utf-8")
    print(f"{made['generator']} sha256 {made['sha256']}: {len(made['cases'])} cases")


if __name__ == "__main__":
    main()
