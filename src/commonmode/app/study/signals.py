"""Panels of a study's trading strategies: their histories, with funding where they read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from commonmode.core.errors import CommonmodeError
from commonmode.market.clock import TimeLike
from commonmode.market.feed import Feed, FundedFeed
from commonmode.market.funding import last_paid
from commonmode.market.history import History
from commonmode.register.model import Model

__all__ = ["signal_histories"]

_FUNDING = "funding"


def signal_histories(
    feed: Feed,
    underlyings: Sequence[str],
    models: Sequence[Model],
    start: TimeLike | None,
    end: TimeLike | None,
) -> tuple[dict[str, History], tuple[str, ...]]:
    """Bars of every coin, with a column ``funding`` where a strategy reads it.

    Parameters
    ----------
    feed : Feed
    underlyings : sequence of str
    models : sequence of Model
    start, end : TimeLike, optional

    Returns
    -------
    histories : dict of str to History
    notes : tuple of str
        Why a coin has no funding: the strategies that need it are failed cells there.
    """
    histories = {coin: feed.history(coin, start, end) for coin in underlyings}
    notes: list[str] = []
    if any(_FUNDING in model.requires.columns for model in models):
        for coin, history in histories.items():
            if _FUNDING in history.columns:
                continue
            if not isinstance(feed, FundedFeed):
                notes.append(f"{coin}: this market has no funding; strategies that read it fail")
                continue
            try:
                series = feed.funding(coin)
            except CommonmodeError as error:
                notes.append(f"{coin}: {error.message}")
                continue
            paid = last_paid(series, history.times_ms)
            histories[coin] = replace(history, columns={**history.columns, _FUNDING: paid})
            notes += [f"{coin}: {note.message}" for note in series.notes]
    return histories, tuple(notes)
