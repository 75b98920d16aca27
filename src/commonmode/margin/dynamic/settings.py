"""Settings of our own margin method as a versioned file: what was fitted, and how.

A file holds the parameters, the recipe of the scenarios in hours (a history's bars may be shorter),
and where the fitted figures come from. ``conventional()`` is the set of which nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin._bounds import check_bounds
from commonmode.margin.dynamic.build import ScenarioRecipe
from commonmode.margin.dynamic.filtered import VolatilityFilter
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.parameter_files import Provenance, parse_file, shipped_file, table_as

__all__ = [
    "CONVENTIONAL",
    "LEAST_WINDOW_DAYS",
    "Calibration",
    "ControlTerms",
    "ConventionTerms",
    "DynamicSettings",
    "LossShares",
    "MultiplierTerms",
    "ScenarioTerms",
    "dynamic_from_toml",
    "shipped_dynamic",
]

#: Name of the settings of which nothing is fitted.
CONVENTIONAL: Final = "conventional"

#: Days of margins without which a multiplier is not fitted.
LEAST_WINDOW_DAYS: Final = 60

_SECTIONS: Final = ("calibration", "loss", "multiplier", "control", "scenarios", "conventions")
_REPLAY_DAYS: Final = 30  # over which a speed limit is replayed: its start has long faded
_HOUR_MS: Final = 3_600_000
_REMEDY: Final = "the bounds are in the description of the table"


@dataclass(frozen=True, slots=True)
class LossShares:
    """How the shortfall is made.

    Attributes
    ----------
    level : float
        Of the expected shortfall of the initial margin, in (0, 1).
    stressed_weight, correlation_stress : float
        As in :class:`~commonmode.margin.dynamic.mixing.MarginMix`, in [0, 1].
    """

    level: float
    stressed_weight: float
    correlation_stress: float

    def __post_init__(self) -> None:
        """Check the bounds."""
        check_bounds(
            "loss",
            self,
            {
                "level": 0 < self.level < 1,
                "stressed_weight": 0 <= self.stressed_weight <= 1,
                "correlation_stress": 0 <= self.correlation_stress <= 1,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class MultiplierTerms:
    """The factor on the shortfall that makes its coverage the promised one.

    Attributes
    ----------
    value, low, high : float
        As fitted at the end of the calibration period, with a 95 % interval; positive, in order.
    window_days : float
        Of history on which it is fitted anew at the start of every month, at least
        :data:`LEAST_WINDOW_DAYS`; 0: never.
    breach_rate : float
        Promised share of hours whose loss exceeds the margin, in (0, 1).
    """

    value: float
    low: float
    high: float
    window_days: float
    breach_rate: float

    def __post_init__(self) -> None:
        """Check the bounds."""
        check_bounds(
            "multiplier",
            self,
            {
                "value": 0 < self.low <= self.value <= self.high < float("inf"),
                "window_days": self.window_days == 0
                or LEAST_WINDOW_DAYS <= self.window_days < float("inf"),
                "breach_rate": 0 < self.breach_rate < 1,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class ControlTerms:
    """The procyclicality control; its stressed weight stands in the loss.

    Attributes
    ----------
    floor, buffer, daily_limit : float
        As in :class:`~commonmode.margin.dynamic.parameters.DynamicParameters`, which checks them.
    """

    floor: float
    buffer: float
    daily_limit: float


@dataclass(frozen=True, slots=True)
class ScenarioTerms:
    """How scenarios are made of a history; all lengths in hours, all positive.

    Attributes
    ----------
    horizon_hours : float
    window_hours, stressed_hours, least_hours : float
        Of the normal scenarios, of the most volatile stretch, and of history that there must be.
    half_life_hours, vol_half_life_hours : float
        Of the filters of returns and of volatility moves.
    highest_scaling : float
        Bound on volatility now over volatility then; infinity for none.
    """

    horizon_hours: float
    window_hours: float
    stressed_hours: float
    least_hours: float
    half_life_hours: float
    vol_half_life_hours: float
    highest_scaling: float

    def __post_init__(self) -> None:
        """Check the bounds."""
        checks = {each.name: 0 < getattr(self, each.name) < float("inf") for each in fields(self)}
        checks["highest_scaling"] = self.highest_scaling > 0
        check_bounds("scenarios", self, checks, remedy=_REMEDY)

    def recipe(self, step_ms: int, **others: Any) -> ScenarioRecipe:
        """The recipe on bars of a history.

        Raises
        ------
        DataError
            If the horizon is no whole number of bars.
        """
        bars = self.horizon_hours * _HOUR_MS / step_ms
        if bars < 1 or bars != int(bars):
            raise DataError(
                f"dynamic margin over {self.horizon_hours:g} h from a history in bars of "
                f"{step_ms / 60_000:g} minutes",
                remedy="give an hourly history, or use the parameters "
                f"{CONVENTIONAL!r}, whose horizon is a bar",
            )
        hour = _HOUR_MS / step_ms
        return ScenarioRecipe(
            bars=int(bars),
            window=round(self.window_hours * hour),
            stressed_window=round(self.stressed_hours * hour),
            minimum=round(self.least_hours * hour),
            filter=VolatilityFilter(
                decay=0.5 ** (1.0 / (self.half_life_hours * hour)),
                highest_scaling=self.highest_scaling,
            ),
            vol_filter=VolatilityFilter(decay=0.5 ** (1.0 / (self.vol_half_life_hours * hour))),
            monthly=True,
            **others,
        )


@dataclass(frozen=True, slots=True)
class ConventionTerms:
    """What is not fitted; as in ``DynamicParameters`` and ``ScenarioRecipe``, which check them."""

    maintenance_level: float
    maintenance_share: float
    hypothetical_share: float
    maintenance_hypothetical: float
    coin_move: float
    posted_move: float
    participation: float
    reaction_minutes: float
    horizon_exponent: float
    open_interest_share: float
    disagreement_quantile: float
    disagreement_weight: float
    confidence_floor: float
    confidence_rate: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where the fitted figures come from.

    Attributes
    ----------
    first, last : date
        The period judged: from the first day on, and before the last.
    rule, portfolios, command : str
    inputs : mapping of coin to str
        Content hash of its history.
    """

    first: date
    last: date
    rule: str
    portfolios: str
    command: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DynamicSettings:
    """A parameter set of our own method.

    Attributes
    ----------
    header : Provenance or None
    parameters : DynamicParameters
    scenarios : ScenarioTerms or None
        None: the default recipe, over one bar.
    multiplier : MultiplierTerms or None
        None: it is not fitted.
    calibration : Calibration or None
    moves : tuple of float
        Sizes of the hypothetical moves of the coins, and of what is posted besides them.
    """

    header: Provenance | None = None
    parameters: DynamicParameters = field(default_factory=DynamicParameters)
    scenarios: ScenarioTerms | None = None
    multiplier: MultiplierTerms | None = None
    calibration: Calibration | None = None
    moves: tuple[float, float] = (0.3, 0.1)

    def recipe(self, step_ms: int) -> ScenarioRecipe:
        """How scenarios are made of a history with bars of that length.

        Raises
        ------
        DataError
            If its bars do not fit the horizon.
        """
        coin, posted = self.moves
        limited = self.parameters.daily_limit < float("inf")
        others: dict[str, Any] = {
            "long": self.parameters.floor > 0.0,
            "replay_days": _REPLAY_DAYS if limited else 0,
            "coin_move": coin,
            "posted_move": posted,
        }
        if self.scenarios is None:
            return ScenarioRecipe(**others)
        return self.scenarios.recipe(step_ms, **others)


