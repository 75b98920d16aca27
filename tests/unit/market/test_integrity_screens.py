"""Every screen fires on a planted defect and stays quiet on authentic data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode, InstrumentId, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.funding import FundingSeries
from commonmode.market.history import History
from commonmode.market.integrity import (
    Screen,
    Verdict,
    clock_skew,
    copied_bars,
    frozen_bars,
    funding_cadence,
    funding_scale,
    label_phase,
    label_shift,
    lagging_prices,
    liquidation_cap,
    matched_pairs,
    open_interest_reconciles,
    partial_bars,
    prints_inside_spread,
    round_sizes,
    size_digits,
    size_tail,
    volume_beyond_depth,
    volume_without_moves,
)
from commonmode.stats.digits import BENFORD, benford_test, first_digits, hill_tail

START = 1_640_995_200_000  # 2022-01-01


def venues(seed: int, n: int = 3000, late: float = 0.0) -> tuple[History, History]:
    """Two venues of one coin: one price path, own noise, volume that goes with the range.

    ``late`` is the share of each bar that the first venue reports one bar late.
    """
    rng = np.random.default_rng(seed)
    log_vol = np.zeros(n)
    for t in range(1, n):
        log_vol[t] = 0.97 * log_vol[t - 1] + 0.15 * rng.standard_normal()
    steps = 0.002 * np.exp(log_vol)[:, None] * rng.standard_t(5, (n, 12))
    minutes = np.cumsum(steps.ravel())
    times = START + HOUR_MS * np.arange(1, n + 1, dtype=np.int64)
    made = []
    for name, delay in (("first", late), ("second", 0.0)):
        back = round(12 * delay)
        shown = np.concatenate([np.full(back, minutes[0]), minutes[: len(minutes) - back]])
        path = shown.reshape(n, 12) + 0.0001 * rng.standard_normal((n, 12))
        opened = np.concatenate([path[:1, 0], path[:-1, -1]])
        high = np.maximum(path.max(axis=1), opened)
        low = np.minimum(path.min(axis=1), opened)
        volume = np.exp(log_vol + 0.3 * rng.standard_normal(n)) * 1000 * (1 + 50 * (high - low))
        columns = {"open": opened, "high": high, "low": low, "close": path[:, -1]}
        prices = {k: np.round(30_000 * np.exp(v), 1) for k, v in columns.items()}
        made.append(
            History(InstrumentId(name), HOUR_MS, times, {**prices, "volume": np.round(volume, 3)})
        )
    return made[0], made[1]


def with_columns(history: History, **columns: np.ndarray) -> History:
    return replace(history, columns={**history.columns, **columns})


def frozen(history: History, start: int, length: int) -> History:
    held = {k: v.copy() for k, v in history.columns.items()}
    for column in held.values():
        column[start : start + length] = column[start - 1]
    return replace(history, columns=held)


def authentic_sizes(seed: int, n: int = 20_000) -> np.ndarray:
    """Lots over five decades with a power tail; a fifth of the orders are round."""
    rng = np.random.default_rng(seed)
    raw = 10.0 ** rng.uniform(-3, 0, n)
    tail = rng.random(n) < 0.15
    raw[tail] = rng.pareto(1.5, int(tail.sum())) + 1.0
    size = np.maximum(np.round(raw, 3), 0.001)
    people = rng.random(n) < 0.2
    size[people] = np.maximum(np.round(size[people], 1), 0.1)
    return size


def washed_sizes(seed: int, n: int = 20_000) -> np.ndarray:
    """Authentic sizes, and as many again from bots: uniform between 0.2 and 0.9, never round."""
    rng = np.random.default_rng(seed + 1000)
    made = rng.integers(201, 900, n)
    made[made % 100 == 0] += 1
    return rng.permutation(np.concatenate([authentic_sizes(seed, n), made / 1000]))


def authentic_pairs(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed + 2000)
    size = authentic_sizes(seed, n)
    sign = np.where(np.cumsum(rng.random(n) < 0.3) % 2 == 0, 1, -1)  # sides come in runs
    return size, sign


def test_digits_of_benford_and_of_washed_volume() -> None:
    assert BENFORD.sum() == pytest.approx(1.0)
    found = first_digits(np.array([0.003, 1.0, 9.99, 1000.0, 0.0199])).tolist()
    assert found == [3, 1, 9, 1, 1]
    assert not size_digits(
        10.0 ** np.random.default_rng(0).uniform(-3, 2, 5000), subject="a"
    ).flagged
    assert size_digits(washed_sizes(0), subject="b").flagged
    narrow = size_digits(np.random.default_rng(1).uniform(1, 5, 5000), subject="c")
    assert narrow.verdict is Verdict.NOT_APPLICABLE
    assert "Benford's law needs two" in narrow.sentence


def test_benford_keeps_its_size_when_sizes_come_in_runs() -> None:
    """Each size repeated eight times: the plain chi-squared would reject nearly always."""
    plain = corrected = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        sizes = np.repeat(10.0 ** rng.uniform(-3, 2, 500), 8)
        test = benford_test(sizes)
        corrected += test.p_value < 0.05
        plain += test.statistic * test.design_effect > 15.5
    assert plain > 80
    assert corrected <= 16


def test_round_sizes() -> None:
    people = round_sizes(authentic_sizes(1), subject="a")
    assert not people.flagged
    assert people.statistic > 2
    machine = round_sizes(np.random.default_rng(2).integers(1, 5000, 20_000) / 1000, subject="b")
    assert machine.statistic == pytest.approx(1.0, abs=0.3)
    flagged = [
        round_sizes(np.random.default_rng(s).integers(1, 5000, 9000) / 1000, subject="b").flagged
        for s in range(40)
    ]
    assert np.mean(flagged) > 0.85  # the clustering test is wrong in 5 % of bots
    assert round_sizes(washed_sizes(3)[:50], subject="c").verdict is Verdict.NOT_APPLICABLE


def test_tail_of_sizes() -> None:
    """Hill's interval covers; exponents out of the Pareto-Levy range are flagged."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = hill_tail(rng.pareto(1.5, 4000) + 1.0)
        covered.append(found.interval[0] <= 1.5 <= found.interval[1])
    assert np.mean(covered) >= 0.85  # the start is chosen, so a little below 95 %
    rng = np.random.default_rng(0)
    assert not size_tail(rng.pareto(1.5, 8000) + 1.0, subject="a").flagged
    assert size_tail(rng.pareto(4.0, 8000) + 1.0, subject="b").flagged
    assert size_tail(rng.pareto(0.6, 8000) + 1.0, subject="c").flagged
    assert size_tail(np.ones(5000), subject="d").verdict is Verdict.NOT_APPLICABLE


