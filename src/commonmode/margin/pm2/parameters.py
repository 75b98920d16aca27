"""Parameter sets of PM2: versioned TOML files, frozen, their bounds checked as they are read.

Bounds only tell a number from a slip of the pen. Whether a set makes sense (a long book must not be
marked up) is asked by the parameter gate before it is used; a set that fails it can be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from commonmode.core.errors import ConfigurationError
from commonmode.margin.parameter_files import (
    Bounds,
    number,
    parse_file,
    shipped_file,
    shipped_files,
    table_as,
    tables_as,
)

__all__ = [
    "VOL_MOVES",
    "Basis",
    "CollateralTerms",
    "Contingency",
    "Discount",
    "LossFactors",
    "PM2Parameters",
    "Scenario",
    "Skew",
    "VolShock",
    "parameters_from_toml",
    "shipped_parameters",
    "shipped_versions",
]

VOL_MOVES: Final = ("up", "none", "down", "linear_skew", "absolute_skew")
"""What a scenario does to implied volatility."""

_METHOD: Final = "pm2"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the scenario list.

    Attributes
    ----------
    spot : float
        Factor on spot, perpetual price and forwards.
    vol : str
        One of :data:`VOL_MOVES`.
    damping : float
        Factor on the profit or loss.
    """

    spot: float
    vol: str
    damping: float

    @property
    def is_skew(self) -> bool:
        """Skew scenarios count every expiry's change as a loss."""
        return self.vol.endswith("_skew")

    @property
    def label(self) -> str:
        """``spot x1.18, vol up``."""
        move = self.vol.replace("_", " ") if self.is_skew else f"vol {self.vol}"
        return f"spot x{self.spot:g}, {move}"


@dataclass(frozen=True, slots=True)
class VolShock:
    """Shock of implied volatility, scaled with ``(30 d / max(time left, floor_days))^power``.

    `least_up` is the least volatility after a shock up.
    """

    up: float
    down: float
    short_power: float
    long_power: float
    floor_days: float
    least_up: float


@dataclass(frozen=True, slots=True)
class Skew:
    """Skew scenarios: caps ``slope sqrt(T) + cap``; the tilt spreads over ``width`` deviations."""

    linear_cap: float
    linear_slope: float
    absolute_cap: float
    absolute_slope: float
    least_width: float
    width: float
    vol_static: float
    vol_scale: float


@dataclass(frozen=True, slots=True)
class Discount:
    """Static discount of an expiry's shocked value, by its sign; rates per year."""

    long_base: float
    long_rate_multiplier: float
    long_rate_add: float
    short_base: float
    short_rate_multiplier: float
    short_rate_add: float


@dataclass(frozen=True, slots=True)
class LossFactors:
    """Factors on the worst loss; initial grows by `peg_factor` per USD below `peg_threshold`."""

    initial: float
    maintenance: float
    peg_threshold: float
    peg_factor: float


@dataclass(frozen=True, slots=True)
class Basis:
    """Forwards that move by themselves: factors `up` and `down`, weight ``add + multiplier T``."""

    up: float
    down: float
    add: float
    multiplier: float


@dataclass(frozen=True, slots=True)
class Contingency:
    """Charges as shares of spot (initial on top of maintenance) and for doubtful feeds."""

    perp_maintenance: float
    perp_initial: float
    option_maintenance: float
    option_initial: float
    confidence_threshold: float
    confidence_margin: float


@dataclass(frozen=True, slots=True)
class CollateralTerms:
    """What an asset counts for.

    Attributes
    ----------
    risk_cancelling : bool
        It moves with the underlying it follows and is shocked with the portfolio.
    maintenance, initial : float
        Haircuts as shares of value, initial on top of maintenance.
    confidence_threshold : float
        Below it the oracle contingency is charged.
    other_maintenance, other_initial : float, optional
        Haircuts where the account's underlying is another than the asset's.
    """

    risk_cancelling: bool
    maintenance: float
    initial: float
    confidence_threshold: float
    other_maintenance: float = math.nan
    other_initial: float = math.nan

    def haircuts(self, shocked: bool) -> tuple[float, float]:
        """(maintenance, initial) for an account with which the asset is shocked, or is not."""
        if shocked or math.isnan(self.other_maintenance) or math.isnan(self.other_initial):
            return self.maintenance, self.initial
        return self.other_maintenance, self.other_initial


@dataclass(frozen=True, slots=True)
class PM2Parameters:
    """One parameter set.

    Attributes
    ----------
    name, version : str
    underlyings : tuple of str
        Whose managers use the set.
    valid_from : date
    source : str
        Where its figures were read.
    scenarios : tuple of Scenario
    vol_shock, skew, discount, loss, basis, contingency : groups of figures
    collateral : mapping of asset to CollateralTerms
        Assets that are accepted; any other fails the account that posts it.
    """

    name: str
    version: str
    underlyings: tuple[str, ...]
    valid_from: date
    source: str
    scenarios: tuple[Scenario, ...]
    vol_shock: VolShock
    skew: Skew
    discount: Discount
    loss: LossFactors
    basis: Basis
    contingency: Contingency
    collateral: Mapping[str, CollateralTerms]


