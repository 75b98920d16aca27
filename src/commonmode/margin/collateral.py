"""Collateral: haircuts from returns, lending terms and health, and what portfolio margin saves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import binom

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod

__all__ = [
    "CapitalEfficiency",
    "Haircuts",
    "Health",
    "LendingTerms",
    "capital_efficiency",
    "collateral_health",
    "haircuts",
    "isolated_legs",
    "lending_terms",
]

_LEAST: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Haircuts:
    """Haircuts of C assets; fractions of value, all arrays of shape (C,).

    Attributes
    ----------
    assets : array of str
    level : float
        Share of the periods whose fall the shock covers.
    horizon : int
        Periods of the panel from the last price at which the asset was good to the end of its sale.
    shock : float64
        Fall of the price over the horizon at that level, >= 0.
    cost : float64
        Liquidation cost, a share of what is sold.
    haircut : float64
        ``1 - (1 - shock)(1 - cost)``: what is lost of a unit of value.
    upper : float64
        The haircut from the upper confidence limit of the shock; NaN where the history is too short
        to bound the quantile at all.
    confidence : float
    windows : int64
        Overlapping windows used, those without a gap.
    independent : int64
        Windows that do not overlap; the confidence limit counts these.
    """

    assets: StringArray
    level: float
    horizon: int
    shock: FloatArray
    cost: FloatArray
    haircut: FloatArray
    upper: FloatArray
    confidence: float
    windows: IntArray
    independent: IntArray

    def __len__(self) -> int:
        return len(self.assets)


def _falls(log_returns: FloatArray, horizon: int) -> FloatArray:
    """Falls over every window without a gap, >= 0 for a fall, ascending."""
    windows = np.lib.stride_tricks.sliding_window_view(log_returns, horizon).sum(axis=1)
    return np.sort(-np.expm1(windows[np.isfinite(windows)]))


def haircuts(
    log_returns: FloatArray,
    assets: StringArray,
    *,
    level: float,
    horizon: int = 1,
    cost: FloatArray | float = 0.0,
    confidence: float = 0.95,
) -> Haircuts:
    """Haircuts at a target level from a panel of returns.

    The shock is the smallest fall that at least ``level`` of all overlapping windows do not exceed.
    Its upper confidence limit is an order statistic, free of any distribution: with n independent
    windows the k-th smallest bounds the quantile where ``P(Binomial(n, level) < k)`` reaches
    ``confidence`` (Wilks 1941); n counts the windows that do not overlap, and the order statistic
    is taken at the same rank ``k / n`` of all of them.

    Parameters
    ----------
    log_returns : float64, shape (T, C)
        Per period; NaN where there is none. A window with a gap is left out.
    assets : array of str, shape (C,)
    level : float
        In (0, 1), for example 0.99.
    horizon : int
        Periods; at least 1.
    cost : float or float64 of shape (C,)
        Liquidation cost: slippage, spread, penalty; a share in [0, 1).
    confidence : float
        In (0, 1).

    Raises
    ------
    ConfigurationError, DataError
        If an argument is out of range or an asset has fewer than 20 windows.
    """
    costs = np.broadcast_to(np.asarray(cost, dtype=np.float64), assets.shape)
    if not (0.0 < level < 1.0 and 0.0 < confidence < 1.0 and horizon >= 1):
        raise ConfigurationError(
            f"haircuts at level {level}, confidence {confidence}, horizon {horizon}",
            remedy="give level and confidence between 0 and 1 and a horizon of at least 1",
        )
    if log_returns.ndim != 2 or log_returns.shape[1] != len(assets):
        raise DataError(
            f"returns of shape {log_returns.shape} for {len(assets)} assets",
            remedy="give one column per asset",
        )
    if not np.all((costs >= 0.0) & (costs < 1.0)):
        raise ConfigurationError("a liquidation cost is no share", remedy="give 0 <= cost < 1")
    shock, limit = np.empty(len(assets)), np.full(len(assets), np.nan)
    windows, independent = (np.zeros(len(assets), dtype=np.int64) for _ in range(2))
    for c, name in enumerate(assets):
        column = log_returns[:, c]
        falls = _falls(column, horizon) if len(column) >= horizon else np.zeros(0)
        if len(falls) < _LEAST:
            raise DataError(
                f"{name}: {len(falls)} windows of {horizon} periods, {_LEAST} are needed",
                remedy="give a longer history, a shorter horizon or a proxy",
            )
        windows[c], n = len(falls), max(len(falls) // horizon, 1)
        independent[c] = n
        shock[c] = falls[math.ceil(level * len(falls)) - 1]
        k = int(binom.ppf(confidence, n, level)) + 1
        if k <= n:
            limit[c] = falls[math.ceil(k / n * len(falls)) - 1]
    shock, limit = np.maximum(shock, 0.0), np.maximum(limit, 0.0)
    return Haircuts(
        assets=assets,
        level=level,
        horizon=horizon,
        shock=shock,
        cost=costs.copy(),
        haircut=1.0 - (1.0 - shock) * (1.0 - costs),
        upper=1.0 - (1.0 - limit) * (1.0 - costs),
        confidence=confidence,
        windows=windows,
        independent=independent,
    )


@dataclass(frozen=True, slots=True, eq=False)
class LendingTerms:
    """Terms of C assets in a lending market; fractions of value, arrays of shape (C,).

    Attributes
    ----------
    assets : array of str
    threshold : float64
        Liquidation threshold: debt may be this share of value before the position is liquidated.
    ltv : float64
        Loan to value: the share up to which may be borrowed; at most the threshold.
    """

    assets: StringArray
    threshold: FloatArray
    ltv: FloatArray

    def __post_init__(self) -> None:
        """Check ``0 <= ltv <= threshold <= 1``."""
        ok = (self.ltv >= 0.0) & (self.ltv <= self.threshold) & (self.threshold <= 1.0)
        if not (len(self.assets) == len(self.ltv) == len(self.threshold)) or not np.all(ok):
            raise ConfigurationError(
                "lending terms out of order",
                remedy="0 <= loan to value <= liquidation threshold <= 1, one of each per asset",
            )


def lending_terms(sale: Haircuts, breathing: Haircuts) -> LendingTerms:
    """Terms that keep the lender whole at the haircuts' levels.

    Parameters
    ----------
    sale : Haircuts
        Over the time a liquidation takes. The threshold is ``1 - haircut``: a debt that is
        liquidated at the threshold is repaid if the price then falls by no more than the shock.
    breathing : Haircuts
        Over the time a borrower has to react. Loan to value is the threshold less its shock: a
        position at the limit does not reach the threshold within that time at that level.

    Raises
    ------
    DataError
        If the two are of different assets.
    """
    if not np.array_equal(sale.assets, breathing.assets):
        raise DataError("haircuts of different assets", remedy="give both for the same assets")
    threshold = 1.0 - sale.haircut
    return LendingTerms(sale.assets, threshold, threshold * (1.0 - breathing.shock))


@dataclass(frozen=True, slots=True, eq=False)
class Health:
    """State of A borrowers; arrays of shape (A,).

    Attributes
    ----------
    value, debt : float64
        USD.
    capacity : float64
        What may be borrowed in all: value times loan to value, USD.
    factor : float64
        Health factor: value times threshold over debt; infinite without debt.
    fall : float64
        Common fall of all collateral that brings the factor to 1; negative: liquidatable already.
    shortfall : float64
        Debt above the value of all collateral, USD, >= 0.
    """

    value: FloatArray
    debt: FloatArray
    capacity: FloatArray
    factor: FloatArray
    fall: FloatArray
    shortfall: FloatArray

    @property
    def liquidatable(self) -> BoolArray:
        """Borrowers whose health factor is below 1, shape (A,)."""
        return np.asarray(self.factor < 1.0)


def collateral_health(
    amounts: FloatArray, prices: FloatArray, terms: LendingTerms, debt: FloatArray
) -> Health:
    """Health of borrowers whose collateral counts at its liquidation threshold.

    Parameters
    ----------
    amounts : float64, shape (A, C)
        Units of each asset, not negative.
    prices : float64, shape (C,)
        USD.
    terms : LendingTerms
    debt : float64, shape (A,)
        USD, not negative. A row with a NaN has NaN results; the others are unharmed.

    Raises
    ------
    DataError
        If shapes do not fit or an amount or debt is negative.
    """
    if amounts.shape != (len(debt), len(prices)) or len(prices) != len(terms.assets):
        raise DataError(
            f"amounts {amounts.shape}, {len(prices)} prices, {len(terms.assets)} terms, "
            f"{len(debt)} debts",
            remedy="amounts are (accounts, assets)",
        )
    if np.any(amounts < 0.0) or np.any(debt < 0.0):
        raise DataError("a negative amount or debt", remedy="state what is owed as debt")
    value = amounts * prices
    secured = value @ terms.threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(debt == 0.0, np.where(np.isnan(secured), np.nan, np.inf), secured / debt)
        fall = 1.0 - 1.0 / factor
    total = value.sum(axis=1)
    return Health(
        value=total,
        debt=debt,
        capacity=value @ terms.ltv,
        factor=factor,
        fall=fall,
        shortfall=np.maximum(debt - total, 0.0),
    )


@dataclass(frozen=True, slots=True, eq=False)
class CapitalEfficiency:
    """Portfolio against isolated margin of A accounts; USD, arrays of shape (A,).

    Attributes
    ----------
    method : str
    ids : array of str
    isolated_initial, isolated_maintenance : float64
        Sum of the requirements of every position and every asset alone; NaN where one of them, or
        the account, cannot be margined.
    initial, maintenance : float64
        Requirement of the portfolio.
    legs : int64
        Positions and assets.
    """

    method: str
    ids: StringArray
    isolated_initial: FloatArray
    isolated_maintenance: FloatArray
    initial: FloatArray
    maintenance: FloatArray
    legs: IntArray

    @property
    def ratio(self) -> FloatArray:
        """Isolated over portfolio initial requirement; NaN where both are 0, shape (A,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.isolated_initial / self.initial)

    @property
    def saved(self) -> FloatArray:
        """Initial requirement that holding the legs together saves, USD, shape (A,)."""
        return np.asarray(self.isolated_initial - self.initial)


