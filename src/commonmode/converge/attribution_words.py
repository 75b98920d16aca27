"""C4 in words: what to take apart, or why nothing can be named and what it would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from commonmode.converge.attribution_result import Attributed, AttributionResult
    from commonmode.converge.groups import GroupContrast

__all__ = ["attribution_sentence"]

# Of the largest loading; a model below it shares less than a tenth as much variance as the first.
_LEAST_LOADING: Final = 0.3
# A part first in fewer resamples is no rival for first place.
_LEAST_SHARE: Final = 0.05
# Beyond so many times the history nobody will wait for it.
_LONGEST: Final = 100.0


def attribution_sentence(result: AttributionResult) -> str:
    """What was found, with its numbers and what to do, or what it would take to say more.

    Parameters
    ----------
    result : AttributionResult
    """
    if not result.components and not result.undeclared:
        return "No model's card names a part that another uses: there is nothing to attribute."
    if result.advised:
        parts = [_advice(result)]
    elif result.causes:
        parts = [_doubt(result)]
    else:
        parts = [_nothing(result)]
    parts += [
        f"{', '.join(group.group.members)} move together beyond every declared cause "
        f"(adjusted p {group.p_adjusted:.3g}): ask what they share that no card names."
        for group in result.undeclared[:1]
    ]
    return " ".join([*parts, *_of_bias(result)])


def _advice(result: AttributionResult) -> str:
    cause, *others = result.advised
    stands = (
        f"{cause.group.name}{_tied(cause)} is the likeliest cause: its {_excess(cause)} "
        f"(adjusted p {cause.p_value:.3g}; first in {_percent(cause.first_share)} of resamples)."
        f"{_bystanders(cause)}"
    )
    if not others:
        return f"{stands} Take it apart first."
    named = " and ".join(f"{one.group.name} ({_percent(one.first_share)})" for one in others)
    return f"{stands} {named} stands beside it: take them apart first, in either order."


def _doubt(result: AttributionResult) -> str:
    """A part stands by its test, and the resamples put another first."""
    cause = result.causes[0]
    rivals = sorted(
        (one for one in result.components if one is not cause and one.first_share >= _LEAST_SHARE),
        key=lambda one: -one.first_share,
    )[:2]
    names = " or ".join(f"{one.group.name} ({_percent(one.first_share)})" for one in rivals)
    first = f", {names} is" if len(rivals) == 1 else f", {names} are" if rivals else ""
    apart = " or ".join([cause.group.name, *(one.group.name for one in rivals)])
    return (
        f"Something that the users of {cause.group.name}{_tied(cause)} share moves them: they have "
        f"{cause.deviation.estimate:+.2f} more co-movement than each has with everybody (adjusted "
        f"p {cause.p_value:.3g}). But it comes first in only {_percent(cause.first_share)} of "
        f"resamples{first}: which part is behind it cannot be told, and none is named. "
        f"{_between(cause, rivals)}To decide it takes models that use one of {apart} and none of "
        f"the others, beside these {result.models}."
    )


def _between(cause: Attributed, rivals: list[Attributed]) -> str:
    """Users that the parts have in common."""
    if not rivals:
        return ""
    common = set(cause.group.members).intersection(*(one.group.members for one in rivals))
    both = [model for model in cause.group.members if model in common]
    if not both:
        return "They have no user in common. "
    return f"All of them are used by {', '.join(both)}. "


def _nothing(result: AttributionResult) -> str:
    level = f"{100 * result.alpha:g} %"
    if not result.components:
        return "No model's card names a part that another uses."
    none = f"None of {len(result.components)} declared components is a cause at {level}."
    nearest = result.components[0]
    found = nearest.deviation
    if not found.estimate > 0.0:
        return none
    if not found.identified:
        return (
            f"{none} {nearest.group.name} fits best and cannot be judged: among {result.models} "
            "models too few pairs are without it. It takes more models that do not use it."
        )
    return (
        f"{none} {nearest.group.name} fits best (first in {_percent(nearest.first_share)} of "
        f"resamples): its {_excess(nearest)}, but that may be chance (adjusted p "
        f"{nearest.p_value:.2g}). {_needed(found, result)}"
    )


def _needed(found: GroupContrast, result: AttributionResult) -> str:
    """How much longer a history would find an excess of this size, where any would."""
    models = f"models, with it and without, beside these {result.models}"
    if found.p_adjusted <= result.alpha:
        # Significant, and so explained by a part that ranks higher or on its own no cause.
        return f"To tell it from the others takes further {models}."
    sampling = found.standard_error**2 - found.between_pairs**2
    room = (found.estimate / result.critical) ** 2 - found.between_pairs**2
    times = sampling / room if room > 0.0 else math.inf
    if not 1.0 < times <= _LONGEST:
        return (
            "A longer history would not settle it: pairs that share no such part are as unlike "
            f"one another. It takes further {models}."
        )
    return (
        f"An excess of this size is found in half of all histories {times:.1f} times as long, or "
        f"with further {models}."
    )


def _of_bias(result: AttributionResult) -> list[str]:
    layer = result.bias_layer
    if layer is None:
        return []
    p, slope = layer.regression.p_greater[0], layer.regression.coefficient[0]
    if not p <= result.alpha:
        return []
    return [
        f"Models that are biased alike move together ({slope:+.2f} from no likeness to full, "
        f"p {p:.2g}), beyond what their cards share: a bias they share is a cause of its own."
    ]


def _excess(one: Attributed) -> str:
    return (
        f"{len(one.group.members)} users have {one.deviation.estimate:+.2f} more co-movement than "
        "each has with everybody"
    )


def _tied(cause: Attributed) -> str:
    tied = cause.deviation.confounded_with
    return f" (or {', '.join(tied)}: no data can tell them apart)" if tied else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


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
