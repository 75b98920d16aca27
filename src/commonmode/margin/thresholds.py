"""Where accounts are liquidated: every zero of a margin balance over spot, and the nearest one.

Options give a balance several zeros, and collateral in the same asset moves with the spot that is
searched, so one liquidation price per account is not enough. Volatility is held per strike while
spot moves, as :meth:`commonmode.margin.market.MarginMarket.shifted` states it; the profit that
futures and perpetuals make on the way there counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod, MarginTable
from commonmode.margin.moves import carried
from commonmode.margin.roots import Roots, RootSearch, find_roots

__all__ = [
    "Level",
    "Side",
    "Thresholds",
    "balance_of",
    "daily_vol",
    "find_thresholds",
    "scan_balance",
    "thresholds_from",
]

_DAYS = 365.0


class Level(Enum):
    """Which balance is searched for zeros."""

    INITIAL = "initial"
    MAINTENANCE = "maintenance"


class Side(Enum):
    """On which side of today's spot an account fails its requirement."""

    NONE = "none"
    DOWN = "down"
    UP = "up"
    BOTH = "both"
    NOW = "now"


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Zeros of a balance over spot for A accounts; R zeros in all, by account, then by spot.

    Attributes
    ----------
    method : str
    level : Level
    ids : array of str, shape (A,)
    spot : float
        USD at factor 1; NaN where several underlyings move together.
    initial, maintenance : float64, shape (A,)
        Requirements at today's spot, USD-stable.
    balance : float64, shape (A,)
        Equity above the requirement of ``level`` at today's spot, USD-stable.
    account : int64, shape (R,)
        Row of the account of each zero.
    factor : float64, shape (R,)
        Spot there over spot today.
    low, high : float64, shape (R,)
        Factors that enclose it.
    rising : bool, shape (R,)
        The account is healthy just above and not just below; of a touch: healthy on both sides.
    kind : array of str, shape (R,)
        Value of :class:`~commonmode.margin.roots.RootKind`; a ``jump`` changes sign without a zero
        and a ``bracket`` was not narrowed to the tolerance: both are known by their ends only.
    down, up : float64, shape (A,)
        The nearest factor below and above 1; NaN: none within the bounds.
    distance : float64, shape (A,)
        To the nearest of both, as a fraction of spot; 0 for an account that fails its requirement
        now, infinite where there is none within the bounds.
    daily_vols : float64, shape (A,)
        The same in daily standard deviations of the logarithm.
    side : array of str, shape (A,)
        Value of :class:`Side`.
    gaps : int64, shape (A,)
        Points of the grid at which the method had no value.
    undecided : int64
        Accounts with a minimum that may hide two more zeros: evaluations ran out.
    search : RootSearch
        Its notes say what is found for certain.
    calls : int
        Calls of the method.
    failures : mapping of account row to Failure
        Accounts without a balance at today's spot.
    """

    method: str
    level: Level
    ids: StringArray
    spot: float
    initial: FloatArray
    maintenance: FloatArray
    balance: FloatArray
    account: IntArray
    factor: FloatArray
    low: FloatArray
    high: FloatArray
    rising: BoolArray
    kind: StringArray
    down: FloatArray
    up: FloatArray
    distance: FloatArray
    daily_vols: FloatArray
    side: StringArray
    gaps: IntArray
    undecided: IntArray
    search: RootSearch
    calls: int
    failures: Mapping[int, Failure]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def liquidatable(self) -> BoolArray:
        """Accounts that fail the requirement at today's spot, shape (A,)."""
        return np.asarray(self.balance < 0.0)

    def of(self, row: int) -> FloatArray:
        """Factors at which the balance of account ``row`` changes sign, ascending."""
        return np.asarray(self.factor[self.account == row])


def balance_of(table: MarginTable, level: Level) -> FloatArray:
    """The balance of ``level`` in a table, shape (A,), USD-stable."""
    return table.initial_balance if level is Level.INITIAL else table.maintenance_balance


def daily_vol(accounts: Accounts, market: MarginMarket, only: int | None = None) -> FloatArray:
    """Daily implied volatility of what each account depends on, shape (A,).

    Of each underlying the annual volatility of the option nearest the money of the listed expiry
    nearest to 30 days, over ``sqrt(365)``; of each account the largest among the underlyings whose
    instruments or assets it holds, or the one of ``only``. NaN where no option is listed.
    """
    per = np.full(len(market.underlyings), np.nan)
    table = market.instruments
    usable = table.is_option & np.isfinite(market.vol) & (table.years > 0) & (table.forward > 0)
    for u in range(len(per)):
        rows = np.nonzero(usable & (market.underlying == u))[0]
        if len(rows):
            tenor = np.abs(table.years[rows] * _DAYS - 30.0)
            rows = rows[tenor == tenor.min()]
            money = np.abs(np.log(table.strike[rows] / table.forward[rows]))
            per[u] = market.vol[rows[np.argmin(money)]] / math.sqrt(_DAYS)
    if only is not None:
        return np.full(len(accounts), per[only])
    known = np.nan_to_num(per, nan=-1.0)
    largest = np.full(len(accounts), -1.0)
    np.maximum.at(largest, accounts.row, known[market.underlying[accounts.instrument]])
    for c, u in enumerate(market.assets.underlying):
        held = accounts.collateral[:, c] != 0.0
        if u >= 0:
            largest[held] = np.maximum(largest[held], known[u])
    return np.where(largest >= 0.0, largest, np.nan)