def isolated_legs(accounts: Accounts) -> tuple[Accounts, IntArray]:
    """Every position and every asset as an account of its own, and whose it was, shape (L,)."""
    p = len(accounts.instrument)
    owner, asset = np.nonzero(accounts.collateral)
    legs = p + len(owner)
    collateral = np.zeros((legs, accounts.collateral.shape[1]))
    collateral[np.arange(p, legs), asset] = accounts.collateral[owner, asset]
    of = np.concatenate((accounts.row, owner.astype(np.int64)))
    offsets = np.minimum(np.arange(legs + 1, dtype=np.int64), p)
    nothing = np.zeros(legs)
    alone = Accounts(
        ids=accounts.ids[of],
        offsets=offsets,
        instrument=accounts.instrument,
        quantity=accounts.quantity,
        cash=nothing,
        unrealised=nothing.copy(),
        collateral=collateral,
    )
    return alone, of


def capital_efficiency(
    accounts: Accounts, market: MarginMarket, method: MarginMethod
) -> CapitalEfficiency:
    """How much less margin the accounts need than their legs one by one."""
    whole = method.margin(accounts, market)
    alone, of = isolated_legs(accounts)
    parts = method.margin(alone, market)

    def total(values: FloatArray, of_whole: FloatArray) -> FloatArray:
        summed = np.bincount(of, weights=values, minlength=len(accounts)).astype(np.float64)
        return np.where(np.isfinite(of_whole), summed * whole.unit_usd, np.nan)

    return CapitalEfficiency(
        method=whole.method,
        ids=accounts.ids,
        isolated_initial=total(parts.initial, whole.initial),
        isolated_maintenance=total(parts.maintenance, whole.maintenance),
        initial=whole.initial * whole.unit_usd,
        maintenance=whole.maintenance * whole.unit_usd,
        legs=np.bincount(of, minlength=len(accounts)).astype(np.int64),
    )
