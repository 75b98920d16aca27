"""What C4 found: causes with their uncertainty, layers, groups no card explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from commonmode.converge.attribution_words import attribution_sentence
from commonmode.converge.groups import Group, GroupContrast
from commonmode.core.result import Result, Success
from commonmode.stats.qap import MrqapResult

__all__ = ["BIAS", "INTERVENTIONAL", "Attributed", "AttributionResult", "LayerRegression"]


BIAS: Final = "bias"
"""Graph, and layer in it, of the alikeness of biases."""
INTERVENTIONAL: Final = "interventional"
"""Graph that was measured by perturbing parts."""
# More often than not.
_MOST_RESAMPLES: Final = 0.5


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
    ahead_share : float
        Part of the resamples in which it fits better than every part that shares two or more of
        its users: how sure it is this part and not one that overlaps it. 1 where none does.
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
    ahead_share: float
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
        ``declared``, ``interventional`` or ``bias``: alikeness of biases beside declared layers.
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
    critical : float
        Value of t that a component's excess must exceed, by the maximum of all; NaN without any.
    models : int
    """

    components: tuple[Attributed, ...]
    undeclared: tuple[GroupContrast, ...]
    layers: tuple[Result[LayerRegression], ...]
    alpha: float
    critical: float
    models: int

    @property
    def causes(self) -> tuple[Attributed, ...]:
        """Components that stand as causes, first one first."""
        return tuple(one for one in self.components if one.is_cause)

    @property
    def advised(self) -> Attributed | None:
        """The part to take apart first: the first cause that is sure enough, None without any.

        Its excess has to stand the test in the family of all parts, and in most resamples it has
        to fit better than every part whose users overlap with its own. Where it does not, the test
        and the fit name different parts for the same models' moving together, and the data do not
        say which one is right. A part that shares no pair of users with it explains other pairs,
        and is no rival.
        """
        sure = (one for one in self.causes if one.ahead_share > _MOST_RESAMPLES)
        return next(sure, None)

    @property
    def bias_layer(self) -> LayerRegression | None:
        """Co-movement on the alikeness of biases beside the declared layers, where computed."""
        for layer in self.layers:
            if isinstance(layer, Success):
                found = layer.value
                if found.graph == BIAS and found.response == "deviation":
                    return found
        return None

    @property
    def sentence(self) -> str:
        """What was found, with its numbers and what to do, or what it would take to say more."""
        return attribution_sentence(self)
