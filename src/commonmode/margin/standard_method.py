"""Derive's standard manager as a margin method: a market and its accounts in, a table out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
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
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginTable
from commonmode.margin.standard import (
    StandardParameters,
    WorstPayoff,
    confidence_penalty,
    settlement_forward,
    short_option_requirement,
    worst_payoff,
)
from commonmode.pricing.black76 import black76_price

__all__ = ["StandardMargin"]

_NAME: Final = "the standard manager"


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """Terms of one coin of every instrument; shape (I,), USD, 0 where they do not apply.

    ``add`` is what the initial requirement adds per coin short (options) or held (delta one).
    """

    mark: FloatArray
    initial: FloatArray
    maintenance: FloatArray
    unpaired_initial: FloatArray
    unpaired_maintenance: FloatArray
    oracle: FloatArray
    depeg: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Options of one account and expiry; shape (G,) or, for ``of``, (P options,)."""

    options: Columns
    of: IntArray
    account: IntArray
    worst: WorstPayoff
    initial_bounded: BoolArray
    maintenance_bounded: BoolArray
    initial_unpaired: FloatArray
    maintenance_unpaired: FloatArray
    initial: FloatArray
    maintenance: FloatArray


@dataclass(frozen=True, slots=True)
class StandardMargin:
    """Derive's standard manager (see :mod:`commonmode.margin.standard`).

    Dated futures, which the venue does not list, are margined like its perpetuals.

    Attributes
    ----------
    parameters : StandardParameters
    """

    parameters: StandardParameters

    @property
    def id(self) -> str:
        """Name of the method."""
        return "standard"

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """Margin of every account.

        Parameters
        ----------
        accounts : Accounts
        market : MarginMarket

        Returns
        -------
        MarginTable
            Components: options, perpetuals, collateral (the part that does not count), oracle,
            depeg. A novel instrument, a coin without terms, or an asset that is not accepted fails
            the account that holds it.
        """
        n = len(accounts)
        terms = self.parameters
        unknown = unsupported_instruments(market, terms.markets, _NAME)
        accepted = [name in terms.collateral for name in market.assets.name.tolist()]
        failures = refused_collateral(accounts, market, accepted, _NAME)
        failures |= failures_by_account(accounts, market, unknown)
        unit = self._unit(market)
        columns = columns_of(accounts, market)
        option = market.instruments.is_option[columns.instrument]
        groups = self._groups(columns.select(option), market, unit)
        rest = columns.select(~option)
        short = np.maximum(-groups.options.coins, 0.0)

        def charge(per_coin: FloatArray) -> FloatArray:
            total = groups.options.by_account(short * per_coin[groups.options.instrument], n)
            return total + rest.by_account(np.abs(rest.coins) * per_coin[rest.instrument], n)

        def linear(per_coin: FloatArray) -> FloatArray:
            return rest.by_account(np.abs(rest.coins) * per_coin[rest.instrument], n)

        worth, kept_initial, kept, doubt = (
            np.sum(accounts.collateral * per_unit, axis=1) for per_unit in self._collateral(market)
        )
        marks = groups.options.coins * unit.mark[groups.options.instrument]
        equity = accounts.cash + accounts.unrealised + groups.options.by_account(marks, n) + worth
        return margin_table(
            self.id,
            accounts,
            equity,
            {
                "options": sums(groups.account, groups.initial, n),
                "perpetuals": linear(unit.initial),
                "collateral": worth - kept_initial,
                "oracle": charge(unit.oracle) + doubt,
                "depeg": charge(unit.depeg),
            },
            {
                "options": sums(groups.account, groups.maintenance, n),
                "perpetuals": linear(unit.maintenance),
                "collateral": worth - kept,
            },
            failures,
            peg_notices(n, market, "amounts are in units of it"),
            unit_usd=market.stable_price,
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
            Where an expiry is held at its worst payoff, a leg bears its mark less its payoff at
            that price, and a call its part of what is unpaired.
        """
        one = accounts.select(np.array([row], dtype=np.int64))
        refuse_failed(self.margin(one, market))
        unit, columns = self._unit(market), columns_of(one, market)
        option = market.instruments.is_option[columns.instrument]
        groups = self._groups(columns.select(option), market, unit)
        held, table = groups.options, market.instruments
        short = np.maximum(-held.coins, 0.0)
        strike, sign = table.strike[held.instrument], table.sign[held.instrument]
        mark = held.coins * unit.mark[held.instrument]
        at = groups.worst.price[groups.of]
        payoff = np.where(np.isnan(at), 0.0, np.maximum(sign * (at - strike), 0.0)) * held.coins
        calls = np.where(sign > 0, held.coins, 0.0)
        extra = unit.oracle + unit.depeg

        def split(bounded: BoolArray, unpaired: FloatArray, isolated: FloatArray) -> FloatArray:
            whole = mark - payoff - unpaired[groups.of] * calls
            apart = np.maximum(mark, 0.0) + short * isolated[held.instrument]
            return np.where(bounded[groups.of], whole, apart)

        initial = split(groups.initial_bounded, groups.initial_unpaired, unit.initial)
        maintenance = split(
            groups.maintenance_bounded, groups.maintenance_unpaired, unit.maintenance
        )
        rest = columns.select(~option)
        size = np.abs(rest.coins)
        worth, kept_initial, kept, doubt = self._collateral(market)
        amount = one.collateral[0]
        posted = amount != 0.0
        return Legs(
            leg=np.concatenate(
                (
                    table.instrument[held.instrument],
                    table.instrument[rest.instrument],
                    market.assets.name[posted],
                )
            ),
            initial=np.concatenate(
                (
                    initial + short * extra[held.instrument],
                    size * (unit.initial + extra)[rest.instrument],
                    (amount * (worth - kept_initial + doubt))[posted],
                )
            ),
            maintenance=np.concatenate(
                (
                    maintenance,
                    size * unit.maintenance[rest.instrument],
                    (amount * (worth - kept))[posted],
                )
            ),
            scenario=self._words(groups, market),
        )

    def _words(self, groups: _Groups, market: MarginMarket) -> str:
        """Which rule holds for the initial margin of each expiry."""
        words = []
        first = np.searchsorted(groups.of, np.arange(len(groups.account)))
        for g, option in enumerate(groups.options.instrument[first].tolist()):
            table = market.instruments
            name = "-".join(str(table.instrument[option]).split("-")[:2])
            price = groups.worst.price[g]
            if not groups.initial_bounded[g]:
                words.append(f"{name}: every position by itself")
            elif np.isnan(price):
                words.append(f"{name}: no settlement price loses")
            else:
                words.append(f"{name}: settlement at {price:g}")
        return "; ".join(words) or "no options"

    def _unit(self, market: MarginMarket) -> _Unit:
        table, n = market.instruments, len(market.instruments)
        unit = {name: np.zeros(n) for name in _Unit.__slots__}
        tables = market.underlyings, market.expiries
        depeg = self.parameters.depeg
        penalty = max(depeg.threshold - market.stable_price, 0.0) * depeg.factor
        for u, coin in enumerate(tables[0].name.tolist()):
            terms = self.parameters.markets.get(coin)
            if terms is None:
                continue
            spot = tables[0].spot[u]
            mine = market.underlying == u
            option = np.flatnonzero(mine & table.is_option)
            expiry = market.expiry[option]
            forward = settlement_forward(
                tables[1].forward[expiry], market.seconds[expiry], tables[1].settled[expiry]
            )
            years = table.years[option]
            sign, strike = table.sign[option], table.strike[option]
            mark = black76_price(forward, strike, years, market.vol[option], sign=sign)
            need = short_option_requirement(spot, strike, mark, sign, terms)
            sure = np.minimum(
                tables[0].spot_confidence[u],
                np.minimum(tables[1].forward_confidence[expiry], tables[1].vol_confidence[expiry]),
            )
            unit["mark"][option] = mark
            unit["initial"][option], unit["maintenance"][option] = need.initial, need.maintenance
            unit["unpaired_initial"][option] = terms.unpaired_initial * forward
            unit["unpaired_maintenance"][option] = terms.unpaired_maintenance * forward
            unit["oracle"][option] = spot * confidence_penalty(
                sure, terms.option_confidence, terms.confidence_factor
            )
            linear = np.flatnonzero(mine & np.isin(table.kind, DELTA_ONE))
            dated = market.expiry[linear] >= 0
            price = np.where(dated, table.forward[linear], tables[0].perp_price[u])
            sure_perp = min(tables[0].spot_confidence[u], tables[0].perp_confidence[u])
            unit["initial"][linear] = terms.perp_initial * price
            unit["maintenance"][linear] = terms.perp_maintenance * price
            unit["oracle"][linear] = spot * confidence_penalty(
                sure_perp, terms.perp_confidence, terms.confidence_factor
            )
            unit["depeg"][mine] = spot * penalty
        return _Unit(**unit)

    def _groups(self, options: Columns, market: MarginMarket, unit: _Unit) -> _Groups:
        """Per account and expiry: isolated and bounded requirement, and the smaller one."""
        table, held = market.instruments, options.instrument
        expiry = market.expiry[held]
        start = starts_of(options.account * max(len(market.expiries), 1) + expiry)
        offsets = np.append(start, len(held)).astype(np.int64)
        group = np.repeat(np.arange(len(start), dtype=np.int64), np.diff(offsets))

        def total(values: FloatArray) -> FloatArray:
            return sums(group, values, len(start))

        sign = table.sign[held].astype(np.float64)
        worst = worst_payoff(options.coins, table.strike[held], sign, offsets)
        mark = total(options.coins * unit.mark[held])
        long = total(np.maximum(options.coins, 0.0) * unit.mark[held])
        short = np.maximum(-options.coins, 0.0)
        net_calls = np.minimum(total(np.where(sign > 0, options.coins, 0.0)), 0.0)
        answers: dict[str, tuple[FloatArray, BoolArray, FloatArray]] = {}
        for name, need, unpaired in (
            ("initial", unit.initial, unit.unpaired_initial),
            ("maintenance", unit.maintenance, unit.unpaired_maintenance),
        ):
            isolated = long + total(short * need[held])
            per_call = np.where(net_calls < 0.0, unpaired[held[start]], 0.0)
            bounded = mark - worst.payoff - per_call * net_calls
            answers[name] = (np.minimum(isolated, bounded), bounded < isolated, per_call)
        return _Groups(
            options=options,
            of=group,
            account=options.account[start],
            worst=worst,
            initial=answers["initial"][0],
            initial_bounded=answers["initial"][1],
            initial_unpaired=answers["initial"][2],
            maintenance=answers["maintenance"][0],
            maintenance_bounded=answers["maintenance"][1],
            maintenance_unpaired=answers["maintenance"][2],
        )

    def _collateral(
        self, market: MarginMarket
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Per unit of each asset: worth, what counts initially and in maintenance, oracle charge.

        Worth is counted in the stablecoin; what counts and what is charged in USD, as on the venue.
        """
        assets = market.assets
        known = [self.parameters.collateral.get(name) for name in assets.name.tolist()]

        def column(name: str) -> FloatArray:
            return np.array([getattr(t, name) if t else 0.0 for t in known], dtype=np.float64)

        good = np.array([t is not None for t in known], dtype=np.bool_)
        price = np.where(good & np.isfinite(assets.price), assets.price, 0.0)
        missing = np.where(
            assets.confidence < column("confidence"),
            (1.0 - assets.confidence) * column("confidence_factor"),
            0.0,
        )
        counts = price * column("factor")
        return (
            price / market.stable_price,
            counts * column("initial_scale"),
            counts,
            price * missing,
        )
