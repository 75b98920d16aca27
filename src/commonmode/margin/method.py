"""What a margin method is, and the table it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, StringArray
from commonmode.core.result import Failure
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket

__all__ = ["Legs", "MarginMethod", "MarginTable"]


@dataclass(frozen=True, slots=True, eq=False)
class MarginTable:
    """Margin of A accounts under one method; all arrays of shape (A,).

    In units of the settlement stablecoin or in USD, as the method counts: ``unit_usd`` says which.

    Attributes
    ----------
    method : str
    ids : array of str
    equity : float64
        Cash, collateral, unrealised profit and options at their marks.
    initial, maintenance : float64
        Requirements: what equity has to cover. An account may open positions while
        ``equity >= initial`` and is liquidated when ``equity < maintenance``. NaN: failed.
    components : mapping of name to float64, shape (A,)
        What the initial requirement is made of; they add up to it.
    maintenance_components : mapping of name to float64, shape (A,)
        The same for maintenance.
    failures : mapping of account row to Failure
    notices : mapping of account row to tuple of str
        What a reader has to know about an account that was margined all the same.
    unit_usd : float
        USD per unit of all figures.
    """

    method: str
    ids: StringArray
    equity: FloatArray
    initial: FloatArray
    maintenance: FloatArray
    components: Mapping[str, FloatArray]
    maintenance_components: Mapping[str, FloatArray]
    failures: Mapping[int, Failure] = field(default_factory=lambda: MappingProxyType({}))
    notices: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    unit_usd: float = 1.0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def initial_balance(self) -> FloatArray:
        """Equity above the initial requirement; Derive's IM."""
        return np.asarray(self.equity - self.initial)

    @property
    def maintenance_balance(self) -> FloatArray:
        """Equity above the maintenance requirement; Derive's MM."""
        return np.asarray(self.equity - self.maintenance)

    @property
    def healthy(self) -> BoolArray:
        """Accounts that are not to be liquidated; a failed account is not known to be."""
        return np.asarray(self.maintenance_balance >= 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """Requirement of one account split over what it holds; the parts add up to the whole.

    Attributes
    ----------
    leg : array of str, shape (L,)
        Instrument names, then collateral assets.
    initial, maintenance : float64, shape (L,)
        USD; negative where the leg lowers the requirement.
    scenario : str
        The scenario that sets the requirement.
    """

    leg: StringArray
    initial: FloatArray
    maintenance: FloatArray
    scenario: str


@runtime_checkable
class MarginMethod(Protocol):
    """A way to set margin; frozen, with its parameters inside."""

    @property
    def id(self) -> str:
        """Unique name, as the command line and the study know it."""
        ...

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """Margin of every account; bad accounts are marked, the others unharmed."""
        ...

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        """Exact attribution of the requirement of account ``row`` to its legs."""
        ...
