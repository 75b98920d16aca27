"""Results at the edges of what a report must survive."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from report_results import laboratory_results

__all__ = ["HOSTILE", "everything_failed", "full", "hostile"]

HOSTILE = (
    "<script>alert('x')</script></script><img src=x onerror=alert(1)>\x1b[31m{{ 7*7 }}&amp;\u2028"
)
_FAILED = {
    "status": "failed",
    "reason": "calculation_failed",
    "message": "too few rows",
    "remedy": "give a longer panel",
}


def full() -> dict[str, Any]:
    """Results with a population, Greeks, failed cells and a panel without a tail claim."""
    results = deepcopy(laboratory_results())
    panel = results["panels"][0]
    second = deepcopy(panel)
    second |= {"name": "surface", "title": "Surface panel", "family": "surface", "benchmark": None}
    second["c3"] = {**_FAILED, "reason": "not_applicable"}
    second["failed_cells"] = [
        {
            "model": panel["models"][0]["id"],
            "target": "BTC 7d",
            "time_ms": 1_681_300_000_000,
            "count": 4,
            "reason": "calibration_failed",
            "message": "rho at its bound",
            "remedy": "give more strikes",
        }
    ]
    results["panels"].append(second)
    names = [m["id"] for m in panel["models"]]
    people = [
        {
            "id": f"desk-{i}",
            "kind": "desk",
            "surface_model": names[i % 2],
            "risk_model": names[2 + i % 3],
            "capital_usd": 1e6,
            "gross_usd": 1e8 * (i + 1),
            "jurisdiction": "",
        }
        for i in range(4)
    ]
    results["population"] = {
        "ownership": "Ownership is assumed.",
        "participants": people,
        "exposure": [
            {"model": p["risk_model"], "exposure_usd": p["gross_usd"], "participants": [p["id"]]}
            for p in people
        ],
    }
    greek = {"book": "desk-0", "underlying": "BTC", "unit": "USD"}
    results["greeks"] = {
        "snapshot_ms": 1_681_340_400_000,
        "models": names[:2],
        "totals": [{**greek, "greek": "delta", "by_model": {names[0]: 1.5e6, names[1]: None}}],
        "disagreement": [
            {
                **greek,
                "greek": name,
                "models": 2,
                "median": m,
                "range": r,
                "dispersion": d,
                "ratio": x,
            }
            for name, m, r, d, x in (
                ("delta", 1.5e6, 2e5, 0.03, 1.1),
                ("gamma", 1.0, 4.0, None, None),
                ("vega", 1.0, 2.0, 1.0, None),
                ("rho", None, None, None, None),
            )
        ],
        "failures": [
            {"model": names[1], "instrument": None, "reason": "arbitrage", "message": "negative"}
        ],
    }
    results["failures"] = [
        {"where": "greeks", "reason": "arbitrage", "message": "one model", "remedy": "look"}
    ]
    return results


def everything_failed() -> dict[str, Any]:
    """No index could be computed."""
    results = deepcopy(laboratory_results())
    for index in ("c1", "c2", "c3", "c4", "c6"):
        results["panels"][0][index] = dict(_FAILED)
    results["panels"][0] |= {"benchmark": None, "level": None, "first_ms": None, "last_ms": None}
    results["cards"] = []
    return results


def hostile() -> dict[str, Any]:
    """A model's name, and every other text of a user, that tries to break out of its place."""
    old = full()["panels"][0]["models"][0]["id"]

    def swap(value: Any) -> Any:
        if isinstance(value, dict):
            return {swap(k): swap(v) for k, v in value.items()}
        if isinstance(value, list):
            return [swap(v) for v in value]
        return value.replace(old, HOSTILE) if isinstance(value, str) else value

    results: dict[str, Any] = swap(full())
    for key in ("title", "data_line"):
        results["study"][key] += HOSTILE
    results["reproduce"] += HOSTILE
    results["failures"][0]["message"] += HOSTILE
    results["panels"][0]["notes"][0] += HOSTILE
    results["panels"][0]["c1"]["components"][0]["component"] = HOSTILE
    return results
