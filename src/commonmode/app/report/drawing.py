"""What all pictures of the report have in common: layout, colours, and text of users made safe.

A colour is written ``var(--name)``; the page's script puts the reader's light or dark colour in its
place. Names come from users, so every text is escaped: Plotly reads a subset of HTML.
"""

from __future__ import annotations

from typing import Any

from markupsafe import escape

from commonmode.app.report.words import clean

__all__ = ["MODEL_COLOURS", "Figure", "base", "short", "subplot", "subplot_title", "text"]

Figure = dict[str, Any]

MODEL_COLOURS = (
    "var(--layer-data)",
    "var(--layer-code)",
    "var(--layer-technique)",
    "var(--layer-calibration)",
    "var(--layer-assumption)",
    "var(--layer-vendor)",
    "var(--muted)",
)


def text(value: object) -> str:
    """User text for a Plotly label."""
    return str(escape(clean(value)))


def short(value: object, most: int = 34) -> str:
    """User text for a label that has little room; head and tail stay, for both tell names apart."""
    whole = clean(value)
    if len(whole) > most:
        tail = most // 3
        whole = f"{whole[: most - tail - 1]}…{whole[-tail:]}"
    return text(whole)


def base(height: int, **layout: Any) -> dict[str, Any]:
    """Layout of a figure of so many pixels; anything given replaces the default."""
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "showlegend": False,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "hoverlabel": {"align": "left"},
        **layout,
    }


def subplot(place: int) -> tuple[str, dict[str, str]]:
    """Name of a subplot's axes in a layout, and in a trace."""
    tail = "" if place == 0 else str(place + 1)
    return tail, {"xaxis": f"x{tail}", "yaxis": f"y{tail}"}


def subplot_title(title: str, tail: str, *, y: float = 1.03) -> dict[str, Any]:
    """A title above a subplot, ``y`` in heights of it."""
    return {
        "text": title,
        "xref": f"x{tail} domain",
        "yref": f"y{tail} domain",
        "x": 0.5,
        "y": y,
        "yanchor": "bottom",
        "showarrow": False,
    }