def test_matched_pairs_of_a_trader_who_buys_from_himself() -> None:
    false_alarms = 0
    for seed in range(30):
        size, sign = authentic_pairs(seed, 2000)
        false_alarms += matched_pairs(
            size, sign, subject="a", shuffles=99, alpha=0.05, rng=seed
        ).flagged
    assert false_alarms <= 5
    size, sign = authentic_pairs(31)
    at = np.arange(100, 3900, 60)  # 3 % of trades
    size[at + 1] = size[at]
    sign[at + 1] = -sign[at]
    found = matched_pairs(size, sign, subject="b", shuffles=199)
    assert found.flagged
    assert "beyond chance" in found.sentence


def test_frozen_venue() -> None:
    quiet = [frozen_bars(venues(seed)[0]).flagged for seed in range(40)]
    assert sum(quiet) <= 3
    found = frozen_bars(frozen(venues(1)[0], 1000, 12))
    assert found.flagged
    assert found.statistic == 12
    assert "2022-02-11T16:00Z" in found.sentence
    # A coarse tick repeats closes often and is not a freeze.
    venue = venues(2)[0]
    coarse = with_columns(venue, close=np.round(venue.column("close") / 40) * 40)
    assert not frozen_bars(coarse).flagged


def test_copied_partial_and_gapless_bars() -> None:
    venue = venues(3)[0]
    assert not copied_bars(venue).flagged
    assert not partial_bars(venue).flagged
    held = {k: v.copy() for k, v in venue.columns.items()}
    for column in held.values():
        column[2000:2006] = column[1000:1006]  # a gap filled with another day
    found = copied_bars(replace(venue, columns=held))
    assert found.flagged
    assert found.count == 5
    assert not copied_bars(frozen(venue, 1000, 12)).flagged  # the other screen's
    closes = replace(venue, columns={"close": venue.column("close")})
    assert copied_bars(closes).verdict is Verdict.NOT_APPLICABLE
    torn = {k: v.copy() for k, v in venue.columns.items()}
    torn["open"][::20] *= 1.05
    torn["high"][::20] = np.maximum(torn["high"][::20], torn["open"][::20] * 1.001)
    assert partial_bars(replace(venue, columns=torn)).flagged


@pytest.mark.parametrize("shift", [1, -3, 8])
def test_labels_of_another_clock(shift: int) -> None:
    venue, peer = venues(4)
    moved = replace(venue, times_ms=venue.times_ms + shift * HOUR_MS)
    found = label_shift(moved, peer)
    assert found.flagged
    assert found.statistic == shift
    assert f"{shift:+d} bars" in found.sentence


