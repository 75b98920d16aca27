"""A small margin method for tests: shares of notional, options at Black-76, collateral cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.result import Failure, FailureReason
from commonmode.margin import Accounts, Legs, MarginMarket, MarginTable
from commonmode.pricing.black76 import black76_price


@dataclass(frozen=True)
class ShareMargin:
    """Maintenance: `share` of all linear and short option notional, `cut` of collateral."""

    share: float = 0.05
    cut: float = 0.1
    initial_factor: float = 1.5
    mark_factor: float = 1.0

    @property
    def id(self) -> str:
        return "share"

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        table, n = market.instruments, len(accounts)
        mark = black76_price(
            table.forward,
            np.where(table.is_option, table.strike, 1.0),
            table.years,
            np.where(table.is_option, market.vol, 0.5),
            sign=np.where(table.is_option, table.sign, 1),
        )
        mark = np.where(table.is_option, mark * self.mark_factor, 0.0)
        row, held = accounts.row, accounts.instrument

        def total(per: FloatArray) -> FloatArray:
            return np.bincount(row, weights=per, minlength=n).astype(np.float64)

        charged = np.where(
            table.is_option[held], np.maximum(-accounts.quantity, 0.0), np.abs(accounts.quantity)
        )
        posted = accounts.collateral @ market.assets.price
        equity = (
            accounts.cash + accounts.unrealised + total(accounts.quantity * mark[held]) + posted
        )
        need = self.share * total(charged * (np.abs(table.coins) * table.index)[held])
        need = need + self.cut * posted
        failures = dict(accounts.failures)
        for a in np.nonzero(~np.isfinite(equity + need))[0]:
            failures.setdefault(
                int(a), Failure(FailureReason.INVALID_INPUT, f"{accounts.ids[a]}: no number")
            )
        bad = np.isin(np.arange(n), list(failures))
        equity, need = np.where(bad, np.nan, equity), np.where(bad, np.nan, need)
        first = self.initial_factor * need
        return MarginTable(
            self.id, accounts.ids, equity, first, need, {"all": first}, {"all": need}, failures
        )

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        raise NotImplementedError("thresholds, solvency and the gate ask for no legs")


def accounts_of(
    market: MarginMarket,
    books: Sequence[dict[str, float]],
    *,
    cash: Sequence[float] | None = None,
    coins: Sequence[float] | None = None,
) -> Accounts:
    """Accounts from instrument names and quantities; coins of the market's first asset."""
    names = {name: row for row, name in enumerate(market.instruments.instrument.tolist())}
    held = [sorted((names[name], size) for name, size in book.items()) for book in books]
    flat = [pair for book in held for pair in book]
    n = len(books)
    collateral = np.zeros((n, len(market.assets)))
    if coins is not None:
        collateral[:, 0] = coins
    return Accounts(
        ids=np.array([f"a{i}" for i in range(n)]),
        offsets=np.cumsum([0, *(len(book) for book in held)]).astype(np.int64),
        instrument=np.array([row for row, _ in flat], dtype=np.int32),
        quantity=np.array([size for _, size in flat], dtype=np.float64),
        cash=np.zeros(n) if cash is None else np.array(cash, dtype=np.float64),
        unrealised=np.zeros(n),
        collateral=collateral,
    )
