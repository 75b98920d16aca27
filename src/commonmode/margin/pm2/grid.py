"""Instruments under the scenarios of PM2, once per market; what all accounts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import FloatArray, IntArray, freeze_arrays
from commonmode.core.errors import DataError
from commonmode.core.result import Failure
from commonmode.core.units import YEAR_MS
from commonmode.margin._rows import aligned_rows, padded
from commonmode.margin.market import MarginMarket
from commonmode.margin.pm2 import faults
from commonmode.margin.pm2.parameters import PM2Parameters
from commonmode.margin.pm2.shocks import (
    discounts,
    settlement_parts,
    shocked_vol,
    skew_multiplier,
)
from commonmode.market.instruments import InstrumentKind
from commonmode.pricing.black76 import black76_price
from commonmode.pricing.kernels import Engine, black76

__all__ = ["PM2Grid", "revalue"]

_YEAR_SECONDS: Final = YEAR_MS / 1000.0
# From this total volatility on, a call is worth its forward.
_MOST_TOTAL_VOL: Final = 24.0


@dataclass(frozen=True, slots=True, eq=False)
class PM2Grid:
    """I instruments revalued under S scenarios; G = E + U groups that accounts are summed over.

    A group holds the options of one expiry (rows below E, the market's expiries) or all linear
    contracts of one underlying (row E + u).

    Attributes
    ----------
    market : MarginMarket
    parameters : PM2Parameters
    engine : {"numba", "numpy"}
        Which engine valued the options; values agree between engines to rounding only.
    rows : float64, shape (I, W)
        Per contract, USD: options at their discounted values in the S scenarios, then with the
        forward up and down by itself, then at their marks, then the contract's size in coins;
        linear contracts at their profit per scenario. Zeros fill up to whole
        registers; NaN in a whole row is an instrument that cannot be margined.
    fault : int8, shape (I,)
        Why (:mod:`commonmode.margin.pm2.faults`), 0 for none.
    kind : int32, shape (I, 3)
        Group; number of the (expiry, strike); 1 for perpetuals.
    linear_oracle : float64, shape (I,)
        USD per contract charged for doubtful feeds of linear contracts.
    groups : float64, shape (G, 5)
        Factors on a value >= 0 and < 0; weight of the basis loss; USD per coin of doubtful feeds
        for accounts without and with a perpetual.
    group_underlying : int32, shape (G,)
    scenarios : float64, shape (4, W)
        Damping; spot factor - 1; 1 where the scenario is a skew; infinity where there is none.
    underlyings : float64, shape (U, 2)
        Spot and its confidence.
    assets : float64, shape (C, 7)
        Value of a unit in units of cash; confidence and its threshold; haircuts (maintenance,
        initial on top) for accounts the asset is shocked with, and for the others.
    asset_follows : int64, shape (C,)
        Underlying with which the asset is shocked, -1 for none.
    terms : float64, shape (9,)
        Loss factors (initial, maintenance), what the peg adds to the former; perpetual and option
        charges (maintenance, initial each); confidence threshold and margin.
    """

    market: MarginMarket
    parameters: PM2Parameters
    engine: Engine
    rows: FloatArray
    fault: NDArray[np.int8]
    kind: NDArray[np.int32]
    linear_oracle: FloatArray
    groups: FloatArray
    group_underlying: NDArray[np.int32]
    scenarios: FloatArray
    underlyings: FloatArray
    assets: FloatArray
    asset_follows: IntArray
    terms: FloatArray

    def __post_init__(self) -> None:
        """Mark the arrays read-only."""
        freeze_arrays(self)

    @property
    def count(self) -> int:
        """Number of scenarios S."""
        return len(self.parameters.scenarios)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the S scenarios, then of the basis contingency."""
        return (*(scenario.label for scenario in self.parameters.scenarios), "basis")

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arrays in the order in which compiled code takes them."""
        return (
            self.rows.ravel(),
            self.kind,
            self.linear_oracle,
            self.groups,
            self.group_underlying,
            self.scenarios.ravel(),
            self.underlyings,
            self.assets,
            self.asset_follows,
            self.terms,
            self.count,
        )

    def failure(self, instrument: int) -> Failure | None:
        """Why an instrument cannot be margined, if it cannot."""
        return faults.failure(self.market, self.parameters, instrument, int(self.fault[instrument]))


def _black(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    sign: FloatArray,
    engine: Engine,
) -> FloatArray:
    """Undiscounted option values, all of one shape (n, m)."""
    strike, years, sign = (
        np.ascontiguousarray(np.broadcast_to(column[:, None], forward.shape))
        for column in (strike, years, sign)
    )
    with np.errstate(over="ignore", under="ignore"):
        if engine == "numba":
            flat = [column.ravel() for column in (forward, strike, years, vol, sign)]
            priced = black76(*flat[:4], sign=flat[4], greeks="price", engine="numba")
            value = np.asarray(priced["price"]).reshape(forward.shape)
        else:
            value = black76_price(forward, strike, years, vol, sign=sign)
        extreme = vol * np.sqrt(years) >= _MOST_TOTAL_VOL
    return np.where(extreme, np.where(sign > 0, forward, strike), value)


def option_rows(
    market: MarginMarket, parameters: PM2Parameters, at: IntArray, engine: Engine, width: int
) -> FloatArray:
    """Rows of the options `at`, shape (n, W); every entry depends on its own option alone."""
    expiry = market.expiry[at]
    table, count = market.expiries, len(parameters.scenarios)
    forward, rate = table.forward[expiry], np.maximum(table.rate[expiry], 0.0)
    seconds = market.seconds[expiry]
    years = seconds / _YEAR_SECONDS
    variable, fixed = settlement_parts(forward, table.settled[expiry], seconds)
    strike, vol = market.instruments.strike[at], market.vol[at]
    spots, vols = np.empty(count + 3), np.empty((len(at), count + 3))
    moved = {
        move: shocked_vol(vol, seconds, parameters.vol_shock, move)
        for move in ("none", "up", "down")
    } | {
        kind: vol * skew_multiplier(forward, strike, years, parameters.skew, kind)
        for kind in ("linear_skew", "absolute_skew")
    }
    for column, scenario in enumerate(parameters.scenarios):
        spots[column], vols[:, column] = scenario.spot, moved[scenario.vol]
    spots[count:] = parameters.basis.up, parameters.basis.down, 1.0
    vols[:, count:] = vol[:, None]
    shocked = variable[:, None] * spots + fixed[:, None]
    sign = market.instruments.sign[at].astype(np.float64)
    coins = _coins(market, at)
    rows = np.zeros((len(at), width))
    value = _black(shocked, strike, years, vols, sign, engine)
    rows[:, : count + 3] = value * (coins * np.exp(-rate * years))[:, None]
    rows[:, count + 3] = coins
    return rows


def _coins(market: MarginMarket, at: IntArray) -> FloatArray:
    """Coins per contract; an inverse contract of N USD counts N / price of them."""
    table = market.instruments
    price = _linear_price(market, at)
    usd_sized = table.inverse[at] & ~table.is_option[at]
    return np.where(usd_sized, table.contract_size[at] / price, table.contract_size[at])


def _linear_price(market: MarginMarket, at: IntArray) -> FloatArray:
    """Perpetual price of the underlying, or forward of the expiry, USD, shape (n,)."""
    perp = market.underlyings.perp_price[market.underlying[at]]
    if not len(market.expiries):
        return perp
    expiry = market.expiry[at]
    return np.where(expiry >= 0, market.expiries.forward[np.maximum(expiry, 0)], perp)


def linear_rows(
    market: MarginMarket, parameters: PM2Parameters, at: IntArray, width: int
) -> FloatArray:
    """Rows of the perpetuals and futures `at`, shape (n, W)."""
    count = len(parameters.scenarios)
    shock = np.array([scenario.spot for scenario in parameters.scenarios]) - 1.0
    coins = _coins(market, at)
    rows = np.zeros((len(at), width))
    rows[:, :count] = (coins * _linear_price(market, at))[:, None] * shock
    rows[:, count + 3] = coins
    return rows


def is_linear(market: MarginMarket) -> NDArray[np.bool_]:
    """Perpetuals and dated futures, shape (I,)."""
    kind = market.instruments.kind
    return np.asarray(
        (kind == InstrumentKind.PERPETUAL.value) | (kind == InstrumentKind.FUTURE.value)
    )


def doubt(confidence: FloatArray, parameters: PM2Parameters) -> FloatArray:
    """Share of notional charged at this confidence, any shape."""
    terms = parameters.contingency
    low = confidence < terms.confidence_threshold
    return np.where(low, (1.0 - confidence) * terms.confidence_margin, 0.0)


def _linear_oracle(market: MarginMarket, parameters: PM2Parameters) -> FloatArray:
    every = np.arange(len(market.instruments))
    spot = market.underlyings.spot[market.underlying]
    second = market.underlyings.perp_confidence[market.underlying]
    if len(market.expiries):
        dated = market.expiries.forward_confidence[np.maximum(market.expiry, 0)]
        second = np.where(market.expiry >= 0, dated, second)
    confidence = np.minimum(market.underlyings.spot_confidence[market.underlying], second)
    charge = np.abs(_coins(market, every)) * spot * doubt(confidence, parameters)
    return np.where(is_linear(market), charge, 0.0)


def _groups(market: MarginMarket, parameters: PM2Parameters) -> FloatArray:
    table, own = market.expiries, market.underlyings
    n, u = len(table), table.underlying
    years = market.seconds / _YEAR_SECONDS
    groups = np.zeros((n + len(own), 5))
    groups[:n, 0], groups[:n, 1] = discounts(
        np.maximum(table.rate, 0.0), years, parameters.discount
    )
    groups[:n, 2] = parameters.basis.add + parameters.basis.multiplier * years
    plain = np.minimum.reduce(
        [
            own.spot_confidence[u],
            table.forward_confidence,
            table.rate_confidence,
            table.vol_confidence,
        ]
    )
    groups[:n, 3] = own.spot[u] * doubt(plain, parameters)
    groups[:n, 4] = own.spot[u] * doubt(np.minimum(plain, own.perp_confidence[u]), parameters)
    return groups


def _assets(market: MarginMarket, parameters: PM2Parameters) -> tuple[FloatArray, IntArray]:
    table = market.assets
    assets = np.full((len(table), 7), np.nan)
    follows = np.full(len(table), -1, dtype=np.int64)
    for at, name in enumerate(table.name.tolist()):
        terms = parameters.collateral.get(name)
        if terms is None:
            continue
        if terms.risk_cancelling:
            follows[at] = table.underlying[at]
        assets[at, 2] = terms.confidence_threshold
        assets[at, 3:] = *terms.haircuts(True), *terms.haircuts(False)
    with np.errstate(divide="ignore", invalid="ignore"):
        assets[:, 0] = table.price / market.stable_price
    assets[:, 1] = table.confidence
    return assets, follows


def _terms(market: MarginMarket, parameters: PM2Parameters) -> FloatArray:
    loss, charge = parameters.loss, parameters.contingency
    stable = market.stable_price if market.stable_price > 0.0 else np.nan
    # Without a price of the stablecoin nothing can be margined: NaN, which np.maximum keeps.
    peg = float(np.maximum(0.0, loss.peg_threshold - stable)) * loss.peg_factor
    return np.array(
        [
            loss.initial,
            loss.maintenance,
            peg,
            charge.perp_maintenance,
            charge.perp_initial,
            charge.option_maintenance,
            charge.option_initial,
            charge.confidence_threshold,
            charge.confidence_margin,
        ]
    )


def _kinds(market: MarginMarket) -> NDArray[np.int32]:
    dated = market.instruments.is_option & (market.expiry >= 0)
    group = np.where(dated, market.expiry, len(market.expiries) + market.underlying)
    if np.any(np.diff(market.underlying) < 0) or (
        len(group) and np.sum(np.diff(group) != 0) >= len(np.unique(group))
    ):
        raise DataError(
            "margin market: the instruments are not ordered by underlying, expiry and strike",
            remedy="build the market with margin.portfolio",
        )
    # Two contracts share a number if they are options of one expiry and strike; the table lists
    # these side by side.
    strike = np.where(dated, market.instruments.strike, np.nan)
    change = np.ones(len(group), dtype=np.bool_)
    if len(group):
        change[1:] = (np.diff(group) != 0) | ~(np.diff(strike) == 0)
    perp = market.instruments.kind == InstrumentKind.PERPETUAL.value
    return np.stack([group, np.cumsum(change), perp], axis=1).astype(np.int32)


def revalue(
    market: MarginMarket,
    parameters: PM2Parameters,
    *,
    engine: Engine = "numba",
    previous: tuple[PM2Grid, NDArray[np.bool_]] | None = None,
) -> PM2Grid:
    """Value every instrument under every scenario.

    Parameters
    ----------
    market : MarginMarket
    parameters : PM2Parameters
    engine : {"numba", "numpy"}
        Engine of the Black-76 values.
    previous : (PM2Grid, bool of shape (I,)), optional
        A grid of a market with the same instruments, and which of them have to be valued again;
        the others' rows are taken over.
    """
    width = padded(len(parameters.scenarios) + 4)
    fault = faults.find(market, parameters)
    linear = is_linear(market)
    sound = fault == 0
    if previous is None:
        rows = aligned_rows(len(market.instruments), width)
        rows[:] = np.nan
        again = sound
    else:
        rows = aligned_rows(*previous[0].rows.shape)
        rows[:] = previous[0].rows
        rows[~sound] = np.nan
        again = sound & previous[1]
    options, contracts = np.flatnonzero(again & ~linear), np.flatnonzero(again & linear)
    if len(options):
        rows[options] = option_rows(market, parameters, options, engine, width)
    if len(contracts):
        rows[contracts] = linear_rows(market, parameters, contracts, width)
    scenarios = np.zeros((4, width))
    scenarios[3, len(parameters.scenarios) :] = np.inf
    for at, scenario in enumerate(parameters.scenarios):
        scenarios[:3, at] = scenario.damping, scenario.spot - 1.0, scenario.is_skew
    assets, follows = _assets(market, parameters)
    own = market.underlyings
    return PM2Grid(
        market=market,
        parameters=parameters,
        engine=engine,
        rows=rows,
        fault=fault,
        kind=_kinds(market) if previous is None else previous[0].kind,
        linear_oracle=_linear_oracle(market, parameters),
        groups=_groups(market, parameters),
        group_underlying=np.concatenate((market.expiries.underlying, np.arange(len(own)))).astype(
            np.int32
        ),
        scenarios=scenarios,
        underlyings=np.stack([own.spot, own.spot_confidence], axis=1),
        assets=assets,
        asset_follows=follows,
        terms=_terms(market, parameters),
    )
