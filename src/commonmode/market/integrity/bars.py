"""Signs in bars that a venue's data are stale, copied, or labelled with another clock's times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import rankdata

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.random import as_generator
from commonmode.market.bars import bar_notes, stale_runs
from commonmode.market.clock import utc_iso
from commonmode.market.history import History
from commonmode.market.integrity.screen import Screen, not_applicable, verdict_of
from commonmode.stats.blocks import block_edges, block_sums, choose_block_count
from commonmode.stats.runs import longest_run
from commonmode.stats.signflip import sign_flip_max_test

__all__ = [
    "copied_bars",
    "frozen_bars",
    "label_shift",
    "lagging_prices",
    "partial_bars",
    "volume_without_moves",
]

_FEWEST: Final = 200
_MATERIAL_LAG: Final = 0.05  # share of a bar's news that comes late: three minutes of an hour
_SEGMENT_MS: Final = 30 * 24 * 3_600_000


def frozen_bars(history: History, *, alpha: float = 0.01) -> Screen:
    """The longest run of unchanged closes, against runs that rounding makes.

    A close repeats by chance, more often in quiet hours than in busy ones
    (:func:`commonmode.stats.runs.longest_run`); a venue that stops updating exceeds by far what
    such a chance makes.

    Parameters
    ----------
    history : History
    alpha : float
    """
    name, subject = "frozen venue", history.instrument
    source = "beta-geometric runs (Erdos & Renyi 1970; Weinberg & Gladen 1986)"
    close = history.column("close")
    same = (np.diff(close) == 0) & (np.diff(history.times_ms) == history.step_ms)
    if len(same) < _FEWEST:
        return not_applicable(name, subject, f"{len(same) + 1} bars", source)
    found = longest_run(same, alpha=alpha)
    where = f", from {utc_iso(int(history.times_ms[found.start]))}" if found.length else ""
    text = (
        f"{subject}: the close stays the same for up to {found.length} bars{where}; by chance for "
        f"{found.allowed:.0f} (p = {found.p_value:.2g}); {int(same.sum())} of {len(same):,} bars "
        "repeat it."
    )
    return Screen(
        name,
        subject,
        verdict_of(found.p_value < alpha),
        float(found.length),
        found.allowed,
        found.p_value,
        int(same.sum()),
        text,
        source,
    )


def copied_bars(history: History, *, run: int = 2) -> Screen:
    """Runs of bars that occur twice: a gap filled with another time's data.

    Compared are open, high, low, close and volume of ``run`` consecutive bars, to the last digit,
    wherever prices moved; runs inside one frozen stretch are the other screen's.

    Parameters
    ----------
    history : History
    run : int
        Consecutive bars.
    """
    name, subject = "copied bars", history.instrument
    source = "no chance: prices and volumes of consecutive bars, to the last digit"
    names = [c for c in ("open", "high", "low", "close", "volume") if c in history.columns]
    if "high" not in names or "low" not in names:
        return not_applicable(name, subject, "closes alone repeat by chance", source)
    if len(history) < run + 1:
        return not_applicable(name, subject, f"{len(history)} bars", source)
    table = np.column_stack([history.columns[c] for c in names])
    windows = np.concatenate([table[i : len(table) - run + 1 + i] for i in range(run)], axis=1)
    spans = [
        history.columns["high"][i : len(table) - run + 1 + i]
        - history.columns["low"][i : len(table) - run + 1 + i]
        for i in range(run)
    ]
    stale = stale_runs(history.columns, 2)
    fresh = ~np.any([stale[i : len(table) - run + 1 + i] for i in range(run)], axis=0)
    moving = fresh & np.all([span > 0 for span in spans], axis=0)
    moving &= np.isfinite(windows).all(axis=1)
    rows = np.flatnonzero(moving)
    _, first, inverse = np.unique(windows[rows], axis=0, return_index=True, return_inverse=True)
    original = rows[first[inverse.ravel()]]
    copies = rows[rows - original >= run]
    where = f", first at {utc_iso(int(history.times_ms[copies[0]]))}" if copies.size else ""
    text = f"{subject}: {copies.size} runs of {run} bars repeat earlier ones exactly{where}."
    return Screen(
        name,
        subject,
        verdict_of(bool(copies.size)),
        float(copies.size),
        0.0,
        float("nan"),
        int(copies.size),
        text,
        source,
    )


def partial_bars(history: History) -> Screen:
    """Bars that do not meet: they open far from the close before them.

    Trading is continuous, so where consecutive bars are further apart than a quarter of their own
    range part of the trading is not in them. Flagged above one bar in a hundred.

    Parameters
    ----------
    history : History
        With open, high, low, close.
    """
    name, subject = "partial bars", history.instrument
    source = "continuity of trading; one bar in a hundred"
    if not {"open", "high", "low"} <= set(history.columns) or len(history) < _FEWEST:
        return not_applicable(name, subject, f"{len(history)} bars, or closes alone", source)
    notes = bar_notes(history.times_ms, history.columns, history.step_ms)
    count = sum(note.count for note in notes if note.code == "discontinuous_bars")
    share = count / len(history)
    text = (
        f"{subject}: {count} of {len(history):,} bars ({100 * share:.1f} %) open far from the "
        "close before them: part of the trading is not in the bars."
    )
    return Screen(
        name,
        subject,
        verdict_of(share > 0.01),
        share,
        0.01,
        float("nan"),
        count,
        text,
        source,
    )


def _common_returns(venue: History, peer: History) -> tuple[IntArray, FloatArray, FloatArray]:
    """Times that both have with both standardised returns; NaN over gaps."""
    times, a, b = np.intersect1d(venue.times_ms, peer.times_ms, return_indices=True)
    pair = [venue.log_returns[a], peer.log_returns[b]]
    for r in pair:
        size = np.nanstd(r) if np.isfinite(r).any() else 0.0
        # A bounded score: one crash must not decide which lag is best.
        r /= size if size > 0 else 1.0
        np.clip(r, -4.0, 4.0, out=r)
    return times, pair[0], pair[1]


def _shifted(values: FloatArray, times: IntArray, lag: int, step: int) -> FloatArray:
    """Value ``lag`` steps later, NaN where that time is not there."""
    wanted = times + lag * step
    at = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    return np.where(times[at] == wanted, values[at], np.nan)


def label_shift(
    venue: History,
    peer: History,
    *,
    most: int = 12,
    alpha: float = 0.01,
    rng: int | np.random.Generator = 0,
) -> Screen:
    """Are a venue's bars labelled with another clock's times?

    Returns of two venues of one coin agree at the same time. Flagged where they agree better at
    another lag, by a sign-flip test over blocks of time with the largest of all lags; a shift for
    part of the time (summer time) shows in the 30-day segments, whose lags the sentence names.

    Parameters
    ----------
    venue, peer : History
        Of the same step.
    most : int
        Largest lag in bars.
    alpha : float
    rng : int or Generator
    """
    name, subject = "shifted time labels", f"{venue.instrument} against {peer.instrument}"
    source = "cross-correlation by lag; sign flips (Canay, Romano & Shaikh 2017)"
    times, own, other = _common_returns(venue, peer)
    if venue.step_ms != peer.step_ms or len(times) < _FEWEST:
        return not_applicable(name, subject, f"{len(times)} common bars of one step", source)
    lags = [lag for lag in range(-most, most + 1) if lag]
    now = own * other
    gains = np.stack(
        [np.nan_to_num(_shifted(own, times, lag, venue.step_ms) * other - now) for lag in lags],
        axis=1,
    )
    segment = (times - times[0]) // _SEGMENT_MS
    count = choose_block_count(len(times), 1.0)
    sums = block_sums(gains, block_edges(len(times), count))
    test = sign_flip_max_test(sums, rng=as_generator(rng, "label-shift", subject))
    best = int(np.argmax(test.t))
    p_value = float(test.p_adjusted[best])
    found = lags[best] if p_value < alpha else 0
    parts = []
    for s in np.unique(segment):
        mine = segment == s
        if mine.sum() < _FEWEST:
            continue
        edges = block_edges(int(mine.sum()), 16)
        part = sign_flip_max_test(
            block_sums(gains[mine], edges), rng=as_generator(rng, "label-shift", subject, int(s))
        )
        top = int(np.argmax(part.t))
        # Every segment is another chance to be wrong.
        moved = part.p_adjusted[top] < alpha / len(np.unique(segment))
        parts.append((utc_iso(int(times[mine][0]))[:10], lags[top] if moved else 0))
    shifted = [part for part in parts if part[1]]
    listed = ", ".join(f"{lag:+d} from {day}" for day, lag in shifted[:4])
    some = f"; by segment: {listed}" if shifted else ""
    step = venue.step_ms / 3_600_000
    said = f"agree best {found:+d} bars ({found * step:+.3g} h) apart" if found else "agree in time"
    if not found and shifted:
        said = "agree in time on the whole, not in every segment"
    text = f"{subject}: returns {said} (p = {p_value:.2g} for another lag){some}."
    return Screen(
        name,
        subject,
        verdict_of(bool(found or shifted)),
        float(found),
        0.0,
        p_value,
        len(times),
        text,
        source,
    )


def lagging_prices(
    venue: History,
    peer: History,
    *,
    alpha: float = 0.01,
    rng: int | np.random.Generator = 0,
) -> Screen:
    """Does a venue's return follow what its peer did the bar before?

    Prices of a venue that updates late hold part of the last bar's news: the covariance of its
    return with the peer's previous one, less the reverse, is positive (Scholes & Williams 1977, J.
    Financial Economics 5(3); Lo & MacKinlay 1990, Review of Financial Studies 3(2)), by the share
    of the bar that comes late. Flagged beyond a twentieth of a bar, if not by chance: venues settle
    who was first within seconds, which years of bars make significant.

    Parameters
    ----------
    venue, peer : History
    alpha : float
    rng : int or Generator
    """
    name, subject = "lagging prices", f"{venue.instrument} against {peer.instrument}"
    source = "Scholes & Williams (1977); Lo & MacKinlay (1990); sign flips of blocks"
    times, own, other = _common_returns(venue, peer)
    if venue.step_ms != peer.step_ms or len(times) < _FEWEST:
        return not_applicable(name, subject, f"{len(times)} common bars of one step", source)
    behind = _shifted(own, times, 1, venue.step_ms) * other
    ahead = own * _shifted(other, times, 1, venue.step_ms)
    gain = behind - ahead
    known = np.isfinite(gain)
    sums = block_sums(
        np.where(known, gain, 0.0)[:, None],
        block_edges(len(gain), choose_block_count(len(gain), 1.0)),
    )
    test = sign_flip_max_test(sums, rng=as_generator(rng, "lagging", subject))
    lead = float(gain[known].mean())
    p_value = float(test.p_single[0])
    text = (
        f"{subject}: its returns follow the peer's previous bar by {lead:+.3f} more (in "
        f"correlation) than the peer's follow its own (p = {p_value:.2g})."
    )
    return Screen(
        name,
        subject,
        verdict_of(p_value < alpha and lead > _MATERIAL_LAG),
        lead,
        _MATERIAL_LAG,
        p_value,
        int(known.sum()),
        text,
        source,
    )


def volume_without_moves(
    venue: History,
    peers: Sequence[History],
    *,
    alpha: float = 0.01,
    rng: int | np.random.Generator = 0,
) -> Screen:
    """Does volume go with price ranges less than on other venues?

    Real volume and price moves come from the same orders (Karpoff 1987, J. Financial and
    Quantitative Analysis 22(1)); volume from oneself moves nothing. Rank correlations of volume
    with the bar's range over common times, the venue's against the mean of its peers', by sign
    flips of blocks.

    Parameters
    ----------
    venue : History
        With high, low, close and volume.
    peers : sequence of History
        The same coin elsewhere.
    alpha : float
    rng : int or Generator
    """
    name, subject = "volume without moves", venue.instrument
    source = "Karpoff (1987); Cong et al. (2023); sign flips of blocks"
    times = venue.times_ms
    for peer in peers:
        times = np.intersect1d(times, peer.times_ms)
    usable = [h for h in (venue, *peers) if {"high", "low", "volume"} <= set(h.columns)]
    if len(usable) < 2 or usable[0] is not venue or len(times) < _FEWEST:
        return not_applicable(name, subject, "no peers with volume over common times", source)
    scores = []
    for h in usable:
        at = np.searchsorted(h.times_ms, times)
        span = (h.column("high")[at] - h.column("low")[at]) / h.column("close")[at]
        volume = h.column("volume")[at]
        ok = np.isfinite(span) & np.isfinite(volume)
        ranks = [rankdata(np.where(ok, v, np.nanmedian(v))) for v in (span, volume)]
        a, b = ((r - r.mean()) / max(float(r.std()), 1e-12) for r in ranks)
        scores.append(a * b)
    gap = np.mean(scores[1:], axis=0) - scores[0]
    sums = block_sums(gap[:, None], block_edges(len(gap), choose_block_count(len(gap), 24.0)))
    p_value = float(sign_flip_max_test(sums, rng=as_generator(rng, "volume", subject)).p_single[0])
    mine, theirs = float(scores[0].mean()), float(np.mean(scores[1:]))
    text = (
        f"{subject}: volume and range go together with rank correlation {mine:.2f}, on "
        f"{len(usable) - 1} other venues {theirs:.2f} (p = {p_value:.2g} that it is not lower)."
    )
    return Screen(
        name,
        subject,
        verdict_of(p_value < alpha),
        mine,
        theirs,
        p_value,
        len(times),
        text,
        source,
    )
