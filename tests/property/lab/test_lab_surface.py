"""The simulated surface is free of static arbitrage and the quotes are honest about it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.ids import CurrencyCode
from commonmode.lab.market import SvjParameters, simulate_path
from commonmode.lab.options import (
    QuoteNoise,
    SurfaceParameters,
    simulate_snapshots,
    true_implied_vol,
)
from commonmode.market.chain import OptionChain

CLEAN = QuoteNoise(mark_noise_vol=0.0, missing_bid=0.0, missing_ask=0.0, span_ms=0)


@st.composite
def surfaces(draw: st.DrawFn) -> SurfaceParameters:
    skew = draw(st.floats(-0.9, 0.9))
    share = draw(st.floats(0.05, 1.0))
    return SurfaceParameters(skew=skew, curvature=share * 2 / (1 + abs(skew)) * (1 - 1e-12))


def one_chain(seed: int, variance: float, surface: SurfaceParameters, noise: QuoteNoise) -> tuple:  # type: ignore[type-arg]
    path = simulate_path("BTC", SvjParameters(variance=variance), "2023-04-12", 1, seed=seed)
    (snapshot,) = simulate_snapshots(
        {CurrencyCode("BTC"): path}, path.times_ms[10:11], surface, noise
    )
    return path, snapshot.chain("BTC")


def exact_calls(chain: OptionChain, vol: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By expiry: strikes over forward, and undiscounted call prices over forward."""
    from scipy.special import ndtr

    found = {}
    for expiry in np.unique(chain.expiry_ms).tolist():
        rows = (chain.expiry_ms == expiry) & (chain.sign == 1)
        k = chain.strike[rows] / chain.forward[rows]
        total = vol[rows] * np.sqrt(chain.years[rows])
        d1 = -np.log(k) / total + total / 2
        found[expiry] = k, ndtr(d1) - k * ndtr(d1 - total)
    return found


@given(seed=st.integers(0, 1000), variance=st.floats(0.01, 2.0), surface=surfaces())
def test_no_butterfly_and_no_calendar_arbitrage(
    seed: int, variance: float, surface: SurfaceParameters
) -> None:
    path, chain = one_chain(seed, variance, surface, CLEAN)
    vol = true_implied_vol(path, surface, chain)
    for k, call in exact_calls(chain, vol).values():
        slopes = np.diff(call) / np.diff(k)
        assert np.all(slopes <= 1e-9)
        assert np.all(slopes >= -1 - 1e-9)
        assert np.all(np.diff(slopes) >= -1e-9)
    # Total variance at a given log-moneyness does not fall with expiry: at the money, here.
    atm = [
        np.interp(0.0, chain.log_moneyness[rows][order], (vol**2 * chain.years)[rows][order])
        for expiry in np.unique(chain.expiry_ms)
        for rows in [np.flatnonzero((chain.expiry_ms == expiry) & (chain.sign == 1))]
        for order in [np.argsort(chain.log_moneyness[rows])]
    ]
    assert np.all(np.diff(atm) > -1e-4)


@given(seed=st.integers(0, 1000), variance=st.floats(0.05, 2.0))
def test_quotes_enclose_the_truth_within_a_tick(seed: int, variance: float) -> None:
    surface = SurfaceParameters()
    path, chain = one_chain(seed, variance, surface, CLEAN)
    np.testing.assert_allclose(chain.mark_iv, true_implied_vol(path, surface, chain), rtol=1e-12)
    both = chain.two_sided
    assert both.any()
    assert np.all(chain.bid.values[both] <= chain.mark.values[both] + 5e-5 + 1e-12)
    assert np.all(chain.ask.values[both] >= chain.mark.values[both] - 5e-5 - 1e-12)


@given(seed=st.integers(0, 1000))
def test_put_call_parity_of_marks_up_to_rounding(seed: int) -> None:
    _, chain = one_chain(seed, 0.36, SurfaceParameters(), CLEAN)
    call, put = chain.sign == 1, chain.sign == -1
    gap = chain.mark.values[call] - chain.mark.values[put]
    parity = 1 - chain.strike[call] / chain.forward[call]
    assert np.max(np.abs(gap - parity)) <= 1e-4 + 1e-12


@given(seed=st.integers(0, 1000), crossed=st.floats(0.1, 0.9))
def test_planted_defects_are_flagged_and_no_row_is_lost(seed: int, crossed: float) -> None:
    noise = QuoteNoise(missing_bid=0.2, missing_ask=0.2, crossed=crossed)
    _, broken = one_chain(seed, 0.36, SurfaceParameters(), noise)
    _, clean = one_chain(seed, 0.36, SurfaceParameters(), CLEAN)
    assert broken.names.tolist() == clean.names.tolist()
    assert not broken.two_sided.all()
    assert np.all(np.diff(broken.quote_ms) >= 0)
    assert broken.quote_ms.max() - broken.time_ms <= noise.span_ms
