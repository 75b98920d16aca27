"""Who fails in a set of joint scenarios, what it costs, and whether the insurance fund bears it.

An account is looked at ``looks`` times on the way to a scenario's end, equally far apart in the
logarithm of its factors. At the first look that finds its maintenance balance below zero it is
liquidated; the close-out is done ``delay`` looks later, at the prices of that look, and costs what
the cost function says. What its equity then lacks is the shortfall, borne by the fund. One look
is a gap: prices jump to the end at once. The whole account is closed; partial liquidation, which
can only leave more of it, is not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import beta

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.moves import MarketMoves, carried

__all__ = [
    "CloseOutCost",
    "FundAdequacy",
    "ProportionalCost",
    "Solvency",
    "fund_adequacy",
    "gross_notional",
    "solvency",
]


class CloseOutCost(Protocol):
    """What it costs to close each account completely, USD, not negative."""

    def __call__(self, accounts: Accounts, market: MarginMarket) -> FloatArray:
        """Costs of shape (A,)."""
        ...


def gross_notional(accounts: Accounts, market: MarginMarket) -> FloatArray:
    """Sum of absolute coins times index over the positions of each account, USD, shape (A,)."""
    per = market.instruments.gross_usd
    weights = np.abs(accounts.quantity) * per[accounts.instrument]
    return np.bincount(accounts.row, weights=weights, minlength=len(accounts)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class ProportionalCost:
    """Close-out cost as shares of notional and collateral value: slippage, spread, penalty.

    Attributes
    ----------
    linear : float
        Share of the notional of futures, perpetuals and spot.
    option : float
        Share of the notional (coins times index) of everything with a volatility.
    collateral : float
        Share of the value of collateral that is sold.
    """

    linear: float
    option: float
    collateral: float = 0.0

    def __call__(self, accounts: Accounts, market: MarginMarket) -> FloatArray:
        """Costs of shape (A,), USD."""
        table = market.instruments
        curved = table.is_option | table.is_curved_perpetual
        per = np.where(curved, self.option, self.linear) * table.gross_usd
        weights = np.abs(accounts.quantity) * per[accounts.instrument]
        positions = np.bincount(accounts.row, weights=weights, minlength=len(accounts))
        posted = np.abs(accounts.collateral)
        # An asset without a price harms only who holds it.
        sold = np.where(posted > 0, posted * market.assets.price, 0.0).sum(axis=1) * self.collateral
        return np.asarray(positions + sold)


@dataclass(frozen=True, slots=True, eq=False)
class Solvency:
    """A accounts in S scenarios under one method; USD, whatever unit the method counts in.

    Attributes
    ----------
    method : str
    ids : array of str, shape (A,)
    weights : float64, shape (S,)
        Probabilities of the scenarios.
    liquidation, probability : float64, shape (A,)
        Probability of being liquidated, and of a shortfall. NaN: failed.
    standard_error : float64, shape (A,)
        Of ``probability``, for scenarios that are independent draws: ``sqrt(sum w^2 (1 - p)^2)``
        over those with a shortfall and ``p^2`` over the others. It is 0 where none was seen: see
        :meth:`upper`. Chosen scenarios (stresses) have no sampling error.
    expected_shortfall : float64, shape (A,)
        Mean over all scenarios.
    loss_given_liquidation, cost_given_liquidation : float64, shape (A,)
        Mean shortfall, and mean close-out cost, over the scenarios in which the account is
        liquidated; NaN where it never is.
    unpriced : float64, shape (A,)
        Probability of the scenarios in which the method had no value; left out of the above.
    total : float64, shape (S,)
        Shortfall of all accounts together.
    largest, two_largest : float64, shape (S,)
        Of the owner with the greatest shortfall, and of the two greatest together.
    liquidated : int64, shape (S,)
        Number of accounts liquidated.
    liquidated_notional : float64, shape (S,)
        Their gross notional at the prices at which they are closed, USD.
    failures : mapping of account row to Failure
        Accounts that cannot be margined today; they are in no total.
    """

    method: str
    ids: StringArray
    weights: FloatArray
    liquidation: FloatArray
    probability: FloatArray
    standard_error: FloatArray
    expected_shortfall: FloatArray
    loss_given_liquidation: FloatArray
    cost_given_liquidation: FloatArray
    unpriced: FloatArray
    total: FloatArray
    largest: FloatArray
    two_largest: FloatArray
    liquidated: IntArray
    liquidated_notional: FloatArray
    failures: Mapping[int, Failure]

    @property
    def effective_scenarios(self) -> float:
        """Kish's effective number of draws, ``1 / sum w^2``."""
        return float(1.0 / np.sum(self.weights**2))

    @property
    def protocol(self) -> tuple[float, float]:
        """Probability that any account falls short, and its standard error."""
        return _share(self.total > 0.0, self.weights)

    def upper(self, confidence: float = 0.95) -> FloatArray:
        """Upper limit of each shortfall probability, shape (A,).

        Clopper and Pearson's, with the effective number of draws; it is above 0 also where no
        shortfall was seen (then about ``3 / n`` at 95 %).
        """
        n = self.effective_scenarios
        seen = self.probability * n
        limit = beta.ppf(confidence, seen + 1.0, np.maximum(n - seen, 1e-12))
        return np.where(self.probability >= 1.0, 1.0, limit)