def scan_balance(
    accounts: Accounts,
    market: MarginMarket,
    method: MarginMethod,
    search: RootSearch,
    only: int | None,
    level: Level,
) -> Roots:
    """Zeros of one balance over log spot; the grid's values come with them."""
    everyone = len(accounts)

    def evaluate(rows: IntArray, x: float) -> FloatArray:
        moved = market.shifted(spot=math.exp(x), only=only)
        # Rows of one evaluation are distinct: as many as accounts means all of them, in order.
        chosen = accounts if len(rows) == everyone else accounts.select(rows)
        settled = carried(chosen, market, moved)
        balance = balance_of(method.margin(settled, moved), level)
        return balance if len(rows) != everyone else np.asarray(balance[rows])

    return find_roots(evaluate, everyone, search)


def find_thresholds(
    accounts: Accounts,
    market: MarginMarket,
    method: MarginMethod,
    *,
    search: RootSearch | None = None,
    only: int | None = None,
    level: Level = Level.MAINTENANCE,
    daily: FloatArray | float | None = None,
) -> Thresholds:
    """Every spot at which an account starts or ceases to meet its requirement.

    Parameters
    ----------
    accounts : Accounts
    market : MarginMarket
    method : MarginMethod
    search : RootSearch, optional
        Bounds, resolution and effort. One call of the method evaluates all accounts at one point
        of the grid; memory is 8 bytes per account and grid point.
    only : int, optional
        Row of the one underlying whose spot moves; if left out all of them move by the same factor.
    level : Level
    daily : float or array of shape (A,), optional
        Daily standard deviation of the logarithm of spot; :func:`daily_vol` if left out.

    Returns
    -------
    Thresholds
        An account without a balance is a failure and has no zeros; the others are unharmed.
    """
    search = search or RootSearch()
    table = method.margin(accounts, market)
    roots = scan_balance(accounts, market, method, search, only, level)
    return thresholds_from(accounts, market, table, roots, search, only, level, daily)


def thresholds_from(
    accounts: Accounts,
    market: MarginMarket,
    table: MarginTable,
    roots: Roots,
    search: RootSearch,
    only: int | None,
    level: Level,
    daily: FloatArray | float | None,
) -> Thresholds:
    """Read the roots of a search as thresholds."""
    n, balance = len(accounts), balance_of(table, level)
    failed = ~np.isfinite(balance)
    keep = ~failed[roots.row]
    row, x, rising = roots.row[keep], roots.x[keep], roots.rising[keep]
    down, up = np.full(n, -np.inf), np.full(n, np.inf)
    # A zero at today's spot lies on the side on which the account is not healthy.
    below = (x < 0.0) | ((x == 0.0) & rising)
    np.maximum.at(down, row[below], x[below])
    np.minimum.at(up, row[~below], x[~below])
    now = balance < 0.0
    near = np.where(now, 0.0, np.minimum(-down, up))
    with np.errstate(over="ignore"):
        # Nothing below is not a threshold at zero spot.
        gap = np.minimum(np.where(np.isfinite(down), -np.expm1(down), np.inf), np.expm1(up))
    gap = np.where(np.isfinite(near), np.where(now, 0.0, gap), np.inf)
    sigma = daily_vol(accounts, market, only) if daily is None else np.broadcast_to(daily, (n,))
    has_down, has_up = np.isfinite(down), np.isfinite(up)
    side = np.select(
        [now, has_down & has_up, has_down, has_up],
        [Side.NOW.value, Side.BOTH.value, Side.DOWN.value, Side.UP.value],
        Side.NONE.value,
    )
    failures = dict(table.failures)
    for account in np.nonzero(failed)[0]:
        failures.setdefault(
            int(account),
            Failure(
                FailureReason.CALCULATION_FAILED,
                f"{accounts.ids[account]}: {table.method} gives no balance",
                "see the failures of the method's own table",
            ),
        )
    moving = 0 if len(market.underlyings) == 1 else only
    return Thresholds(
        method=table.method,
        level=level,
        ids=accounts.ids,
        spot=math.nan if moving is None else float(market.underlyings.spot[moving]),
        initial=table.initial,
        maintenance=table.maintenance,
        balance=balance,
        account=row,
        factor=np.exp(x),
        low=np.exp(roots.low[keep]),
        high=np.exp(roots.high[keep]),
        rising=rising,
        kind=roots.kind[keep],
        down=np.where(has_down, np.exp(down), np.nan),
        up=np.where(has_up, np.exp(up), np.nan),
        distance=np.where(failed, np.nan, gap),
        daily_vols=np.where(failed, np.nan, near / sigma),
        side=side.astype(np.str_),
        gaps=np.sum(~np.isfinite(roots.values), axis=1).astype(np.int64),
        undecided=roots.undecided,
        search=search,
        calls=roots.calls + 1,
        failures=failures,
    )
