"""Versioned parameter files: where their figures come from, and tables read with clear errors.

Every file says its name, version, underlyings, source and, where the source is dated, from when
the figures hold. Bounds are checked by the frozen dataclass that a table becomes, or as it is read
where a set from elsewhere may lie outside them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from importlib.resources import files
from typing import Any, Final, TypeVar

from commonmode.core.errors import ConfigurationError

__all__ = [
    "Bounds",
    "Provenance",
    "number",
    "parse_file",
    "shipped_file",
    "shipped_files",
    "table_as",
    "tables_as",
]

T = TypeVar("T")

Bounds = Mapping[str, tuple[float, float]]
"""Lowest and highest value by key."""

_FOLDER: Final = "parameters"
_HEADER: Final = ("name", "version", "underlyings", "valid_from", "source")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a parameter set comes from.

    Attributes
    ----------
    name, version : str
    underlyings : tuple of str
    valid_from : date or None
        None where the source carries no date.
    source : str
    """

    name: str
    version: str
    underlyings: tuple[str, ...]
    valid_from: date | None
    source: str


def _wrong(where: str, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {problem}", remedy=remedy)


def parse_file(text: str, where: str, sections: tuple[str, ...]) -> tuple[Provenance, Any]:
    """Provenance and the tables of a file.

    Parameters
    ----------
    text : str
    where : str
        Name of the file, for messages.
    sections : tuple of str
        The keys the file may have besides its header.

    Returns
    -------
    (Provenance, dict)

    Raises
    ------
    ConfigurationError
        If the text is no TOML, or the header is incomplete, or a key is unknown.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(where, f"not TOML: {error}", "correct the file") from error
    unknown = sorted(set(content) - {*_HEADER, *sections})
    if unknown:
        problem = "; ".join(f"{key} is not known" for key in unknown)
        raise _wrong(where, problem, f"keys: {', '.join((*_HEADER, *sections))}")
    for key in ("name", "version", "source"):
        if not (isinstance(content.get(key), str) and content[key]):
            raise _wrong(where, f"{key} is missing", "give a text")
    coins = content.get("underlyings")
    if not (isinstance(coins, list) and coins and all(isinstance(c, str) for c in coins)):
        raise _wrong(where, "underlyings is missing", 'list them: ["BTC"]')
    since = content.get("valid_from")
    if since is not None and (not isinstance(since, date) or hasattr(since, "hour")):
        raise _wrong(where, f"valid_from is {since!r}", "give a date: 2026-09-24")
    header = Provenance(content["name"], content["version"], tuple(coins), since, content["source"])
    return header, {key: content[key] for key in sections if key in content}


def number(value: object, where: str, bounds: tuple[float, float] | None = None) -> float:
    """A figure of a file.

    Raises
    ------
    ConfigurationError
        If it is no number, or outside its bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{where} is {value!r}, not a number", remedy="write a number")
    if bounds is not None and not bounds[0] <= value <= bounds[1]:
        raise ConfigurationError(
            f"{where} is {value}",
            remedy=f"it has to lie between {bounds[0]:g} and {bounds[1]:g}",
        )
    return float(value)


def table_as(kind: type[T], table: object, where: str, bounds: Bounds | None = None) -> T:
    """One TOML table as a frozen dataclass, every key known and none missing.

    Parameters
    ----------
    kind : type
        Dataclass whose fields are numbers, or true or false.
    table : object
    where : str
        File and table, for messages.
    bounds : mapping of key to (lowest, highest), optional

    Raises
    ------
    ConfigurationError
        Names the file, the table and the key.
    """
    if not isinstance(table, Mapping):
        problem = "is missing" if table is None else "is not a table"
        raise ConfigurationError(f"{where} {problem}", remedy="give keys and numbers")
    known = {column.name: column for column in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(known))
    needed = {name for name, column in known.items() if column.default is MISSING}
    missing = sorted(needed - set(table))
    if unknown or missing:
        problems = [f"{where}.{name} is not known" for name in unknown]
        problems += [f"{where}.{name} is missing" for name in missing]
        raise ConfigurationError("; ".join(problems), remedy=f"keys: {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{where}.{name}"
        if known[name].type == "bool":
            if not isinstance(value, bool):
                raise ConfigurationError(
                    f"{key} is not true or false", remedy="write true or false"
                )
            values[name] = value
        else:
            values[name] = number(value, key, (bounds or {}).get(name))
    try:
        return kind(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}", remedy=error.remedy) from error


def tables_as(
    kind: type[T], tables: object, where: str, bounds: Bounds | None = None
) -> dict[str, T]:
    """A table of tables, keyed by underlying, currency or asset."""
    if not isinstance(tables, Mapping):
        raise ConfigurationError(f"{where} is missing", remedy="give one table per name")
    return {
        name: table_as(kind, table, f"{where}.{name}", bounds) for name, table in tables.items()
    }


def shipped_files(method: str) -> tuple[str, ...]:
    """Versions of a method's parameter files that come with the package, sorted."""
    names = (entry.name for entry in (files("commonmode.margin") / _FOLDER).iterdir())
    ours = (name for name in names if name.startswith(f"{method}-") and name.endswith(".toml"))
    return tuple(sorted(name[len(method) + 1 : -len(".toml")] for name in ours))


def shipped_file(method: str, version: str) -> tuple[str, str]:
    """(text, file name) of a parameter file that comes with the package.

    Raises
    ------
    ConfigurationError
        If there is no such version.
    """
    if version not in shipped_files(method):
        raise ConfigurationError(
            f"no {method} parameters of version {version!r}",
            remedy=f"versions: {', '.join(shipped_files(method))}",
        )
    name = f"{method}-{version}.toml"
    return (files("commonmode.margin") / _FOLDER / name).read_text(encoding="utf-8"), name
