"""The study's models, built from their type names, with the cards that the study declares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from commonmode.app.discovery import discover_models
from commonmode.app.study.schema import ModelSettings
from commonmode.core.errors import CommonmodeError, ConfigurationError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.register.cards import Card, ComponentUse, Layer, Materiality, ModelFamily
from commonmode.register.model import Model, RiskModel, SurfaceModel
from commonmode.register.signal import SignalModel

__all__ = ["StudyModels", "build_models"]

M = TypeVar("M", RiskModel, SurfaceModel, SignalModel)


@dataclass(frozen=True, slots=True)
class StudyModels:
    """Models by family, in the study's order, and everybody's card.

    Attributes
    ----------
    risk : tuple of RiskModel
    surface : tuple of SurfaceModel
    signal : tuple of SignalModel
        Trading strategies.
    cards : tuple of Card
        With the study's own words merged into the model's.
    """

    risk: tuple[RiskModel, ...]
    surface: tuple[SurfaceModel, ...]
    signal: tuple[SignalModel, ...]
    cards: tuple[Card, ...]

    def pick_risk(self, names: Sequence[str]) -> tuple[RiskModel, ...]:
        """Risk models named, or all of them.

        Raises
        ------
        ConfigurationError
            One of them is no risk model, or there is none.
        """
        return _pick(self.risk, names, "risk")

    def pick_surface(self, names: Sequence[str]) -> tuple[SurfaceModel, ...]:
        """Surface models named, or all of them; raises as :meth:`pick_risk`."""
        return _pick(self.surface, names, "surface")

    def pick_signal(self, names: Sequence[str]) -> tuple[SignalModel, ...]:
        """Strategies named, or all of them; raises as :meth:`pick_risk`."""
        return _pick(self.signal, names, "signal")


def _pick(models: tuple[M, ...], names: Sequence[str], family: str) -> tuple[M, ...]:
    known = [model.id for model in models]
    if not known:
        raise ConfigurationError(
            f"the study has no {family} models",
            remedy="add a [[models]] section; the command `commonmode models` lists the types",
        )
    strange = [name for name in names if name not in known]
    if strange:
        raise ConfigurationError(
            f"{', '.join(strange)}: not among the {family} models of the study",
            remedy=f"its {family} models are: {', '.join(known)}",
        )
    return tuple(model for model in models if not names or model.id in names)


def build_models(settings: Sequence[ModelSettings], folder: Path) -> StudyModels:
    """Build every model of a study.

    Parameters
    ----------
    settings : sequence of ModelSettings
    folder : Path
        Paths in the settings are relative to it.

    Raises
    ------
    ConfigurationError
        Unknown type (with the nearest one), or options that the type does not take.
    """
    found = discover_models()
    risk: list[RiskModel] = []
    surface: list[SurfaceModel] = []
    signal: list[SignalModel] = []
    cards: list[Card] = []
    for one in settings:
        model = _construct(found.constructor(one.type), one, folder)
        cards.append(_card(model.card, one))
        if isinstance(model, SurfaceModel) and model.card.family is ModelFamily.SURFACE:
            surface.append(model)
        elif isinstance(model, SignalModel) and model.card.family is ModelFamily.SIGNAL:
            signal.append(model)
        elif isinstance(model, RiskModel):
            risk.append(model)
        else:
            raise ConfigurationError(
                f"model {one.id}: type {one.type!r} is no surface model, risk model or strategy",
                remedy="a model has id, card, requires and calibrate; see docs/models.md",
            )
    return StudyModels(tuple(risk), tuple(surface), tuple(signal), tuple(cards))


def _construct(constructor: Any, one: ModelSettings, folder: Path) -> Model:
    parameters = inspect.signature(constructor).parameters
    options: dict[str, Any] = dict(one.options)
    options["id" if "id" in parameters else "name"] = (
        ModelId(one.id) if "id" in parameters else one.id
    )
    needs = parameters.get("recorded")
    if needs is not None and needs.default is inspect.Parameter.empty and not one.forecasts:
        raise ConfigurationError(
            f"model {one.id}: type {one.type!r} answers from a file of forecasts, and names none",
            remedy='add forecasts = "FILE.csv" beside type (docs/models.md has its columns)',
        )
    if one.forecasts and needs is None:
        raise ConfigurationError(
            f"model {one.id}: type {one.type!r} takes no file of forecasts",
            remedy='leave forecasts out, or use type = "black-box"',
        )
    if one.forecasts:
        from commonmode.adapters.store.forecasts import read_forecasts

        options["recorded"] = read_forecasts(folder / one.forecasts)
    unknown = [name for name in options if name not in parameters]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = [name for name in parameters if name not in ("id", "name", "recorded", "declared")]
        raise ConfigurationError(
            f"model {one.id}: type {one.type!r} has no option {', '.join(unknown)}",
            remedy=f"its options are: {', '.join(known)}",
        )
    try:
        model: Model = constructor(**options)
    except CommonmodeError as error:
        raise ConfigurationError(f"model {one.id}: {error.message}", remedy=error.remedy) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"model {one.id}: {error}", remedy=f"check the options of type {one.type!r}"
        ) from error
    return model


def _card(own: Card, one: ModelSettings) -> Card:
    """The model's own card, with what the study says added or put in its place."""
    parts = list(own.components)
    for layer_name, components in one.components.items():
        layer = Layer(layer_name)
        parts = [part for part in parts if part.layer is not layer]
        parts += [ComponentUse(ComponentId(c), layer, w) for c, w in components.items()]
    changes: Mapping[str, Any] = {
        "owner": one.owner or own.owner,
        "purpose": one.purpose or own.purpose,
        "jurisdiction": one.jurisdiction or own.jurisdiction,
        "audit": one.audit or own.audit,
        "materiality": Materiality(one.materiality) if one.materiality else own.materiality,
        "components": tuple(parts),
    }
    return replace(own, model=ModelId(one.id), **changes)