@dataclass(frozen=True, slots=True)
class FundAdequacy:
    """An insurance fund against the shortfalls of a set of scenarios; USD.

    Attributes
    ----------
    fund : float
    cover_one, cover_two : float
        What the fund needs to bear the owner, or the two owners, with the largest shortfall in the
        worst scenario: "cover 1" and "cover 2" of CPMI-IOSCO, Principles for financial market
        infrastructures (2012), principle 4, key considerations 4 to 6.
    covers_one, covers_two : bool
    level : float
    quantile : float
        Least amount that total shortfall does not exceed with probability ``level``.
    quantile_low, quantile_high : float
        The quantiles one standard error of the level below and above (Woodruff 1952).
    depletion : float
        Probability that total shortfall exceeds the fund.
    depletion_error : float
        Its standard error.
    expected_excess : float
        Mean of what is left to be socialised.
    """

    fund: float
    cover_one: float
    cover_two: float
    covers_one: bool
    covers_two: bool
    level: float
    quantile: float
    quantile_low: float
    quantile_high: float
    depletion: float
    depletion_error: float
    expected_excess: float


def _share(hit: BoolArray, weights: FloatArray) -> tuple[float, float]:
    # The weights sum to 1 within rounding only.
    mean = min(float(weights @ hit), 1.0)
    return mean, float(np.sqrt(np.sum(weights**2 * (hit - mean) ** 2)))


def _quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    # Rounding of the sum must not push a level that is met to the next scenario.
    at = int(np.searchsorted(reached, level - 1e-12))
    return float(values[order[min(at, len(values) - 1)]])


def fund_adequacy(found: Solvency, fund: float, *, level: float = 0.99) -> FundAdequacy:
    """Whether an insurance fund bears the shortfalls.

    Parameters
    ----------
    found : Solvency
    fund : float
        USD, not negative.
    level : float
        Of the quantile of total shortfall, in (0, 1).

    Raises
    ------
    ConfigurationError
        If the fund or the level is out of range.
    """
    if not (fund >= 0.0 and 0.0 < level < 1.0):
        raise ConfigurationError(
            f"fund {fund} at level {level}", remedy="give a fund >= 0 and a level between 0 and 1"
        )
    one, two = float(found.largest.max()), float(found.two_largest.max())
    quantile = _quantile(found.total, found.weights, level)
    error = float(np.sqrt(level * (1.0 - level) / found.effective_scenarios))
    depletion, depletion_error = _share(found.total > fund, found.weights)
    return FundAdequacy(
        fund=fund,
        cover_one=one,
        cover_two=two,
        covers_one=fund >= one,
        covers_two=fund >= two,
        level=level,
        quantile=quantile,
        quantile_low=_quantile(found.total, found.weights, level - error),
        quantile_high=_quantile(found.total, found.weights, level + error),
        depletion=depletion,
        depletion_error=depletion_error,
        expected_excess=float(found.weights @ np.maximum(found.total - fund, 0.0)),
    )