_GROUPS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "vol_shock": VolShock,
        "skew": Skew,
        "discount": Discount,
        "loss": LossFactors,
        "basis": Basis,
        "contingency": Contingency,
    }
)

# What is not here is a share between 0 and 1.
_BOUNDS: Final[Bounds] = MappingProxyType(
    {
        "scenarios.spot": (0.0, 100.0),
        "scenarios.damping": (0.0, 10.0),
        "vol_shock.up": (0.0, 10.0),
        "vol_shock.least_up": (0.0, 10.0),
        "vol_shock.floor_days": (1e-6, 365.0),
        "skew.linear_cap": (0.0, 5.0),
        "skew.linear_slope": (-5.0, 5.0),
        "skew.absolute_cap": (0.0, 5.0),
        "skew.absolute_slope": (-5.0, 5.0),
        "skew.least_width": (1e-9, 10.0),
        "skew.width": (0.0, 100.0),
        "skew.vol_static": (0.0, 10.0),
        "skew.vol_scale": (-5.0, 5.0),
        "discount.long_base": (0.0, 2.0),
        "discount.short_base": (0.0, 2.0),
        "discount.long_rate_multiplier": (0.0, 10.0),
        "discount.short_rate_multiplier": (0.0, 10.0),
        "loss.initial": (0.0, 10.0),
        "loss.maintenance": (0.0, 10.0),
        "loss.peg_threshold": (0.0, 2.0),
        "loss.peg_factor": (0.0, 100.0),
        "basis.up": (1.0, 10.0),
        "basis.multiplier": (0.0, 100.0),
        "basis.add": (0.0, 100.0),
        "contingency.confidence_margin": (0.0, 10.0),
    }
)


def _bounds(section: str, kind: type) -> Bounds:
    return {
        column.name: _BOUNDS.get(f"{section}.{column.name}", (0.0, 1.0)) for column in fields(kind)
    }


def _scenarios(where: str, rows: object) -> tuple[Scenario, ...]:
    if not isinstance(rows, list) or not rows:
        raise ConfigurationError(
            f"{where}: scenarios is empty", remedy="list [spot factor, vol move, damping]"
        )
    bounds = _bounds("scenarios", Scenario)
    found = []
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 3 or row[1] not in VOL_MOVES:
            raise ConfigurationError(
                f"{where}: scenarios[{at}] is {row!r}",
                remedy=f"write [spot factor, vol move, damping]; moves: {', '.join(VOL_MOVES)}",
            )
        spot = number(row[0], f"{where}: scenarios.spot[{at}]", bounds["spot"])
        damping = number(row[2], f"{where}: scenarios.damping[{at}]", bounds["damping"])
        found.append(Scenario(spot, row[1], damping))
        if found[-1].is_skew and spot != 1.0:
            raise ConfigurationError(
                f"{where}: scenarios.spot[{at}] is {spot}", remedy="a skew leaves spot at 1"
            )
    return tuple(found)


def parameters_from_toml(text: str, *, where: str = "parameters") -> PM2Parameters:
    """A parameter set from the text of its file.

    Parameters
    ----------
    text : str
    where : str
        Name of the file, for messages.

    Raises
    ------
    ConfigurationError
        A key is missing, unknown or out of bounds, named with the remedy.
    """
    header, content = parse_file(text, where, ("scenarios", *_GROUPS, "collateral"))
    if header.valid_from is None:
        raise ConfigurationError(
            f"{where}: valid_from is missing", remedy="give a date: 2026-09-24"
        )
    groups: dict[str, Any] = {
        name: table_as(kind, content.get(name), f"{where}: {name}", _bounds(name, kind))
        for name, kind in _GROUPS.items()
    }
    collateral = tables_as(
        CollateralTerms,
        content.get("collateral", {}),
        f"{where}: collateral",
        _bounds("collateral", CollateralTerms),
    )
    return PM2Parameters(
        name=header.name,
        version=header.version,
        underlyings=header.underlyings,
        valid_from=header.valid_from,
        source=header.source,
        scenarios=_scenarios(where, content.get("scenarios")),
        collateral=MappingProxyType(collateral),
        **groups,
    )


def shipped_versions() -> tuple[str, ...]:
    """Versions of the parameter sets that come with the package, oldest first."""
    return shipped_files(_METHOD)


def shipped_parameters(version: str) -> PM2Parameters:
    """A parameter set that comes with the package.

    Raises
    ------
    ConfigurationError
        If there is no such version.
    """
    text, name = shipped_file(_METHOD, version)
    return parameters_from_toml(text, where=name)
