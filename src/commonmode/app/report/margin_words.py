"""Words of margin that the terminal and the pages share."""

from __future__ import annotations

from collections.abc import Mapping

from commonmode.app.report.words import clean, usd

__all__ = ["money", "reason"]


def money(value: float | None) -> str:
    """US dollars, a loss with its sign in front."""
    return "-" if value is None else usd(value).replace("$-", "-$")


def reason(failure: Mapping[str, str]) -> str:
    """What went wrong and what to do about it."""
    remedy = f" ({clean(failure['remedy'])})" if failure["remedy"] else ""
    return f"{clean(failure['message'])}{remedy}"
