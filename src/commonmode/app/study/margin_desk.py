"""Accounts on a study's market with the methods that margin them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import numpy as np

from commonmode.app.study.accounts import Holdings
from commonmode.app.study.margin_methods import BuiltMethods, build_methods
from commonmode.app.study.models import StudyModels
from commonmode.app.study.schema import MarginSettings, StudyFile
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.exposure.surfaces import FittedSurfaces
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.portfolio import Portfolio, assemble
from commonmode.margin.roots import RootSearch
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot

__all__ = ["MarginDesk", "marks_of", "open_desk"]

# A look at where accounts stand: thresholds to a hundredth of a percent are enough.
_SEARCH: Final = RootSearch(points=49, tolerance=1e-4, calls=80)
# The same under every surface model, to see whether they name the same accounts.
_NEAR_SEARCH: Final = RootSearch(low=0.4, high=2.5, points=17, tolerance=1e-3, calls=12)
# Our own method puts thousands of scenarios at every point of a search: coarser ones.
_DYNAMIC_SEARCH: Final = RootSearch(points=25, tolerance=1e-3, calls=24)
_DYNAMIC_NEAR: Final = RootSearch(low=0.4, high=2.5, points=11, tolerance=1e-2, calls=5)
# Options that our own method values in one call beyond which profits are interpolated: half a
# second of one core.
_MOST_VALUES: Final = 5_000_000
# An everlasting option is a series of options.
_CURVED_VALUES: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class MarginDesk:
    """Accounts on a market, and the methods that margin them.

    Attributes
    ----------
    portfolio : Portfolio
    marks : ModelId
        Surface model that sets the marks.
    built : BuiltMethods
    snapshot : Snapshot
        The one that the market was made of.
    """

    portfolio: Portfolio
    marks: ModelId
    built: BuiltMethods
    snapshot: Snapshot

    @property
    def market(self) -> MarginMarket:
        """The market."""
        return self.portfolio.market

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        return self.portfolio.accounts

    @property
    def alone(self) -> MarginMarket:
        """The market without the other surface models: what they disagree on is no maintenance."""
        return replace(self.market, alternatives={})

    def search(self, method: MarginMethod) -> RootSearch:
        """How to look for the thresholds of a method."""
        return _DYNAMIC_SEARCH if isinstance(method, Dynamic) else _SEARCH

    def search_by_model(self, method: MarginMethod) -> RootSearch:
        """The same under every surface model: nearby, and coarser."""
        return _DYNAMIC_NEAR if isinstance(method, Dynamic) else _NEAR_SEARCH

    def searched(self, method: MarginMethod) -> MarginMethod:
        """The method as a search asks it: our own with interpolated profits."""
        return replace(method, quick=True) if isinstance(method, Dynamic) else method

    def lighter(self, method: MarginMethod) -> MarginMethod:
        """The same, where one call of our own method would take long otherwise."""
        heavy = self.effort(method, self.accounts) > _MOST_VALUES
        return self.searched(method) if heavy else method

    def effort(self, method: MarginMethod, accounts: Accounts) -> int:
        """Options that our own method values in one call for these accounts; 0 for the others."""
        if not isinstance(method, Dynamic):
            return 0
        table, held = self.market.instruments, np.unique(accounts.instrument)
        each = table.is_option[held].sum() + _CURVED_VALUES * table.is_curved_perpetual[held].sum()
        return int(each) * sum(len(one) for one in method.scenarios.all)


def open_desk(
    holdings: Holdings,
    snapshot: Snapshot,
    surfaces: FittedSurfaces,
    feed: Feed,
    *,
    marks: ModelId,
    names: Sequence[str],
    settings: MarginSettings,
    folder: Path,
    ungated: bool = False,
) -> MarginDesk:
    """Put accounts, market and methods together.

    Parameters
    ----------
    holdings : Holdings
    snapshot : Snapshot
    surfaces : FittedSurfaces
    feed : Feed
    marks : ModelId
        Surface model that sets the marks.
    names : sequence of str
        Methods.
    settings : MarginSettings
    folder : Path
        Of the study.
    ungated : bool
        Use parameter sets that the parameter gate refuses all the same.

    Raises
    ------
    ConfigurationError
        What is said of a coin is said of one that the market does not have.
    """
    _known_coins(holdings, snapshot)
    portfolio = assemble(
        holdings.accounts,
        snapshot,
        surfaces,
        marks,
        assets=holdings.assets,
        stable_price=holdings.stable_price,
        rates={CurrencyCode(name): rate for name, rate in holdings.rates},
        confidences={CurrencyCode(name): value for name, value in holdings.confidences},
        max_age_seconds=settings.max_age_seconds,
    )
    built = build_methods(
        names,
        portfolio.market,
        snapshot,
        feed,
        settings,
        folder,
        positions=len(portfolio.accounts.instrument),
        ungated=ungated,
        stable=holdings.stable if settings.stable is None else settings.stable,
    )
    return MarginDesk(portfolio, marks, built, snapshot)


def _known_coins(holdings: Holdings, snapshot: Snapshot) -> None:
    """A misspelt coin would silently be taken for one of which nothing is said."""
    coins = sorted(str(coin) for coin in snapshot.chains)
    named = [("confidences", name) for name, _ in holdings.confidences]
    named += [("rates", name) for name, _ in holdings.rates]
    named += [(f"asset {a.name} follows", str(a.follows)) for a in holdings.assets if a.follows]
    strange = [f"{where}: {name!r}" for where, name in named if name not in coins]
    if strange:
        wrong = [name for _, name in named if name not in coins]
        near = {n for name in wrong for n in get_close_matches(name.upper(), coins, n=1)}
        raise ConfigurationError(
            f"accounts name coins that the market does not have: {'; '.join(strange)}",
            remedy=f"coins: {', '.join(coins)}"
            + (f"; did you mean {', '.join(sorted(near))}?" if near else ""),
        )


def marks_of(study: StudyFile, models: StudyModels, asked: str | None) -> ModelId:
    """The surface model that sets the marks: asked for, the study's choice, or its first.

    Raises
    ------
    ConfigurationError
        It is no surface model of the study, or the study has none.
    """
    stated = study.margin.marks if study.margin is not None else ""
    chosen = [name for name in (asked, stated) if name]
    return models.pick_surface(chosen[:1])[0].id
