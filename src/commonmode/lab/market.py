"""A simulated spot market: stochastic volatility with jumps, seen by noisy venues.

Bates (1996), "Jumps and stochastic volatility", Review of Financial Studies 9(1), eqs 1-2::

    dS/S = (mu - lambda kbar) dt + sqrt(v) dW + (e^J - 1) dN,   J ~ Normal(m, s^2)
    dv   = kappa (theta - v) dt + xi sqrt(v) dB,                 corr(dW, dB) = rho

on an Euler grid with full truncation (Lord, Koekkoek and van Dijk 2010, Quantitative Finance 10(2),
section 3). The variance path is the known truth that models try to see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, freeze_arrays
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import CurrencyCode, InstrumentId, VenueId
from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS, YEAR_MS
from commonmode.market.bars import clean_bars
from commonmode.market.clock import TimeLike, utc_iso, utc_ms
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote

__all__ = ["MarketPath", "SvjParameters", "VenueNoise", "simulate_history", "simulate_path"]


@dataclass(frozen=True, slots=True)
class SvjParameters:
    """Parameters of the simulated spot, per year of 365 days.

    The defaults are round numbers of a large coin's order of magnitude; they estimate nothing.

    Attributes
    ----------
    price : float
        USD at the start.
    drift : float
    variance : float
        At the start, annualised.
    mean_variance, reversion, vol_of_vol : float
        theta, kappa, xi.
    correlation : float
        Of price and variance shocks, in (-1, 1).
    jumps_per_year, jump_mean, jump_sd : float
        lambda, m, s of log jumps.
    market_loading : float
        In [0, 1]: correlation of the price shock with the one all coins share.
    """

    price: float = 30_000.0
    drift: float = 0.0
    variance: float = 0.36
    mean_variance: float = 0.36
    reversion: float = 12.0
    vol_of_vol: float = 1.5
    correlation: float = -0.3
    jumps_per_year: float = 24.0
    jump_mean: float = -0.01
    jump_sd: float = 0.03
    market_loading: float = 0.8

    def __post_init__(self) -> None:
        """Check the ranges."""
        positive = ("price", "mean_variance", "reversion")
        not_negative = ("variance", "vol_of_vol", "jumps_per_year", "jump_sd")
        wrong = [n for n in positive if not getattr(self, n) > 0]
        wrong += [n for n in not_negative if not getattr(self, n) >= 0]
        wrong += ["correlation"] if not -1 < self.correlation < 1 else []
        wrong += ["market_loading"] if not 0 <= self.market_loading <= 1 else []
        if wrong:
            raise ConfigurationError(
                f"parameters of the simulated market out of range: {', '.join(wrong)}",
                remedy="variances, rates and scales are positive, correlations inside (-1, 1)",
            )

    @property
    def mean_jump(self) -> float:
        """``kbar = E[e^J] - 1``."""
        return math.exp(self.jump_mean + 0.5 * self.jump_sd**2) - 1.0

    @property
    def jump_variance(self) -> float:
        """Quadratic variation of the jumps per year, ``lambda (m^2 + s^2)``."""
        return self.jumps_per_year * (self.jump_mean**2 + self.jump_sd**2)


@dataclass(frozen=True, slots=True, eq=False)
class MarketPath:
    """The truth: price and variance on the simulation grid.

    Between grid points the last point holds, so that no quote knows the next one.

    Attributes
    ----------
    underlying : CurrencyCode
    parameters : SvjParameters
    seed : int
    times_ms : int64, shape (S + 1,)
        Equally spaced, UTC milliseconds.
    log_price : float64, shape (S + 1,)
    variance : float64, shape (S + 1,)
        Annualised, >= 0.
    jump : float64, shape (S + 1,)
        Log jumps in the step that ends here.
    """

    underlying: CurrencyCode
    parameters: SvjParameters
    seed: int
    times_ms: IntArray
    log_price: FloatArray
    variance: FloatArray
    jump: FloatArray

    def __post_init__(self) -> None:
        """The arrays become read-only."""
        freeze_arrays(self)

    @property
    def step_ms(self) -> int:
        """Spacing of the grid."""
        return int(self.times_ms[1] - self.times_ms[0])

    def index(self, times_ms: IntArray) -> IntArray:
        """Grid point in force at each time.

        Raises
        ------
        DataError
            Before the start or after the end of the path.
        """
        times = np.asarray(times_ms, dtype=np.int64)
        outside = (times < self.times_ms[0]) | (times >= self.times_ms[-1] + self.step_ms)
        if outside.any():
            raise DataError(
                f"{utc_iso(int(times[outside][0]))} is not on the simulated path of "
                f"{self.underlying}",
                remedy=f"it runs from {utc_iso(int(self.times_ms[0]))} to "
                f"{utc_iso(int(self.times_ms[-1]))}; simulate more hours",
            )
        return np.asarray(np.searchsorted(self.times_ms, times, side="right") - 1)

    def price(self, times_ms: IntArray) -> FloatArray:
        """True price at ``times_ms``, USD."""
        return np.asarray(np.exp(self.log_price[self.index(times_ms)]))

    def volatility(self, times_ms: IntArray) -> FloatArray:
        """True spot volatility (diffusion and jumps) at ``times_ms``, annualised decimal."""
        variance = self.variance[self.index(times_ms)] + self.parameters.jump_variance
        return np.asarray(np.sqrt(variance))


def simulate_path(
    underlying: str,
    parameters: SvjParameters,
    start: TimeLike,
    hours: int,
    *,
    seed: int,
    steps_per_hour: int = 60,
) -> MarketPath:
    """Simulate one coin; coins of one seed share the market's shock.

    Parameters
    ----------
    underlying : str
    parameters : SvjParameters
    start : TimeLike
    hours : int
        Length of the path.
    seed : int
        Of the whole laboratory; the streams are named by ``underlying``.
    steps_per_hour : int
        A divisor of 3600. Sixty makes quotes a minute apart differ; 12 is enough for bars.
    """
    if hours < 1 or steps_per_hour < 1 or 3600 % steps_per_hour:
        raise ConfigurationError(
            f"cannot simulate {hours} hours in {steps_per_hour} steps each",
            remedy="give at least one hour and a divisor of 3600 as steps per hour",
        )
    p = parameters
    steps = hours * steps_per_hour
    step_ms = HOUR_MS // steps_per_hour
    dt = step_ms / YEAR_MS
    market = stream(seed, "lab", "market").standard_normal(steps)
    own = stream(seed, "lab", underlying, "price").standard_normal((2, steps))
    shock = p.market_loading * market + math.sqrt(1 - p.market_loading**2) * own[0]
    shock_v = p.correlation * shock + math.sqrt(1 - p.correlation**2) * own[1]
    jumps = stream(seed, "lab", underlying, "jumps")
    count = jumps.poisson(p.jumps_per_year * dt, steps)
    jump = count * p.jump_mean + np.sqrt(count) * p.jump_sd * jumps.standard_normal(steps)

    variance = _truncated_variance(p, shock_v, dt)
    drift = p.drift - p.jumps_per_year * p.mean_jump - 0.5 * variance[:-1]
    moves = drift * dt + np.sqrt(variance[:-1] * dt) * shock + jump
    return MarketPath(
        underlying=CurrencyCode(underlying),
        parameters=parameters,
        seed=seed,
        times_ms=utc_ms(start) + step_ms * np.arange(steps + 1, dtype=np.int64),
        log_price=math.log(p.price) + np.concatenate(([0.0], np.cumsum(moves))),
        variance=variance,
        jump=np.concatenate(([0.0], jump)),
    )


def _truncated_variance(p: SvjParameters, shock: FloatArray, dt: float) -> FloatArray:
    """Full truncation Euler: v may dip below zero, drift and diffusion see max(v, 0)."""
    path = np.empty(len(shock) + 1)
    path[0] = v = p.variance
    pull, scale = p.reversion * dt, p.vol_of_vol * math.sqrt(dt)
    for i, z in enumerate(shock.tolist()):
        floor = v if v > 0.0 else 0.0
        v += pull * (p.mean_variance - floor) + scale * math.sqrt(floor) * z
        path[i + 1] = v
    return np.maximum(path, 0.0)


@dataclass(frozen=True, slots=True)
class VenueNoise:
    """How a venue's price differs from the true one.

    Attributes
    ----------
    venue : VenueId
    offset : float
        Constant log premium, e.g. 0.0002.
    noise_sd : float
        Standard deviation of the wandering log premium (AR(1) on the grid).
    half_life_hours : float
        Of the wandering premium.
    missing : float
        Share of bars that are not there, in [0, 1).
    """

    venue: VenueId = field(default=VenueId("laboratory"))
    offset: float = 0.0
    noise_sd: float = 0.0
    half_life_hours: float = 0.5
    missing: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (self.noise_sd >= 0 and self.half_life_hours > 0 and 0 <= self.missing < 1):
            raise ConfigurationError(
                f"noise of venue {self.venue} is out of range",
                remedy="noise_sd >= 0, half_life_hours > 0, 0 <= missing < 1",
            )


def simulate_history(path: MarketPath, venue: VenueNoise | None = None) -> History:
    """Hourly bars of ``path`` as ``venue`` shows them; the first bar ends an hour after the start.

    Columns ``open, high, low, close, volume``. The truth beside them is ``path.volatility`` and
    ``path.price`` at the same times.
    """
    noise = venue or VenueNoise()
    per_hour = HOUR_MS // path.step_ms
    hours = (len(path.times_ms) - 1) // per_hour
    rng = stream(path.seed, "lab", path.underlying, "venue", noise.venue)
    keep = math.exp(-math.log(2) / (noise.half_life_hours * per_hour))
    premium = noise.offset + noise.noise_sd * _ar1(rng.standard_normal(hours * per_hour + 1), keep)
    seen = np.exp(path.log_price[: hours * per_hour + 1] + premium)
    # A bar holds its own steps and the price it opened at.
    blocks = np.lib.stride_tricks.sliding_window_view(seen, per_hour + 1)[::per_hour]
    there = rng.random(hours) >= noise.missing
    if not there.any():
        raise DataError(f"venue {noise.venue} shows no bar at all", remedy="lower `missing`")
    moved = np.abs(np.diff(np.log(blocks), axis=1)).sum(axis=1)
    columns = {
        "open": blocks[:, 0],
        "high": blocks.max(axis=1),
        "low": blocks.min(axis=1),
        "close": blocks[:, -1],
        # Volume follows movement (mixture of distributions, Clark 1973); the unit is arbitrary.
        "volume": 1e4 * moved * rng.lognormal(0.0, 0.3, hours),
    }
    text = f"simulated market, seed {path.seed}: not a recording"
    return clean_bars(
        InstrumentId(f"{noise.venue}:{path.underlying}"),
        HOUR_MS,
        path.times_ms[per_hour::per_hour][:hours][there],
        {name: values[there] for name, values in columns.items()},
        notes=(DataNote("simulated", text, int(there.sum())),),
    )


def _ar1(shocks: FloatArray, keep: float) -> FloatArray:
    """Stationary AR(1) of unit variance."""
    values = np.empty(len(shocks))
    values[0] = x = float(shocks[0])
    scale = math.sqrt(1 - keep * keep)
    for i, z in enumerate(shocks[1:].tolist(), 1):
        x = keep * x + scale * z
        values[i] = x
    return values
