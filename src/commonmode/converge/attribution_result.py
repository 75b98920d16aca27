"""What C4 found: causes with their uncertainty, layers, groups no card explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from commonmode.converge.groups import Group, GroupContrast
from commonmode.core.result import Result
from commonmode.stats.qap import MrqapResult

__all__ = ["Attributed", "AttributionResult", "LayerRegression"]


# Of the largest loading; a model below it shares less than a tenth as much variance as the first.
_LEAST_LOADING: Final = 0.3


@dataclass(frozen=True, slots=True)
class Attributed:
    """One declared component (or several with the same users) as a cause.

    Attributes
    ----------
    group : Group
    deviation : GroupContrast
        Its excess of co-movement.
    cofailure : GroupContrast or None
        Its excess of co-failure; None where that index could not be computed.
    p_value : float
        Of the excess of co-movement, adjusted for all components. Co-failure stands beside it and
        decides nothing: its contrasts are too often significant where an unlisted factor acts.
    first_share : float
        Part of the resamples of blocks in which it ranks first: how sure its place is.
    rank_low, rank_high : int
        Ranks between which it lies in 90 % of the resamples.
    loadings : tuple of float
        Of the group's members: the factor whose products fit their pairs best. A member near 0
        names the part on its card and does not move with the others.
    is_cause : bool
        Significant, identified, and not explained by one that ranks higher.
    """

    group: Group
    deviation: GroupContrast
    cofailure: GroupContrast | None
    p_value: float
    first_share: float
    rank_low: int
    rank_high: int
    loadings: tuple[float, ...]
    is_cause: bool


@dataclass(frozen=True, slots=True, eq=False)
class LayerRegression:
    """One relation between models regressed on the similarity in every layer.

    Attributes
    ----------
    graph : str
        ``declared`` or ``interventional``.
    response : str
        ``deviation`` or ``co-failure``.
    regression : MrqapResult
        One coefficient per layer: correlation (or excess of co-failure) per unit of similarity.
    """

    graph: str
    response: str
    regression: MrqapResult


@dataclass(frozen=True, slots=True, eq=False)
class AttributionResult:
    """C4 of one panel.

    Attributes
    ----------
    components : tuple of Attributed
        Declared components, the likeliest cause first.
    undeclared : tuple of GroupContrast
        Groups of models that move together beyond every declared cause: a card is wrong or a part
        is missing from it. Disjoint; the strongest first. The figures are those of the pair or
        triple that shows it best, grown by the models that move with each of its members.
    layers : tuple of LayerRegression or Failure
    alpha : float
    """

    components: tuple[Attributed, ...]
    undeclared: tuple[GroupContrast, ...]
    layers: tuple[Result[LayerRegression], ...]
    alpha: float

    @property
    def causes(self) -> tuple[Attributed, ...]:
        """Components that stand as causes, first one first."""
        return tuple(one for one in self.components if one.is_cause)

    @property
    def sentence(self) -> str:
        """What was found, with its numbers and what to do."""
        if not self.components and not self.undeclared:
            return "No model's card names a part that another uses: there is nothing to attribute."
        parts = []
        for cause in self.causes[:1]:
            contrast = cause.deviation
            tied = contrast.confounded_with
            same = f" (or {', '.join(tied)}: no data can tell them apart)" if tied else ""
            parts.append(
                f"{cause.group.name}{same} is the likeliest cause: its {len(cause.group.members)} "
                f"users have {contrast.estimate:+.2f} more co-movement than each has with "
                f"everybody (adjusted p {cause.p_value:.3g}; first in "
                f"{100 * cause.first_share:.0f} % of resamples).{_bystanders(cause)} "
                "Take it apart first."
            )
        if not self.causes:
            parts.append(
                f"None of {len(self.components)} declared components is a cause at "
                f"{100 * self.alpha:g} %."
            )
        parts += [
            f"{', '.join(group.group.members)} move together beyond every declared cause "
            f"(adjusted p {group.p_adjusted:.3g}): ask what they share that no card names."
            for group in self.undeclared[:1]
        ]
        return " ".join(parts)


def _bystanders(cause: Attributed) -> str:
    """Members whose cards name the part and that hardly rest on it, in words."""
    most = max(cause.loadings)
    apart = [
        member
        for member, loading in zip(cause.group.members, cause.loadings, strict=True)
        if loading < _LEAST_LOADING * most
    ]
    if not apart or len(cause.group.members) < 3:
        return ""
    verb = "names it and does" if len(apart) == 1 else "name it and do"
    return f" {', '.join(apart)} {verb} not move with the others: look at the card."
