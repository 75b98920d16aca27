from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pytest

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import CurrencyCode, ModelId, VenueId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.core.units import HOUR_MS
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import clean_chain
from commonmode.market.clock import utc_ms
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.panel.surface import build_surface_panel
from commonmode.panel.surface_market import (
    BUCKETS,
    evaluation_quotes,
    observed_vol,
    sticky_smile,
)
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.svi_model import SviPerExpiry
from commonmode.register.cards import Card, ModelFamily
from commonmode.register.model import Requirements

A = TypeVar("A")
B = TypeVar("B")

START = utc_ms("2023-04-12T12:00Z")
DAYS = (0.5, 3.0, 20.0, 100.0)


def smile(x: FloatArray) -> FloatArray:
    """Volatility at ``ln(K/F)/sqrt(T)``."""
    return 0.6 - 0.05 * x + 0.1 * x**2


def chain(hour: int, spot: float = 30_000.0, underlying: str = "BTC") -> OptionChain:
    time = START + hour * HOUR_MS
    expiry = START + (np.repeat(DAYS, 42) * 24 * HOUR_MS).astype(np.int64)
    listed = np.outer(np.sqrt(np.array(DAYS) / 365), np.linspace(-1.2, 1.2, 21))
    strike = np.repeat(30_000.0 * np.exp(listed), 2)
    sign = np.tile([1, -1], 21 * len(DAYS))
    years = (expiry - time) / (365 * 24 * HOUR_MS)
    forward = spot * np.exp(0.05 * years)
    vol = smile(np.log(strike / forward) / np.sqrt(years))
    n = len(strike)
    return clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode(underlying),
        settlement=Settlement.COIN,
        time_ms=time,
        names=np.array([f"{underlying}-{i}" for i in range(n)]),
        quote_ms=np.full(n, time),
        expiry_ms=expiry,
        strike=strike,
        sign=sign,
        bid=np.full(n, 0.01),
        ask=np.full(n, 0.02),
        mark=np.full(n, 0.015),
        bid_iv=vol - 0.01,
        ask_iv=vol + 0.01,
        mark_iv=vol,
        forward=forward,
        index=np.full(n, spot),
        open_interest=np.full(n, 10.0),
    )


def snapshots(
    spots: Mapping[int, float], underlyings: tuple[str, ...] = ("BTC",)
) -> list[Snapshot]:
    return [
        Snapshot(
            START + hour * HOUR_MS, {CurrencyCode(u): chain(hour, spot, u) for u in underlyings}
        )
        for hour, spot in spots.items()
    ]


FLAT = FlatBlack(id=ModelId("flat"))
SVI = SviPerExpiry(id=ModelId("svi"))


@dataclass(frozen=True)
class Faulty:
    """A user's model with a fault of one's choice."""

    fault: str

    @property
    def id(self) -> ModelId:
        return ModelId("faulty")

    @property
    def card(self) -> Card:
        return Card(self.id, ModelFamily.SURFACE)

    @property
    def requires(self) -> Requirements:
        return Requirements(("mark_iv",))

    def calibrate(self, chain: OptionChain) -> Success[Faulty] | Failure:
        if self.fault == "fails":
            return Failure(FailureReason.CALIBRATION_FAILED, "does not converge", "try SVI")
        if self.fault == "raises":
            raise ValueError("bang")
        return Success(self)

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        if self.fault == "shape":
            return np.ones(1)
        if self.fault == "divides":
            raise ZeroDivisionError("no time left")
        return np.where(years * 365 < 45, 0.5, np.nan)


def test_a_smile_that_stays_is_forecast_by_those_who_can() -> None:
    built = build_surface_panel(
        snapshots({0: 30_000.0, 1: 30_300.0}), [FLAT, SVI], underlyings=["BTC"]
    )
    panel = built.panel
    assert panel.shape == (1, 9, 2)
    assert panel.targets == tuple(f"BTC {bucket}" for bucket in BUCKETS)
    assert built.notes == ()
    assert (built.quotes > 0).all()
    # The smile is a function of ln(K/F)/sqrt(T) and does not change; SVI is sticky in ln(K/F).
    np.testing.assert_allclose(panel.forecast[..., 1], panel.outcome, rtol=0.01)
    assert np.abs(panel.forecast[..., 0] / panel.outcome - 1).max() > 0.01
    for benchmark in (panel.benchmark_a, panel.benchmark_b):
        assert benchmark is not None
        np.testing.assert_allclose(benchmark, panel.outcome, rtol=0.01)
    assert not np.array_equal(panel.benchmark_a, panel.benchmark_b)
    np.testing.assert_allclose(panel.scale, 0.01, rtol=1e-9)
    np.testing.assert_allclose(panel.state["log_abs_move"], np.log(np.log(1.01)), rtol=1e-9)
    assert panel.times_ms.tolist() == [START]
    assert panel.horizon_ms == HOUR_MS


def test_parameters_are_kept_for_evidence() -> None:
    built = build_surface_panel(snapshots({0: 3e4, 1: 3e4}), [FLAT, SVI], underlyings=["BTC"])
    kept = built.parameters
    rows = (kept.model == "svi") & (kept.name == "rho")
    assert rows.sum() == len(DAYS)
    assert (kept.time_ms == START).all()
    surface = SVI.calibrate(chain(0))
    assert isinstance(surface, Success)
    np.testing.assert_array_equal(kept.value[rows], surface.value.slices.parameters["rho"])


