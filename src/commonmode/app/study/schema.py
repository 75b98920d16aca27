"""The study file: one TOML that names market, models, panels and participants."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from commonmode.app.study.look_names import chosen_study_looks
from commonmode.app.study.look_settings import (
    CadenceSettings,
    HedgingSettings,
    ModelRiskLookSettings,
    MonitoringLookSettings,
    StrategySettings,
)
from commonmode.core.errors import CommonmodeError, ConfigurationError

__all__ = [
    "ActivitySettings",
    "BookSettings",
    "IndexSettings",
    "LookSettings",
    "MarginSettings",
    "MarketSettings",
    "ModelSettings",
    "PanelSettings",
    "PopulationSettings",
    "StudyFile",
    "find_study",
    "load_study",
]

When = datetime | date | str
LayerName = Literal["data", "assumption", "technique", "calibration", "vendor", "code"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyHeader(_Strict):
    """Who and what."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    seed: int = Field(ge=0)
    headline: str = ""


class HistorySettings(_Strict):
    """Bars of one underlying in a table of the user's own."""

    underlying: str
    path: str
    columns: dict[str, str]
    label: Literal["open", "end"]
    step_minutes: int = Field(default=60, ge=1)
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    timezone: str = "UTC"


class ChainSettings(_Strict):
    """Option chains of one underlying in a table of the user's own."""

    underlying: str
    path: str
    columns: dict[str, str]
    venue: str
    settlement: Literal["coin", "usd"]
    volatility: Literal["percent", "decimal"]
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    timezone: str = "UTC"


class ActivitySettings(_Strict):
    """What happened on a venue, in a table of the user's own, for the integrity screens alone."""

    what: Literal["trades", "open-interest", "liquidations"]
    subject: str = Field(min_length=1)
    path: str
    columns: dict[str, str]
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    timezone: str = "UTC"


class MarketSettings(_Strict):
    """Where market data comes from."""

    source: Literal["recorded", "laboratory", "files"]
    underlyings: tuple[str, ...] = ("BTC", "ETH")
    start: When | None = None
    hours: int = Field(default=0, ge=0)
    histories: tuple[HistorySettings, ...] = ()
    chains: tuple[ChainSettings, ...] = ()
    activity: tuple[ActivitySettings, ...] = ()

    @model_validator(mode="after")
    def _source_is_complete(self) -> MarketSettings:
        if self.source == "laboratory" and (self.start is None or self.hours < 48):
            raise ValueError("a laboratory market needs start and hours (48 or more)")
        if self.source == "files" and not (self.histories or self.chains):
            raise ValueError("a market of files needs [[market.histories]] or [[market.chains]]")
        if self.source != "files" and (self.histories or self.chains):
            raise ValueError(f'tables are read with source = "files", not {self.source!r}')
        return self


class ModelSettings(_Strict):
    """One model: what it is and what its card says."""

    id: str = Field(min_length=1)
    type: str
    options: dict[str, Any] = Field(default_factory=dict)
    owner: str = ""
    purpose: str = ""
    materiality: Literal["high", "medium", "low"] | None = None
    jurisdiction: str = ""
    audit: str = ""
    components: dict[LayerName, dict[str, float]] = Field(default_factory=dict)
    forecasts: str = ""


class PanelSettings(_Strict):
    """One error panel."""

    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$")
    title: str = ""
    family: Literal["risk", "surface", "signal", "world"]
    start: When | None = None
    end: When | None = None
    models: tuple[str, ...] = ()
    train: int = Field(default=2000, ge=100)
    horizon_hours: int = Field(default=1, ge=1)
    level: float = Field(default=0.025, gt=0, lt=0.5)
    non_overlapping: bool = False
    every_minutes: int = Field(default=60, ge=5)
    minimum_block_hours: float = Field(default=0, ge=0)
    world: dict[str, float] = Field(default_factory=dict)


class PopulationSettings(_Strict):
    """Who holds what, drawn to be consistent with open interest."""

    snapshot: When
    desk: int = Field(default=0, ge=0)
    vault: int = Field(default=0, ge=0)
    exchange: int = Field(default=0, ge=0)
    protocol: int = Field(default=0, ge=0)
    surface_models: dict[str, dict[str, float]] = Field(default_factory=dict)
    risk_models: dict[str, dict[str, float]] = Field(default_factory=dict)
    jurisdictions: tuple[str, ...] = ("",)


class BookSettings(_Strict):
    """A participant whose positions are known."""

    id: str = Field(min_length=1)
    kind: Literal["desk", "vault", "exchange", "protocol"]
    surface_model: str
    risk_model: str
    capital_usd: float = Field(gt=0)
    jurisdiction: str = ""
    positions: dict[str, float] = Field(min_length=1)


class MoveSettings(_Strict):
    """One hypothetical move of the market."""

    label: str = Field(min_length=1)
    returns: dict[str, float] = Field(default_factory=dict)
    vol_moves: dict[str, float] = Field(default_factory=dict)


