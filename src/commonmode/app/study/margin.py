"""Margin of accounts on a study's market: every method side by side, under every surface model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from commonmode.app.study.accounts import Holdings, accounts_of_people, parse_trades, read_accounts
from commonmode.app.study.margin_desk import MarginDesk, marks_of, open_desk
from commonmode.app.study.margin_methods import METHODS
from commonmode.app.study.margin_pictures import margin_pictures
from commonmode.app.study.margin_solvency import solvency_to_json
from commonmode.app.study.margin_table import legs_to_json, margin_to_json, sorted_plain
from commonmode.app.study.market import open_feed, snapshot_at
from commonmode.app.study.models import StudyModels, build_models
from commonmode.app.study.people import People, draw_people, people_at
from commonmode.app.study.results import failure_to_json
from commonmode.app.study.schema import MarginSettings, StudyFile, find_study, load_study
from commonmode.core.errors import CommonmodeError, ConfigurationError
from commonmode.core.result import Failure, FailureReason
from commonmode.exposure.surfaces import calibrate_surfaces
from commonmode.margin.accounts import Account, Accounts
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.dynamic.profit import mark_values
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginMethod, MarginTable
from commonmode.market.feed import Feed
from commonmode.register.book import Book, Position

__all__ = ["MarginQuestion", "margin_answer", "study_margin"]

_AFTER = " after the trades"


@dataclass(frozen=True, slots=True)
class MarginQuestion:
    """What is asked of ``commonmode margin``.

    Attributes
    ----------
    accounts : Path or None
        File of accounts; None: the study's population.
    account : str or None
        This account alone, with its legs.
    at : str or None
        Time of the snapshot (UTC); None: that of the population.
    methods : tuple of str
        Empty: those of the study's [margin] section, or all.
    marks : str or None
        Surface model that sets the marks.
    trades : tuple of str
        ``INSTRUMENT=CONTRACTS``: what the margin of the account would be after them, paid for at
        the marks.
    parameters : tuple of str
        ``METHOD=VERSION`` or ``METHOD=FILE``.
    thresholds : bool
    pictures : bool
        Add what the page draws.
    ungated : bool
        Use parameter sets that the parameter gate refuses all the same.
    solvency : bool
        Add who fails on days such as history had, and what portfolio margin saves.
    fund : float or None
        Insurance fund in USD that has to bear it.
    """

    accounts: Path | None = None
    account: str | None = None
    at: str | None = None
    methods: tuple[str, ...] = ()
    marks: str | None = None
    trades: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    thresholds: bool = True
    pictures: bool = False
    ungated: bool = False
    solvency: bool = False
    fund: float | None = None


def margin_answer(
    study: StudyFile, folder: Path, models: StudyModels, feed: Feed, people: People
) -> dict[str, Any]:
    """Margin of a study's population, as it stands in the results.

    Parameters
    ----------
    study : StudyFile
        With a [margin] section.
    folder : Path
        Of the study.
    models : StudyModels
    feed : Feed
    people : People

    Raises
    ------
    ConfigurationError
        Parameters that cannot be read.
    """
    settings = study.margin
    assert settings is not None, "asked for only where the study has a [margin] section"
    holdings = replace(accounts_of_people(people), stable_price=settings.stable_price)
    desk = open_desk(
        holdings,
        people.snapshot,
        people.surfaces,
        feed,
        marks=marks_of(study, models, None),
        names=settings.methods,
        settings=settings,
        folder=folder,
    )
    value = margin_to_json(desk)
    if settings.solvency:
        value["solvency"] = _solvency(desk, feed, settings, holdings, settings.fund_usd)
    return dict(sorted(value.items()))


def study_margin(path: Path, question: MarginQuestion | None = None) -> dict[str, Any]:
    """Margin of accounts on a study's market.

    Parameters
    ----------
    path : Path
        Study.
    question : MarginQuestion, optional

    Returns
    -------
    dict
        As :func:`~commonmode.app.study.margin_table.margin_to_json`, with ``study`` and ``title``;
        with ``legs`` by method where one account is asked for, ``what_if`` where there are trades,
        ``solvency`` and ``pictures`` where they are asked for.

    Raises
    ------
    ConfigurationError
        Unknown account, method or model, trades that cannot be read, no account to trade on.
    """
    asked = question or MarginQuestion()
    file = find_study(path)
    study = load_study(file)
    models = build_models(study.models, file.parent)
    feed = open_feed(study, file.parent)
    settings = _settings(study, asked)
    if asked.accounts is None:
        people = draw_people(study, models, people_at(study, feed))
        holdings = replace(accounts_of_people(people), stable_price=settings.stable_price)
        snapshot, surfaces = people.snapshot, people.surfaces
        if asked.at is not None:
            # The books stay as drawn; only the market moves on.
            snapshot = people_at(study, feed, asked.at)
            surfaces = calibrate_surfaces(models.surface, snapshot)
    else:
        holdings = read_accounts(asked.accounts)
        if asked.at is None:
            snapshot = people_at(study, feed)
        else:
            snapshot = snapshot_at(feed, asked.at, study.market.underlyings)
        surfaces = calibrate_surfaces(models.surface, snapshot)
    if asked.account is not None:
        holdings = _only(holdings, asked.account)
    wanted = parse_trades(asked.trades)
    if wanted:
        holdings = _with_trades(holdings, wanted)
    desk = open_desk(
        holdings,
        snapshot,
        surfaces,
        feed,
        marks=marks_of(study, models, asked.marks),
        names=asked.methods or (study.margin.methods if study.margin else METHODS),
        settings=settings,
        folder=file.parent,
        ungated=asked.ungated,
    )
    if wanted:
        desk = _paid(desk, wanted)
    value = margin_to_json(desk, thresholds=asked.thresholds)
    # A method that failed has no legs and no pictures either.
    able = {one["method"] for one in value["methods"]}
    methods = tuple(method for method in desk.built.methods if method.id in able)
    desk = replace(desk, built=replace(desk.built, methods=methods))
    value["study"], value["title"] = study.study.name, study.study.title
    if wanted:
        after = value["accounts"].pop(1)
        value["what_if"] = {
            "trades": _netted(wanted),
            "after": {**after, "account": after["account"].removesuffix(_AFTER)},
        }
    if len(value["accounts"]) == 1:
        value["legs"] = legs_to_json(desk, 0)
    if asked.solvency or asked.fund is not None or settings.solvency:
        fund = settings.fund_usd if asked.fund is None else asked.fund
        value["solvency"] = _solvency(_untraded(desk), feed, settings, holdings, fund)
    if asked.pictures:
        value["pictures"] = margin_pictures(desk, value)
    return value


def _solvency(
    desk: MarginDesk,
    feed: Feed,
    settings: MarginSettings,
    holdings: Holdings,
    fund: float | None,
) -> dict[str, Any]:
    """Solvency, or why there is none; margin stands without it."""
    stable = holdings.stable if settings.stable is None else settings.stable
    try:
        found = solvency_to_json(desk, feed, settings, stable=stable, fund=fund)
        solved: dict[str, Any] = sorted_plain({**found, "failure": None})
        return solved
    except CommonmodeError as error:
        why = Failure(FailureReason.MISSING_DATA, error.message, error.remedy)
        return {"failure": failure_to_json(why)}


def _untraded(desk: MarginDesk) -> MarginDesk:
    """The desk without the account as it would be after trades."""
    rows = np.flatnonzero(~np.char.endswith(desk.accounts.ids, _AFTER)).astype(np.int64)
    portfolio = replace(desk.portfolio, accounts=desk.accounts.select(rows))
    return replace(desk, portfolio=portfolio)


def _settings(study: StudyFile, asked: MarginQuestion) -> MarginSettings:
    """The study's settings, with the parameter sets that the question names instead of its own."""
    settings = study.margin or MarginSettings()
    chosen = dict(settings.parameters)
    for text in asked.parameters:
        method, separator, name = text.partition("=")
        if method not in METHODS or not separator or not name:
            raise ConfigurationError(
                f"{text!r} names no parameter set",
                remedy=f"write METHOD=VERSION or METHOD=FILE.toml; methods: {', '.join(METHODS)}",
            )
        # A file on the command line stands where the user stands, not beside the study.
        chosen[method] = str(Path(name).resolve()) if name.endswith(".toml") else name
    return settings.model_copy(update={"parameters": chosen})


