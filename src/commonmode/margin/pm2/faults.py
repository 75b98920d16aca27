"""Why an instrument or an account cannot be margined under PM2."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.pm2.parameters import PM2Parameters
from commonmode.market.instruments import InstrumentKind

__all__ = ["account_failure", "failure", "find"]

_GIVEN: Final = 1
_NOT_COVERED: Final = 2
_KIND: Final = 3
_SPOT: Final = 4
_PERP: Final = 5
_EXPIRY: Final = 6
_VOL: Final = 7
_CONTRACT: Final = 8


def _lacking(*columns: FloatArray) -> BoolArray:
    """Where one of the columns has no number."""
    bad = np.zeros(len(columns[0]), dtype=np.bool_)
    for column in columns:
        bad |= ~np.isfinite(column)
    return bad


def find(market: MarginMarket, parameters: PM2Parameters) -> NDArray[np.int8]:
    """Code of the first fault of every instrument, 0 for none, shape (I,)."""
    table, own, dated = market.instruments, market.underlyings, market.expiries
    n, u, e = len(table), market.underlying, np.maximum(market.expiry, 0)
    option, is_dated = table.is_option, market.expiry >= 0
    future = table.kind == InstrumentKind.FUTURE.value
    perp = table.kind == InstrumentKind.PERPETUAL.value
    covered = np.isin(own.name, parameters.underlyings)
    spot = _lacking(own.spot, own.spot_confidence) | ~(own.spot > 0.0)
    no_perp = _lacking(own.perp_price, own.perp_confidence) | ~(own.perp_price > 0.0)
    checks: list[tuple[int, BoolArray]] = [
        (_NOT_COVERED, ~covered[u]),
        (_KIND, ~(option | future | perp)),
        (_SPOT, spot[u]),
        (_PERP, perp & no_perp[u]),
    ]
    if len(dated):
        no_forward = _lacking(dated.forward, dated.forward_confidence) | ~(dated.forward > 0.0)
        no_rate = _lacking(dated.rate, dated.rate_confidence, dated.vol_confidence)
        checks.append((_EXPIRY, is_dated & (no_forward[e] | (option & no_rate[e]))))
    checks.append((_EXPIRY, (option | future) & ~is_dated))
    vol = np.isfinite(market.vol) & (market.vol >= 0.0)
    checks.append((_VOL, option & ~vol))
    checks.append((_CONTRACT, option & ~((table.strike > 0.0) & (np.abs(table.sign) == 1))))
    fault = np.zeros(n, dtype=np.int8)
    if market.failures:
        fault[list(market.failures)] = _GIVEN
    for code, bad in checks:
        fault[(fault == 0) & bad] = code
    return fault


def failure(
    market: MarginMarket, parameters: PM2Parameters, instrument: int, code: int
) -> Failure | None:
    """The fault `code` of an instrument in words."""
    if code == 0:
        return None
    if code == _GIVEN:
        return market.failures[instrument]
    table = market.instruments
    name = str(table.instrument[instrument])
    coin = str(market.underlyings.name[market.underlying[instrument]])
    if code == _NOT_COVERED:
        return Failure(
            FailureReason.UNSUPPORTED,
            f"{name}: {parameters.name} {parameters.version} does not cover {coin}",
            f"it covers {', '.join(parameters.underlyings)}; use a set that names {coin}",
        )
    if code == _KIND:
        return Failure(
            FailureReason.UNSUPPORTED,
            f"{name}: PM2 has no {str(table.kind[instrument]).replace('_', ' ')}",
            "use the method 'dynamic', or state spot as collateral",
        )
    if code in (_SPOT, _PERP):
        feed = "spot" if code == _SPOT else "perpetual price"
        return Failure(
            FailureReason.MISSING_DATA,
            f"{name}: no {feed} of {coin}, or no confidence of it",
            "add the feed, or take the last good one and lower its confidence",
        )
    if code == _EXPIRY:
        return Failure(
            FailureReason.MISSING_DATA,
            f"{name}: forward, rate or a confidence of its expiry is missing",
            "add the feed of this expiry",
        )
    if code == _VOL:
        negative = market.vol[instrument] < 0.0
        return Failure(
            FailureReason.ARBITRAGE if negative else FailureReason.MISSING_DATA,
            f"{name}: implied volatility is {market.vol[instrument]:g}",
            "repair the surface of this expiry: its total variance is negative or undefined",
        )
    return Failure(
        FailureReason.INVALID_INPUT,
        f"{name}: strike {table.strike[instrument]:g} or sign is not an option's",
        "correct the instrument",
    )


def account_failure(
    accounts: Accounts,
    market: MarginMarket,
    parameters: PM2Parameters,
    fault: NDArray[np.int8],
    row: int,
) -> Failure:
    """Why an account whose margin is not a number has none."""
    given = accounts.failures.get(row)
    if given is not None:
        return given
    part = slice(int(accounts.offsets[row]), int(accounts.offsets[row + 1]))
    quantity, instrument = accounts.quantity[part], accounts.instrument[part]
    for at in np.flatnonzero(quantity != 0.0):
        found = failure(market, parameters, int(instrument[at]), int(fault[instrument[at]]))
        if found is not None:
            return found
        if not np.isfinite(quantity[at]):
            return Failure(
                FailureReason.INVALID_INPUT,
                f"{market.instruments.instrument[instrument[at]]}: quantity {quantity[at]} is not "
                "a number of contracts",
                "correct the quantity in the book",
            )
    assets = market.assets
    for at in np.flatnonzero(accounts.collateral[row] != 0.0):
        name = str(assets.name[at])
        if name not in parameters.collateral:
            return Failure(
                FailureReason.UNSUPPORTED,
                f"collateral {name}: {parameters.name} {parameters.version} does not accept it",
                f"it accepts {', '.join(sorted(parameters.collateral))}; or add its terms to a set",
            )
        if not (np.isfinite(assets.price[at]) and np.isfinite(assets.confidence[at])):
            return Failure(
                FailureReason.MISSING_DATA,
                f"collateral {name}: no price of it, or no confidence",
                "add the feed, or withdraw the asset",
            )
    if not (np.isfinite(market.stable_price) and market.stable_price > 0.0):
        return Failure(
            FailureReason.MISSING_DATA,
            f"the settlement stablecoin is at {market.stable_price}",
            "add its feed",
        )
    if np.isnan(market.underlyings.spot_confidence).any():
        return Failure(
            FailureReason.MISSING_DATA,
            f"account {accounts.ids[row]}: the spot feed its collateral follows has no confidence",
            "add the feed",
        )
    return Failure(
        FailureReason.INVALID_INPUT,
        f"account {accounts.ids[row]}: cash, collateral or unrealised profit is not a number",
        "correct the account's statement",
    )
