"""What the margin page draws: where an account is liquidated, and what its worst scenario costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from commonmode.app.study.margin_desk import MarginDesk
from commonmode.app.study.margin_table import legs_to_json
from commonmode.app.study.results import plain
from commonmode.core.arrays import IntArray
from commonmode.margin.roots import RootSearch
from commonmode.margin.surface import liquidation_surface

__all__ = ["margin_pictures"]

_DRAWN: Final = 3  # accounts
_VOL: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
# The grid alone: zeros are drawn as a contour of it.
_GRID: Final = RootSearch(low=0.4, high=2.5, points=29, calls=0)
# Options that our own method values per point beyond which it is left out: a tenth of a second.
_MOST_VALUES: Final = 1_000_000


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
    chosen: IntArray = np.array(rows, dtype=np.int64)
    accounts = desk.accounts.select(chosen)
    quick = [m for m in desk.built.methods if desk.effort(m, accounts) <= _MOST_VALUES]
    surfaces = {
        method.id: liquidation_surface(
            accounts, desk.alone, method, vol=_VOL, seconds=(0.0,), search=_GRID
        )
        for method in quick
    }
    return [
        {
            "account": value["accounts"][row]["account"],
            "legs": value.get("legs") or legs_to_json(desk, row, quick),
            "surfaces": [
                plain(
                    {
                        "method": method,
                        "spot": found.spot,
                        "vol": found.vol,
                        "balance": found.balance[at, :, :, 0].T,
                    }
                )
                for method, found in surfaces.items()
                if np.isfinite(found.balance[at]).any()
            ],
        }
        for at, row in enumerate(rows)
    ]


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