def _only(holdings: Holdings, name: str) -> Holdings:
    chosen = tuple(one for one in holdings.accounts if one.book.id == name)
    if not chosen:
        known = ", ".join(sorted(str(one.book.id) for one in holdings.accounts)[:20])
        raise ConfigurationError(f"there is no account {name!r}", remedy=f"accounts: {known}")
    return replace(holdings, accounts=chosen)


def _with_trades(holdings: Holdings, trades: Sequence[Position]) -> Holdings:
    """The one account, and a second one as it would be after the trades."""
    if len(holdings.accounts) != 1:
        raise ConfigurationError(
            f"trades on {len(holdings.accounts)} accounts at once",
            remedy="name the one account that trades with --account",
        )
    before = holdings.accounts[0]
    return replace(holdings, accounts=(before, _traded(before, trades)))


def _traded(account: Account, trades: Sequence[Position]) -> Account:
    both = [*account.book.positions, *trades]
    book = Book.of(f"{account.book.id}{_AFTER}", [(str(p.instrument), p.quantity) for p in both])
    return replace(account, book=book)


def _paid(desk: MarginDesk, trades: Sequence[Position]) -> MarginDesk:
    """The desk with the trades of its second account paid for at today's marks."""
    accounts, market = desk.accounts, desk.market
    marks = mark_values(market, engine="numpy")
    rows = {str(name): row for row, name in enumerate(market.instruments.instrument)}
    known = [(one, rows.get(str(one.instrument), -1)) for one in trades]
    # What has no mark fails the account, with its reason.
    cost = sum(one.quantity * marks[row] for one, row in known if row >= 0)
    cash = accounts.cash.copy()
    cash[1] -= np.nan_to_num(cost) / market.stable_price
    portfolio = replace(desk.portfolio, accounts=replace(accounts, cash=cash))
    # Ours marks as above. Others discount, or leave the basis out: each is paid at its own marks.
    methods = tuple(
        one if isinstance(one, Dynamic) else _PaidAtOwnMarks.of(one, portfolio.accounts, market)
        for one in desk.built.methods
    )
    return replace(desk, portfolio=portfolio, built=replace(desk.built, methods=methods))


