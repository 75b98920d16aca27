"""C4 in words: what to take apart, or why nothing can be named and what it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
        return "No model's card names a part that another uses: there is nothing to attribute."
    if result.advised is not None:
        parts = [_advice(result.advised)]
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


def _advice(cause: Attributed) -> str:
    return (
        f"{cause.group.name}{_tied(cause)} is the likeliest cause: its {_excess(cause)} "
        f"(adjusted p {cause.p_value:.3g}; ahead of every part that overlaps it in "
        f"{_percent(cause.ahead_share)} of resamples).{_bystanders(cause)} Take it apart first."
    )


def _doubt(result: AttributionResult) -> str:
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
    return (
        f"{cause.group.name}{_tied(cause)}: its {_excess(cause)} (adjusted p "
        f"{cause.p_value:.3g}), but which part is behind it cannot be told, and none is to be "
        f"taken apart on this: it fits better than {' and '.join(names)} in only "
        f"{_percent(cause.ahead_share)} of resamples, and they overlap ({'; '.join(users)}). "
        f"To decide it takes models that use one of them and none of the others, beside these "
        f"{result.models}."
    )


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
        f"resamples): its {_excess(nearest)}, but that cannot be told from chance, or from what "
        f"pairs without it have (adjusted p {nearest.p_value:.2g}). {_needed(found, result)}"
    )


def _needed(found: GroupContrast, result: AttributionResult) -> str:
    """How much longer a history would find an excess of this size, where any would."""
    models = f"models, with it and without, beside these {result.models}"
    if found.p_adjusted <= result.alpha:
        # Significant, and so explained by a part that ranks higher or on its own no cause.
        return f"To tell it from the others takes further {models}."
    sampling = found.standard_error**2 - found.between_pairs**2
    room = (found.estimate / result.critical) ** 2 - found.between_pairs**2
    if not room > 0.0:
        return (
            "A longer history would not settle it: pairs that share no such part are as unlike "
            f"one another. It takes further {models}."
        )
    times = sampling / room
    if times > _LONGEST:
        return f"No history that anyone will see settles so small an excess; further {models} may."
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
