"""Deribit's portfolio margin as a margin method: a market and its accounts in, a table out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.margin._columns import (
    columns_of,
    failures_by_account,
    no_number,
    peg_notices,
    refuse_failed,
    refused_collateral,
    unsupported_instruments,
)
from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit.grid import DELTA, NAME, DeribitGrid, asset_terms, revalue
from commonmode.margin.deribit.ledgers import Ledgers, ledgers_of
from commonmode.margin.deribit.parameters import DeribitParameters
from commonmode.margin.deribit.reduce import loaded, reduce_compiled, reduce_numpy
from commonmode.margin.deribit.scenarios import scenario_grid
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginTable
from commonmode.pricing.kernels import Engine

__all__ = ["DeribitMargin"]

# Positions from which compiled code pays although it has not been loaded yet: the twin needs about
# half a microsecond per position, loading takes about a second.
_BREAK_EVEN: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class DeribitMargin:
    """Portfolio margin of Deribit (see :mod:`commonmode.margin.deribit`).

    Requirements are counted in USD at the index. Open orders are not part of an account here, and
    the correlation contingency, whose formula is not published, is left at 0. Collateral counts at
    its value less a haircut; the venue's cross model also shocks it, by a rule it does not publish.

    Attributes
    ----------
    parameters : DeribitParameters
    cross : bool
        True: one account over all currencies, profits added scenario by scenario with gains
        offset in part (X:PM). False: every settlement currency by itself (S:PM).
    engine : {"auto", "numba", "numpy"}
        Instruments are valued once, by numpy; accounts are reduced to the same bits by both.
    threads : int
        Threads of the compiled engine; the bits do not depend on it.
    """

    parameters: DeribitParameters
    cross: bool = False
    engine: Engine = "auto"
    threads: int = 1

    @property
    def id(self) -> str:
        """Name of the method."""
        return "deribit_cross" if self.cross else "deribit"

    def revalue(self, market: MarginMarket) -> DeribitGrid:
        """The instruments under the scenarios; once per market, shared by all accounts."""
        return revalue(market, self.parameters, cross=self.cross)

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """Margin of every account.

        Parameters
        ----------
        accounts : Accounts
        market : MarginMarket

        Returns
        -------
        MarginTable
            Components: worst (case), roll, delta, collateral (the haircut). A novel instrument,
            a coin without terms or an asset that is not accepted fails who holds it.

        Raises
        ------
        DataError
            If the accounts were built for another instrument table.
        """
        return self.margin_on(accounts, self.revalue(market))

    def margin_on(self, accounts: Accounts, grid: DeribitGrid) -> MarginTable:
        """As :meth:`margin`, on instruments that have been revalued."""
        many = loaded() or len(accounts.instrument) >= _BREAK_EVEN
        if self.engine == "numba" or (self.engine == "auto" and many):
            out = reduce_compiled(grid, accounts, threads=self.threads)
        else:
            out = reduce_numpy(grid, accounts)
        return _table(self, accounts, grid, out)

    def what_if(
        self,
        accounts: Accounts,
        grid: DeribitGrid,
        row: int,
        trades: Iterable[tuple[int, float]],
        *,
        cash: float = 0.0,
    ) -> MarginTable:
        """Account `row` after trades (instrument row, contracts) that pay it `cash`.

        Raises
        ------
        DataError
            If there is no such instrument.
        """
        return self.margin_on(_traded(accounts, grid, row, trades, cash), grid)

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        """Requirement of one account split over its positions and assets.

        Parameters
        ----------
        accounts : Accounts
        market : MarginMarket
        row : int

        Returns
        -------
        Legs
            A position bears its loss in the worst scenario, in proportion where the dampener or
            an offset changed its ledger's, and its part of the roll and delta shocks.
        """
        one = accounts.select(np.array([row], dtype=np.int64))
        grid = self.revalue(market)
        refuse_failed(self.margin_on(one, grid))
        columns = columns_of(one, market)
        ledgers, (ledger, expiry) = ledgers_of(grid, columns), grid.kind[columns.instrument].T
        group, price = ledgers.of, grid.ledgers[ledger, 0]
        at = ledgers.worst.scenario[ledgers.pool][group]
        own = columns.coins * price * grid.rows[columns.instrument, np.maximum(at, 0)]
        before, after = (table[group, np.maximum(at, 0)] for table in (ledgers.pnl, ledgers.kept))
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where((at >= 0) & (before != 0.0), after / before, 0.0)
        delta = columns.coins * grid.rows[columns.instrument, DELTA]
        net = ledgers.expiry_delta[ledgers.expiry_of]
        roll = np.sign(net) * delta * grid.rates[expiry] * price
        total = ledgers.delta[group]
        with np.errstate(divide="ignore", invalid="ignore"):
            shock = np.where(total != 0.0, ledgers.shock[group] / total, 0.0) * delta
        parts = -own * kept + roll + shock
        amount = one.collateral[0]
        haircut = (amount * grid.assets[:, 1])[amount != 0.0]
        scale = self.parameters.general.maintenance
        return Legs(
            leg=np.concatenate(
                (market.instruments.instrument[columns.instrument], market.assets.name[amount != 0])
            ),
            initial=np.concatenate((parts, haircut)),
            maintenance=np.concatenate((scale * parts, haircut)),
            scenario=_words(grid, ledgers),
        )


def _words(grid: DeribitGrid, ledgers: Ledgers) -> str:
    """The worst scenario of each pool, named in the terms of its first underlying."""
    words: dict[int, str] = {}
    for ledger, pool in zip(ledgers.ledger.tolist(), ledgers.pool.tolist(), strict=True):
        coin, at = grid.coin(ledger), int(ledgers.worst.scenario[pool])
        name = "all" if grid.cross else coin if grid.alone[ledger] else "USD"
        labels = scenario_grid(grid.parameters.pairs[coin]).labels()
        words.setdefault(pool, f"{name}: {labels[at] if at >= 0 else 'nothing is lost'}")
    return "; ".join(words.values()) or "no positions"


def _traded(
    accounts: Accounts,
    grid: DeribitGrid,
    row: int,
    trades: Iterable[tuple[int, float]],
    cash: float,
) -> Accounts:
    """The one account with the trades in its positions, in the order of the table."""
    part = slice(int(accounts.offsets[row]), int(accounts.offsets[row + 1]))
    positions = zip(
        accounts.instrument[part].tolist(), accounts.quantity[part].tolist(), strict=True
    )
    held: dict[int, float] = {}
    for instrument, quantity in (*positions, *trades):
        held[instrument] = held.get(instrument, 0.0) + quantity
    order = sorted(at for at, quantity in held.items() if quantity != 0.0)
    if order and not 0 <= order[0] <= order[-1] < len(grid.rows):
        raise DataError(
            f"trade in instrument row {order[0] if order[0] < 0 else order[-1]}: there are "
            f"{len(grid.rows)} instruments",
            remedy="name a row of the market's instrument table",
        )
    this = slice(row, row + 1)
    return Accounts(
        ids=accounts.ids[this],
        offsets=np.array([0, len(order)], dtype=np.int64),
        instrument=np.array(order, dtype=np.int32),
        quantity=np.array([held[at] for at in order], dtype=np.float64),
        cash=accounts.cash[this] + cash,
        unrealised=accounts.unrealised[this],
        collateral=accounts.collateral[this],
        failures={0: accounts.failures[row]} if row in accounts.failures else {},
    )


def _table(
    method: DeribitMargin, accounts: Accounts, grid: DeribitGrid, out: FloatArray
) -> MarginTable:
    """The output under its names; who cannot be margined becomes NaN with the reason."""
    market, parameters = grid.market, grid.parameters
    accepted = [asset_terms(parameters, name) is not None for name in market.assets.name.tolist()]
    failures = refused_collateral(accounts, market, accepted, NAME)
    lost = np.logical_not(np.isfinite(out[:3]).all(axis=0))
    lost[list(failures)] = True
    lost[list(accounts.failures)] = True
    rows = np.flatnonzero(lost)
    if len(rows):
        # What cannot be margined is NaN in the grid, so that who holds it is among these.
        unsupported = unsupported_instruments(market, parameters.pairs, NAME)
        held = failures_by_account(accounts.select(rows), market, unsupported)
        failures |= {int(rows[at]): why for at, why in held.items()}
        for row in rows.tolist():
            failures.setdefault(row, no_number(str(accounts.ids[row]), method.id))
        out[:, rows] = np.nan
    notices = peg_notices(
        len(accounts), market, "cash is counted at that price, all amounts are USD"
    )
    names = ("worst", "roll", "delta", "collateral")
    return MarginTable(
        method=method.id,
        ids=accounts.ids,
        equity=out[0],
        initial=out[1],
        maintenance=out[2],
        components=MappingProxyType(dict(zip(names, out[3:7], strict=True))),
        maintenance_components=MappingProxyType(dict(zip(names, (*out[7:], out[6]), strict=True))),
        failures=MappingProxyType(failures),
        notices=MappingProxyType(
            {row: text for row, text in notices.items() if row not in failures}
        ),
    )
