"""Names of the components that risk models declare on their cards, written once.

Two models share a component when the names are equal, so the names are made here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from commonmode.core.ids import ComponentId, ModelId
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily

__all__ = [
    "NAMED_BY_SETTINGS",
    "NUMPY_CODE",
    "SCIPY_CODE",
    "SPOT_CLOSE",
    "risk_card",
    "window_name",
]

#: An id that the model replaces by one made from its settings.
NAMED_BY_SETTINGS = ModelId("")

SPOT_CLOSE = "binance spot hourly close"
NUMPY_CODE = "commonmode forecast (numpy)"
SCIPY_CODE = "commonmode forecast (scipy)"

Parts = Iterable[str | tuple[str, float]]


def window_name(bars: int) -> str:
    """Name of the calibration window of ``bars`` hourly bars."""
    return f"{bars} h window"


def risk_card(
    model: ModelId,
    *,
    purpose: str,
    data: Parts = (),
    assumption: Parts = (),
    technique: Parts = (),
    calibration: Parts = (),
    vendor: Parts = (),
    code: Parts = (),
    owner: str = "",
) -> Card:
    """The card of a risk model from the names of its parts, one argument per layer.

    Parameters
    ----------
    model : ModelId
    purpose, owner : str
    data, assumption, technique, calibration, vendor, code : iterable of str or (str, float)
        Component names; a bare name has weight 1, a pair carries its weight in (0, 1].
    """
    layers: dict[Layer, Parts] = {
        Layer.DATA: data,
        Layer.ASSUMPTION: assumption,
        Layer.TECHNIQUE: technique,
        Layer.CALIBRATION: calibration,
        Layer.VENDOR: vendor,
        Layer.CODE: code,
    }
    uses: list[ComponentUse] = []
    for layer, parts in layers.items():
        for part in parts:
            name, weight = (part, 1.0) if isinstance(part, str) else part
            uses.append(ComponentUse(ComponentId(name), layer, weight))
    return Card(
        model=model,
        family=ModelFamily.RISK,
        owner=owner or "commonmode built-in",
        purpose=purpose,
        components=tuple(uses),
    )
