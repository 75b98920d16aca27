"""The front of the kernels: blocked numpy for a small one-shot job, compiled code for the rest.

numba costs .7 to 1.5 s before its first result (import, load of the cached machine code; more the
very first time, when it compiles), and then 7 to 10 ns per option instead of several hundred. The
sizes in :data:`BREAK_EVEN` are where both take equally long, measured on two AVX-512 cores by
``python benchmarks/break_even.py``; a kernel that has been used already is always used again.

The two engines agree to rounding, not to the bit; a computation that must be reproduced to the
last digit names its engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.pricing.black76 import black76_greeks, black76_price
from commonmode.pricing.implied_vol import black76_implied_vol
from commonmode.pricing.inverse import inverse_greeks, inverse_price
from commonmode.pricing.kernels._plain import plain_option, plain_vol
from commonmode.pricing.kernels.columns import (
    BLOCK,
    INVERSE,
    LINEAR,
    Columns,
    as_columns,
    named_sets,
    output,
)

__all__ = [
    "BREAK_EVEN",
    "Engine",
    "black76",
    "black76_blocks",
    "compiled",
    "implied_vol",
    "inverse76",
    "ready",
]

Engine = Literal["auto", "numba", "numpy"]

BREAK_EVEN: Final = MappingProxyType(
    {"price": 4_000_000, "greeks": 2_500_000, "implied_vol": 400_000}
)
"""Rows from which compiled code pays although its start-up has not been paid yet."""

_ENGINES: Final = ("auto", "numba", "numpy")
_LOOPS: Final[dict[tuple[str, int, bool], Callable[..., int]]] = {}


def ready(kernel: str, outputs: int = 0, discounted: bool = False) -> bool:
    """Whether a compiled loop has been loaded: ``"linear"``, ``"inverse"`` or ``"implied_vol"``."""
    return (kernel, outputs, discounted) in _LOOPS


def compiled(
    kernel: Literal["linear", "inverse"],
    rows: int,
    *,
    engine: Engine = "auto",
    greeks: str = "five",
) -> bool:
    """Whether compiled code would value so many rows, at zero rate.

    For a job that comes in several calls: decide once for all of it, name the engine in each.

    Parameters
    ----------
    kernel : {"linear", "inverse"}
    rows : int
        Of all calls together.
    engine, greeks
        As in :func:`black76` and :func:`inverse76`.
    """
    outputs = len(named_sets(greeks, LINEAR if kernel == "linear" else INVERSE))
    work = "price" if outputs == 1 else "greeks"
    return _compiled(engine, rows, work, (kernel, outputs, False))


def _loop(kernel: str, outputs: int, discounted: bool) -> Callable[..., int]:
    """The compiled loop, loaded or compiled on first use."""
    key = (kernel, outputs, discounted)
    if key not in _LOOPS:
        from commonmode.pricing.kernels import _black76, _implied_vol

        if kernel == "linear":
            _LOOPS[key] = _black76.linear_loop(outputs - 1, discounted)
        elif kernel == "inverse":
            _LOOPS[key] = _black76.inverse_loop(outputs - 1)
        else:
            _LOOPS[key] = _implied_vol.implied_vol_loop(discounted)
    return _LOOPS[key]


def _compiled(engine: Engine, n: int, work: str, key: tuple[str, int, bool]) -> bool:
    if engine not in _ENGINES:
        raise ConfigurationError(
            f"engine={engine!r} is not known", remedy=f"use one of {', '.join(_ENGINES)}"
        )
    return engine == "numba" or (engine == "auto" and (n >= BREAK_EVEN[work] or key in _LOOPS))


def _run(loop: Callable[..., int], columns: list[FloatArray], out: FloatArray, threads: int) -> int:
    """All rows by the loop, whole blocks per thread; the bits do not depend on the threads.

    Python threads around loops that release the interpreter lock: numba's own pool is neither
    safe to fork nor (its portable one) safe to enter twice.
    """
    n = out.shape[1]
    blocks = max(1, -(-n // BLOCK))
    share = BLOCK * -(-blocks // max(1, threads))
    parts = [(low, min(low + share, n)) for low in range(0, n, share)]
    if len(parts) < 2:
        return sum(loop(*columns, out, low, high) for low, high in parts)
    with ThreadPoolExecutor(len(parts)) as pool:
        return sum(pool.map(lambda part: loop(*columns, out, *part), parts))


def _rows(columns: list[FloatArray], n: int, index: Any) -> list[FloatArray]:
    """The same rows of every column; a slice is at most one block long."""
    if isinstance(index, slice):
        short = slice(0, index.stop - index.start)
        return [column[index if len(column) == n else short] for column in columns]
    return [column[index if len(column) == n else index * 0] for column in columns]


def _twin_blocks(
    twin: Callable[..., Any], columns: list[FloatArray], out: FloatArray, rows: Any = None
) -> None:
    """All rows, or the named ones, by the numpy twin, block by block so that it stays in cache."""
    n = out.shape[1]
    count = n if rows is None else len(rows)
    for start in range(0, count, BLOCK):
        block = slice(start, min(start + BLOCK, count))
        index = block if rows is None else rows[block]
        out[:, index] = twin(*_rows(columns, n, index))


def _not_plain(f: Any, k: Any, t: Any, v: Any, sign: Any, rate: Any) -> Any:
    """Rows the compiled loops leave to the twin."""
    with np.errstate(all="ignore"):
        return ~(plain_option(f, k, t, rate * t, sign) & plain_vol(v))


def _fields(result: Any, names: tuple[str, ...]) -> list[FloatArray]:
    return [getattr(result, name) for name in names]


def _twin_linear(names: tuple[str, ...]) -> Callable[..., Any]:
    def twin(f: Any, k: Any, t: Any, v: Any, sign: Any, rate: Any) -> Any:
        if len(names) == 1:
            return black76_price(f, k, t, v, sign=sign, rate=rate)
        return _fields(black76_greeks(f, k, t, v, sign=sign, rate=rate), names)

    return twin


def _twin_inverse(names: tuple[str, ...]) -> Callable[..., Any]:
    def twin(f: Any, k: Any, t: Any, v: Any, sign: Any, _rate: Any) -> Any:
        if len(names) == 1:
            return inverse_price(f, k, t, v, sign=sign)
        return _fields(inverse_greeks(f, k, t, v, sign=sign), names)

    return twin


def _valued(
    kernel: str,
    names: tuple[str, ...],
    columns: list[FloatArray],
    out: FloatArray,
    engine: Engine,
    threads: int,
) -> Columns:
    twin = _twin_linear(names) if kernel == "linear" else _twin_inverse(names)
    n = out.shape[1]
    discounted = kernel == "linear" and bool(np.any(columns[5]))
    key = (kernel, len(names), discounted)
    if not _compiled(engine, n, "price" if len(names) == 1 else "greeks", key):
        _twin_blocks(twin, columns, out)
    elif _run(_loop(*key), columns, out, threads):
        full = [c if len(c) == n else np.broadcast_to(c[0], n) for c in columns]
        _twin_blocks(twin, columns, out, np.flatnonzero(_not_plain(*full)))
    return Columns(names, out)


def black76(
    forward: Any,
    strike: Any,
    years: Any,
    vol: Any,
    *,
    sign: Any = 1.0,
    rate: Any = 0.0,
    greeks: str | tuple[str, ...] = "five",
    out: FloatArray | None = None,
    engine: Engine = "auto",
    threads: int = 1,
) -> Columns:
    """Black-76 price and Greeks of many options, linear convention.

    Parameters
    ----------
    forward, strike, years, vol, sign, rate
        Scalars, arrays of shape (n,) or polars Series (float64 without a copy), with the meaning
        they have in :func:`~commonmode.pricing.black76.black76_greeks`.
    greeks : str or tuple of str
        ``"price"``; ``"five"`` (delta, gamma, vega, theta, rho); ``"nine"`` (and vanna, volga,
        charm, speed); ``"all"`` (and color, zomma, ultima); or names, which gives the smallest
        of these sets that holds them. Prices are always in it.
    out : float64, shape (len(set), n), optional
        Where to write. A fresh array costs more than the computation; reuse one, or take
        :func:`black76_blocks`.
    engine : {"auto", "numba", "numpy"}
        See the module. The numpy engine is the twin :func:`black76_greeks`.
    threads : int
        Threads of the compiled engine; the result has the same bits for any number.

    Returns
    -------
    Columns
        Conventions and limits (no time, no volatility, wings) are the twin's; so are NaN for
        negative input. Relative accuracy 1e-14 at ordinary moneyness, in the wings a few units
        in the last place times ``1 + d^2 / 2``.

    Raises
    ------
    DataError, ConfigurationError
        Columns that do not fit together, unknown names.
    """
    n, columns = as_columns(
        forward=forward, strike=strike, years=years, vol=vol, sign=sign, rate=rate
    )
    names = named_sets(greeks, LINEAR)
    return _valued("linear", names, columns, output(out, len(names), n), engine, threads)


def inverse76(
    forward: Any,
    strike: Any,
    years: Any,
    vol: Any,
    *,
    sign: Any = 1.0,
    greeks: str | tuple[str, ...] = "all",
    out: FloatArray | None = None,
    engine: Engine = "auto",
    threads: int = 1,
) -> Columns:
    """Coin-settled options: premium in coin and Greeks in both conventions, named.

    As :func:`black76`, with the fields of :class:`~commonmode.pricing.inverse.InverseGreeks`;
    `greeks` is ``"price"`` (in coin), ``"all"`` or names.
    """
    n, columns = as_columns(
        forward=forward, strike=strike, years=years, vol=vol, sign=sign, rate=0.0
    )
    names = named_sets(greeks, INVERSE)
    return _valued("inverse", names, columns, output(out, len(names), n), engine, threads)


def black76_blocks(
    forward: Any,
    strike: Any,
    years: Any,
    vol: Any,
    *,
    sign: Any = 1.0,
    rate: Any = 0.0,
    greeks: str | tuple[str, ...] = "five",
    engine: Engine = "auto",
) -> Iterator[tuple[slice, Columns]]:
    """:func:`black76` block by block, for what is consumed at once and need not be kept.

    Yields
    ------
    rows : slice
    columns : Columns
        Of these rows; the memory is used again for the next block.
    """
    n, columns = as_columns(
        forward=forward, strike=strike, years=years, vol=vol, sign=sign, rate=rate
    )
    names = named_sets(greeks, LINEAR)
    buffer = np.empty(len(names) * min(n, BLOCK))
    if engine == "auto" and n >= BREAK_EVEN["greeks"]:
        engine = "numba"
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        part = _rows(columns, n, rows)
        size = rows.stop - rows.start
        out = buffer[: len(names) * size].reshape(len(names), size)
        yield rows, _valued("linear", names, part, out, engine, 1)


def implied_vol(
    price: Any,
    forward: Any,
    strike: Any,
    years: Any,
    *,
    sign: Any = 1.0,
    rate: Any = 0.0,
    out: FloatArray | None = None,
    engine: Engine = "auto",
    threads: int = 1,
) -> FloatArray:
    """Black-76 implied volatility of many options.

    Parameters
    ----------
    price, forward, strike, years, sign, rate
        Columns or scalars, as in :func:`black76` and
        :func:`~commonmode.pricing.implied_vol.black76_implied_vol`.
    out : float64, shape (1, n), optional
    engine, threads
        As in :func:`black76`.

    Returns
    -------
    float64, shape (n,)
        NaN where the price is outside the no-arbitrage bounds. 1.7e-14 relative or better where
        the price determines it so well. Rows that the compiled loop does not settle (prices
        below 1e-290 of the forward, extreme inputs) are solved by the twin.
    """
    n, columns = as_columns(
        price=price, forward=forward, strike=strike, years=years, sign=sign, rate=rate
    )
    values = output(out, 1, n)
    key = ("implied_vol", 1, bool(np.any(columns[5])))

    def twin(p: Any, f: Any, k: Any, t: Any, sgn: Any, r: Any) -> Any:
        return black76_implied_vol(p, f, k, t, sign=sgn, rate=r)

    if not _compiled(engine, n, "implied_vol", key):
        _twin_blocks(twin, columns, values)
    elif _run(_loop(*key), columns, values, threads):
        _twin_blocks(twin, columns, values, np.flatnonzero(np.isnan(values[0])))
    return np.asarray(values[0])
