"""Names of every look: those at a panel, and those that need the study's models or data.

A leaf, so that the study file can check names without importing what computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from commonmode.converge.further import LOOKS
from commonmode.core.errors import ConfigurationError

__all__ = [
    "NEEDED_PANELS",
    "STUDY_LOOKS",
    "chosen_study_looks",
    "needed_families",
    "needs_people",
]

NEEDED_PANELS: Final[dict[str, tuple[str, ...]]] = {
    "interventions": ("risk",),
    "passports": ("risk",),
    "cadence": (),
    "strategies": ("risk", "signal"),
    "model-risk": (),
    "hedging": (),
}
"""Looks that need a study, each with the families of panels that have to be built for it."""

_NEED_PEOPLE: Final[frozenset[str]] = frozenset({"strategies", "model-risk", "hedging"})

STUDY_LOOKS: Final = tuple(NEEDED_PANELS)
"""In the order in which they are computed and shown."""


def chosen_study_looks(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Looks at panels and looks at the study that these names stand for, each once, in order.

    Parameters
    ----------
    names : sequence of str
        ``"all"`` stands for all of both.

    Raises
    ------
    ConfigurationError
        A name that is none.
    """
    known = (*LOOKS, *STUDY_LOOKS)
    unknown = [name for name in names if name not in (*known, "all")]
    if unknown:
        raise ConfigurationError(
            f"there is no look called {unknown[0]!r}",
            remedy=f"use one of {', '.join(known)}, or all",
        )
    wanted = known if "all" in names else tuple(names)
    return (
        tuple(name for name in LOOKS if name in wanted),
        tuple(name for name in STUDY_LOOKS if name in wanted),
    )


def needed_families(names: Sequence[str]) -> frozenset[str]:
    """Families of panels that have to be built for these looks alone; every one for a panel's."""
    at_panels, at_study = chosen_study_looks(names)
    if at_panels:
        return frozenset({"risk", "surface", "signal", "world"})
    return frozenset(family for name in at_study for family in NEEDED_PANELS[name])


def needs_people(names: Sequence[str]) -> bool:
    """Whether one of these looks reads the population's books."""
    return bool(_NEED_PEOPLE & set(names))