@dataclass(frozen=True, slots=True)
class _PaidAtOwnMarks:
    """A method for which the trades of the account after them cost what it values them at."""

    method: MarginMethod
    cash: float

    @classmethod
    def of(cls, method: MarginMethod, accounts: Accounts, market: MarginMarket) -> _PaidAtOwnMarks:
        """The payment that leaves the account's equity as it was; a failed account pays nothing."""
        before, after = method.margin(accounts, market).equity
        more = replace(accounts, cash=accounts.cash + 1.0)
        per_unit = method.margin(more, market).equity[0] - before
        paid = (before - after) / per_unit
        return cls(method, float(paid) if np.isfinite(paid) else 0.0)

    @property
    def id(self) -> str:
        """The method's own name."""
        return self.method.id

    def _settled(self, accounts: Accounts) -> Accounts:
        traded = np.char.endswith(accounts.ids, _AFTER)
        return replace(accounts, cash=accounts.cash + np.where(traded, self.cash, 0.0))

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """The method's table with the payment made."""
        return self.method.margin(self._settled(accounts), market)

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        """The method's legs with the payment made."""
        return self.method.legs(self._settled(accounts), market, row)


def _netted(trades: Sequence[Position]) -> Mapping[str, float]:
    total: dict[str, float] = {}
    for one in trades:
        total[str(one.instrument)] = total.get(str(one.instrument), 0.0) + one.quantity
    return total