def test_a_gap_drops_rows_and_says_so() -> None:
    built = build_surface_panel(
        snapshots(dict.fromkeys([0, 1, 2, 4, 5], 3e4)), [FLAT], underlyings=["BTC"]
    )
    hours = (built.panel.times_ms - START) // HOUR_MS
    assert hours.tolist() == [0, 1, 4]
    (note,) = built.notes
    assert (note.code, note.count) == ("missing_snapshots", 2)
    assert "2023-04-12T14:00" in note.message
    assert "2023-04-12T15:00" in note.message


def test_a_missing_coin_is_not_filled_in() -> None:
    both = snapshots({0: 3e4, 1: 3e4, 2: 3e4}, ("BTC", "ETH"))
    both[0] = Snapshot(both[0].time_ms, {CurrencyCode("BTC"): both[0].chain("BTC")})
    built = build_surface_panel(both, [FLAT])
    eth = [t.startswith("ETH") for t in built.panel.targets]
    assert np.isnan(built.panel.outcome[0, eth]).all()
    assert np.isfinite(built.panel.outcome[1]).all()
    assert [note.code for note in built.notes] == ["missing_chain", "empty_bucket"]
    assert built.panel.failures == ()  # no model's fault


@pytest.mark.parametrize(
    ("fault", "reason", "words", "cells"),
    [
        ("fails", FailureReason.CALIBRATION_FAILED, "does not converge", 9),
        ("raises", FailureReason.CALCULATION_FAILED, "ValueError: bang", 9),
        ("shape", FailureReason.CALCULATION_FAILED, "one volatility per strike", 9),
        ("divides", FailureReason.CALCULATION_FAILED, "ZeroDivisionError", 9),
        ("short", FailureReason.CALCULATION_FAILED, "no volatility for", 3),
    ],
)
def test_a_faulty_model_fails_alone(
    fault: str, reason: FailureReason, words: str, cells: int
) -> None:
    market = snapshots(dict.fromkeys(range(4), 3e4))
    panel = build_surface_panel(market, [Faulty(fault), SVI], underlyings=["BTC"]).panel
    alone = build_surface_panel(market, [SVI], underlyings=["BTC"]).panel
    np.testing.assert_array_equal(panel.forecast[..., 1], alone.forecast[..., 0])
    assert np.isnan(panel.forecast[..., 0]).sum() == 3 * cells
    # Three failed hours in a row are one entry per target.
    assert len(panel.failures) == cells
    for failed in panel.failures:
        assert (failed.model, failed.count, failed.time_ms) == ("faulty", 3, START)
        assert failed.failure.reason is reason
        assert words in str(failed.failure)


class ThroughPickle:
    """An executor that sends pieces and results through pickle, as other processes would."""

    def map(self, function: Callable[[A], B], pieces: Iterable[A]) -> Iterator[B]:
        for piece in pieces:
            run, received = pickle.loads(pickle.dumps((function, piece)))
            yield pickle.loads(pickle.dumps(run(received)))


def test_the_executor_does_not_matter() -> None:
    market = snapshots(dict.fromkeys(range(3), 3e4))
    here, there = (
        build_surface_panel(market, [FLAT, SVI], underlyings=["BTC"], executor=executor).panel
        for executor in (None, ThroughPickle())
    )
    assert here.content_hash == there.content_hash


def test_what_cannot_be_built_says_what_to_do() -> None:
    market = snapshots({0: 3e4, 1: 3e4})
    with pytest.raises(PanelError, match="grid that contains the horizon"):
        build_surface_panel(market[:1], [FLAT])
    with pytest.raises(PanelError, match="0 models"):
        build_surface_panel(market, [])
    with pytest.raises(PanelError, match="share a time"):
        build_surface_panel([*market, market[0]], [FLAT])


def test_observed_vol_falls_back_to_the_mark() -> None:
    quotes = chain(0)
    wide, one_sided = quotes.bid_iv.copy(), quotes.bid_iv.copy()
    wide[0], one_sided[1] = 0.01, np.nan
    quotes = replace(
        quotes,
        bid_iv=np.where(np.arange(len(quotes)) == 0, wide, one_sided),
        ask_iv=np.where(np.arange(len(quotes)) == 0, 2.0, quotes.ask_iv + 0.01),
    )
    vol, half_spread = observed_vol(quotes)
    np.testing.assert_allclose(vol[:2], quotes.mark_iv[:2])
    np.testing.assert_allclose(vol[2:], quotes.mark_iv[2:] + 0.005)
    assert quotes.two_sided.all()
    assert np.isnan(half_spread[:2]).all()
    np.testing.assert_allclose(half_spread[2:], 0.015)


def test_quotes_are_out_of_the_money_a_day_off_and_in_their_bucket() -> None:
    quotes = evaluation_quotes(chain(0), chain(1))
    days = quotes.years * 365
    assert days.min() > 1  # the half-day expiry is out
    tenor, wing = quotes.bucket // 3, quotes.bucket % 3
    np.testing.assert_array_equal(tenor, np.searchsorted([7.0, 45.0], days))
    assert (quotes.strike[wing == 0] < quotes.forward[wing == 0]).all()
    assert (quotes.strike[wing == 2] > quotes.forward[wing == 2]).all()


def test_the_two_benchmarks_share_no_quote() -> None:
    """Spoiling one half's quotes leaves the other half's benchmark as it was."""
    now, quotes = chain(0), evaluation_quotes(chain(0), chain(1))
    odd = (np.arange(len(now)) // 2) % 21 % 2 == 1
    spoilt = replace(
        now,
        mark_iv=np.where(odd, 2.9, now.mark_iv),
        bid_iv=np.where(odd, np.nan, now.bid_iv),
    )
    changed = [
        not np.array_equal(sticky_smile(now, quotes, half), sticky_smile(spoilt, quotes, half))
        for half in (0, 1)
    ]
    assert sorted(changed) == [False, True]
