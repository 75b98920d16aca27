"""Passports of surface models: the option quotes they read, and the market they were judged in.

A surface model is calibrated on one snapshot, so it has no window of its own: what it can carry is
decided by how many quotes a snapshot gives it, and by which markets its panel has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.app.study.interventions import study_chains
from commonmode.app.study.look_context import LookContext, LookTable
from commonmode.converge.findings import Finding, Severity
from commonmode.core.units import HOUR_MS
from commonmode.market.history import History

__all__ = ["ChainPassport", "chain_findings", "chain_passports", "chain_table"]

_DAY = 24  # hours over which a volatility is taken


@dataclass(frozen=True, slots=True)
class ChainPassport:
    """What one surface model reads.

    Attributes
    ----------
    model : str
    reads : str
        ``mark`` or ``mid``.
    quotes, listed : float
        Quotes of a snapshot that it can read, and that are listed; medians over the snapshots.
    least_quotes : int
        Of any snapshot looked at.
    expiries : float
        With quotes that it can read, median.
    spread_seconds : float
        Longest time between two quotes of one snapshot.
    hours : float
        From the first snapshot to the last.
    low, high : float
        Which shares of the record's daily volatilities lie below those of these hours; NaN where
        the bars do not reach there.
    """

    model: str
    reads: str
    quotes: float
    listed: float
    least_quotes: int
    expiries: float
    spread_seconds: float
    hours: float
    low: float
    high: float


def chain_passports(
    context: LookContext, histories: Mapping[str, History]
) -> tuple[ChainPassport, ...]:
    """Of every surface model of the study, at the snapshots that its look at interventions uses.

    Raises
    ------
    DataError
        Too few snapshots.
    """
    chains, times = study_chains(context)
    low, high = _volatility_rank(histories, times[0], times[-1])
    found = []
    for model in context.models.surface:
        reads = str(getattr(model, "quotes", "mark"))
        masks = [
            chain.usable & chain.two_sided if reads == "mid" else chain.usable for chain in chains
        ]
        counts = [int(mask.sum()) for mask in masks]
        found.append(
            ChainPassport(
                model=model.id,
                reads=reads,
                quotes=float(np.median(counts)),
                listed=float(np.median([len(chain) for chain in chains])),
                least_quotes=min(counts),
                expiries=float(
                    np.median(
                        [
                            len(np.unique(chain.expiry_ms[mask]))
                            for chain, mask in zip(chains, masks, strict=True)
                        ]
                    )
                ),
                spread_seconds=max(float(np.ptp(chain.quote_ms)) / 1000 for chain in chains),
                hours=(times[-1] - times[0]) / HOUR_MS,
                low=low,
                high=high,
            )
        )
    return tuple(found)


def _volatility_rank(
    histories: Mapping[str, History], first_ms: int, last_ms: int
) -> tuple[float, float]:
    """Least and largest rank of the daily volatility in the period, of all on record."""
    low, high = np.inf, -np.inf
    for history in histories.values():
        squares = np.nan_to_num(history.log_returns) ** 2
        total = np.concatenate([[0.0], np.cumsum(squares)])
        if len(squares) <= _DAY:
            continue
        day = total[_DAY:] - total[:-_DAY]
        ends = history.times_ms[_DAY - 1 :]
        inside = (ends >= first_ms) & (ends <= last_ms)
        if inside.any():
            ranks = (day[None, :] < day[inside][:, None]).mean(axis=1)
            low, high = min(low, float(ranks.min())), max(high, float(ranks.max()))
    return (low, high) if low <= high else (float("nan"), float("nan"))


def chain_findings(passports: Sequence[ChainPassport]) -> tuple[Finding, ...]:
    """The quotes and the market of all surface models in one sentence."""
    if not passports:
        return ()
    least = min(passports, key=lambda one: one.quotes)
    one = passports[0]
    seen = (
        f"markets calmer than {100 * (1 - one.high):.0f} % and wilder than {100 * one.low:.0f} % "
        "of the days on record"
        if np.isfinite(one.low)
        else "markets of which the bars say nothing"
    )
    sentence = (
        f"Surface models are calibrated on one snapshot: {least.model} reads the fewest quotes, "
        f"{least.quotes:,.0f} of {least.listed:,.0f} listed (at least {least.least_quotes}), up to "
        f"{one.spread_seconds:.0f} s apart. Their snapshots span {one.hours:,.0f} hours in {seen}; "
        "that is one episode, so there is no interval and no detectable effect. What to do: use "
        "their panels to describe, not to judge tails."
    )
    numbers = {
        "least_quotes": least.quotes,
        "hours": one.hours,
        "volatility_rank_low": one.low,
        "volatility_rank_high": one.high,
    }
    return (Finding("passports", "surface models", Severity.NOTE, sentence, numbers),)


def chain_table(passports: Sequence[ChainPassport]) -> LookTable:
    """A row for each surface model."""
    return LookTable(
        "chains",
        "Quotes that surface models read of a snapshot (medians over those looked at, and the "
        "fewest), how far apart in time they are, and the rank of the period's daily volatility "
        "among all on record",
        (
            "model",
            "reads",
            "quotes",
            "fewest",
            "listed",
            "expiries",
            "seconds_apart",
            "hours",
            "calmest_share",
            "wildest_share",
        ),
        [
            (
                one.model,
                one.reads,
                one.quotes,
                one.least_quotes,
                one.listed,
                one.expiries,
                one.spread_seconds,
                one.hours,
                one.low if np.isfinite(one.low) else None,
                one.high if np.isfinite(one.high) else None,
            )
            for one in passports
        ],
    )