def test_summer_time_shows_in_segments() -> None:
    venue, peer = venues(5)
    times = venue.times_ms.copy()
    times[2200:] += HOUR_MS  # 800 hours
    found = label_shift(replace(venue, times_ms=times), peer)
    assert found.flagged
    assert found.statistic == 0
    assert "+1 from 2022-" in found.sentence


def test_peers_that_agree_are_left_alone() -> None:
    false_alarms: dict[str, int] = {}
    for seed in range(40):
        venue, peer = venues(seed, n=1500)
        for screen in (
            label_shift(venue, peer),
            lagging_prices(venue, peer),
            volume_without_moves(venue, [peer]),
        ):
            false_alarms[screen.name] = false_alarms.get(screen.name, 0) + screen.flagged
    assert max(false_alarms.values()) <= 3


def test_late_prices() -> None:
    found = [lagging_prices(*venues(seed, late=0.25)) for seed in range(5)]
    assert all(one.flagged for one in found)
    assert np.mean([one.statistic for one in found]) == pytest.approx(0.25, abs=0.06)


def test_volume_that_moves_nothing() -> None:
    venue, peer = venues(6)
    rng = np.random.default_rng(7)
    real = venue.column("volume")
    washed = with_columns(venue, volume=real + np.median(real) * rng.lognormal(1.0, 1.0, len(real)))
    assert volume_without_moves(washed, [peer]).flagged
    assert volume_without_moves(venue, []).verdict is Verdict.NOT_APPLICABLE


def test_open_interest_that_trades_cannot_explain() -> None:
    rng = np.random.default_rng(8)
    volume = rng.lognormal(3, 1, 500)
    change = volume * rng.uniform(-1, 1, 500)
    oi = 10_000 + np.cumsum(change)
    assert not open_interest_reconciles(oi, volume, subject="a", slack=0).flagged
    made_up = oi.copy()
    made_up[200:] += 5_000
    found = open_interest_reconciles(made_up, volume, subject="a")
    assert found.count == 1
    assert found.flagged
    one_late = np.roll(volume, 1)
    assert open_interest_reconciles(oi[2:], one_late[2:], subject="a", slack=0).flagged
    assert not open_interest_reconciles(oi[2:], one_late[2:], subject="a", slack=1).flagged


def liquidations(seed: int, seconds: int = 3600) -> np.ndarray:
    """Arrivals whose rate bursts to several a second, as in a cascade."""
    rng = np.random.default_rng(seed)
    rate = 0.05 + 1.5 * (np.arange(seconds) % 600 < 60)
    count = rng.poisson(rate)
    times = np.repeat(np.arange(seconds), count) * 1000 + rng.integers(0, 1000, count.sum())
    return START + np.sort(times)


