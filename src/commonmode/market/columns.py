"""Messages about tables with wrong columns: what was expected, what was found, what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["describe_missing", "nearest"]


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that looks most like ``name``, or None where nothing comes near."""
    by_fold = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def describe_missing(missing: Sequence[str], found: Sequence[str]) -> str:
    """``'level' (did you mean 'levl'?); found: …`` for an error message."""
    parts = []
    for name in missing:
        guess = nearest(name, found)
        parts.append(f"{name!r}" + (f" (is it {guess!r}?)" if guess else ""))
    return f"missing {', '.join(parts)}; found: {', '.join(found) or 'no columns'}"