class MarginSettings(_Strict):
    """How the population is margined."""

    methods: tuple[Literal["pm2", "standard", "deribit", "dynamic"], ...] = (
        "pm2",
        "standard",
        "deribit",
        "dynamic",
    )
    marks: str = ""
    parameters: dict[str, str] = Field(default_factory=dict)
    stable_price: float = Field(default=1.0, gt=0)
    stable: str | None = None
    solvency: bool = False
    fund_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_age_seconds: float = Field(default=600.0, gt=0)
    hedge_half_spread: float = Field(default=0.0002, ge=0, lt=0.5)
    moves: tuple[MoveSettings, ...] = ()


class IndexSettings(_Strict):
    """How the indices are computed."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    flips: int = Field(default=1999, ge=199)
    draws: int = Field(default=999, ge=199)


class LookSettings(_Strict):
    """Further looks: which to take on every run, and what some of them need to be told."""

    run: tuple[str, ...] = ()
    feeds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    stresses: dict[str, tuple[float, float]] = Field(default_factory=dict)
    cadence: CadenceSettings = CadenceSettings()
    strategies: StrategySettings = StrategySettings()
    model_risk: ModelRiskLookSettings = ModelRiskLookSettings()
    hedging: HedgingSettings = HedgingSettings()
    monitoring: MonitoringLookSettings = MonitoringLookSettings()

    @field_validator("run")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            chosen_study_looks(names)
        except CommonmodeError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
        return names


class StudyFile(_Strict):
    """A whole study, as written."""

    study: StudyHeader
    market: MarketSettings
    models: tuple[ModelSettings, ...] = ()
    panels: tuple[PanelSettings, ...] = Field(min_length=1)
    population: PopulationSettings | None = None
    books: tuple[BookSettings, ...] = ()
    margin: MarginSettings | None = None
    indices: IndexSettings = IndexSettings()
    looks: LookSettings = LookSettings()

    @model_validator(mode="after")
    def _names_fit(self) -> StudyFile:
        ids = [model.id for model in self.models]
        names = [panel.name for panel in self.panels]
        for what, values in (("model id", ids), ("panel name", names)):
            double = sorted({value for value in values if values.count(value) > 1})
            if double:
                raise ValueError(f"{what} used twice: {', '.join(double)}")
        if self.books and self.population is None:
            raise ValueError("books are valued at the snapshot of a [population]: add that section")
        if self.margin is not None and self.population is None:
            raise ValueError("margin is that of a [population]: add that section")
        if self.margin is not None and self.margin.marks not in ("", *ids):
            raise ValueError(
                f"margin.marks names model {self.margin.marks!r}, which is not in the study"
                + _hint(self.margin.marks, ids)
            )
        for book in self.books:
            for model in (book.surface_model, book.risk_model):
                if model not in ids:
                    raise ValueError(
                        f"book {book.id} names model {model!r}, which is not in the study"
                        + _hint(model, ids)
                    )
        for panel in self.panels:
            for model in panel.models:
                if model not in ids:
                    raise ValueError(
                        f"panel {panel.name} names model {model!r}, which is not in the study"
                        + _hint(model, ids)
                    )
        if self.study.headline and self.study.headline not in names:
            raise ValueError(
                f"headline {self.study.headline!r} is not a panel"
                + _hint(self.study.headline, names)
            )
        return self


def _hint(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"


def find_study(path: Path) -> Path:
    """The study file of ``path``: itself, or ``study.toml`` in that folder.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if path.is_dir():
        inside = path / "study.toml"
        if inside.is_file():
            return inside
        raise ConfigurationError(
            f"the folder {path} has no study.toml",
            remedy="name a study file, or a folder that holds a study.toml",
        )
    if path.is_file():
        return path
    raise ConfigurationError(
        f"there is no study at {path}",
        remedy="give the path of a study file; examples/laboratory is one that runs anywhere",
    )


def load_study(path: Path) -> StudyFile:
    """Read and check a study file.

    Raises
    ------
    ConfigurationError
        Not TOML, an unknown key (with the nearest known one), or a value out of range; all problems
        are named at once.
    """
    file = find_study(path)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} is not TOML: {error}", remedy="correct the file at the place named"
        ) from error
    try:
        return StudyFile.model_validate(raw)
    except ValidationError as error:
        problems = [_problem(dict(item)) for item in error.errors(include_url=False)]
        raise ConfigurationError(
            f"{file}: " + "; ".join(problems),
            remedy="see docs/study.md for every key and its meaning",
        ) from error


def _problem(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"unknown key {place!r}{_known_keys(item['loc'])}"
    if item["type"] == "missing":
        return f"missing key {place!r}"
    message = str(item["msg"]).removeprefix("Value error, ")
    given = item.get("input")
    if isinstance(given, (str, int, float)) and item["type"] != "value_error":
        message = f"{message[:1].lower()}{message[1:]}, not {given!r}"
    return f"{place}: {message}" if place else message


def _known_keys(location: tuple[Any, ...]) -> str:
    """Hint for an unknown key, from the section it stands in."""
    model: Any = StudyFile
    for part in location[:-1]:
        if isinstance(part, int) or not hasattr(model, "model_fields"):
            continue
        field = model.model_fields.get(part)
        if field is None:
            return ""
        kind = field.annotation
        arguments = [a for a in getattr(kind, "__args__", ()) if hasattr(a, "model_fields")]
        model = arguments[0] if arguments else kind
    if not hasattr(model, "model_fields"):
        return ""
    return _hint(str(location[-1]), list(model.model_fields))