def test_one_liquidation_a_second_is_not_what_happened() -> None:
    whole = liquidations(9)
    assert not liquidation_cap(whole, subject="a").flagged
    pushed = whole[np.unique(whole // 1000, return_index=True)[1]]
    found = liquidation_cap(pushed, subject="b")
    assert found.flagged
    hidden = 1 - len(pushed) / len(whole)
    said = float(found.sentence.split("at least ")[1].split("%")[0]) / 100
    assert 0.5 * hidden < said < 1.2 * hidden
    sparse = [liquidation_cap(START + 400_000 * np.arange(50) + s, subject="c") for s in range(3)]
    assert not any(one.flagged for one in sparse)  # one every seven minutes needs no cap


def test_the_cap_screen_seldom_fires_on_a_quiet_feed_that_is_whole() -> None:
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        times = START + np.sort(rng.integers(0, 7_200_000, 150))
        alarms += liquidation_cap(times, subject="a", alpha=0.05).flagged
    assert alarms <= 20


def funding(name: str, hours: int, seed: int, n: int = 600) -> FundingSeries:
    rng = np.random.default_rng(seed)
    times = START + hours * HOUR_MS * np.arange(n, dtype=np.int64)
    day = (times - START) // (24 * HOUR_MS)
    level = 1e-4 * (1 + np.random.default_rng(0).standard_normal(n + 1)[day])
    rate_8h = level * (1 + 0.2 * rng.standard_normal(n))
    return FundingSeries(
        VenueId(name), CurrencyCode("BTC"), hours * HOUR_MS, times, rate_8h * hours / 8, rate_8h
    )


def test_funding_in_the_wrong_unit_and_at_the_wrong_times() -> None:
    eight, hourly = funding("a", 8, 1), funding("b", 1, 2, n=4800)
    assert not funding_scale(hourly, [eight]).flagged
    unscaled = replace(hourly, rate_8h=hourly.rate)
    assert funding_scale(unscaled, [eight]).flagged
    assert not funding_cadence(eight).flagged
    assert funding_cadence(eight, stated_ms=HOUR_MS).flagged
    holes = replace(
        eight, times_ms=eight.times_ms[::2][:50], rate=eight.rate[:50], rate_8h=eight.rate_8h[:50]
    )
    assert funding_cadence(holes).flagged
    few = replace(
        eight, times_ms=eight.times_ms[:9], rate=eight.rate[:9], rate_8h=eight.rate_8h[:9]
    )
    assert funding_scale(few, [eight]).verdict is Verdict.NOT_APPLICABLE


def test_labels_off_the_grid() -> None:
    times = START + 8 * HOUR_MS * np.arange(300, dtype=np.int64)
    assert not label_phase(times, 8 * HOUR_MS, subject="a", phase_ms=0).flagged
    moscow = label_phase(times + 3 * HOUR_MS, 8 * HOUR_MS, subject="b", phase_ms=0)
    assert moscow.flagged
    assert moscow.statistic == 1.0
    summer = times.copy()
    summer[100:200] += HOUR_MS
    found = label_phase(summer, 8 * HOUR_MS, subject="c")
    assert found.flagged
    assert "it changes on 2022-02-03, 2022-03-08" in found.sentence


def test_a_recorder_behind_the_exchange() -> None:
    event = START + np.arange(100, dtype=np.int64)
    assert not clock_skew(event, (event + 5) * 1_000_000, subject="a").flagged
    found = clock_skew(event, (event - 1270) * 1_000_000, subject="b")
    assert found.flagged
    assert found.statistic == 1270


def book(seed: int, n: int = 4000) -> tuple[np.ndarray, ...]:
    """Quotes every half second, two to four ticks wide, and trades that take from them."""
    rng = np.random.default_rng(seed)
    quote_ms = START + 500 * np.arange(n, dtype=np.int64)
    bid = np.round(30_000 + np.cumsum(rng.choice([-0.1, 0.0, 0.1], n)), 1)
    ask = np.round(bid + 0.1 * rng.integers(2, 5, n), 1)
    bid_size, ask_size = rng.lognormal(0, 1, (2, n))
    at = np.sort(rng.integers(0, n, 1500))
    sign = rng.choice([-1, 1], 1500)
    price = np.where(sign > 0, ask[at], bid[at])
    size = np.where(sign > 0, ask_size[at], bid_size[at]) * rng.uniform(0.01, 1.0, 1500)
    trade_ms = quote_ms[at] + rng.integers(0, 400, 1500)
    return trade_ms, price, size, sign, quote_ms, bid, ask, bid_size, ask_size


def test_prints_that_no_order_book_filled() -> None:
    trade_ms, price, size, sign, quote_ms, bid, ask, bid_size, ask_size = book(0)
    quotes = (quote_ms, bid, ask)
    assert not prints_inside_spread(trade_ms, price, *quotes, subject="a").flagged
    made_up = price.copy()
    at = np.searchsorted(quote_ms, trade_ms[::20], side="right") - 1
    made_up[::20] = 0.5 * (bid[at] + ask[at])
    found = prints_inside_spread(trade_ms, made_up, *quotes, subject="b", tolerance_ms=0)
    assert found.flagged
    assert found.statistic == pytest.approx(0.05, abs=0.005)
    tight = prints_inside_spread(trade_ms, price, quote_ms, bid, bid + 0.1, subject="c")
    assert tight.verdict is Verdict.NOT_APPLICABLE

    shown = (quote_ms, bid_size, ask_size)
    assert not volume_beyond_depth(trade_ms, size, sign, *shown, subject="a").flagged
    size[::20] *= 100.0
    found = volume_beyond_depth(trade_ms, size, sign, *shown, subject="b")
    assert found.flagged
    assert 0.01 < found.statistic <= 0.05
    few = volume_beyond_depth(trade_ms[:9], size[:9], sign[:9], *shown, subject="c")
    assert few.verdict is Verdict.NOT_APPLICABLE


SHORT: tuple[Callable[[History], Screen], ...] = (
    frozen_bars,
    partial_bars,
    lambda h: label_shift(h, h),
    lambda h: lagging_prices(h, h),
)


@pytest.mark.parametrize("screen", SHORT)
def test_too_little_data_is_not_a_pass(screen: Callable[[History], Screen]) -> None:
    found = screen(venues(1, n=30)[0])
    assert found.verdict is Verdict.NOT_APPLICABLE
    assert np.isnan(found.statistic)
    assert not found.flagged
