"""What the margin page draws: where an account is liquidated, and what its worst scenario costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from commonmode.app.study.margin_desk import MarginDesk
from commonmode.app.study.margin_table import legs_to_json
from commonmode.app.study.results import plain
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.method import MarginMethod
from commonmode.margin.roots import RootSearch
from commonmode.margin.surface import liquidation_surface

__all__ = ["margin_pictures"]

_DRAWN: Final = 3  # accounts
_VOL: Final[tuple[float, ...]] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
# The grid alone: zeros are drawn as a contour of it.
_GRID: Final = RootSearch(low=0.4, high=2.5, points=29, calls=0)
# Our own method revalues thousands of scenarios at every point: fewer of them.
_COARSE: Final = RootSearch(low=0.4, high=2.5, points=15, calls=0)
_COARSE_VOL: Final[tuple[float, ...]] = (0.5, 1.0, 1.5, 2.0)
# Options that our own method values in one call beyond which it is left out: half a second, and a
# tenth of one where every point of the grid is a call.
_MOST_VALUES: Final = 5_000_000
_MOST_ON_GRID: Final = 1_000_000


def margin_pictures(desk: MarginDesk, value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Pictures of one account, or of the three nearest their threshold.

    Parameters
    ----------
    desk : MarginDesk
    value : mapping
        As made by :func:`~commonmode.app.study.margin_table.margin_to_json`, with ``legs`` if it is
        about one account.

    Returns
    -------
    list of dict
        ``account``, ``legs`` by method, and ``surfaces``: by method the maintenance balance over
        factors on spot and on every volatility, USD, ``balance[vol][spot]``.
    """
    rows = _chosen(value)
    balances = {method.id: _balances(desk, rows, method) for method in desk.built.methods if rows}
    out = []
    for at, row in enumerate(rows):
        account = _only(desk, [row])
        few = [m for m in desk.built.methods if desk.effort(m, account) <= _MOST_VALUES]
        out.append(
            {
                "account": value["accounts"][row]["account"],
                "legs": value.get("legs") or legs_to_json(desk, row, few),
                "surfaces": [
                    plain({"method": name, "spot": spot, "vol": vol, "balance": balance[at]})
                    for name, (spot, vol, balance) in balances.items()
                    if np.isfinite(balance[at]).any()
                ],
            }
        )
    return out


def _only(desk: MarginDesk, rows: Sequence[int]) -> Accounts:
    chosen: IntArray = np.array(rows, dtype=np.int64)
    return desk.accounts.select(chosen)


def _balances(
    desk: MarginDesk, rows: Sequence[int], method: MarginMethod
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Factors on spot and vol, and the balance over both, shape (rows, vol, spot)."""
    search, vols, groups = _GRID, _VOL, [list(rows)]
    if isinstance(method, Dynamic):
        # What it costs depends on what is held, so each account by itself.
        search, vols, groups = _COARSE, _COARSE_VOL, [[row] for row in rows]
    spot = np.exp(search.grid)
    parts = []
    for group in groups:
        accounts = _only(desk, group)
        if desk.effort(method, accounts) > _MOST_ON_GRID:
            parts.append(np.full((len(group), len(vols), len(spot)), np.nan))
            continue
        found = liquidation_surface(
            accounts, desk.alone, method, vol=vols, seconds=(0.0,), search=search
        )
        parts.append(np.swapaxes(found.balance[:, :, :, 0], 1, 2))
    return spot, np.asarray(vols), np.concatenate(parts)


def _chosen(value: Mapping[str, Any]) -> list[int]:
    """Rows of the accounts that come nearest to a threshold under any method."""

    def near(row: int) -> tuple[float, float]:
        cells = [m for m in value["accounts"][row]["methods"].values() if m["failure"] is None]
        vols = [m["thresholds"]["daily_vols"] for m in cells if m["thresholds"] is not None]
        reach = min((v for v in vols if v is not None), default=np.inf)
        # Without a threshold in reach: who has the least room for his size.
        room = min(
            (m["maintenance_balance"] / max(m["maintenance"], 1.0) for m in cells), default=0
        )
        return reach, room

    able = [
        row
        for row, account in enumerate(value["accounts"])
        if any(m["failure"] is None for m in account["methods"].values())
    ]
    return sorted(able, key=near)[:_DRAWN]
