"""Derivatives data that contradict themselves: open interest, liquidations, funding, clocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.units import HOUR_MS
from commonmode.market.clock import utc_iso
from commonmode.market.funding import FUNDING_BASE_MS, FundingSeries
from commonmode.market.integrity.screen import Screen, not_applicable, verdict_of

__all__ = [
    "clock_skew",
    "funding_cadence",
    "funding_scale",
    "label_phase",
    "liquidation_cap",
    "open_interest_reconciles",
]

_DAY_MS: Final = 24 * HOUR_MS


def open_interest_reconciles(
    open_interest: FloatArray,
    volume: FloatArray,
    *,
    subject: str,
    slack: int = 1,
    tolerance: float = 1e-6,
) -> Screen:
    """No trade changes open interest by more than its size: is ``|OI change| <= volume``?

    Parameters
    ----------
    open_interest : float64, shape (T,)
        In contracts (or coins), at the end of each interval.
    volume : float64, shape (T,)
        Traded in the interval, in the same unit, each trade counted once.
    subject : str
    slack : int
        Neighbouring intervals whose volume is allowed as well: the two feeds' clocks differ.
        Intervals that have not all of them on record are not judged.
    tolerance : float
        Share of the open interest that rounding may move.
    """
    name, source = "open interest against trades", "accounting identity: |dOI| <= volume"
    oi, traded = np.asarray(open_interest, np.float64), np.asarray(volume, np.float64)
    change = np.abs(np.diff(oi))
    window = np.ones(2 * slack + 1)
    near = np.convolve(np.nan_to_num(traded), window, mode="same")[1:]
    # What was traded in a neighbouring interval may be what is missing.
    there = np.convolve(np.isfinite(traded).astype(np.float64), window, mode="same")[1:]
    known = np.isfinite(change) & (there > len(window) - 0.5)
    if not known.any():
        return not_applicable(name, subject, "no interval with both", source)
    excess = change - near - tolerance * np.abs(oi[1:])
    broken = known & (excess > 0)
    count = int(broken.sum())
    worst = float(excess[known].max()) if count else 0.0
    text = (
        f"{subject}: in {count} of {int(known.sum()):,} intervals open interest moved by more than "
        f"was traded (by up to {worst:.6g})."
    )
    return Screen(
        name,
        subject,
        verdict_of(count > 0),
        float(count),
        0.0,
        float("nan"),
        count,
        text,
        source,
    )


def liquidation_cap(
    times_ms: IntArray,
    *,
    subject: str,
    interval_ms: int = 1000,
    window: int = 60,
    alpha: float = 0.001,
) -> Screen:
    """Does a feed report at most one liquidation per interval, whatever happens?

    Venues push the last (or largest) order of each second and keep the rest to themselves (Binance
    since 27 April 2021: "only the latest one liquidation order within 1000 ms will be pushed"). In
    a window where a share q of the seconds is occupied, independent arrivals would put two or more
    into many of them: given one, the chance of only one is ``L exp(-L) / (1 - exp(-L))``,
    ``L = -log(1 - q)``. Clustered arrivals make it smaller still, so the test is conservative and
    the number it puts on what is missing is a lower bound.

    Parameters
    ----------
    times_ms : int64, shape (n,)
        Of the liquidations, UTC milliseconds, sorted.
    subject : str
    interval_ms : int
    window : int
        Intervals over which the rate is taken as constant.
    alpha : float
    """
    name = "capped liquidations"
    source = "Poisson occupancy; Binance USD-M change log, 27 April 2021"
    t = np.asarray(times_ms, dtype=np.int64)
    if len(t) < 20:
        return not_applicable(name, subject, f"{len(t)} liquidations", source)
    second, count = np.unique(t // interval_ms, return_counts=True)
    most = int(count.max())
    occupied = np.unique(second // window, return_counts=True)[1].astype(np.float64)
    # A full window has no finite rate by this count: take it as one interval short of full.
    rate = -np.log1p(-np.minimum(occupied, window - 0.5) / window)
    alone = rate * np.exp(-rate) / -np.expm1(-rate)
    log_p = float((occupied * np.log(alone)).sum())
    p_value = float(np.exp(log_p)) if most == 1 else 1.0
    hidden = float((rate * window).sum() - len(second))
    flagged = most == 1 and p_value < alpha
    if flagged:
        said = (
            f"never more than one in {interval_ms / 1000:g} s although several were due "
            f"(p = {p_value:.2g}): at least {hidden / (hidden + len(second)):.0%} are not reported"
        )
    else:
        said = f"up to {most} in {interval_ms / 1000:g} s (p = {p_value:.2g} for a cap of one)"
    text = f"{subject}: {len(t):,} liquidations, {said}."
    return Screen(
        name, subject, verdict_of(flagged), float(most), 1.0, p_value, len(t), text, source
    )


def funding_cadence(series: FundingSeries, *, stated_ms: int | None = None) -> Screen:
    """Are payments as far apart as they should be?

    Flagged where more than one step in a hundred is not the interval, or the interval is not the
    one stated: a rate scaled by the wrong interval is wrong by the ratio.

    Parameters
    ----------
    series : FundingSeries
    stated_ms : int, optional
        What the venue's documents say; the series' own by default.
    """
    name, subject = "funding cadence", f"{series.venue}:{series.underlying}"
    source = "the venue's stated interval; one missed payment in a hundred"
    stated = stated_ms if stated_ms is not None else series.interval_ms
    steps = np.diff(series.times_ms)
    if len(steps) < 2:
        return not_applicable(name, subject, "fewer than three payments", source)
    rounded = np.rint(steps / 60_000).astype(np.int64) * 60_000
    off = rounded != stated
    values, counts = np.unique(rounded, return_counts=True)
    usual = int(values[np.argmax(counts)])
    share = float(off.mean())
    text = (
        f"{subject}: {int(off.sum())} of {len(steps):,} payments are not {stated / HOUR_MS:g} h "
        f"after the one before (usual: {usual / HOUR_MS:g} h)."
    )
    return Screen(
        name,
        subject,
        verdict_of(share > 0.01 or usual != stated),
        share,
        0.01,
        float("nan"),
        int(off.sum()),
        text,
        source,
    )


def funding_scale(series: FundingSeries, peers: Sequence[FundingSeries]) -> Screen:
    """Is the rate in the unit that it is said to be in?

    A rate per hour read as one per 8 hours (or the reverse) is wrong by a factor of 8. Flagged
    where the ratio of median daily sizes to the peers' is nearer, in logarithms, to 8 or 1/8 than
    to one. Right rates of one coin differ between venues by a factor of two and more, so 4 hours
    read as 8 cannot be told from sizes: that is the cadence's to show.

    Parameters
    ----------
    series : FundingSeries
    peers : sequence of FundingSeries
        The same coin elsewhere; days that all of them have are compared.
    """
    name, subject = "funding unit", f"{series.venue}:{series.underlying}"
    source = "ratio of daily funding to the peers'; geometric mean of 1 and 8 (an hour against 8)"

    def daily(one: FundingSeries) -> dict[int, float]:
        day = one.times_ms // _DAY_MS
        days, place = np.unique(day, return_inverse=True)
        total = np.bincount(place, weights=one.rate_8h)
        number = np.bincount(place)
        return dict(zip(days.tolist(), (total / number * 3.0).tolist(), strict=True))

    tables = [daily(one) for one in (series, *peers)]
    days = sorted(set.intersection(*(set(table) for table in tables)))
    if len(tables) < 2 or len(days) < 20:
        return not_applicable(name, subject, f"{len(days)} common days with peers", source)
    size = [float(np.median([abs(table[day]) for day in days])) for table in tables]
    reference = float(np.median(size[1:]))
    if not (size[0] > 0 and reference > 0):
        return not_applicable(name, subject, "funding is zero on most days", source)
    ratio = size[0] / reference
    bound = float(np.sqrt(FUNDING_BASE_MS / HOUR_MS))
    text = (
        f"{subject}: daily funding is {ratio:.2f} times the size of {len(peers)} peers' over "
        f"{len(days)} days (between {1 / bound:.2f} and {bound:.2f} for the same unit)."
    )
    flagged = abs(np.log(ratio)) > np.log(bound)
    return Screen(
        name,
        subject,
        verdict_of(bool(flagged)),
        ratio,
        bound,
        float("nan"),
        len(days),
        text,
        source,
    )


def label_phase(
    times_ms: IntArray, step_ms: int, *, subject: str, phase_ms: int | None = None
) -> Screen:
    """Do time labels lie on one grid, and on the right one?

    Bars of a venue end at fixed times of the UTC day. Labels in local time leave the grid when
    the clocks change (UK local time labelled UTC), or lie beside it throughout (UTC+3).

    Parameters
    ----------
    times_ms : int64, shape (T,)
    step_ms : int
    subject : str
    phase_ms : int, optional
        Where the grid lies (label modulo step), e.g. 0; the commonest of the labels by default.
    """
    name = "phase of time labels"
    source = "labels modulo the step; a minute of jitter is allowed"
    t = np.asarray(times_ms, dtype=np.int64)
    if len(t) < 3:
        return not_applicable(name, subject, f"{len(t)} times", source)
    phase = (np.rint(t / 60_000).astype(np.int64) * 60_000) % step_ms
    values, counts = np.unique(phase, return_counts=True)
    usual = int(values[np.argmax(counts)])
    wanted = usual if phase_ms is None else phase_ms % step_ms
    off = phase != wanted
    share = float(off.mean())
    turns = np.flatnonzero(np.diff(phase) != 0) + 1
    when = ", ".join(utc_iso(int(t[i]))[:10] for i in turns[:3])
    change = f"; it changes on {when}" if 0 < len(turns) <= 20 else ""
    text = (
        f"{subject}: {int(off.sum()):,} of {len(t):,} labels are off the grid at "
        f"{wanted / HOUR_MS:g} h modulo {step_ms / HOUR_MS:g} h (usual {usual / HOUR_MS:g} h)"
        f"{change}."
    )
    return Screen(
        name,
        subject,
        verdict_of(share > 0.01),
        share,
        0.01,
        float("nan"),
        int(off.sum()),
        text,
        source,
    )


def clock_skew(event_ms: IntArray, local_ns: IntArray, *, subject: str) -> Screen:
    """Do messages arrive before they were sent?

    A delay is not negative: the recorder's clock is behind by at least the largest lead.

    Parameters
    ----------
    event_ms : int64, shape (n,)
        The venue's time.
    local_ns : int64, shape (n,)
        The recorder's.
    subject : str
    """
    name, source = "recorder's clock", "causality: no message arrives before it is sent"
    # In whole nanoseconds: a float has no room for both the date and the delay.
    delay = np.asarray(local_ns, np.int64) - np.asarray(event_ms, np.int64) * 1_000_000
    if delay.size == 0:
        return not_applicable(name, subject, "no messages", source)
    early = int((delay < 0).sum())
    lead = max(0.0, -float(delay.min()) / 1e6)
    text = (
        f"{subject}: {early:,} of {delay.size:,} messages arrived before they were sent; the "
        f"recorder's clock is at least {lead / 1000:.3f} s behind the venue's."
    )
    return Screen(
        name, subject, verdict_of(early > 0), lead, 0.0, float("nan"), early, text, source
    )
