"""The margin methods by name, ready to use on a study's market."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from commonmode.app.study.margin_dynamic import build_dynamic
from commonmode.app.study.margin_gates import examine, refusal
from commonmode.app.study.schema import MarginSettings
from commonmode.core.errors import CommonmodeError, ConfigurationError
from commonmode.core.result import Failure, FailureReason
from commonmode.margin.deribit.method import DeribitMargin
from commonmode.margin.deribit.parameters import deribit_from_toml, merged
from commonmode.margin.dynamic.settings import (
    DynamicSettings,
    dynamic_from_toml,
    shipped_dynamic,
)
from commonmode.margin.gate_dynamic import dynamic_report
from commonmode.margin.gate_report import GateReport
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.parameter_files import shipped_file, shipped_files
from commonmode.margin.pm2 import PM2, parameters_from_toml
from commonmode.margin.standard_method import StandardMargin
from commonmode.margin.standard_parameters import standard_from_toml
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.kernels import Engine

__all__ = ["METHODS", "BuiltMethods", "build_methods"]

METHODS: Final = ("pm2", "standard", "deribit", "dynamic")

# Positions from which loading compiled code pays for PM2.
_MANY: Final = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class BuiltMethods:
    """Methods that can be used here, and why the others cannot.

    Attributes
    ----------
    methods : tuple of MarginMethod
    sources : mapping of method id to str
        Parameter set, and where it is from.
    failures : mapping of method id to Failure
    gates : mapping of method id to tuple of GateReport
        What the parameter gate said of the published methods, refused ones included. Of our own
        only a refusal: it is not probed here, what can be read off its parameters is checked.
    covers : mapping of method id to str
        What a fitted parameter set is meant to cover; methods that promise nothing are left out.
    """

    methods: tuple[MarginMethod, ...]
    sources: Mapping[str, str]
    failures: Mapping[str, Failure]
    gates: Mapping[str, tuple[GateReport, ...]]
    covers: Mapping[str, str]


def build_methods(
    names: Sequence[str],
    market: MarginMarket,
    snapshot: Snapshot,
    feed: Feed,
    settings: MarginSettings,
    folder: Path,
    *,
    positions: int = 0,
    ungated: bool = False,
    stable: str = "",
) -> BuiltMethods:
    """Build the methods that are named.

    Parameters
    ----------
    names : sequence of str
        Of :data:`METHODS`.
    market : MarginMarket
    snapshot : Snapshot
        The one that the market was made of.
    feed : Feed
        Histories for the scenarios of ``dynamic``; nothing after the snapshot is used.
    settings : MarginSettings
    folder : Path
        Paths of parameter files are relative to it.
    positions : int
        How many will be margined; it chooses the engine.
    ungated : bool
        Use parameter sets that the gate refuses all the same.
    stable : str
        Stablecoin that cash is counted in, moved by our own method; "" where it is not to move.

    Raises
    ------
    ConfigurationError
        An unknown method, or parameters that cannot be read. What the market lacks for a method,
        and a parameter set that the gate refuses, is a failure of that method alone.
    """
    strange = [name for name in names if name not in METHODS]
    if strange:
        raise ConfigurationError(
            f"margin method {', '.join(strange)} is not known",
            remedy=f"methods: {', '.join(METHODS)}",
        )
    built: list[MarginMethod] = []
    sources: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    gates: dict[str, tuple[GateReport, ...]] = {}
    covers: dict[str, str] = {}
    method: MarginMethod
    for name in dict.fromkeys(names):
        if name == "dynamic":
            chosen = dynamic_settings(settings.parameters.get(name, ""), folder)
            try:
                method, source, promised = build_dynamic(
                    chosen, market, snapshot, feed, settings, stable=stable
                )
            except CommonmodeError as error:
                failures[name] = Failure(FailureReason.MISSING_DATA, error.message, error.remedy)
                continue
            report = dynamic_report(method.parameters)
            if not report.accepted:
                gates[name] = (report,)
            if promised:
                covers[name] = promised
        else:
            texts = _texts(name, settings.parameters.get(name, ""), folder)
            listed = tuple(market.underlyings.name.tolist())
            method, source, coins = _published(name, texts, positions, listed)
            gates[name] = examine(method, coins)
        why = refusal(name, source, gates.get(name, ()))
        if why is not None and not ungated:
            failures[name] = why
            continue
        built.append(method)
        sources[name] = source
    return BuiltMethods(tuple(built), sources, failures, gates, covers)


def dynamic_settings(chosen: str, folder: Path) -> DynamicSettings:
    """The parameter set of our own method that is named; its fitted one if none is."""
    if chosen and not chosen.endswith(".toml"):
        return shipped_dynamic(chosen)
    text, where = _texts("dynamic", chosen, folder)[-1]
    return dynamic_from_toml(text, where=where)


def _texts(name: str, chosen: str, folder: Path) -> list[tuple[str, str]]:
    """Parameter files as (text, where): one's own, a shipped version, or what is the default."""
    if not chosen.endswith(".toml"):
        versions = [chosen] if chosen else _DEFAULTS[name]()
        return [shipped_file(name, version) for version in versions]
    file = folder / chosen
    try:
        return [(file.read_text(encoding="utf-8"), chosen)]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"parameters of {name}: {file} cannot be read: {error}",
            remedy="name a shipped version, or a file: in a study from its folder, on the command "
            "line from where you are",
        ) from error


_DEFAULTS: Final[Mapping[str, Callable[[], Sequence[str]]]] = {
    "pm2": lambda: shipped_files("pm2")[-1:],
    "standard": lambda: ("main-network",),
    # One set per coin was published, years apart.
    "deribit": lambda: shipped_files("deribit"),
    "dynamic": lambda: shipped_files("dynamic")[-1:],
}


def _published(
    name: str, texts: Sequence[tuple[str, str]], positions: int, listed: tuple[str, ...]
) -> tuple[MarginMethod, str, tuple[str, ...]]:
    """A published method under a parameter set, where that is from, and coins to probe it on.

    PM2's sets have one list of figures; coins of the market that a set does not name are margined
    by it too, and the source says so.
    """
    if name == "pm2":
        pm2 = [parameters_from_toml(text, where=where) for text, where in texts][-1]
        # Named, so that the bits do not depend on what ran before in this process.
        engine: Engine = "numba" if positions >= _MANY else "numpy"
        source = f"{pm2.name} {pm2.version}: {pm2.source}"
        own = pm2.underlyings
        others = tuple(coin for coin in listed if coin not in own)
        if others:
            source += f"; the figures of {', '.join(own)} are used for {', '.join(others)} too"
        return PM2(replace(pm2, underlyings=(*own, *others)), engine=engine), source, own[:1]
    if name == "standard":
        header, standard = [standard_from_toml(text, where=where) for text, where in texts][-1]
        source = f"{header.name} {header.version}: {header.source}"
        return StandardMargin(standard), source, header.underlyings[:1]
    sets = [deribit_from_toml(text, where=where) for text, where in texts]
    source = "; ".join(f"{h.name} {h.version}: {h.source}" for h, _ in sets)
    terms = merged(*(parameters for _, parameters in sets))
    return DeribitMargin(terms), source, tuple(terms.pairs)
