"""Deribit's portfolio margin as a margin method: a market and its accounts in, a table out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin._columns import (
    DELTA_ONE,
    Columns,
    columns_of,
    failures_by_account,
    margin_table,
    peg_notices,
    refuse_failed,
    refused_collateral,
    starts_of,
    sums,
    unsupported_instruments,
)
from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit.aggregate import (
    WorstCase,
    aggregated_pnl,
    dampening,
    delta_shock,
    roll_rate,
    worst_case,
)
from commonmode.margin.deribit.parameters import CurrencyTerms, DeribitParameters
from commonmode.margin.deribit.scenarios import (
    SCENARIOS,
    future_pnl,
    option_pnl,
    scenario_grid,
)
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginTable
from commonmode.pricing.black76 import black76_greeks

__all__ = ["DeribitMargin"]

_NAME: Final = "Deribit's portfolio margin"
_DOLLARS: Final = ("USD", "USDC", "USDT")
# Accounts whose scenario profits are held at a time.
_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """One coin of every instrument; ``pnl`` of shape (I, S), the others (I,).

    pnl and roll are in the currency of the instrument's ledger, mark in USD, delta in coins.
    """

    pnl: FloatArray
    delta: FloatArray
    roll: FloatArray
    mark: FloatArray
    ledger: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Ledgers:
    """One row per account and ledger; USD.

    Attributes
    ----------
    of : int64, shape (P,)
        Row of each position.
    account, ledger : int64, shape (G,)
    kept : float64, shape (G, S)
        Part of the profit that enters the worst case.
    pnl : float64, shape (G, S)
        Profit before dampener and offset.
    pool : int64, shape (G,)
        Row of ``worst``: ledgers whose profits are added scenario by scenario.
    pool_account : int64, shape (pools,)
    worst : WorstCase
        Of each pool.
    expiry_of : int64, shape (P,)
        Row of ``expiry_delta``: the expiry of a ledger.
    expiry_delta : float64
        Net delta, coins.
    delta : float64, shape (G,)
        Net delta, coins.
    roll, shock : float64, shape (G,)
    """

    of: IntArray
    account: IntArray
    ledger: IntArray
    kept: FloatArray
    pnl: FloatArray
    pool: IntArray
    pool_account: IntArray
    worst: WorstCase
    expiry_of: IntArray
    expiry_delta: FloatArray
    delta: FloatArray
    roll: FloatArray
    shock: FloatArray


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
    """

    parameters: DeribitParameters
    cross: bool = False

    @property
    def id(self) -> str:
        """Name of the method."""
        return "deribit_cross" if self.cross else "deribit"

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
        """
        n = len(accounts)
        unknown = unsupported_instruments(market, self.parameters.pairs, _NAME)
        accepted = [self._asset_terms(name) is not None for name in market.assets.name.tolist()]
        failures = refused_collateral(accounts, market, accepted, _NAME)
        failures |= failures_by_account(accounts, market, unknown)
        unit, columns = self._unit(market), columns_of(accounts, market)
        parts = {name: np.zeros(n) for name in ("worst", "roll", "delta")}
        edges = np.searchsorted(columns.account, np.arange(0, n + _BLOCK, _BLOCK))
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            block = Columns(
                columns.account[low:high], columns.instrument[low:high], columns.coins[low:high]
            )
            ledgers = self._ledgers(block, market, unit)
            parts["worst"] += sums(ledgers.pool_account, ledgers.worst.loss, n)
            parts["roll"] += sums(ledgers.account, ledgers.roll, n)
            parts["delta"] += sums(ledgers.account, ledgers.shock, n)
        worth, lost = (
            np.sum(accounts.collateral * per_unit, axis=1) for per_unit in self._assets(market)
        )
        marks = columns.by_account(columns.coins * unit.mark[columns.instrument], n)
        scale = self.parameters.general.maintenance
        return margin_table(
            self.id,
            accounts,
            (accounts.cash + accounts.unrealised) * market.stable_price + marks + worth,
            {**parts, "collateral": lost},
            {**{name: scale * part for name, part in parts.items()}, "collateral": lost},
            failures,
            peg_notices(n, market, "cash is counted at that price, all amounts are USD"),
        )

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
        refuse_failed(self.margin(one, market))
        unit, columns = self._unit(market), columns_of(one, market)
        ledgers = self._ledgers(columns, market, unit)
        group, price = ledgers.of, self._unit_usd(market)[unit.ledger[columns.instrument]]
        at = ledgers.worst.scenario[ledgers.pool][group]
        own = columns.coins * price * unit.pnl[columns.instrument, np.maximum(at, 0)]
        before, after = (table[group, np.maximum(at, 0)] for table in (ledgers.pnl, ledgers.kept))
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where((at >= 0) & (before != 0.0), after / before, 0.0)
        delta = columns.coins * unit.delta[columns.instrument]
        net = ledgers.expiry_delta[ledgers.expiry_of]
        roll = np.sign(net) * delta * unit.roll[columns.instrument] * price
        total = ledgers.delta[group]
        with np.errstate(divide="ignore", invalid="ignore"):
            shock = np.where(total != 0.0, ledgers.shock[group] / total, 0.0) * delta
        parts = -own * kept + roll + shock
        _, lost = self._assets(market)
        amount = one.collateral[0]
        haircut = (amount * lost)[amount != 0.0]
        scale = self.parameters.general.maintenance
        return Legs(
            leg=np.concatenate(
                (market.instruments.instrument[columns.instrument], market.assets.name[amount != 0])
            ),
            initial=np.concatenate((parts, haircut)),
            maintenance=np.concatenate((scale * parts, haircut)),
            scenario=self._words(ledgers, market),
        )

    def _words(self, ledgers: _Ledgers, market: MarginMarket) -> str:
        """The worst scenario of each pool, named in the terms of its first underlying."""
        coins = market.underlyings.name.tolist()
        words: dict[int, str] = {}
        for ledger, pool in zip(ledgers.ledger.tolist(), ledgers.pool.tolist(), strict=True):
            coin, at = coins[ledger % len(coins)], int(ledgers.worst.scenario[pool])
            name = "all" if self.cross else coin if ledger < len(coins) else "USD"
            labels = scenario_grid(self.parameters.pairs[coin]).labels()
            words.setdefault(pool, f"{name}: {labels[at] if at >= 0 else 'nothing is lost'}")
        return "; ".join(words.values()) or "no positions"

    def _unit_usd(self, market: MarginMarket) -> FloatArray:
        """USD per unit of every ledger: coin ledgers of the U underlyings, then USD ones."""
        return np.concatenate((market.underlyings.spot, np.ones(len(market.underlyings))))

    def _terms(self, market: MarginMarket, ledger: int) -> CurrencyTerms | None:
        """Terms of a ledger's currency; None for an underlying the set does not know."""
        coins = market.underlyings.name.tolist()
        coin = coins[ledger % len(coins)]
        if coin not in self.parameters.pairs:
            return None
        return self.parameters.currencies[coin if ledger < len(coins) else "USD"]

    def _unit(self, market: MarginMarket) -> _Unit:
        table, n = market.instruments, len(market.instruments)
        n_u = len(market.underlyings)
        ledger = np.where(table.coin_settled, market.underlying, market.underlying + n_u)
        pnl = np.zeros((n, SCENARIOS))
        delta, roll, mark = np.zeros(n), np.zeros(n), np.zeros(n)
        for at in np.unique(ledger).tolist():
            terms = self._terms(market, at)
            if terms is None:
                continue
            u, coin_settled = at % n_u, at < n_u
            pair = self.parameters.pairs[str(market.underlyings.name[u])]
            grid = scenario_grid(pair)
            option = np.flatnonzero((ledger == at) & table.is_option)
            forward, strike, years = (c[option] for c in (table.forward, table.strike, table.years))
            vol, sign = market.vol[option], table.sign[option]
            pnl[option] = option_pnl(
                forward, strike, years, vol, sign, pair, grid, coin_settled=coin_settled
            )
            # The delta that the venue publishes, not the premium-adjusted one.
            greeks = black76_greeks(forward, strike, years, vol, sign=sign)
            # A premium in coin is the value over the forward: in USD at the index, not the forward.
            unit_usd = market.underlyings.spot[u] / forward if coin_settled else 1.0
            mark[option], delta[option] = greeks.price * unit_usd, greeks.delta
            linear = np.flatnonzero((ledger == at) & np.isin(table.kind, DELTA_ONE))
            pnl[linear] = future_pnl(table.forward[linear], grid, coin_settled=coin_settled)
            delta[linear] = 1.0
            mine = np.flatnonzero(ledger == at)
            dated = np.where(market.expiry[mine] >= 0, table.years[mine], 0.0)
            # A linear ledger counts its delta in USD.
            coin = 1.0 if coin_settled else float(market.underlyings.spot[u])
            roll[mine] = roll_rate(dated, terms) * coin
        return _Unit(pnl, delta, roll, mark, ledger)

    def _ledgers(self, columns: Columns, market: MarginMarket, unit: _Unit) -> _Ledgers:
        n_u = len(market.underlyings)
        ledger = unit.ledger[columns.instrument]
        # By ledger, then account: the rows of a ledger are one slice of the tables below.
        key = ledger * (int(columns.account[-1]) + 1 if len(columns.account) else 1)
        key = key + columns.account
        order = np.argsort(key, kind="stable")
        start = starts_of(key[order])
        group = np.empty(len(key), dtype=np.int64)
        sizes = np.diff(np.append(start, len(key)))
        group[order] = np.repeat(np.arange(len(start)), sizes)
        first = order[start]
        account, own = columns.account[first], ledger[first]
        book = csr_array(
            (columns.coins[order], columns.instrument[order], np.append(start, len(key))),
            shape=(len(start), len(market.instruments)),
        )
        pnl = np.asarray(book @ unit.pnl, dtype=np.float64)
        delta = sums(group, columns.coins * unit.delta[columns.instrument], len(start))
        # Every expiry of a ledger by itself; the perpetuals are one more.
        dates = group * (len(market.expiries) + 1) + market.expiry[columns.instrument] + 1
        keys, expiry_of = np.unique(dates, return_inverse=True)
        owner = keys // (len(market.expiries) + 1)
        expiry_delta = sums(expiry_of, columns.coins * unit.delta[columns.instrument], len(keys))
        some = np.zeros(len(keys), dtype=np.int64)
        some[expiry_of] = columns.instrument
        roll = sums(owner, np.abs(expiry_delta) * unit.roll[some], len(start))
        kept, shock = np.zeros_like(pnl), np.zeros(len(start))
        unit_usd = self._unit_usd(market)
        for at in np.unique(own).tolist():
            terms = self._terms(market, at)
            if terms is None:
                continue
            u, price = at % n_u, float(unit_usd[at])
            rows = slice(*np.searchsorted(own, [at, at + 1]).tolist())
            pair = self.parameters.pairs[str(market.underlyings.name[u])]
            grid, index = scenario_grid(pair), float(market.underlyings.spot[u])
            forgiven = dampening(grid, pair, terms, index, coin_settled=at < n_u)
            kept[rows] = price * aggregated_pnl(pnl[rows], grid, forgiven, terms, price)
            pnl[rows] *= price
            shock[rows] = delta_shock(delta[rows], index, pair) * index
        pools = account if self.cross else account * (n_u + 1) + np.minimum(own, n_u)
        pool_keys, pool = np.unique(pools, return_inverse=True)
        members = csr_array(
            (np.ones(len(pool)), (pool, np.arange(len(pool)))), shape=(len(pool_keys), len(pool))
        )
        return _Ledgers(
            of=group,
            account=account,
            ledger=own,
            kept=kept,
            pnl=pnl,
            pool=pool.astype(np.int64),
            pool_account=pool_keys if self.cross else pool_keys // (n_u + 1),
            worst=worst_case(np.asarray(members @ kept, dtype=np.float64)),
            expiry_of=expiry_of.astype(np.int64),
            expiry_delta=expiry_delta,
            delta=delta,
            roll=roll * unit_usd[own],
            shock=shock,
        )

    def _asset_terms(self, name: str) -> CurrencyTerms | None:
        return self.parameters.currencies.get("USD" if name in _DOLLARS else name)

    def _assets(self, market: MarginMarket) -> tuple[FloatArray, FloatArray]:
        """Per unit of each asset: worth, and the part of it that does not count; USD."""
        terms = [self._asset_terms(name) for name in market.assets.name.tolist()]
        known = np.array([t is not None for t in terms], dtype=np.bool_)
        haircut = np.array([t.haircut if t else 0.0 for t in terms], dtype=np.float64)
        price = np.where(known & np.isfinite(market.assets.price), market.assets.price, 0.0)
        return price, price * haircut
