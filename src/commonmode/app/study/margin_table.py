"""Margin as it stands in the results: accounts by method, thresholds, who is nearest to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from commonmode.app.study.margin_desk import MarginDesk
from commonmode.app.study.margin_gates import gate_to_json
from commonmode.app.study.results import failure_to_json, plain
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, capture
from commonmode.exposure.surfaces import CALCULATION_ERRORS
from commonmode.margin.method import MarginMethod, MarginTable
from commonmode.margin.nearest import nearest
from commonmode.margin.thresholds import Thresholds, find_thresholds
from commonmode.market.clock import utc_iso

__all__ = ["legs_to_json", "margin_to_json", "sorted_plain"]

_NEAR = 5  # accounts that count as near their threshold


def margin_to_json(desk: MarginDesk, *, thresholds: bool = True) -> dict[str, Any]:
    """Accounts by method, under every surface model, and where they are liquidated.

    Parameters
    ----------
    desk : MarginDesk
    thresholds : bool
        Also search for every spot at which an account is liquidated (all coins moving together).

    Returns
    -------
    dict
        ``snapshot``, ``marks``, ``models``, ``stable_price``, ``methods``, ``gates``, ``accounts``,
        ``nearest`` and ``failures``.
    """
    found: dict[str, _Worked] = {}
    failures = dict(desk.built.failures)
    for method in desk.built.methods:
        done = capture(
            partial(_work, desk, method, thresholds=thresholds),
            what=f"margin by {method.id}",
            errors=CALCULATION_ERRORS,
        )
        if isinstance(done, Failure):
            failures[method.id] = done
        else:
            found[method.id] = done.value
    value: dict[str, Any] = sorted_plain(
        {
            "snapshot": utc_iso(desk.market.time_ms),
            "marks": desk.marks,
            "models": [desk.marks, *desk.market.alternatives],
            "stable_price": desk.market.stable_price,
            "methods": [
                {
                    "method": name,
                    "parameters": desk.built.sources[name],
                    "covers": desk.built.covers.get(name, ""),
                    "searched": worked.thresholds is not None,
                }
                for name, worked in found.items()
            ],
            "gates": {
                name: gate_to_json(reports, used=name not in desk.built.failures)
                for name, reports in desk.built.gates.items()
            },
            "accounts": [
                {
                    "account": str(name),
                    "positions": int(desk.accounts.offsets[row + 1] - desk.accounts.offsets[row]),
                    "methods": {method: _cell(worked, row) for method, worked in found.items()},
                }
                for row, name in enumerate(desk.accounts.ids.tolist())
            ],
            "nearest": [w.nearest for w in found.values() if w.nearest is not None],
            "failures": [
                {"method": name, **failure_to_json(why)} for name, why in failures.items()
            ],
        }
    )
    return value


@dataclass(frozen=True, slots=True, eq=False)
class _Worked:
    """What one method says of all accounts."""

    table: MarginTable
    under: Mapping[str, FloatArray]
    thresholds: Thresholds | None
    nearest: Mapping[str, Any] | None


def _work(desk: MarginDesk, method: MarginMethod, *, thresholds: bool) -> _Worked:
    table, under = method.margin(desk.accounts, desk.market), _under_models(desk, method)
    if not thresholds:
        return _Worked(table, under, None, None)
    asked, search = desk.searched(method), desk.search(method)
    found = find_thresholds(desk.accounts, desk.alone, asked, search=search)
    return _Worked(table, under, found, _nearest(desk, asked))


def _cell(worked: _Worked, row: int) -> dict[str, Any]:
    found = worked.thresholds
    under = {model: float(initial[row]) for model, initial in worked.under.items()}
    return {
        **_margin(worked.table, row),
        "initial_by_model": under,
        "thresholds": None if found is None else _zeros(found, row),
    }


def sorted_plain(value: Mapping[str, Any]) -> Any:
    """Plain values, keys in order: what is read back from a file looks the same."""
    return json.loads(json.dumps(plain(value), sort_keys=True))


def _under_models(desk: MarginDesk, method: MarginMethod) -> dict[str, FloatArray]:
    """Initial margin with the marks of every surface model."""
    market, method = desk.alone, desk.lighter(method)
    initial = {str(desk.marks): method.margin(desk.accounts, market).initial}
    for model, vol in desk.market.alternatives.items():
        initial[str(model)] = method.margin(desk.accounts, market.with_vol(vol)).initial
    return initial


def _margin(table: MarginTable, row: int) -> dict[str, Any]:
    why = table.failures.get(row)
    return {
        "equity": float(table.equity[row]),
        "initial": float(table.initial[row]),
        "maintenance": float(table.maintenance[row]),
        "initial_balance": float(table.initial_balance[row]),
        "maintenance_balance": float(table.maintenance_balance[row]),
        "healthy": None if why is not None else bool(table.healthy[row]),
        "components": {name: float(part[row]) for name, part in table.components.items()},
        "maintenance_components": {
            name: float(part[row]) for name, part in table.maintenance_components.items()
        },
        "notices": list(table.notices.get(row, ())) if why is None else [],
        "failure": None if why is None else failure_to_json(why),
    }


def _zeros(found: Thresholds, row: int) -> dict[str, Any]:
    mine = np.flatnonzero(found.account == row)
    return {
        "side": str(found.side[row]),
        "distance": float(found.distance[row]),
        "daily_vols": float(found.daily_vols[row]),
        "spot_factors": [float(found.factor[k]) for k in mine],
        "kinds": [str(found.kind[k]) for k in mine],
    }


def _nearest(desk: MarginDesk, method: MarginMethod) -> dict[str, Any]:
    """The accounts nearest their threshold under every surface model."""
    search = desk.search_by_model(method)
    models = desk.market.alternatives
    ranked = nearest(desk.accounts, desk.alone, method, models=models, top=_NEAR, search=search)
    names = [str(desk.marks), *(str(model) for model in ranked.models[1:])]
    return {
        "method": method.id,
        "by_model": {
            name: [
                {
                    "account": str(ranked.ids[row]),
                    "daily_vols": float(ranked.distance[m, row]),
                    "spot_factor": float(ranked.factor[m, row]),
                }
                for row in ranked.near(m)
            ]
            for m, name in enumerate(names)
        },
        "disputed": [str(ranked.ids[row]) for row in ranked.disputed],
    }


def legs_to_json(
    desk: MarginDesk, row: int, methods: Sequence[MarginMethod] | None = None
) -> dict[str, Any]:
    """Attribution of one account under every method (or those named) that could margin it."""
    out: dict[str, Mapping[str, Any]] = {}
    one: IntArray = np.array([row], dtype=np.int64)
    account = desk.accounts.select(one)
    for method in desk.built.methods if methods is None else methods:
        if method.margin(account, desk.alone).failures:
            continue
        legs = method.legs(account, desk.market, 0)
        shown = np.flatnonzero((legs.initial != 0) | (legs.maintenance != 0))
        out[method.id] = {
            "scenario": legs.scenario,
            "legs": [
                {
                    "leg": str(legs.leg[k]),
                    "initial": float(legs.initial[k]),
                    "maintenance": float(legs.maintenance[k]),
                }
                for k in shown
            ],
        }
    value: dict[str, Any] = sorted_plain(out)
    return value
