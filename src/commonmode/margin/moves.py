"""Accounts and markets after a joint move: what is settled to the mark gains and loses with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.market.instruments import InstrumentKind

__all__ = ["JointReturns", "MarketMoves", "carried", "gain", "moved"]


def gain(before: MarginMarket, after: MarginMarket) -> FloatArray:
    """Profit of one contract that is settled to the mark, USD, shape (I,); 0 for all else.

    Futures and perpetuals have no value of their own in equity, so a move of the market reaches an
    account only through their profit; options and collateral are revalued by the method itself.
    Linear: contract size times the change of the price; inverse, N USD per contract:
    ``N S' (1/F - 1/F')``, the profit in coin at the new index.
    """
    old, new = before.instruments, after.instruments
    perpetual = old.kind == InstrumentKind.PERPETUAL.value
    settled = perpetual | (old.kind == InstrumentKind.FUTURE.value)
    was, now = old.forward, new.forward
    marks = before.underlyings.perp_price[before.underlying]
    use = perpetual & ~old.inverse & np.isfinite(marks)
    was = np.where(use, marks, was)
    now = np.where(use, after.underlyings.perp_price[after.underlying], now)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = new.index * (1.0 / was - 1.0 / now)
    change = old.contract_size * np.where(old.inverse, inverse, now - was)
    return np.asarray(np.where(settled, change, 0.0))


def carried(accounts: Accounts, before: MarginMarket, after: MarginMarket) -> Accounts:
    """The accounts with the profit that their futures and perpetuals made between two markets.

    Parameters
    ----------
    accounts : Accounts
    before, after : MarginMarket
        The same instruments in the same order. Funding paid meanwhile is not counted.
    """
    per = gain(before, after)
    held = (per != 0.0)[accounts.instrument]
    profit = accounts.quantity[held] * per[accounts.instrument[held]]
    total = np.bincount(accounts.row[held], weights=profit, minlength=len(accounts))
    return replace(accounts, unrealised=accounts.unrealised + total / after.stable_price)


def moved(
    market: MarginMarket, spot: FloatArray, vol: FloatArray, seconds: float = 0.0
) -> MarginMarket:
    """The market after each underlying has made its own move.

    Parameters
    ----------
    market : MarginMarket
    spot, vol : float64, shape (U,)
        Factors on the spot and on every implied volatility of each underlying.
    seconds : float
        Time that passes.
    """
    out = market.shifted(seconds=seconds)
    for u, factor in enumerate(spot):
        if factor != 1.0:
            out = out.shifted(spot=float(factor), only=u)
    scale = vol[market.underlying]
    return replace(
        out,
        vol=out.vol * scale,
        alternatives={model: other * scale for model, other in out.alternatives.items()},
    )


class JointReturns(Protocol):
    """Joint returns by factor name, as :mod:`commonmode.margin.dynamic` makes them."""

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the U factors."""
        ...

    @property
    def log_returns(self) -> FloatArray:
        """Log returns, shape (S, U)."""
        ...

    @property
    def vol_moves(self) -> FloatArray:
        """Relative moves of implied volatility, shape (S, U)."""
        ...

    @property
    def weights(self) -> FloatArray:
        """Probabilities, shape (S,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class MarketMoves:
    """S joint moves of a market of U underlyings and C assets.

    Attributes
    ----------
    spot, vol : float64, shape (S, U)
        Factors on spot and on every implied volatility of each underlying, positive.
    weights : float64, shape (S,)
        Probabilities; they are divided by their sum.
    assets : float64, shape (S, C), optional
        Factors on the assets' prices beyond what the underlying they follow does; 1 if left out.
    seconds : float
        Time over which the moves happen.
    stable : float64, shape (S,), optional
        Factors on the price of the settlement stablecoin; 1 if left out.

    Raises
    ------
    DataError
        If a shape is wrong, a factor is not positive or the weights make no probabilities.
    """

    spot: FloatArray
    vol: FloatArray
    weights: FloatArray
    assets: FloatArray | None = None
    seconds: float = 0.0
    stable: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check shapes and values, make weights probabilities."""
        n = len(self.weights)
        factors = [self.spot, self.vol, *([] if self.assets is None else [self.assets])]
        factors += [] if self.stable is None else [self.stable[:, None]]
        problem = ""
        if self.spot.ndim != 2 or self.vol.shape != self.spot.shape or not n:
            problem = f"spot {self.spot.shape} and vol {self.vol.shape} for {n} weights"
        elif any(len(each) != n or each.ndim != 2 for each in factors):
            problem = f"not one row per weight: {[each.shape for each in factors]}, {n}"
        elif not all(np.all(np.isfinite(each) & (each > 0.0)) for each in factors):
            problem = "a factor is not a positive number"
        elif not (np.all(self.weights >= 0.0) and 0.0 < self.weights.sum() < np.inf):
            problem = "weights are negative or sum to nothing"
        if problem:
            raise DataError(
                f"market moves: {problem}", remedy="give factors of shape (S, U) and S weights"
            )
        object.__setattr__(self, "weights", self.weights / self.weights.sum())

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def from_joint(
        cls,
        joint: JointReturns,
        market: MarginMarket,
        *,
        seconds: float = 0.0,
        stable: str = "",
    ) -> MarketMoves:
        """Joint returns by name as moves of a market's underlyings and assets.

        An asset with a factor of its own name moves by it on top of the underlying it follows;
        the settlement stablecoin moves by the factor named ``stable``, if there is one.

        Raises
        ------
        DataError
            If an underlying of the market has no factor.
        """
        known = {name: k for k, name in enumerate(joint.factors)}
        names = market.underlyings.name.tolist()
        missing = [name for name in names if name not in known]
        if missing:
            raise DataError(
                f"no scenario moves {', '.join(missing)}",
                remedy="give its history, a proxy for it or a hypothetical move",
            )
        columns = [known[name] for name in names]
        assets = np.ones((len(joint.weights), len(market.assets)))
        for c, name in enumerate(market.assets.name.tolist()):
            follows = int(market.assets.underlying[c])
            if name in known and not (follows >= 0 and names[follows] == name):
                assets[:, c] = np.exp(joint.log_returns[:, known[name]])
        return cls(
            spot=np.exp(joint.log_returns[:, columns]),
            vol=1.0 + joint.vol_moves[:, columns],
            weights=joint.weights,
            assets=assets,
            seconds=seconds,
            stable=np.exp(joint.log_returns[:, known[stable]]) if stable in known else None,
        )

    def market(self, market: MarginMarket, scenario: int, share: float = 1.0) -> MarginMarket:
        """The market when ``share`` of one scenario's move has happened, in logarithms."""
        out = moved(
            market,
            self.spot[scenario] ** share,
            self.vol[scenario] ** share,
            self.seconds * share,
        )
        if self.stable is not None:
            price = float(market.stable_price * self.stable[scenario] ** share)
            out = replace(out, stable_price=price)
        if self.assets is None:
            return out
        posted = out.assets.price * self.assets[scenario] ** share
        return replace(out, assets=replace(out.assets, price=posted))
