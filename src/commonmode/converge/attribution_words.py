"""C4 in words: what to take apart, or why nothing can be named and what it would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from commonmode.converge.finding import FOUND, between
from commonmode.stats.detectable import detectable_effect

if TYPE_CHECKING:
    from commonmode.converge.attribution_result import Attributed, AttributionResult
    from commonmode.converge.groups import GroupContrast

__all__ = ["attribution_sentence"]

# Of the largest loading; a model below it shares less than a tenth as much variance as the first.
_LEAST_LOADING: Final = 0.3
# Rivals that are named.
_MOST_RIVALS: Final = 2
# Beyond so many times the history nobody will wait for it.
_LONGEST: Final = 100.0


def attribution_sentence(result: AttributionResult) -> str:
    """What was found, with its numbers and what to do, or what it would take to say more.

    Parameters
    ----------
    result : AttributionResult
    """
    if not result.components and not result.undeclared:
        return (
            "No model's card names a part that another uses: there is nothing to attribute, so no "
            "interval and no detectable effect. What to do: complete the cards."
        )
    if result.advised is not None:
        said, todo = _advice(result.advised, result)
    elif result.causes:
        said, todo = _doubt(result)
    else:
        said, todo = _nothing(result)
    parts, advice = [said], [todo] * bool(todo)
    for group in result.undeclared[:1]:
        low, high = group.interval
        parts.append(
            f"{', '.join(group.group.members)} move together beyond every declared cause "
            f"({group.estimate:+.2f}, {between(low, high, '+.2f')}; adjusted p "
            f"{group.p_adjusted:.3g})."
        )
        advice.append("ask what they share that no card names")
    parts += _of_bias(result)
    if not advice:
        advice = ["nothing; smaller excesses would not have been seen"]
    return f"{' '.join(parts)} What to do: {'; '.join(advice)}."


def _advice(cause: Attributed, result: AttributionResult) -> tuple[str, str]:
    said = (
        f"{cause.group.name}{_tied(cause)} is the likeliest cause: its {_excess(cause)} "
        f"({_interval(cause)}; adjusted p {cause.p_value:.3g}; {_detectable(cause, result)}; ahead "
        f"of every part that overlaps it in {_percent(cause.ahead_share)} of "
        f"resamples).{_bystanders(cause)}"
    )
    return said, "take it apart first"


def _doubt(result: AttributionResult) -> tuple[str, str]:
    """A part stands by its test, and another that overlaps it fits better."""
    cause = result.causes[0]
    mine = set(cause.group.members)
    rivals = sorted(
        (one for one in result.components if len(mine & set(one.group.members)) >= 2),
        key=lambda one: -one.first_share,
    )
    rivals = [one for one in rivals if one is not cause][:_MOST_RIVALS]
    names = [one.group.name for one in rivals]
    users = [f"{one.group.name} by {', '.join(one.group.members)}" for one in (cause, *rivals)]
    said = (
        f"{cause.group.name}{_tied(cause)}: its {_excess(cause)} ({_interval(cause)}; adjusted p "
        f"{cause.p_value:.3g}; {_detectable(cause, result)}), but which part is behind it cannot "
        f"be told, and none is to be taken apart on this: it fits better than "
        f"{' and '.join(names)} in only {_percent(cause.ahead_share)} of resamples, and they "
        f"overlap ({'; '.join(users)})."
    )
    todo = (
        f"add models that use one of them and none of the others, beside these {result.models}, "
        "to decide it"
    )
    return said, todo


def _nothing(result: AttributionResult) -> tuple[str, str]:
    level = f"{100 * result.alpha:g} %"
    if not result.components:
        return "No model's card names a part that another uses.", ""
    none = f"None of {len(result.components)} declared components is a cause at {level}"
    nearest = result.components[0]
    found = nearest.deviation
    if not found.identified:
        said = (
            f"{none}. {nearest.group.name} fits best and cannot be judged: among {result.models} "
            "models too few pairs are without it, so there is no interval and no detectable effect."
        )
        return said, "add models that do not use it"
    if not found.estimate > 0.0:
        return (
            f"{none}: no users move together more than others (at most {found.estimate:+.2f}, "
            f"{_interval(nearest)}; {_detectable(nearest, result)})."
        ), ""
    needed, todo = _needed(found, result)
    said = (
        f"{none}. {nearest.group.name} fits best (first in {_percent(nearest.first_share)} of "
        f"resamples): its {_excess(nearest)} ({_interval(nearest)}), but that cannot be told from "
        f"chance, or from what pairs without it have (adjusted p {nearest.p_value:.2g}; "
        f"{_detectable(nearest, result)}). {needed}"
    )
    return said.rstrip(), todo


def _needed(found: GroupContrast, result: AttributionResult) -> tuple[str, str]:
    """How much longer a history would find an excess of this size, where any would."""
    models = f"models, with it and without, beside these {result.models}"
    if found.p_adjusted <= result.alpha:
        # Significant, and so explained by a part that ranks higher or on its own no cause.
        return "", f"tell it from the others by further {models}"
    sampling = found.standard_error**2 - found.between_pairs**2
    room = (found.estimate / result.critical) ** 2 - found.between_pairs**2
    if not room > 0.0:
        return (
            "A longer history would not settle it: pairs that share no such part are as unlike one "
            "another.",
            f"judge it again with further {models}",
        )
    times = sampling / room
    if times > _LONGEST:
        return (
            "No history that anyone will see settles so small an excess.",
            f"judge it again with further {models}",
        )
    return (
        f"An excess of this size is found in half of all histories {times:.1f} times as long.",
        f"judge it again with such a history, or with further {models}",
    )


def _detectable(one: Attributed, result: AttributionResult) -> str:
    """Excess of the part that its test would have found."""
    found = one.deviation
    size = float("inf")
    if found.blocks > 1 and math.isfinite(result.critical):
        size = detectable_effect(result.critical, found.blocks) * found.centred_error
    return f"an excess of {size:.2f} {FOUND}" if size < 1.0 else "no excess could have been found"


def _interval(one: Attributed) -> str:
    return between(*one.deviation.interval, "+.2f")


def _of_bias(result: AttributionResult) -> list[str]:
    layer = result.bias_layer
    if layer is None:
        return []
    p, slope = layer.regression.p_greater[0], layer.regression.coefficient[0]
    if not p <= result.alpha:
        return []
    return [
        f"Models that are biased alike move together ({slope:+.2f} from no likeness to full, "
        f"p {p:.2g}), beyond what their cards share: a bias they share may be a cause of its own."
    ]


def _excess(one: Attributed) -> str:
    return (
        f"{len(one.group.members)} users have {one.deviation.estimate:+.2f} more co-movement than "
        "each has with everybody and than a factor common to all would give them"
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
