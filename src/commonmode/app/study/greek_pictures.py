"""What the page of ``commonmode greeks`` draws: Greeks by expiry, P&L grids, who disagrees."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np

from commonmode.app.study.people import UNITS
from commonmode.app.study.results import plain
from commonmode.core.arrays import FloatArray
from commonmode.exposure.book_pnl import book_pnl
from commonmode.exposure.disagreement import disagreement
from commonmode.exposure.greeks import Greek, GreekTable
from commonmode.exposure.revaluation import model_surfaces, revalue
from commonmode.exposure.scenarios import ScenarioGrid
from commonmode.exposure.surfaces import FittedSurfaces
from commonmode.exposure.totals import totals
from commonmode.market.clock import utc_iso

__all__ = ["greek_pictures"]

_SPOTS: Final = tuple(round(0.6 + 0.05 * i, 2) for i in range(17))
_SHIFTS: Final = tuple(round(-0.2 + 0.05 * i, 2) for i in range(15))
_BOOKS: Final = 4
_DRAWN: Final = (Greek.DELTA, Greek.GAMMA, Greek.VEGA, Greek.THETA)


def greek_pictures(table: GreekTable, surfaces: FittedSurfaces) -> dict[str, Any]:
    """Numbers behind the pictures, all of them computed here.

    Parameters
    ----------
    table : GreekTable
    surfaces : FittedSurfaces
        Those the table was made with.

    Returns
    -------
    dict
        ``spot`` multiples and ``vol_shift`` of the grid. ``books``, the largest by gross exposure
        (``other_books`` names the rest): per underlying the Greeks in USD by expiry and model, and
        the P&L in USD under each model and how far the models are apart, each of shape
        (spots, shifts). ``instruments``: per underlying, delta and vega of one coin of each option
        under each model as a difference from the models' median.
    """
    positions = table.positions
    names, owner = np.unique(positions.book, return_inverse=True)
    gross = np.bincount(owner, weights=positions.gross_usd, minlength=len(names))
    order = np.argsort(-gross, kind="stable")
    drawn = names[order[:_BOOKS]].tolist()
    grids = _grids(table.select(np.isin(positions.book, drawn)), surfaces)
    value: dict[str, Any] = plain(
        {
            "spot": _SPOTS,
            "vol_shift": _SHIFTS,
            "books": [
                {
                    "book": name,
                    "gross_usd": float(gross[names == name][0]),
                    "expiries": _by_expiry(table.select(positions.book == name)),
                    **grids[name],
                }
                for name in drawn
            ],
            "other_books": names[order[_BOOKS:]].tolist(),
            "instruments": _instruments(table),
        }
    )
    return value


def _by_expiry(table: GreekTable) -> list[dict[str, Any]]:
    summed = totals(table, by=("underlying", "expiry"))
    shown = []
    for coin in np.unique(summed.keys["underlying"]).tolist():
        rows = np.flatnonzero(summed.keys["underlying"] == coin)
        expiries = summed.keys["expiry"][rows]
        shown.append(
            {
                "underlying": coin,
                "expiries": [utc_iso(int(ms)) if ms else "no expiry" for ms in expiries],
                "greeks": [
                    {
                        "greek": greek.name.lower(),
                        "unit": UNITS[greek],
                        "usd": {m: summed.usd[rows, i, greek] for i, m in enumerate(table.models)},
                    }
                    for greek in _DRAWN
                ],
            }
        )
    return shown


def _grids(table: GreekTable, surfaces: FittedSurfaces) -> dict[str, dict[str, Any]]:
    """P&L of each book under every model, by name of the book."""
    held, scenarios = table.positions, ScenarioGrid.product(_SPOTS, _SHIFTS)
    sums = [
        book_pnl(held, revalue(held, model_surfaces(surfaces, model), scenarios))
        for model in table.models
    ]
    by_model = np.stack([one.pnl for one in sums], axis=1)  # (books, models, scenarios)
    by_model = by_model.reshape(*by_model.shape[:2], len(_SPOTS), len(_SHIFTS))
    apart = disagreement(by_model).range
    return {
        name: {
            "pnl": {m: by_model[b, i] for i, m in enumerate(table.models)},
            "unpriced": {m: int(sums[i].unpriced[b]) for i, m in enumerate(table.models)},
            "range": apart[b],
        }
        for b, name in enumerate(sums[0].books.tolist())
    }


def _instruments(table: GreekTable) -> list[dict[str, Any]]:
    _, first = np.unique(table.positions.instrument, return_index=True)
    one = table.select(first)
    keep = one.positions.is_option & (one.positions.quantity != 0)
    one = one.select(keep)
    held = one.positions
    unit = one.usd / (held.quantity * held.contract_size)[:, None, None]
    # In coins per coin of notional, and in USD per vol point of the same.
    columns = {
        "delta": unit[:, :, Greek.DELTA] / held.index[:, None],
        "vega": unit[:, :, Greek.VEGA],
    }
    shown = []
    for coin in np.unique(held.underlying).tolist():
        rows = np.flatnonzero(held.underlying == coin)
        entry: dict[str, Any] = {
            "underlying": coin,
            "instrument": held.instrument[rows].tolist(),
            "moneyness": np.log(held.strike[rows] / held.forward[rows]),
            "expiry": [utc_iso(int(ms)) for ms in held.expiry_ms[rows]],
        }
        for name, values in columns.items():
            part = values[rows]
            middle = _median(part)
            entry[name] = {
                "median": middle,
                "range": disagreement(part).range,
                "from_median": {m: part[:, i] - middle for i, m in enumerate(table.models)},
            }
        shown.append(entry)
    return shown


def _median(values: FloatArray) -> FloatArray:
    """Over the models that priced the instrument; NaN where none did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=1))
