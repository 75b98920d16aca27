"""What margin methods share: positions as columns, what they refuse, the final table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginTable
from commonmode.market.instruments import InstrumentKind

__all__ = [
    "DELTA_ONE",
    "Columns",
    "columns_of",
    "failures_by_account",
    "margin_table",
    "no_number",
    "peg_notices",
    "refuse_failed",
    "refused_collateral",
    "starts_of",
    "sums",
    "unsupported_instruments",
]

DELTA_ONE: Final = (InstrumentKind.PERPETUAL.value, InstrumentKind.FUTURE.value)
"""Kinds of instrument whose profit is their size times the move of the price."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One row per account and instrument, netted; shape (P,).

    Attributes
    ----------
    account, instrument : int64
    coins : float64
        Signed size in coins.
    """

    account: IntArray
    instrument: IntArray
    coins: FloatArray

    def select(self, rows: BoolArray) -> Columns:
        """Some of the rows."""
        return Columns(self.account[rows], self.instrument[rows], self.coins[rows])

    def by_account(self, values: FloatArray, accounts: int) -> FloatArray:
        """Sum of ``values`` (P,) over each account, shape (accounts,)."""
        return sums(self.account, values, accounts)


def columns_of(accounts: Accounts, market: MarginMarket) -> Columns:
    """Positions in coins; an instrument that an account lists twice is netted."""
    account, instrument = accounts.row, accounts.instrument.astype(np.int64)
    coins = accounts.quantity * market.instruments.coins[instrument]
    key = account * max(len(market.instruments), 1) + instrument
    # Rows of an account ascend by instrument, so the same instrument stands side by side.
    start = starts_of(key)
    if len(start) < len(key):
        coins = np.add.reduceat(coins, start)
        account, instrument = account[start], instrument[start]
    return Columns(account, instrument, coins)


def sums(group: IntArray, values: FloatArray, groups: int) -> FloatArray:
    """Sum of ``values`` in each group, in the order given: no other group changes its bits."""
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64, copy=False)


def starts_of(key: IntArray) -> IntArray:
    """Where a new value begins in a column of grouped keys."""
    return np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))) if len(key) else key


def failures_by_account(
    accounts: Accounts, market: MarginMarket, unsupported: Mapping[int, Failure]
) -> dict[int, Failure]:
    """Accounts that failed before, and those that hold an instrument that cannot be margined.

    Parameters
    ----------
    accounts : Accounts
    market : MarginMarket
    unsupported : mapping of instrument row to Failure
        What the method adds to the market's own failures.
    """
    bad = {**unsupported, **market.failures}
    failures: dict[int, Failure] = {}
    if bad:
        held = np.isin(accounts.instrument, np.array(list(bad), dtype=np.int64))
        for account, row in zip(
            accounts.row[held].tolist(), accounts.instrument[held].tolist(), strict=True
        ):
            failures.setdefault(account, bad[row])
    return failures | dict(accounts.failures)


def unsupported_instruments(
    market: MarginMarket, underlyings: Iterable[str], method: str
) -> dict[int, Failure]:
    """Instruments that are no option, future or perpetual on one of the ``underlyings``."""
    table = market.instruments
    known = np.isin(market.underlyings.name, list(underlyings))
    taken = table.is_option | np.isin(table.kind, DELTA_ONE)
    failures = {}
    for row in np.flatnonzero(~(taken & known[market.underlying])).tolist():
        name, coin = str(table.instrument[row]), str(table.underlying[row])
        why = (
            f"{name}: {method} takes options, futures and perpetuals only"
            if not taken[row]
            else f"{name}: the parameters of {method} have no {coin}"
        )
        failures[row] = Failure(
            FailureReason.UNSUPPORTED, why, "margin the account by another method"
        )
    return failures


def refused_collateral(
    accounts: Accounts, market: MarginMarket, accepted: Sequence[bool], method: str
) -> dict[int, Failure]:
    """Accounts that post an asset that is not accepted, or one without a price."""
    failures: dict[int, Failure] = {}
    for c, name in enumerate(market.assets.name.tolist()):
        if not accepted[c]:
            why = Failure(
                FailureReason.UNSUPPORTED,
                f"{name} is not accepted as collateral by the parameters of {method}",
                "add terms for it to the parameters, or margin by another method",
            )
        elif not np.isfinite(market.assets.price[c]):
            why = Failure(
                FailureReason.MISSING_DATA, f"collateral {name} has no price", "state its price"
            )
        else:
            continue
        for row in np.flatnonzero(accounts.collateral[:, c] != 0.0).tolist():
            failures.setdefault(row, why)
    return failures


def no_number(account: str, method: str) -> Failure:
    """Why an account fails that nothing more definite is known of."""
    return Failure(
        FailureReason.MISSING_DATA,
        f"{account}: {method} margin is not a number",
        "a price or a confidence that the account depends on is missing from the market",
    )


def margin_table(
    method: str,
    accounts: Accounts,
    equity: FloatArray,
    initial: Mapping[str, FloatArray],
    maintenance: Mapping[str, FloatArray],
    failures: dict[int, Failure],
    notices: Mapping[int, tuple[str, ...]] | None = None,
    *,
    unit_usd: float = 1.0,
    unknown: Callable[[str, str], Failure] = no_number,
) -> MarginTable:
    """Sum the components; what failed or is no number becomes NaN with its reason.

    ``unknown`` says, of an account and the method, why there is no number where nothing is known.
    """
    totals = [np.sum(list(parts.values()), axis=0) for parts in (initial, maintenance)]
    good = np.isfinite(equity) & np.isfinite(totals[0]) & np.isfinite(totals[1])
    for row in np.flatnonzero(~good).tolist():
        failures.setdefault(row, unknown(str(accounts.ids[row]), method))
    lost = np.zeros(len(accounts), dtype=np.bool_)
    lost[list(failures)] = True

    def kept(values: FloatArray) -> FloatArray:
        return np.where(lost, np.nan, values)

    return MarginTable(
        method=method,
        ids=accounts.ids,
        equity=kept(equity),
        initial=kept(totals[0]),
        maintenance=kept(totals[1]),
        components=MappingProxyType({name: kept(part) for name, part in initial.items()}),
        maintenance_components=MappingProxyType(
            {name: kept(part) for name, part in maintenance.items()}
        ),
        failures=MappingProxyType(failures),
        notices=MappingProxyType(
            {row: text for row, text in (notices or {}).items() if row not in failures}
        ),
        unit_usd=unit_usd,
    )


def peg_notices(accounts: int, market: MarginMarket, words: str) -> dict[int, tuple[str, ...]]:
    """A line for every account where the settlement stablecoin is 1 % or more off its peg."""
    if abs(market.stable_price - 1.0) < 0.01:
        return {}
    line = f"settlement stablecoin at {market.stable_price:g} USD: {words}"
    return dict.fromkeys(range(accounts), (line,))


def refuse_failed(table: MarginTable) -> None:
    """An account without a margin has no legs either.

    Raises
    ------
    DataError
        With the reason and remedy of the first failure.
    """
    for row, why in table.failures.items():
        raise DataError(f"{table.ids[row]}: {why.message}", remedy=why.remedy)
