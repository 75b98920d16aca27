"""The simulated market shows what its parameters promise."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import VenueId
from commonmode.core.units import HOUR_MS, YEAR_MS
from commonmode.lab.market import SvjParameters, VenueNoise, simulate_history, simulate_path
from commonmode.lab.options import QuoteNoise, SurfaceParameters, listed_expiries
from commonmode.market.clock import utc_ms

HOURS = 8_000


@pytest.fixture(scope="module")
def long_path() -> object:
    return simulate_path("BTC", SvjParameters(), "2021-01-01", HOURS, seed=11, steps_per_hour=12)


def test_same_seed_same_path_and_other_seed_other_path() -> None:
    paths = [simulate_path("BTC", SvjParameters(), 0, 10, seed=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(paths[0].log_price, paths[1].log_price)
    assert not np.array_equal(paths[0].log_price, paths[2].log_price)


def test_quadratic_variation_is_variance_plus_jumps(long_path) -> None:  # type: ignore[no-untyped-def]
    dt = long_path.step_ms / YEAR_MS
    moves = np.diff(long_path.log_price)
    diffusion = moves - long_path.jump[1:]
    # Relative standard error of a sum of 96 000 squared normals is sqrt(2/96 000) = 0.5 %.
    expected = (long_path.variance[:-1] * dt).sum()
    assert (diffusion**2).sum() == pytest.approx(expected, rel=0.03)


def test_variance_reverts_to_its_mean(long_path) -> None:  # type: ignore[no-untyped-def]
    # Stationary variance of v is xi^2 theta / (2 kappa) = 0.034; averaged over 0.91 years its sd is
    # sqrt(2 * 0.034 / (kappa * 0.91)) = 0.08, so three of them are 0.24.
    assert np.all(long_path.variance >= 0)
    assert long_path.variance.mean() == pytest.approx(0.36, abs=0.24)


def test_coins_share_the_market_shock() -> None:
    calm = {"jumps_per_year": 0.0, "vol_of_vol": 0.0}
    paths = [
        simulate_path(name, SvjParameters(market_loading=0.8, **calm), 0, 4_000, seed=5,
                      steps_per_hour=1)
        for name in ("BTC", "ETH")
    ]  # fmt: skip
    returns = [np.diff(p.log_price) for p in paths]
    # Loading 0.8 twice: correlation 0.64, standard error (1 - 0.41)/sqrt(4000) = 0.009.
    assert np.corrcoef(returns)[0, 1] == pytest.approx(0.64, abs=0.04)


def test_a_path_does_not_depend_on_its_neighbours() -> None:
    alone = simulate_path("ETH", SvjParameters(), 0, 5, seed=1)
    simulate_path("BTC", SvjParameters(), 0, 50, seed=1)
    np.testing.assert_array_equal(
        alone.log_price, simulate_path("ETH", SvjParameters(), 0, 5, seed=1).log_price
    )


def test_history_without_noise_is_the_truth(long_path) -> None:  # type: ignore[no-untyped-def]
    history = simulate_history(long_path)
    assert len(history) == HOURS
    np.testing.assert_allclose(history.column("close"), long_path.price(history.times_ms), rtol=0)
    assert [note.code for note in history.notes] == ["simulated"]
    assert np.all(history.column("low") <= history.column("open"))
    assert np.all(history.column("high") >= history.column("close"))


def test_two_venues_differ_by_their_noise(long_path) -> None:  # type: ignore[no-untyped-def]
    noisy = VenueNoise(VenueId("b"), offset=0.001, noise_sd=0.0005, missing=0.1)
    history = simulate_history(long_path, noisy)
    assert 0.85 * HOURS < len(history) < 0.95 * HOURS
    premium = np.log(history.column("close") / long_path.price(history.times_ms))
    assert premium.mean() == pytest.approx(0.001, abs=1e-4)
    assert premium.std() == pytest.approx(0.0005, rel=0.1)
    assert "gap" in [note.code for note in history.notes]


def test_calendar_of_expiries() -> None:
    expiries = listed_expiries(utc_ms("2023-04-12T11:00"))
    days = [str(d) for d in expiries.astype("datetime64[ms]").astype("datetime64[D]")]
    assert days == [
        "2023-04-13", "2023-04-14", "2023-04-15", "2023-04-21", "2023-04-28", "2023-05-05",
        "2023-05-26", "2023-06-30", "2023-09-29", "2023-12-29", "2024-03-29",
    ]  # fmt: skip
    assert np.all(expiries % (24 * HOUR_MS) == 8 * HOUR_MS)


def test_expiry_at_the_very_moment_is_no_longer_listed() -> None:
    assert listed_expiries(utc_ms("2023-04-13T08:00"))[0] == utc_ms("2023-04-14T08:00")


@pytest.mark.parametrize(
    "make",
    [
        lambda: SvjParameters(price=0.0),
        lambda: SvjParameters(correlation=1.0),
        lambda: SvjParameters(vol_of_vol=float("nan")),
        lambda: VenueNoise(missing=1.0),
        lambda: SurfaceParameters(skew=-0.5, curvature=1.5),
        lambda: QuoteNoise(missing_bid=1.5),
        lambda: simulate_path("BTC", SvjParameters(), 0, 0, seed=1),
        lambda: simulate_path("BTC", SvjParameters(), 0, 1, seed=1, steps_per_hour=7),
    ],
)
def test_parameters_out_of_range(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.remedy