def dynamic_from_toml(text: str, *, where: str = "dynamic parameters") -> DynamicSettings:
    """A parameter set from the text of its file.

    Raises
    ------
    ConfigurationError
        A key is missing, unknown or out of bounds, named with the remedy.
    """
    header, content = parse_file(text, where, _SECTIONS)
    missing = [name for name in _SECTIONS if name not in content]
    if missing:
        raise ConfigurationError(
            f"{where}: {', '.join(missing)} is missing", remedy="give the table"
        )

    def table(kind: type[Any], name: str) -> Any:
        return table_as(kind, content[name], f"{where}: {name}")

    loss, control = table(LossShares, "loss"), table(ControlTerms, "control")
    scenarios, other = table(ScenarioTerms, "scenarios"), table(ConventionTerms, "conventions")
    multiplier = table(MultiplierTerms, "multiplier")
    shared = {f.name for f in fields(DynamicParameters)} & {f.name for f in fields(other)}
    try:
        settings = DynamicSettings(
            header,
            DynamicParameters(
                initial_level=loss.level,
                multiplier=multiplier.value,
                floor=control.floor,
                buffer=control.buffer,
                daily_limit=control.daily_limit,
                mix=MarginMix(
                    stressed_weight=loss.stressed_weight,
                    correlation_stress=loss.correlation_stress,
                    hypothetical_share=other.hypothetical_share,
                ),
                **{name: getattr(other, name) for name in shared},
            ),
            scenarios,
            multiplier,
            _calibration(content["calibration"], where),
            (other.coin_move, other.posted_move),
        )
        settings.recipe(_HOUR_MS)  # its bounds
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}", remedy=error.remedy) from error
    return settings


def _calibration(table: object, where: str) -> Calibration:
    keys = [each.name for each in fields(Calibration)]
    if not isinstance(table, Mapping) or sorted(table) != sorted(keys):
        raise ConfigurationError(
            f"{where}: calibration does not say where the figures come from",
            remedy=f"keys: {', '.join(keys)}",
        )
    dates = [table[name] for name in ("first", "last")]
    words = [table[name] for name in ("rule", "portfolios", "command")]
    inputs = table["inputs"]
    dated = all(isinstance(day, date) and not hasattr(day, "hour") for day in dates)
    said = all(isinstance(word, str) and word for word in words)
    if not (dated and dates[0] < dates[1] and said and isinstance(inputs, Mapping) and inputs):
        raise ConfigurationError(
            f"{where}: calibration: a date, a text or the inputs' hashes are missing",
            remedy="first and last are dates in order, inputs a table of coin and hash",
        )
    hashes = MappingProxyType({str(coin): str(value) for coin, value in inputs.items()})
    return Calibration(dates[0], dates[1], words[0], words[1], words[2], hashes)


def shipped_dynamic(version: str) -> DynamicSettings:
    """A parameter set that comes with the package, or the conventional one.

    Raises
    ------
    ConfigurationError
        If there is no such version.
    """
    if version == CONVENTIONAL:
        return DynamicSettings()
    try:
        text, name = shipped_file("dynamic", version)
    except ConfigurationError as error:
        raise ConfigurationError(
            error.message, remedy=f"{error.remedy}, {CONVENTIONAL}, or a file"
        ) from error
    return dynamic_from_toml(text, where=name)
