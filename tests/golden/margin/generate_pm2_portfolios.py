"""Eleven accounts of our own under Derive's portfolio margin, with the answers by hand.

    python tests/golden/margin/generate_pm2_portfolios.py

writes `pm2_portfolios.json` beside this file: accounts, both parameter sets in full and every
number the reference implementation (`tests/reference/margin/pm2_by_hand.py`, 50 digits) finds.
The markets are invented. Names are those of the published cases, except that a scenario's row
is [SpotShock, VolShockDirection, profit or loss].
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from mpmath import mpf

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "reference" / "margin"))

from pm2_accounts import ACCOUNTS, AGAIN_UNDER_THE_OLD_SET  # noqa: E402
from pm2_by_hand import pm2  # noqa: E402

OUTPUT = HERE / "pm2_portfolios.json"
SOURCES = (Path(__file__).resolve(), HERE / "pm2_accounts.py")

Json = dict[str, Any]


# --- parameter sets -----------------------------------------------------------------------------

TAILS = (0.34, 0.67, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)


def parameters(
    *,
    grid: tuple[float, float, float, float],
    tail_damping: tuple[float, ...],
    vol_up: float,
    vol_down: float,
    least_vol_up: float,
    basis: float,
    perp: tuple[float, float],
    option: tuple[float, float],
    long_base: float,
    short_base: float,
) -> Json:
    """One published parameter set; what both sets share is written here once."""
    inner, outer = sorted([*grid[:3], 0.0]), grid[3]
    moves = [-m for m in reversed(inner) if m] + inner
    scenarios = [_scenario(outer, "Up"), _scenario(-outer, "Up")]
    scenarios += [_scenario(m, d) for m in moves for d in ("Up", "None", "Down")]
    scenarios += [
        {"SpotShock": s, "VolShockDirection": "Up", "DampeningFactor": f}
        for s, f in zip(TAILS, tail_damping, strict=True)
    ]
    scenarios += [_scenario(0.0, "LINEAR"), _scenario(0.0, "ABS")]
    return {
        "Scenarios": scenarios,
        "SkewShock": {
            "LINEAR_SCALE_CAP": 0.25,
            "LINEAR_CBASE": -0.1,
            "ABS_SCALE_CAP": 0.25,
            "ABS_CBASE": -0.1,
            "MIN_K_STAR": 0.01,
            "MIN_WIDTH_SCALE": 4.0,
            "VOL_PARAM_STATIC": 0.6,
            "VOL_PARAM_SCALE": 0.0,
        },
        "VolShock": {
            "VOLRANGEUP": vol_up,
            "VOLRANGEDOWN": vol_down,
            "MIN_VOL_EVAL_SHOCKED": least_vol_up,
            "SHORTTERMPOWER": 0.3,
            "LONGTERMPOWER": 0.13,
            "DTE_FLOOR": 1.0,
        },
        "Margin": {
            "MM_LOSS_FACTOR": 0.8,
            "IM_LOSS_FACTOR": 1.0,
            "SHORT_RATE_MULTSCALE": 0.0,
            "LONG_RATE_MULTSCALE": 0.0,
            "SHORT_RATE_ADDSCALE": 0.1,
            "LONG_RATE_ADDSCALE": 0.1,
            "BASE_STATIC_DISCOUNT": long_base,
            "BASE_STATIC_DISCOUNT_NEG": short_base,
        },
        "BasisContingency": {
            "SCENARIO_SPOT_UP": round(1 + basis, 6),
            "SCENARIO_SPOT_DOWN": round(1 - basis, 6),
            "BASIS_CONT_ADD_FACTOR": 0.5,
            "BASIS_CONT_MULT_FACTOR": 2.0,
        },
        "OtherContingency": {
            "PEG_LOSS_THRESHOLD": 0.99,
            "PEG_LOSS_FACTOR": 4.0,
            "CONF_THRESHOLD": 0.55,
            "CONF_MARGIN": 0.4,
            "MM_PERP_PERCENT": perp[0],
            "IM_PERP_PERCENT": perp[1],
            "MM_OPTION_PERCENT": option[0],
            "IM_OPTION_PERCENT": option[1],
        },
    }


def _scenario(move: float, direction: str) -> Json:
    shock = round(1 + move, 6)
    return {"SpotShock": shock, "VolShockDirection": direction, "DampeningFactor": 1.0}


PARAMETERS = {
    "2025-12-08": parameters(
        grid=(0.045, 0.09, 0.135, 0.18),
        tail_damping=(0.21, 0.42, 0.2772, 0.1386, 0.0693, 0.0462, 0.03465, 0.02772),
        vol_up=0.5,
        vol_down=0.3,
        least_vol_up=0.4,
        basis=0.045,
        perp=(0.03, 0.01),
        option=(0.003, 0.002),
        long_base=1.02,
        short_base=0.98,
    ),
    "2026-09-24": parameters(
        grid=(0.035, 0.07, 0.105, 0.14),
        tail_damping=(
            0.122624,
            0.245,
            0.161741,
            0.080871,
            0.020218,
            0.008976,
            0.005044,
            0.003228,
        ),
        vol_up=0.4,
        vol_down=0.25,
        least_vol_up=0.5,
        basis=0.035,
        perp=(0.0075, 0.0075),
        option=(0.0015, 0.001),
        long_base=0.98,
        short_base=1.02,
    ),
}
MAIN, BEFORE = "2026-09-24", "2025-12-08"


# --- the file -----------------------------------------------------------------------------------


def portfolios() -> Json:
    """The whole file as data."""
    wanted = [(a, MAIN) for a in ACCOUNTS] + [(a, BEFORE) for a in AGAIN_UNDER_THE_OLD_SET]
    cases = []
    for make, published in wanted:
        scenario, chosen = make(), PARAMETERS[published]
        cases.append(
            {
                "name": f"{make.__name__} {published}",
                "about": inspect.getdoc(make),
                "scenario": scenario,
                "parameters": chosen,
                "result": _plain(pm2(scenario, chosen)),
            }
        )
    return {
        "generator": "tests/golden/margin/generate_pm2_portfolios.py",
        "sha256": sha256(),
        "cases": cases,
    }


def sha256() -> str:
    """Digest of the generator and of its accounts, one after the other."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()


def _plain(value: Any) -> Any:
    """Fifty digits to the nearest double; what only their rounding leaves is zero."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, mpf):
        return float(value) if abs(value) > 1e-30 else 0.0
    return value


def text(value: Any, indent: str = "") -> str:
    """JSON in which what fits on a line stands on one."""
    flat = json.dumps(value)
    if len(indent) + len(flat) <= 110 or not isinstance(value, (dict, list)):
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(k)}: {text(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + text(v, inner) for v in value) + f"\n{indent}]"


def main() -> None:
    """Write the file and say which generator made it."""
    made = portfolios()
    OUTPUT.write_text(text(made) + "\n", encoding="utf-8")
    print(f"{made['generator']} sha256 {made['sha256']}: {len(made['cases'])} cases")


if __name__ == "__main__":
    main()
