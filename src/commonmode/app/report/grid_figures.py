"""Grids of marks: names down, names across, tilted so that they can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from commonmode.app.report.drawing import base, short

__all__ = ["grid_layout"]

_ACROSS: Final = 30  # characters of a tilted name


def grid_layout(
    across: Sequence[str],
    down: Sequence[str],
    *,
    height: int,
    margin: Mapping[str, int],
    longest: int,
) -> dict[str, Any]:
    """Layout of marks at whole numbers: column i is ``across[i]``, row i from the top ``down[i]``.

    Parameters
    ----------
    across, down : sequence of str
    height : int
        Pixels.
    margin : mapping of str to int
        Pixels on each side: l, r, t, b.
    longest : int
        Characters of a row's name.
    """

    def axis(names: Sequence[str], most: int, ends: tuple[float, float]) -> dict[str, Any]:
        return {
            "tickvals": list(range(len(names))),
            "ticktext": [short(name, most) for name in names],
            "range": list(ends),
            "fixedrange": True,
            "zeroline": False,
            "gridcolor": "var(--line)",
        }

    return base(
        height,
        margin=dict(margin),
        xaxis={**axis(across, _ACROSS, (-0.6, len(across) - 0.4)), "tickangle": -40},
        yaxis=axis(down, longest, (len(down) - 0.4, -0.6)),
        hovermode="closest",
    )
