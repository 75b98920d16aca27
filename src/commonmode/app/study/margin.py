"""Margin of accounts on a study's market: every method side by side, under every surface model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from commonmode.app.study.accounts import Holdings, accounts_of_people, parse_trades, read_accounts
from commonmode.app.study.margin_methods import METHODS, BuiltMethods, build_methods
from commonmode.app.study.market import open_feed, snapshot_at
from commonmode.app.study.models import StudyModels, build_models
from commonmode.app.study.people import draw_people, people_at
from commonmode.app.study.results import failure_to_json, plain
from commonmode.app.study.schema import MarginSettings, StudyFile, find_study, load_study
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.exposure.surfaces import FittedSurfaces, calibrate_surfaces
from commonmode.margin.accounts import Account, Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod, MarginTable
from commonmode.margin.nearest import nearest
from commonmode.margin.portfolio import Portfolio, assemble
from commonmode.margin.roots import RootSearch
from commonmode.margin.thresholds import Thresholds, find_thresholds
from commonmode.market.clock import utc_iso
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book, Position

__all__ = ["MarginDesk", "margin_answer", "margin_to_json", "open_desk", "study_margin"]

# A look at where accounts stand: thresholds to a hundredth of a percent are enough.
_SEARCH: Final = RootSearch(points=49, tolerance=1e-4, calls=80)


@dataclass(frozen=True, slots=True, eq=False)
class MarginDesk:
    """Accounts on a market, and the methods that margin them.

    Attributes
    ----------
    portfolio : Portfolio
    marks : ModelId
        Surface model that sets the marks.
    built : BuiltMethods
    """

    portfolio: Portfolio
    marks: ModelId
    built: BuiltMethods

    @property
    def market(self) -> MarginMarket:
        """The market."""
        return self.portfolio.market

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        return self.portfolio.accounts


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
    listed: bool = False,
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
    listed : bool
        Carry every quoted option, for what-ifs.
    """
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
        listed=listed,
    )
    built = build_methods(names, portfolio.market, snapshot, feed, settings, folder)
    return MarginDesk(portfolio, marks, built)


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


def margin_answer(
    study: StudyFile,
    folder: Path,
    models: StudyModels,
    feed: Feed,
    people_holdings: Holdings,
    snapshot: Snapshot,
    surfaces: FittedSurfaces,
) -> dict[str, Any]:
    """Margin of a study's population, as it stands in the results."""
    settings = study.margin
    assert settings is not None, "asked for only where the study has a [margin] section"
    holdings = replace(people_holdings, stable_price=settings.stable_price)
    desk = open_desk(
        holdings,
        snapshot,
        surfaces,
        feed,
        marks=marks_of(study, models, None),
        names=settings.methods,
        settings=settings,
        folder=folder,
    )
    return margin_to_json(desk)


def margin_to_json(desk: MarginDesk, *, thresholds: bool = True) -> dict[str, Any]:
    """Accounts by method, under every surface model, and where they are liquidated.

    Parameters
    ----------
    desk : MarginDesk
    thresholds : bool
        Also search for every spot at which an account is liquidated (all coins moving together).

    Returns
    -------
    dict
        ``snapshot``, ``marks``, ``methods``, ``accounts``, ``nearest`` and ``failures``.
    """
    tables = {one.id: one.margin(desk.accounts, desk.market) for one in desk.built.methods}
    under = {one.id: _under_models(desk, one) for one in desk.built.methods}
    found: dict[str, Thresholds] = {}
    if thresholds:
        alone = replace(desk.market, alternatives={})
        # What models disagree on is no part of maintenance: it need not be worked out each time.
        for one in desk.built.methods:
            found[one.id] = find_thresholds(desk.accounts, alone, one, search=_SEARCH)
    accounts = [
        {
            "account": str(name),
            "positions": int(desk.accounts.offsets[row + 1] - desk.accounts.offsets[row]),
            "methods": {
                method: {
                    **_margin(table, row),
                    "initial_by_model": _range(under[method], row),
                    **({"thresholds": _zeros(found[method], row)} if method in found else {}),
                }
                for method, table in tables.items()
            },
        }
        for row, name in enumerate(desk.accounts.ids.tolist())
    ]
    value: dict[str, Any] = plain(
        {
            "snapshot": utc_iso(desk.market.time_ms),
            "marks": desk.marks,
            "methods": [
                {"method": one.id, "parameters": desk.built.sources[one.id]}
                for one in desk.built.methods
            ],
            "accounts": accounts,
            "nearest": _nearest(desk) if thresholds else [],
            "failures": [
                {"method": name, **failure_to_json(why)}
                for name, why in desk.built.failures.items()
            ],
        }
    )
    return value


def _under_models(desk: MarginDesk, method: MarginMethod) -> dict[str, MarginTable]:
    """The method's table with the marks of every surface model."""
    market = replace(desk.market, alternatives={})
    tables = {str(desk.marks): method.margin(desk.accounts, market)}
    for model, vol in desk.market.alternatives.items():
        tables[str(model)] = method.margin(desk.accounts, market.with_vol(vol))
    return tables


def _range(tables: Mapping[str, MarginTable], row: int) -> dict[str, float]:
    return {model: float(table.initial[row]) for model, table in tables.items()}


def _margin(table: MarginTable, row: int) -> dict[str, Any]:
    why = table.failures.get(row)
    return {
        "equity": float(table.equity[row]),
        "initial": float(table.initial[row]),
        "maintenance": float(table.maintenance[row]),
        "initial_balance": float(table.initial_balance[row]),
        "maintenance_balance": float(table.maintenance_balance[row]),
        "healthy": bool(table.healthy[row]),
        "components": {name: float(part[row]) for name, part in table.components.items()},
        "maintenance_components": {
            name: float(part[row]) for name, part in table.maintenance_components.items()
        },
        "notices": list(table.notices.get(row, ())),
        "failure": None if why is None else failure_to_json(why),
    }