def solvency(
    accounts: Accounts,
    market: MarginMarket,
    method: MarginMethod,
    moves: MarketMoves,
    *,
    cost: CloseOutCost,
    looks: int = 1,
    delay: int = 0,
    owner: IntArray | None = None,
) -> Solvency:
    """Liquidations and shortfalls of all accounts in all scenarios.

    Parameters
    ----------
    accounts : Accounts
    market : MarginMarket
    method : MarginMethod
        Sets who is liquidated and values equity; called ``looks`` times a scenario.
    moves : MarketMoves
    cost : CloseOutCost
        At the prices of the close-out.
    looks : int
        How often margin is checked on the way to a scenario's end; 1 is a gap.
    delay : int
        Looks between the check that finds the account and the end of its close-out, at the latest
        at the scenario's end.
    owner : int64, shape (A,), optional
        Numbers of the owners, not negative; each account its own if left out. An owner's accounts
        are closed apart and their shortfalls add up.

    Raises
    ------
    ConfigurationError, DataError
        If the looks or the owners make no sense.
    """
    n = len(accounts)
    if looks < 1 or delay < 0:
        raise ConfigurationError(
            f"{looks} looks and a delay of {delay}", remedy="give looks >= 1 and delay >= 0"
        )
    owners = np.arange(n, dtype=np.int64) if owner is None else owner
    if owners.shape != (n,) or (n and owners.min() < 0):
        raise DataError("owners do not fit the accounts", remedy="one number >= 0 per account")
    today = method.margin(accounts, market)
    first = today.maintenance_balance
    known = np.isfinite(first)
    called_now = known & (first < 0.0)
    sums = np.zeros((6, n))  # weight: priced, liquidated, short; of short w^2; shortfall; cost
    squares = np.zeros(n)
    per_scenario = np.zeros((4, len(moves)))
    counts = np.zeros(len(moves), dtype=np.int64)
    for s, weight in enumerate(moves.weights):
        due = np.where(called_now, min(delay, looks), looks + 1)
        shortfall, paid, notional = np.zeros(n), np.zeros(n), np.zeros(n)
        priced = known.copy()
        for look in range(0 if called_now.any() else 1, looks + 1):
            there = moves.market(market, s, look / looks) if look else market
            held = carried(accounts, market, there) if look else accounts
            table = method.margin(held, there) if look else today
            balance = table.maintenance_balance
            open_ = priced & (due >= look)
            priced &= np.isfinite(balance) | ~open_
            found = open_ & (balance < 0.0) & (due > looks)
            due[found] = min(look + delay, looks)
            closing = priced & (due == look)
            if closing.any():
                price = cost(held, there)
                lacking = price - table.equity * table.unit_usd
                shortfall[closing] = np.maximum(lacking, 0.0)[closing]
                paid[closing] = price[closing]
                notional[closing] = gross_notional(held, there)[closing]
        closed = priced & (due <= looks)
        shortfall[~closed] = 0.0
        short = shortfall > 0.0
        sums += weight * np.stack((priced, closed, short, weight * short, shortfall, paid * closed))
        squares += weight**2 * priced
        by_owner = np.sort(np.bincount(owners, weights=shortfall, minlength=2))[-2:]
        per_scenario[:, s] = (
            shortfall.sum(),
            by_owner[-1],
            by_owner.sum(),
            notional[closed].sum(),
        )
        counts[s] = int(closed.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        given = np.minimum(sums[1:3] / sums[0], 1.0)
        p = given[1]
        # sum w^2 (1 - p)^2 over the short, w^2 p^2 over the others
        variance = sums[3] * (1.0 - p) ** 2 + (squares - sums[3]) * p**2
        error = np.sqrt(np.maximum(variance, 0.0)) / sums[0]
        loss, paid_out = sums[4:6] / sums[1]
        mean = sums[4] / sums[0]
    return Solvency(
        method=today.method,
        ids=accounts.ids,
        weights=moves.weights,
        liquidation=given[0],
        probability=p,
        standard_error=error,
        expected_shortfall=mean,
        loss_given_liquidation=loss,
        cost_given_liquidation=paid_out,
        unpriced=np.where(known, np.maximum(1.0 - sums[0], 0.0).round(12), np.nan),
        total=per_scenario[0],
        largest=per_scenario[1],
        two_largest=per_scenario[2],
        liquidated=counts,
        liquidated_notional=per_scenario[3],
        failures=today.failures,
    )
