"""The future may be altered at will: no forecast of the surface panel notices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.arrays import FloatArray
from commonmode.core.ids import CurrencyCode, ModelId, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import clean_chain
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.surface import SurfacePanel, build_surface_panel
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.sabr_model import SabrPerExpiry
from commonmode.pricing.svi_model import SviPerExpiry

DAYS = np.array([4.0, 30.0, 90.0])
MODELS = (
    FlatBlack(id=ModelId("flat")),
    SviPerExpiry(id=ModelId("svi"), quotes="mid"),
    SabrPerExpiry(id=ModelId("sabr")),
)
HOURS = 5


def chain(hour: int, spot: float, noise: FloatArray) -> OptionChain:
    time = hour * HOUR_MS
    expiry = np.repeat((DAYS * 24 * HOUR_MS).astype(np.int64), 15)
    strike = 1000.0 * np.exp(np.outer(np.sqrt(DAYS / 365), np.linspace(-1, 1, 15))).ravel()
    forward = np.full(len(strike), spot)
    years = (expiry - time) / (365 * 24 * HOUR_MS)
    x = np.log(strike / forward) / np.sqrt(years)
    vol = (0.7 - 0.1 * x + 0.1 * x**2) * np.exp(0.02 * noise)
    n = len(strike)
    return clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode("BTC"),
        settlement=Settlement.COIN,
        time_ms=time,
        names=np.array([f"O{i}" for i in range(n)]),
        quote_ms=np.full(n, time),
        expiry_ms=expiry,
        strike=strike,
        sign=np.where(strike >= forward, 1, -1),
        bid=np.full(n, 0.01),
        ask=np.full(n, 0.02),
        mark=np.full(n, 0.015),
        bid_iv=vol * 0.98,
        ask_iv=vol * 1.02,
        mark_iv=vol,
        forward=forward,
        index=forward,
        open_interest=np.full(n, 10.0),
    )


def market(seed: int) -> list[OptionChain]:
    rng = np.random.default_rng(seed)
    spots = 1000.0 * np.exp(np.cumsum(rng.normal(0, 0.005, HOURS)))
    return [chain(h, float(spots[h]), rng.normal(size=45)) for h in range(HOURS)]


def built(chains: list[OptionChain]) -> SurfacePanel:
    snapshots = [Snapshot(c.time_ms, {CurrencyCode("BTC"): c}) for c in chains]
    return build_surface_panel(snapshots, MODELS, underlyings=["BTC"])


def known_at(panel: ErrorPanel) -> list[FloatArray]:
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    return [panel.forecast, panel.benchmark_a, panel.benchmark_b, panel.scale]


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, HOURS - 1), st.floats(0.5, 2.0))
def test_later_volatilities_change_no_earlier_forecast(seed: int, row: int, factor: float) -> None:
    """All volatilities from `row` on are altered, forwards and strikes are not."""
    chains = market(seed)
    altered = [
        c
        if h < row
        else replace(
            c, mark_iv=c.mark_iv * factor, bid_iv=c.bid_iv * factor, ask_iv=c.ask_iv * factor
        )
        for h, c in enumerate(chains)
    ]
    before, after = built(chains), built(altered)
    for first, second in zip(known_at(before.panel), known_at(after.panel), strict=True):
        np.testing.assert_array_equal(first[:row], second[:row])
    if factor != 1:
        assert (before.panel.outcome[row - 1] != after.panel.outcome[row - 1]).all()
    early = before.parameters.time_ms < chains[row].time_ms
    np.testing.assert_array_equal(
        before.parameters.value[early],
        after.parameters.value[after.parameters.time_ms < chains[row].time_ms],
    )


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(2, HOURS - 1))
def test_the_far_future_changes_nothing_at_all(seed: int, row: int) -> None:
    """Chains after t + h are replaced, forwards included: rows up to t stay to the last bit."""
    chains, other = market(seed), market(seed + 1)
    before, after = built(chains).panel, built(chains[:row] + other[row:]).panel
    for first, second in zip(
        [*known_at(before), before.outcome, before.state["log_abs_move"]],
        [*known_at(after), after.outcome, after.state["log_abs_move"]],
        strict=True,
    ):
        np.testing.assert_array_equal(first[: row - 1], second[: row - 1])


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.permutations(range(HOURS)))
def test_the_order_in_which_snapshots_come_is_irrelevant(seed: int, order: list[int]) -> None:
    chains = market(seed)
    assert built(chains).panel.content_hash == built([chains[i] for i in order]).panel.content_hash