def _zeros(found: Thresholds, row: int) -> dict[str, Any]:
    mine = np.flatnonzero(found.account == row)
    return {
        "side": str(found.side[row]),
        "distance": float(found.distance[row]),
        "daily_vols": float(found.daily_vols[row]),
        "spot_factors": [float(found.factor[k]) for k in mine],
        "kinds": [str(found.kind[k]) for k in mine],
    }


def _nearest(desk: MarginDesk) -> list[dict[str, Any]]:
    """The five accounts nearest their threshold under every surface model, per published method.

    Our own method values thousands of scenarios per point of the search; it is left out here.
    """
    out = []
    for method in desk.built.methods:
        if method.id == "dynamic":
            continue
        market = replace(desk.market, alternatives={})
        ranked = nearest(
            desk.accounts,
            market,
            method,
            models=desk.market.alternatives,
            top=5,
            search=_SEARCH,
        )
        names = [str(desk.marks), *(str(model) for model in ranked.models[1:])]
        out.append(
            {
                "method": method.id,
                "by_model": {
                    name: [
                        {
                            "account": str(ranked.ids[row]),
                            "daily_vols": float(ranked.distance[m, row]),
                            "spot_factor": float(ranked.factor[m, row]),
                        }
                        for row in ranked.near(m)
                    ]
                    for m, name in enumerate(names)
                },
                "disputed": [str(ranked.ids[row]) for row in ranked.disputed],
            }
        )
    return out


def study_margin(
    path: Path,
    *,
    accounts: Path | None = None,
    account: str | None = None,
    at: str | None = None,
    methods: Sequence[str] = METHODS,
    marks: str | None = None,
    trades: Sequence[str] = (),
    thresholds: bool = True,
) -> dict[str, Any]:
    """Margin of accounts on a study's market.

    Parameters
    ----------
    path : Path
        Study.
    accounts : Path, optional
        File of accounts; the study's population if left out.
    account : str, optional
        This account alone, with its legs.
    at : str, optional
        Time of the snapshot (UTC); that of the population if left out.
    methods : sequence of str
    marks : str, optional
        Surface model that sets the marks.
    trades : sequence of str
        ``INSTRUMENT=CONTRACTS``: what the margin of the account would be after them.
    thresholds : bool

    Returns
    -------
    dict
        As :func:`margin_to_json`; with ``legs`` by method where one account is asked for, and
        ``what_if`` where there are trades.

    Raises
    ------
    ConfigurationError
        Unknown account, method or model, trades that cannot be read, no account to trade on.
    """
    file = find_study(path)
    study = load_study(file)
    models = build_models(study.models, file.parent)
    feed = open_feed(study, file.parent)
    settings = study.margin or MarginSettings()
    if at is None or accounts is None:
        snapshot = people_at(study, feed, at)
    else:
        snapshot = snapshot_at(feed, at, study.market.underlyings)
    surfaces = calibrate_surfaces(models.surface, snapshot)
    if accounts is None:
        holdings = accounts_of_people(draw_people(study, models, people_at(study, feed)))
        holdings = replace(holdings, stable_price=settings.stable_price)
    else:
        holdings = read_accounts(accounts)
    if account is not None:
        holdings = _only(holdings, account)
    wanted = parse_trades(trades)
    if wanted and len(holdings.accounts) != 1:
        raise ConfigurationError(
            f"trades on {len(holdings.accounts)} accounts at once",
            remedy="name the one account that trades",
        )
    if wanted:
        after = _traded(holdings.accounts[0], wanted)
        holdings = replace(holdings, accounts=(holdings.accounts[0], after))
    desk = open_desk(
        holdings,
        snapshot,
        surfaces,
        feed,
        marks=marks_of(study, models, marks),
        names=methods,
        settings=settings,
        folder=file.parent,
    )
    value = margin_to_json(desk, thresholds=thresholds)
    if wanted:
        value["what_if"] = {
            "trades": {str(one.instrument): one.quantity for one in wanted},
            "after": value["accounts"].pop(1),
        }
    if account is not None or len(value["accounts"]) == 1:
        value["legs"] = _legs(desk)
    return value


def _only(holdings: Holdings, name: str) -> Holdings:
    chosen = tuple(one for one in holdings.accounts if one.book.id == name)
    if not chosen:
        known = ", ".join(sorted(str(one.book.id) for one in holdings.accounts)[:20])
        raise ConfigurationError(f"there is no account {name!r}", remedy=f"accounts: {known}")
    return replace(holdings, accounts=chosen)


def _traded(account: Account, trades: Sequence[Position]) -> Account:
    both = [*account.book.positions, *trades]
    book = Book.of(
        f"{account.book.id} after the trades", [(str(p.instrument), p.quantity) for p in both]
    )
    return replace(account, book=book)


def _legs(desk: MarginDesk) -> dict[str, Any]:
    """Attribution of the first account under every method that could margin it."""
    out: dict[str, Any] = {}
    for method in desk.built.methods:
        if 0 in method.margin(desk.accounts, desk.market).failures:
            continue
        legs = method.legs(desk.accounts, desk.market, 0)
        shown = np.flatnonzero((legs.initial != 0) | (legs.maintenance != 0))
        out[method.id] = {
            "scenario": legs.scenario,
            "legs": [
                {
                    "leg": str(legs.leg[k]),
                    "initial": float(legs.initial[k]),
                    "maintenance": float(legs.maintenance[k]),
                }
                for k in shown
            ],
        }
    value: dict[str, Any] = plain(out)
    return value
