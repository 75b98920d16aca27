"""P&L of a book under a grid of spot and vol shocks, summed in cache.

One value per scenario comes out; the (options x scenarios) values are never stored.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.pricing._normalised import log_moneyness
from commonmode.pricing.black76 import black76_price
from commonmode.pricing.kernels.columns import BLOCK, as_columns
from commonmode.pricing.kernels.dispatch import BREAK_EVEN, Engine

__all__ = ["scenario_pnl"]

_LOOPS: Final[dict[bool, Callable[..., Any]]] = {}


def _book(**values: Any) -> dict[str, FloatArray]:
    """Full, finite columns; prices positive."""
    n, columns = as_columns(**values)
    book = {
        name: column if len(column) == n else np.full(n, column[0])
        for name, column in zip(values, columns, strict=True)
    }
    for name, column in book.items():
        positive = name in ("forward", "strike")
        good = np.isfinite(column) & ((column > 0) if positive else True)
        good &= (column >= 0) if name in ("years", "vol") else True
        if name == "sign":
            good &= np.abs(column) == 1.0
        if not good.all():
            raise DataError(
                f"{name} of position {int(np.flatnonzero(~good)[0])} is "
                f"{column[np.flatnonzero(~good)[0]]}",
                remedy="drop the position from the book, or mark it before it is revalued",
            )
    return book


def _numpy_grid(
    book: dict[str, FloatArray],
    weight: FloatArray,
    years: FloatArray,
    spot: FloatArray,
    vols: list[FloatArray],
    inverse: bool,
) -> FloatArray:
    """The twin: blocks of (positions x spots) for one vol, each reduced at once."""
    scale, shift = vols
    out = np.zeros((len(scale), len(spot)))
    rows = max(1, BLOCK // len(spot))
    for start in range(0, len(weight), rows):
        part = slice(start, start + rows)
        f = book["forward"][part, None] * spot
        column = {name: values[part, None] for name, values in book.items()}
        for j in range(len(scale)):
            vol = np.maximum(column["vol"] * scale[j] + shift[j], 0.0)
            value = black76_price(f, column["strike"], years[part, None], vol, sign=column["sign"])
            out[j] += weight[part] @ (value / f if inverse else value)
    return out


def _numba_grid(
    book: dict[str, FloatArray],
    weight: FloatArray,
    years: FloatArray,
    spot: FloatArray,
    vols: list[FloatArray],
    inverse: bool,
    threads: int,
) -> FloatArray:
    if inverse not in _LOOPS:
        from commonmode.pricing.kernels._scenario import grid_loop

        _LOOPS[inverse] = grid_loop(inverse)
    loop = _LOOPS[inverse]
    count = len(vols[0]) * len(spot)
    flat = np.tile(spot, len(vols[0]))
    out = np.zeros(count)
    arguments = (
        book["forward"],
        book["strike"],
        np.ascontiguousarray(log_moneyness(book["forward"], book["strike"])),
        np.sqrt(years),
        book["vol"],
        book["sign"],
        weight,
        flat,
        np.log(flat),
        *(np.repeat(shock, len(spot)) for shock in vols),
        out,
    )
    # Each scenario is summed over the whole book by one thread, in the book's order.
    edges = np.linspace(0, count, min(max(threads, 1), count) + 1).astype(int).tolist()
    if len(edges) == 2:
        loop(*arguments, 0, count)
    else:
        with ThreadPoolExecutor(len(edges) - 1) as pool:
            list(pool.map(lambda a, b: loop(*arguments, a, b), edges[:-1], edges[1:]))
    return out.reshape(len(vols[0]), len(spot))


def scenario_pnl(
    forward: Any,
    strike: Any,
    years: Any,
    vol: Any,
    quantity: Any,
    *,
    spot: Any,
    vol_shift: Any = 0.0,
    vol_scale: Any = 1.0,
    sign: Any = 1.0,
    rate: Any = 0.0,
    elapsed: float = 0.0,
    settlement: Literal["linear", "inverse"] = "linear",
    engine: Engine = "auto",
    threads: int = 1,
) -> FloatArray:
    """Change in value of a book of options in each scenario of a spot x vol grid.

    Parameters
    ----------
    forward, strike, years, vol, sign, rate
        Columns of positions or scalars, as in :func:`~commonmode.pricing.kernels.black76`;
        forward and strike > 0.
    quantity
        Signed number of contracts on one unit of the underlying, column or scalar.
    spot : array_like, shape (spots,)
        Multiples of today's forwards, > 0: 0.9 is a fall of 10 %.
    vol_shift, vol_scale : array_like, shape (vols,), or scalar
        The shocked vol is ``max(vol * vol_scale + vol_shift, 0)``.
    elapsed : float
        Years that pass before revaluation; an option that expires meanwhile has its payoff.
    settlement : {"linear", "inverse"}
        Linear: P&L in the currency of the forward. Inverse: in coin, each value divided by its own
        shocked forward; `rate` must then be 0. (What an inverse option gains in USD, for who holds
        no coin, is the linear figure.)
    engine : {"auto", "numba", "numpy"}
    threads : int
        Threads of the compiled engine; the bits do not depend on it.

    Returns
    -------
    float64, shape (vols, spots)
        Sum over positions of quantity times the change in value; 0 where nothing
        changes (exactly so by the compiled engine).

    Raises
    ------
    DataError
        A position or a shock that cannot be valued, named.
    ConfigurationError
        An unknown engine or settlement, or a rate with inverse settlement.
    """
    if engine not in ("auto", "numba", "numpy") or settlement not in ("linear", "inverse"):
        raise ConfigurationError(
            f"engine={engine!r}, settlement={settlement!r} is not known",
            remedy="engine: auto, numba or numpy; settlement: linear or inverse",
        )
    inverse = settlement == "inverse"
    book = _book(
        forward=forward,
        strike=strike,
        years=years,
        vol=vol,
        sign=sign,
        rate=rate,
        quantity=quantity,
    )
    if inverse and book["rate"].any():
        raise ConfigurationError(
            "a rate has no meaning for a premium in coin", remedy="leave rate at 0"
        )
    spots = np.atleast_1d(np.asarray(spot, np.float64))
    shocks = np.broadcast_arrays(
        np.atleast_1d(np.asarray(vol_scale, np.float64)),
        np.atleast_1d(np.asarray(vol_shift, np.float64)),
    )
    vols = [np.ascontiguousarray(shock) for shock in shocks]
    if not (np.all(spots > 0) and all(np.isfinite(a).all() for a in (spots, *vols))):
        raise DataError(
            "a shock is not finite, or a spot multiple is not positive",
            remedy="spot multiples are 0.9 for a fall of 10 %, vol shifts 0.1 for ten points",
        )
    left = np.maximum(book["years"] - elapsed, 0.0)
    work = len(left) * spots.size * vols[0].size
    compiled = engine == "numba" or (
        engine == "auto" and (work >= BREAK_EVEN["price"] or inverse in _LOOPS)
    )

    def grid(years_left: FloatArray, at: FloatArray, by: list[FloatArray]) -> FloatArray:
        weight = book["quantity"] * np.exp(-book["rate"] * years_left)
        if compiled:
            return _numba_grid(book, weight, years_left, at, by, inverse, threads)
        return _numpy_grid(book, weight, years_left, at, by, inverse)

    today = grid(book["years"], np.ones(1), [np.ones(1), np.zeros(1)])
    return np.asarray(grid(left, np.ascontiguousarray(spots), vols) - today[0, 0])
