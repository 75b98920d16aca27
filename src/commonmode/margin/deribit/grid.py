"""Instruments under Deribit's scenarios, once per market; what all accounts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, freeze_arrays
from commonmode.margin._columns import DELTA_ONE, unsupported_instruments
from commonmode.margin._rows import aligned_rows, padded
from commonmode.margin.deribit.aggregate import dampening, roll_rate
from commonmode.margin.deribit.parameters import CurrencyTerms, DeribitParameters, PairTerms
from commonmode.margin.deribit.scenarios import (
    EXTENDED_MOVES,
    SCENARIOS,
    future_pnl,
    option_pnl,
    scenario_grid,
)
from commonmode.margin.market import MarginMarket
from commonmode.pricing.black76 import black76_greeks

__all__ = ["COINS", "DELTA", "MARK", "NAME", "WIDTH", "DeribitGrid", "asset_terms", "revalue"]

NAME: Final = "Deribit's portfolio margin"
"""As failures and reports call the method."""

DELTA: Final = SCENARIOS
"""Column of a row: delta, coins."""
MARK: Final = SCENARIOS + 1
"""Column of a row: value at the mark, USD."""
COINS: Final = SCENARIOS + 2
"""Column of a row: size of one contract, coins."""
WIDTH: Final = padded(SCENARIOS + 3)
"""Columns of a row."""

_DOLLARS: Final = ("USD", "USDC", "USDT")


@dataclass(frozen=True, slots=True, eq=False)
class DeribitGrid:
    """I instruments revalued under S scenarios; L ledgers with G expiries in all.

    A ledger is an underlying and its settlement currency; ledgers settled in coin go before those
    in USD, each in the order of the underlyings. An expiry belongs to one ledger; the ledger's
    perpetuals are one more.

    Attributes
    ----------
    market : MarginMarket
    parameters : DeribitParameters
    cross : bool
        Whether all ledgers of an account are one pool, or those in USD only.
    rows : float64, shape (I, WIDTH)
        Of one coin: profit in each scenario in the currency of the ledger, then :data:`DELTA`,
        :data:`MARK`, :data:`COINS`, zeros. NaN is an instrument that cannot be margined.
    kind : int32, shape (I, 2)
        Ledger and expiry.
    number : int64, shape (L,)
        Underlying; plus U for a ledger in USD.
    ledgers : float64, shape (L, 7)
        USD per unit of the currency; offset of gains and its limit in units; the delta shock's
        threshold in coins, slope and most; index. Zero where the parameters lack the underlying.
    forgiven : float64, shape (L, WIDTH)
        What the extended table forgives of a loss, in units; infinite beyond the scenarios.
    standard : float64, shape (WIDTH,)
        1 in the standard table, 0 elsewhere.
    first : int64, shape (L + 1,)
        First expiry of each ledger.
    rates : float64, shape (G,)
        Roll shock per coin of net delta, in units of the ledger's currency.
    assets : float64, shape (C, 2)
        Worth of a unit of each asset and the part of it that does not count, USD.
    """

    market: MarginMarket
    parameters: DeribitParameters
    cross: bool
    rows: FloatArray
    kind: NDArray[np.int32]
    number: IntArray
    ledgers: FloatArray
    forgiven: FloatArray
    standard: FloatArray
    first: IntArray
    rates: FloatArray
    assets: FloatArray

    def __post_init__(self) -> None:
        """Mark the arrays read-only."""
        freeze_arrays(self)

    @property
    def alone(self) -> BoolArray:
        """Ledgers whose worst case is taken by itself, shape (L,)."""
        coin_settled = self.number < len(self.market.underlyings)
        return np.asarray(coin_settled & (not self.cross))

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arrays in the order in which compiled code takes them."""
        terms = np.array([self.market.stable_price, self.parameters.general.maintenance])
        return (
            self.rows.ravel(),
            self.kind,
            self.ledgers,
            self.forgiven.ravel(),
            self.standard,
            self.alone.astype(np.int64),
            self.first,
            self.rates,
            self.assets,
            terms,
        )

    def coin(self, ledger: int) -> str:
        """Underlying of a ledger."""
        return str(self.market.underlyings.name[self.number[ledger] % len(self.market.underlyings)])

    def terms(self, ledger: int) -> tuple[PairTerms, CurrencyTerms] | None:
        """Terms of a ledger; None for an underlying the parameters do not know."""
        return _terms(self.market, self.parameters, int(self.number[ledger]))


def _terms(
    market: MarginMarket, parameters: DeribitParameters, number: int
) -> tuple[PairTerms, CurrencyTerms] | None:
    n_u = len(market.underlyings)
    coin = str(market.underlyings.name[number % n_u])
    if coin not in parameters.pairs:
        return None
    return parameters.pairs[coin], parameters.currencies[coin if number < n_u else "USD"]


