"""C4 in tables: how sure each part's place is, which layer matters, what no card names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, joined, number, p_value, percent

__all__ = ["cause_table", "layer_table", "undeclared_words"]


def cause_table(c4: Mapping[str, Any]) -> Table | None:
    """Declared parts by how likely each is the cause."""
    if c4["status"] != "ok" or not c4["components"]:
        return None
    causes = frozenset(k for k, one in enumerate(c4["components"]) if one["is_cause"])
    rows = tuple(
        (
            " + ".join(f"{clean(name)} ({layer})" for layer, name in one["components"]),
            joined(one["members"], 8),
            "yes" if one["is_cause"] else "no",
            p_value(one["p_value"]),
            percent(one["first_share"]),
            # Evidence written before this figure was published has none.
            percent(one["ahead_share"]) if "ahead_share" in one else "",
            f"{one['ranks'][0]} to {one['ranks'][1]}",
        )
        for one in c4["components"]
    )
    return Table(
        "How sure the ranking is. A cause is significant in moving together after adjusting for "
        "all parts, can be told from the others, and is not explained by one that ranks higher. "
        "Share first and range of ranks: over resampled blocks of time. Ahead: of every part that "
        "shares two or more of its users; a cause is advised only where that is more than half.",
        ("Part", "Used by", "A cause", "p, adjusted", "First in", "Ahead in", "Rank, 90 %"),
        rows,
        numeric=(3, 4, 5, 6),
        strong=causes,
    )


def layer_table(c4: Mapping[str, Any]) -> Table | None:
    """Coefficients of the layers' similarity on moving, and failing, together."""
    if c4["status"] != "ok":
        return None
    fits = [one for one in c4["layers"] if one["status"] == "ok"]
    rows = tuple(
        (
            layer["layer"],
            fit["graph"],
            "moving together" if fit["response"] == "deviation" else "failing together",
            number(layer["coefficient"]),
            p_value(layer["p_greater"]),
        )
        for fit in fits
        for layer in fit["layers"]
    )
    if not rows:
        return None
    return Table(
        "Does similarity in a layer go with moving or failing together? Regression over pairs of "
        "models on all layers at once, p by permuting the models (one-sided). A dash: the layer is "
        "the same for all pairs, or follows from the others. With few models only strong effects "
        "show.",
        ("Layer", "Graph", "Of", "Per unit of similarity", "p"),
        rows,
        numeric=(3, 4),
    )


def undeclared_words(c4: Mapping[str, Any]) -> list[str]:
    """Groups that no card explains, in words."""
    if c4["status"] != "ok":
        return []
    return [
        f"{joined(one['members'], 8)}: {number(one['estimate'])} more than each has with everybody "
        f"(adjusted p {p_value(one['p_adjusted'])})"
        for one in c4["undeclared"]
    ]
