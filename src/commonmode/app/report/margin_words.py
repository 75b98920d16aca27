"""Words of margin that the terminal and the pages share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from commonmode.app.report.words import clean, usd

__all__ = ["money", "promises", "reason"]


def money(value: float | None) -> str:
    """US dollars, a loss with its sign in front."""
    return "-" if value is None else usd(value).replace("$-", "-$")


def reason(failure: Mapping[str, str]) -> str:
    """What went wrong and what to do about it."""
    remedy = f" ({clean(failure['remedy'])})" if failure["remedy"] else ""
    return f"{clean(failure['message'])}{remedy}"


def promises(value: Mapping[str, Any]) -> Iterator[str]:
    """What a fitted method is meant to cover, and how to ask for another one.

    Parameters
    ----------
    value : mapping
        ``margin`` of the results. Those written before methods said what they cover say nothing.
    """
    for one in value["methods"]:
        covers, method = one.get("covers", ""), one["method"]
        if covers:
            yield (
                f"{method} is meant to cover {clean(covers)}; its figures are no like-for-like "
                f"comparison with the others'. Other settings: --parameters "
                f"{method}=conventional, or {method}=FILE.toml."
            )