def asset_terms(parameters: DeribitParameters, name: str) -> CurrencyTerms | None:
    """Terms of an asset posted as collateral; None if it is not accepted."""
    return parameters.currencies.get("USD" if name in _DOLLARS else name)


def _assets(market: MarginMarket, parameters: DeribitParameters) -> FloatArray:
    terms = [asset_terms(parameters, name) for name in market.assets.name.tolist()]
    known = np.array([t is not None for t in terms], dtype=np.bool_)
    haircut = np.array([t.haircut if t else 0.0 for t in terms], dtype=np.float64)
    price = np.where(known & np.isfinite(market.assets.price), market.assets.price, 0.0)
    return np.stack([price, price * haircut], axis=1)


def _fill(
    rows: FloatArray,
    market: MarginMarket,
    mine: IntArray,
    pair: PairTerms,
    coin_settled: bool,
    spot: float,
) -> None:
    """The rows of the instruments `mine`, all of one ledger."""
    table, grid = market.instruments, scenario_grid(pair)
    option = mine[table.is_option[mine]]
    forward, strike, years = (c[option] for c in (table.forward, table.strike, table.years))
    vol, sign = market.vol[option], table.sign[option]
    rows[option, :SCENARIOS] = option_pnl(
        forward, strike, years, vol, sign, pair, grid, coin_settled=coin_settled
    )
    # The delta that the venue publishes, not the premium-adjusted one.
    greeks = black76_greeks(forward, strike, years, vol, sign=sign)
    # A premium in coin is the value over the forward: in USD at the index, not the forward.
    unit_usd = spot / forward if coin_settled else 1.0
    rows[option, MARK], rows[option, DELTA] = greeks.price * unit_usd, greeks.delta
    linear = mine[np.isin(table.kind[mine], DELTA_ONE)]
    rows[linear, :SCENARIOS] = future_pnl(table.forward[linear], grid, coin_settled=coin_settled)
    rows[linear, DELTA] = 1.0


def revalue(market: MarginMarket, parameters: DeribitParameters, *, cross: bool) -> DeribitGrid:
    """Value every instrument under every scenario.

    Parameters
    ----------
    market : MarginMarket
    parameters : DeribitParameters
    cross : bool
        As in :class:`DeribitGrid`.
    """
    table, n_u, n_e = market.instruments, len(market.underlyings), len(market.expiries)
    code = np.where(table.coin_settled, market.underlying, market.underlying + n_u)
    number, ledger = np.unique(code, return_inverse=True)
    dates = ledger * (n_e + 1) + market.expiry + 1
    keys, some, expiry = np.unique(dates, return_index=True, return_inverse=True)
    first = np.searchsorted(keys, np.arange(len(number) + 1) * (n_e + 1))
    years = np.where(market.expiry[some] >= 0, table.years[some], 0.0)
    rows = aligned_rows(len(table), WIDTH)
    rows[:], rows[:, COINS] = 0.0, table.coins
    ledgers, forgiven = np.zeros((len(number), 7)), np.zeros((len(number), WIDTH))
    forgiven[:, SCENARIOS:] = np.inf
    rates = np.zeros(len(keys))
    for at, which in enumerate(number.tolist()):
        terms = _terms(market, parameters, which)
        if terms is None:
            continue
        pair, money = terms
        in_coin, index = which < n_u, market.underlyings.spot[which % n_u]
        unit_usd = index if in_coin else np.float64(1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            _fill(rows, market, np.flatnonzero(ledger == at), pair, in_coin, index)
            limit, threshold = money.offset_limit_usd / unit_usd, pair.delta_threshold_usd / index
            shock = threshold, pair.delta_slope, pair.delta_most
            ledgers[at] = unit_usd, money.pnl_offset, limit, *shock, index
            forgiven[at, :SCENARIOS] = dampening(
                scenario_grid(pair), pair, money, index, coin_settled=in_coin
            )
        # A linear ledger counts its delta in USD.
        mine = slice(first[at], first[at + 1])
        rates[mine] = roll_rate(years[mine], money) * (1.0 if in_coin else index)
    bad = {**unsupported_instruments(market, parameters.pairs, NAME), **market.failures}
    rows[list(bad)] = np.nan
    return DeribitGrid(
        market=market,
        parameters=parameters,
        cross=cross,
        rows=rows,
        kind=np.stack([ledger, expiry], axis=1).astype(np.int32),
        number=number.astype(np.int64),
        ledgers=ledgers,
        forgiven=forgiven,
        standard=(np.arange(WIDTH) < SCENARIOS - len(EXTENDED_MOVES)).astype(np.float64),
        first=first.astype(np.int64),
        rates=rates,
        assets=_assets(market, parameters),
    )
