"""Changes of the data, and of a model's own parts, for interventions.

Each function returns the change to hand to :class:`~commonmode.panel.interventions.Intervention`.
Changes of a history leave its times alone. A feed of several columns is changed in all of them
together, as a fault of its source would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.market.chain import OptionChain
from commonmode.market.history import History

__all__ = [
    "add_noise",
    "delay",
    "drop",
    "drop_expiry",
    "scale_past_moves",
    "shift",
    "shift_forward",
    "shift_vols",
    "swap_field",
    "widen_spreads",
]

HistoryChange = Callable[[History, np.random.Generator], History]
ChainChange = Callable[[OptionChain, np.random.Generator], OptionChain]


def drop(columns: Sequence[str]) -> HistoryChange:
    """The columns are not there; ``close``, without which there is no history, is all NaN."""

    def change(data: History, rng: np.random.Generator) -> History:
        _need(data, columns)
        kept = {name: column for name, column in data.columns.items() if name not in columns}
        if "close" in columns:
            kept["close"] = np.full(len(data), np.nan)
        return replace(data, columns=kept)

    return change


def shift(columns: Sequence[str], basis_points: float, *, bars: int = 1) -> HistoryChange:
    """The last ``bars`` values are off by ``basis_points`` of themselves.

    A source that was always off by the same factor has the same returns: the change begins inside
    the history, so that a price jumps.
    """

    def one(column: FloatArray, rng: np.random.Generator) -> FloatArray:
        out = column.copy()
        out[len(out) - bars :] *= 1.0 + basis_points / 1e4
        return out

    return _columnwise(columns, one)


def delay(columns: Sequence[str], bars: int) -> HistoryChange:
    """Each row carries the value of ``bars`` rows before; the first value fills the beginning."""

    def one(column: FloatArray, rng: np.random.Generator) -> FloatArray:
        return np.concatenate([np.repeat(column[:1], bars), column])[: len(column)]

    return _columnwise(columns, one)


def add_noise(columns: Sequence[str], size: float) -> HistoryChange:
    """Independent normal noise on each row, ``size`` times the sd of the column's own changes.

    All columns of the feed take the same draw, in units of their own.
    """

    def change(data: History, rng: np.random.Generator) -> History:
        _need(data, columns)
        draw = rng.standard_normal(len(data))
        changed = dict(data.columns)
        for name in columns:
            column = data.column(name)
            steps = np.diff(column)
            step = float(np.nanstd(steps)) if np.isfinite(steps).any() else 0.0
            changed[name] = column + size * step * draw
        return replace(data, columns=changed)

    return change


def scale_past_moves(
    factor: float, *, youngest: int, oldest: int, columns: Sequence[str] = ("close",)
) -> HistoryChange:
    """Price moves that are ``youngest`` to ``oldest - 1`` bars old, made ``factor`` times as large.

    A probe of memory that works on black boxes: a model moves only if it remembers so long. Prices
    before the band move along, so that no return outside it changes. The youngest move is 0 old.
    """
    if not 0 <= youngest < oldest:
        raise ConfigurationError(
            f"band of ages {youngest} to {oldest}", remedy="0 <= youngest < oldest"
        )

    def one(column: FloatArray, rng: np.random.Generator) -> FloatArray:
        n = len(column)
        late, early = n - 1 - youngest, max(n - 1 - oldest, 0)
        if late <= 0:
            return column.copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(column)
        band = logs[early : late + 1]
        logs[early : late + 1] = band[-1] + factor * (band - band[-1])
        logs[:early] += logs[early] - np.log(column[early])
        return np.asarray(np.exp(logs))

    return _columnwise(columns, one)


def drop_expiry(place: int) -> ChainChange:
    """Without the quotes of one expiry: 0 the nearest, -1 the farthest."""

    def change(chain: OptionChain, rng: np.random.Generator) -> OptionChain:
        expiries = np.unique(chain.expiry_ms[chain.usable])
        if len(expiries) < 2:
            raise DataError(
                f"chain of {chain.underlying} has {len(expiries)} expiries",
                remedy="nothing is left without one; give a chain with more",
            )
        return chain.select(chain.expiry_ms != expiries[place])

    return change


def shift_vols(vol_points: float, columns: Sequence[str]) -> ChainChange:
    """Quoted volatilities of ``columns`` (bid_iv, ask_iv, mark_iv) moved by ``vol_points``.

    Coin and USD prices stay: the models of this project read volatilities.
    """

    def change(chain: OptionChain, rng: np.random.Generator) -> OptionChain:
        moved: dict[str, Any] = {
            name: np.where(getattr(chain, name) > 0.0, getattr(chain, name) + vol_points / 100, 0.0)
            for name in columns
        }
        return replace(chain, **moved)

    return change


def widen_spreads(factor: float) -> ChainChange:
    """Bid and ask volatility ``factor`` times as far from their mid, the bid not below 1e-4."""

    def change(chain: OptionChain, rng: np.random.Generator) -> OptionChain:
        mid, half = 0.5 * (chain.bid_iv + chain.ask_iv), 0.5 * (chain.ask_iv - chain.bid_iv)
        two = chain.two_sided
        bid = np.where(two, np.maximum(mid - factor * half, 1e-4), chain.bid_iv)
        ask = np.where(two, mid + factor * half, chain.ask_iv)
        return replace(chain, bid_iv=bid, ask_iv=ask)

    return change


def shift_forward(basis_points: float) -> ChainChange:
    """Every forward off by ``basis_points``: what a feed that is late shows after such a move."""

    def change(chain: OptionChain, rng: np.random.Generator) -> OptionChain:
        return replace(chain, forward=chain.forward * (1.0 + basis_points / 1e4))

    return change


def swap_field(name: str, was: Any, becomes: Any) -> Callable[[Any], Any]:
    """A model whose setting ``name`` is ``was`` gets ``becomes``; others stay as they are.

    For models that are dataclasses. One that cannot be built so is a cell that says nothing.
    """

    def swap(model: Any) -> Any:
        if not is_dataclass(model) or isinstance(model, type):
            return model
        mine = {field.name for field in fields(model)}
        if name not in mine or getattr(model, name) != was:
            return model
        return replace(model, **{name: becomes})

    return swap


def _columnwise(
    columns: Sequence[str], one: Callable[[FloatArray, np.random.Generator], FloatArray]
) -> HistoryChange:
    def change(data: History, rng: np.random.Generator) -> History:
        _need(data, columns)
        changed = {name: one(data.column(name), rng) for name in columns}
        return replace(data, columns={**data.columns, **changed})

    return change


def _need(data: History, columns: Sequence[str]) -> None:
    for name in columns:
        data.column(name)
