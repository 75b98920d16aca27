"""Model cards: what a model is made of, in six layers, with weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId, ModelId

__all__ = ["Card", "ComponentUse", "Layer", "Materiality", "ModelFamily"]


class Layer(Enum):
    """The six layers in which models can share a part."""

    DATA = "data"
    ASSUMPTION = "assumption"
    TECHNIQUE = "technique"
    CALIBRATION = "calibration"
    VENDOR = "vendor"
    CODE = "code"


class Materiality(Enum):
    """How much hangs on the model, by its owner's own tiering."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ModelFamily(Enum):
    """What a model forecasts: the family of error panels it enters."""

    SURFACE = "surface"
    RISK = "risk"
    MARGIN = "margin"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class ComponentUse:
    """A model uses component ``component`` of ``layer`` with ``weight`` in (0, 1]."""

    component: ComponentId
    layer: Layer
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the weight."""
        if not 0.0 < self.weight <= 1.0:
            raise ConfigurationError(
                f"component {self.component}: weight {self.weight} is not in (0, 1]",
                remedy="1 means the model rests on the component wholly; leave unused ones out",
            )


@dataclass(frozen=True, slots=True)
class Card:
    """What is declared about a model; checked by the indices, not trusted.

    Attributes
    ----------
    model : ModelId
    family : ModelFamily
    owner, purpose : str
    materiality : Materiality
    jurisdiction, audit : str
        Where the owner is regulated and who audited the model; "" when undeclared.
    components : tuple of ComponentUse
    """

    model: ModelId
    family: ModelFamily
    owner: str = ""
    purpose: str = ""
    materiality: Materiality = Materiality.MEDIUM
    jurisdiction: str = ""
    audit: str = ""
    components: tuple[ComponentUse, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check that no component is named twice in a layer."""
        keys = [(use.layer, use.component) for use in self.components]
        if len(keys) != len(set(keys)):
            raise ConfigurationError(
                f"card of {self.model} names a component twice in one layer",
                remedy="merge the two entries and add up their weights (at most 1)",
            )
