"""How the report writes numbers: rounded for reading only, and "unknown" where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from commonmode.core.words import usd as _usd

__all__ = [
    "UNKNOWN",
    "clean",
    "duration",
    "estimate",
    "interval",
    "joined",
    "moment",
    "number",
    "p_value",
    "percent",
    "period",
    "shares",
    "usd",
]

UNKNOWN = "unknown"


def clean(text: object) -> str:
    """Text without control characters: names are user input and must not steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def number(value: float | None, digits: int = 2) -> str:
    """Fixed decimals, thousands separated."""
    if value is None:
        return UNKNOWN
    rounded = f"{value:,.{digits}f}"
    # A rounded zero has no sign.
    return rounded.removeprefix("-") if not rounded.strip("-0.,") else rounded


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage: ``0.05`` is ``5 %``."""
    return UNKNOWN if value is None else f"{number(100 * value, digits)} %"


def usd(value: float | None) -> str:
    """US dollars in words: ``$1.2bn``."""
    return UNKNOWN if value is None else _usd(value)


def p_value(value: float | None) -> str:
    """Two digits, with a floor: smaller ones are not told apart by a few hundred sign flips."""
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def interval(bounds: Sequence[float | None] | None, digits: int = 2) -> str:
    """``low to high``; "" where there is none."""
    if bounds is None or None in bounds:
        return ""
    return f"{number(bounds[0], digits)} to {number(bounds[1], digits)}"


def estimate(value: float | None, bounds: Sequence[float | None] | None, digits: int = 2) -> str:
    """``value (low to high)``."""
    inside = interval(bounds, digits)
    return f"{number(value, digits)} ({inside})" if inside else number(value, digits)


def shares(part: dict[str, Any] | None) -> str:
    """A share with its interval in percent: ``8 % (6 to 10)``."""
    if part is None or part["value"] is None:
        return UNKNOWN
    inside = [None if part[k] is None else 100 * part[k] for k in ("low", "high")]
    text = interval(inside, 0)
    return f"{percent(part['value'])} ({text})" if text else percent(part["value"])


def moment(ms: int | None, *, clock: bool = True) -> str:
    """UTC date, with the time of day when asked for."""
    if ms is None:
        return UNKNOWN
    at = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC" if clock else f"{at:%Y-%m-%d}"


def period(first_ms: int | None, last_ms: int | None) -> str:
    """From date to date."""
    if first_ms is None or last_ms is None:
        return UNKNOWN
    if last_ms - first_ms < 7 * 86_400_000:
        return f"{moment(first_ms)} to {moment(last_ms)}"
    return f"{moment(first_ms, clock=False)} to {moment(last_ms, clock=False)}"


def duration(ms: int | None) -> str:
    """``1 hour``, ``30 minutes``."""
    if ms is None:
        return UNKNOWN
    for size, unit in ((3_600_000, "hour"), (60_000, "minute"), (1000, "second")):
        if ms % size == 0 and ms >= size:
            count = ms // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{ms:,} ms"


def joined(names: Sequence[object], most: int = 12) -> str:
    """Names in a sentence, the tail counted."""
    shown = ", ".join(clean(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
