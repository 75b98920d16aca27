"""Accounts to be margined: from a TOML file, a table of positions, or a study's population."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commonmode.app.study.people import People
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import BookId, CurrencyCode, InstrumentId
from commonmode.margin.accounts import Account, Holding
from commonmode.margin.portfolio import Asset
from commonmode.register.book import Book, Position

__all__ = ["Holdings", "accounts_of_people", "parse_trades", "read_accounts"]

_COLUMNS: Final = ("account", "instrument", "quantity")
_CASH: Final = "cash"
_UNREALISED: Final = "unrealised"
_COLLATERAL: Final = "collateral:"
_STABLE: Final = "USDC"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Accounts, the assets they post, and what is said of the stablecoin and the oracles.

    Attributes
    ----------
    accounts : tuple of Account
    assets : tuple of Asset
    stable_price : float
        USD price of the coin that cash is counted in.
    stable : str
        Its name; "" where what counts as cash is capital of no stated kind (a population's).
    confidences, rates : mapping of underlying to float
    """

    accounts: tuple[Account, ...]
    assets: tuple[Asset, ...] = ()
    stable_price: float = 1.0
    stable: str = ""
    confidences: tuple[tuple[str, float], ...] = ()
    rates: tuple[tuple[str, float], ...] = ()


_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _AccountSettings(_Strict):
    id: str = Field(min_length=1)
    cash: float = 0.0
    unrealised: float = 0.0
    positions: dict[str, float] = Field(default_factory=dict)
    collateral: dict[str, float] = Field(default_factory=dict)


class _AssetSettings(_Strict):
    name: str = Field(min_length=1)
    price: float = Field(default=math.nan)
    follows: str | None = None
    confidence: _Share = 1.0


class _AccountsFile(_Strict):
    stable: str = _STABLE
    stable_price: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    confidences: dict[str, _Share] = Field(default_factory=dict)
    rates: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    accounts: tuple[_AccountSettings, ...] = Field(min_length=1)
    assets: tuple[_AssetSettings, ...] = ()


def read_accounts(path: Path) -> Holdings:
    """Read accounts from a ``.toml`` file, or from a ``.csv`` or ``.parquet`` table.

    A table has the columns ``account``, ``instrument`` and ``quantity``; in place of an instrument
    may stand ``cash``, ``unrealised`` or ``collateral:ASSET``. docs/margin.md describes both.

    Raises
    ------
    ConfigurationError
        Not such a file; every problem of a TOML file is named at once.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"there is no file of accounts at {path}",
            remedy="give a .toml, .csv or .parquet file; docs/margin.md shows one",
        )
    if path.suffix == ".toml":
        return _from_toml(path)
    if path.suffix in (".csv", ".parquet"):
        return _from_table(path)
    raise ConfigurationError(
        f"{path}: accounts are read from .toml, .csv or .parquet, not {path.suffix or 'no suffix'}",
        remedy="convert the file; docs/margin.md shows the columns",
    )


def accounts_of_people(people: People) -> Holdings:
    """One account per participant: its book, and its capital as cash."""
    books = {book.id: book for book in people.books}
    accounts = [
        Account(books.get(p.book, Book(p.book, ())), cash=p.capital_usd)
        for p in people.population.participants
    ]
    return Holdings(tuple(accounts))


def _from_toml(path: Path) -> Holdings:
    try:
        file = _AccountsFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not TOML: {error}", remedy="correct the file at the place named"
        ) from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError(
            f"{path}: " + "; ".join(problems), remedy="docs/margin.md describes every key"
        ) from error
    _unique(path, [one.id for one in file.accounts])
    return Holdings(
        accounts=tuple(_account(one) for one in file.accounts),
        assets=tuple(
            Asset(
                CurrencyCode(one.name),
                one.price,
                CurrencyCode(one.follows) if one.follows is not None else None,
                one.confidence,
            )
            for one in file.assets
        ),
        stable_price=file.stable_price,
        stable=file.stable,
        confidences=tuple(file.confidences.items()),
        rates=tuple(file.rates.items()),
    )


def _account(one: _AccountSettings) -> Account:
    return Account(
        book=Book.of(one.id, one.positions.items()),
        cash=one.cash,
        unrealised=one.unrealised,
        collateral=tuple(Holding(CurrencyCode(a), amount) for a, amount in one.collateral.items()),
    )


def _unique(path: Path, ids: Sequence[str]) -> None:
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ConfigurationError(
            f"{path}: account {', '.join(twice)} stands there more than once",
            remedy="give every account one id and all its positions together",
        )


def _from_table(path: Path) -> Holdings:
    read = pl.read_csv if path.suffix == ".csv" else pl.read_parquet
    try:
        frame = read(path)
        missing = [name for name in _COLUMNS if name not in frame.columns]
        if missing:
            raise DataError(
                f"{path} has no column {', '.join(missing)}",
                remedy=f"columns are {', '.join(_COLUMNS)}",
            )
        # A cell that is no number becomes NaN: one failed account, not a failed file.
        frame = frame.select(
            pl.col("account").cast(pl.Utf8),
            pl.col("instrument").cast(pl.Utf8).fill_null(""),
            pl.col("quantity").cast(pl.Float64, strict=False).fill_null(float("nan")),
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigurationError(
            f"{path} is not a table that can be read: {str(error).splitlines()[0]}",
            remedy=f"columns are {', '.join(_COLUMNS)}; docs/margin.md shows one",
        ) from error
    accounts = []
    for (name,), rows in frame.group_by("account", maintain_order=True):
        accounts.append(_of_rows(str(name), list(rows.select("instrument", "quantity").rows())))
    return Holdings(tuple(accounts), stable=_STABLE)


def _of_rows(name: str, rows: Sequence[tuple[str, float]]) -> Account:
    money = {_CASH: 0.0, _UNREALISED: 0.0}
    holdings, trades = [], []
    for what, amount in rows:
        if what in money:
            money[what] += amount
        elif what.startswith(_COLLATERAL):
            holdings.append(Holding(CurrencyCode(what.removeprefix(_COLLATERAL)), amount))
        else:
            trades.append((what, amount))
    return Account(_netted(name, trades), money[_CASH], tuple(holdings), money[_UNREALISED])


def _netted(name: str, trades: Sequence[tuple[str, float]]) -> Book:
    return Book.of(name, trades) if trades else Book(BookId(name), ())


def parse_trades(texts: Sequence[str]) -> tuple[Position, ...]:
    """Trades such as ``BTC-28APR23-30000-C=-2`` of a what-if.

    Raises
    ------
    ConfigurationError
        If one has another form.
    """
    trades = []
    for text in texts:
        name, separator, number = text.partition("=")
        try:
            trades.append(Position(InstrumentId(name.strip()), float(number)))
        except ValueError as error:
            raise ConfigurationError(
                f"{text!r} is no trade", remedy="write INSTRUMENT=CONTRACTS, -2 to sell two"
            ) from error
        if not separator or not name:
            raise ConfigurationError(
                f"{text!r} is no trade", remedy="write INSTRUMENT=CONTRACTS, -2 to sell two"
            )
    return tuple(trades)
