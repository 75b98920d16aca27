"""The picture of the look *interventions*: what moved, beside what the cards declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from commonmode.app.report.drawing import Figure, text
from commonmode.app.report.grid_figures import grid_layout
from commonmode.app.report.ordering import LAYERS
from commonmode.app.report.words import number

__all__ = ["intervention_pictures"]

_ROW: Final = 30
_LARGEST: Final = 20.0
_RING: Final = 24.0
_MOST_MODELS: Final = 40
_WRONG: Final = ("moves but is not declared", "declared but does not move")


def intervention_pictures(look: Mapping[str, Any]) -> list[tuple[str, Figure, str]]:
    """One grid of models and parts for each family of models.

    A disc is the measured use, a ring the declared one: a ring without a disc, or a disc without a
    ring, is where card and model disagree.
    """
    table = next(one for one in look["tables"] if one["name"] == "uses")
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    pictures = []
    for place, family in enumerate(dict.fromkeys(row["family"] for row in rows)):
        mine = [row for row in rows if row["family"] == family]
        drawn, left = _most(mine)
        caption = (
            f"{family.capitalize()}: a disc is how far the model moved when the part was changed, "
            "against the model that moved most; a ring says that its card declares the part. A "
            "disc without a ring or a ring without a disc is a card that is wrong (framed), if the "
            "move is large enough for a card to declare. Parts without any ring are probes of "
            "memory and listing, which no card names."
        )
        if left:
            caption += f" {left} models that agree with their cards are not drawn."
        pictures.append((f"interventions-{place + 1}", _grid(drawn), caption))
    return pictures


def _most(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Rows of at most 40 models, those that disagree with their cards first."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    if len(models) <= _MOST_MODELS:
        return list(rows), 0
    wrong = {row["model"] for row in rows if row["verdict"] in _WRONG}
    kept = sorted(models, key=lambda model: model not in wrong)[:_MOST_MODELS]
    return [row for row in rows if row["model"] in set(kept)], len(models) - len(kept)


def _grid(rows: Sequence[Mapping[str, Any]]) -> Figure:
    models = list(dict.fromkeys(row["model"] for row in rows))
    parts = sorted(
        dict.fromkeys((row["layer"], row["part"]) for row in rows),
        key=lambda part: LAYERS.index(part[0]),
    )
    across = {part: i for i, part in enumerate(parts)}
    down = {model: i for i, model in enumerate(models)}

    def at(chosen: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
        return {
            "x": [across[row["layer"], row["part"]] for row in chosen],
            "y": [down[row["model"]] for row in chosen],
        }

    data: list[dict[str, Any]] = []
    rings = [row for row in rows if row["declared"]]
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "declared",
            **at(rings),
            "hoverinfo": "skip",
            "marker": {
                "symbol": "circle-open",
                "size": _RING,
                "color": "var(--muted)",
                "line": {"width": 1.5},
            },
        }
    )
    for layer in LAYERS:
        mine = [row for row in rows if row["layer"] == layer]
        if mine:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": layer,
                    **at(mine),
                    "hovertext": [_hover(row) for row in mine],
                    "hoverinfo": "text",
                    "marker": {
                        "size": [_size(row["measured"]) for row in mine],
                        "color": f"var(--layer-{layer})",
                        "opacity": 1,
                        "line": {"width": 0},
                    },
                }
            )
    wrong = [row for row in rows if row["verdict"] in _WRONG]
    if wrong:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "card and model disagree",
                **at(wrong),
                "hovertext": [_hover(row) for row in wrong],
                "hoverinfo": "text",
                "marker": {
                    "symbol": "square-open",
                    "size": _RING + 5,
                    "color": "var(--alert)",
                    "line": {"width": 2},
                },
            }
        )
    layout = grid_layout(
        [part for _, part in parts],
        models,
        height=_ROW * len(models) + 170,
        margin={"l": 170, "r": 60, "t": 10, "b": 160},
        longest=22,
    )
    return {"data": data, "layout": layout}


def _size(measured: float) -> float:
    """Area by measured use; what moved at all stays visible."""
    return max(_LARGEST * measured**0.5, 4.0) if measured > 0 else 0.0


def _hover(row: Mapping[str, Any]) -> str:
    return (
        f"{text(row['model'])}: {text(row['part'])} ({row['layer']})<br>measured "
        f"{number(row['measured'])}, declared {number(row['declared'])}<br>{row['verdict']}"
    )
