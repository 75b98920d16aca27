"""A simulated options market: a known arbitrage-free surface, quoted with a venue's defects.

The surface is SSVI (Gatheral and Jacquier 2014, "Arbitrage-free SVI volatility surfaces",
Quantitative Finance 14(1), eq. 4.1) with their power-law phi (section 4.1, gamma = 1/2)::

    w(k, th) = th/2 (1 + r phi k + sqrt((phi k + r)^2 + 1 - r^2)),   phi = eta / sqrt(th (1 + th))

and at-the-money total variance ``th(T)`` the expected variance of the simulated spot, so that the
surface lives and dies with the variance state. ``eta (1 + |r|) <= 2`` rules out static arbitrage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.random import stream
from commonmode.core.units import years_between
from commonmode.lab._black import coin_price
from commonmode.lab.market import MarketPath, SvjParameters
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import chain_notes, clean_chain
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = [
    "LABORATORY",
    "QuoteNoise",
    "SurfaceParameters",
    "listed_expiries",
    "simulate_snapshots",
    "true_implied_vol",
]

LABORATORY: Final = VenueId("laboratory")
"""The venue that is none."""

_DAY_MS: Final = 86_400_000
_PRICE_TICK: Final = 0.0005
_MARK_TICK: Final = 0.0001


@dataclass(frozen=True, slots=True)
class SurfaceParameters:
    """Shape of the true surface.

    Attributes
    ----------
    skew : float
        SSVI's rho, in (-1, 1); negative: puts are dearer.
    curvature : float
        SSVI's eta, > 0, with ``curvature (1 + |skew|) <= 2``.
    carry : float
        Annual rate of the forward over spot.
    """

    skew: float = -0.2
    curvature: float = 1.0
    carry: float = 0.04

    def __post_init__(self) -> None:
        """Check the no-arbitrage bound."""
        if not -1 < self.skew < 1 or not 0 < self.curvature * (1 + abs(self.skew)) <= 2:
            raise ConfigurationError(
                f"skew {self.skew} and curvature {self.curvature} allow arbitrage",
                remedy="keep |skew| < 1 and curvature * (1 + |skew|) <= 2",
            )


@dataclass(frozen=True, slots=True)
class QuoteNoise:
    """What the venue does to the true price.

    Attributes
    ----------
    half_spread_vol : float
        Half the bid-ask spread at the money, annualised decimal; wings are wider.
    mark_noise_vol : float
        Standard deviation of the mark volatility around the true one.
    missing_bid, missing_ask : float
        Share of quotes without that side, in [0, 1]; cheap options have no bid anyway.
    crossed : float
        Share of quotes whose sides are exchanged, in [0, 1].
    span_ms : int
        Instruments are polled one after another over this time.
    """

    half_spread_vol: float = 0.01
    mark_noise_vol: float = 0.002
    missing_bid: float = 0.02
    missing_ask: float = 0.02
    crossed: float = 0.0
    span_ms: int = 120_000

    def __post_init__(self) -> None:
        """Check the ranges."""
        shares = (self.missing_bid, self.missing_ask, self.crossed)
        sizes = (self.half_spread_vol, self.mark_noise_vol, self.span_ms)
        if not all(0 <= s <= 1 for s in shares) or not all(s >= 0 for s in sizes):
            raise ConfigurationError(
                "quote noise is out of range", remedy="shares in [0, 1], sizes not negative"
            )


def listed_expiries(time_ms: int) -> IntArray:
    """Expiries listed at ``time_ms``, all at 08:00 UTC, int64, increasing.

    The next three days, Fridays within four weeks, last Fridays of the month within 13 weeks and
    of the quarter within 53: the calendar of the large venues.
    """
    first = (time_ms // _DAY_MS) * _DAY_MS + 8 * 3_600_000
    first += _DAY_MS if first <= time_ms else 0
    found = []
    for ahead in range(53 * 7):
        expiry = first + ahead * _DAY_MS
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=expiry)
        friday = date.weekday() == 4
        last_friday = friday and (date + timedelta(days=7)).month != date.month
        quarter = last_friday and date.month % 3 == 0
        if ahead < 3 or (friday and ahead < 28) or (last_friday and ahead < 91) or quarter:
            found.append(expiry)
    return np.array(found, dtype=np.int64)


def true_implied_vol(
    path: MarketPath, surface: SurfaceParameters, chain: OptionChain
) -> FloatArray:
    """The volatility from which each quote of ``chain`` was made, shape (n,)."""
    variance = path.variance[path.index(chain.quote_ms)]
    return _surface_vol(path.parameters, surface, variance, chain.years, chain.log_moneyness)


def simulate_snapshots(
    paths: Mapping[CurrencyCode, MarketPath],
    times: IntArray | Sequence[int],
    surface: SurfaceParameters | None = None,
    noise: QuoteNoise | None = None,
    venue: VenueId = LABORATORY,
) -> Iterator[Snapshot]:
    """Coin-settled chains at ``times``; each time's draws are its own stream.

    Parameters
    ----------
    paths : mapping of underlying to MarketPath
    times : int64, shape (T,)
        UTC milliseconds on the paths.
    surface : SurfaceParameters
    noise : QuoteNoise
    venue : VenueId

    Raises
    ------
    DataError
        A time is not on a path.
    """
    shape, defects = surface or SurfaceParameters(), noise or QuoteNoise()
    for time in np.asarray(times, dtype=np.int64).tolist():
        chains: dict[CurrencyCode, OptionChain] = {}
        notes: list[DataNote] = []
        for underlying, path in paths.items():
            chains[underlying] = _chain(path, time, shape, defects, venue)
            notes.extend(chain_notes(chains[underlying]))
        seeds = ", ".join(sorted({str(path.seed) for path in paths.values()}))
        notes.append(DataNote("simulated", f"simulated market, seed {seeds}: not a recording"))
        yield Snapshot(time, chains, tuple(notes))


@dataclass(slots=True)
class _Listing:
    expiry_ms: IntArray
    strike: FloatArray
    sign: IntArray
    names: list[str] = field(default_factory=list)


def _listing(path: MarketPath, time_ms: int) -> _Listing:
    """Strikes on a fixed grid around the spot, wider for longer expiries; a call and a put each."""
    spot = float(path.price(np.array([time_ms]))[0])
    grid = _nice(path.parameters.price / 40)
    expiries, strikes = [], []
    for expiry in listed_expiries(time_ms).tolist():
        width = 3.0 * np.sqrt(path.parameters.mean_variance * years_between(time_ms, expiry))
        low, high = spot * np.exp(-width), spot * np.exp(width)
        # Every grid strike near the money, every fourth one further out.
        grid_strikes = grid * np.arange(max(1, int(low // grid)), int(high // grid) + 2)
        far = np.abs(np.log(grid_strikes / spot)) > 0.25
        kept = grid_strikes[~far | (np.rint(grid_strikes / grid) % 4 == 0)]
        strikes.append(kept)
        expiries.append(np.full(len(kept), expiry, dtype=np.int64))
    expiry_ms = np.repeat(np.concatenate(expiries), 2)
    strike = np.repeat(np.concatenate(strikes), 2)
    sign = np.tile(np.array([1, -1], dtype=np.int64), len(strike) // 2)
    days = np.datetime_as_string(expiry_ms.astype("datetime64[ms]"), unit="D")
    letters = np.where(sign > 0, "C", "P")
    names = [
        f"{path.underlying}-{day}-{k:g}-{letter}"
        for day, k, letter in zip(days, strike, letters, strict=True)
    ]
    return _Listing(expiry_ms, strike, sign, names)


def _chain(
    path: MarketPath,
    time_ms: int,
    surface: SurfaceParameters,
    noise: QuoteNoise,
    venue: VenueId,
) -> OptionChain:
    listing = _listing(path, time_ms)
    n = len(listing.names)
    rng = stream(path.seed, "lab", path.underlying, "quotes", time_ms)
    end = int(path.times_ms[-1]) + path.step_ms - 1
    polled = np.sort(rng.integers(0, noise.span_ms + 1, n)) if noise.span_ms else np.zeros(n)
    quote_ms = np.minimum(time_ms + polled.astype(np.int64), end)
    years = years_between(quote_ms, listing.expiry_ms)
    spot = path.price(quote_ms)
    forward = spot * np.exp(surface.carry * years)
    k = np.log(listing.strike / forward)
    variance = path.variance[path.index(quote_ms)]
    vol = _surface_vol(path.parameters, surface, variance, years, k)

    # Wings are wider: the spread grows with moneyness in standard deviations.
    half = noise.half_spread_vol * (1 + 0.5 * np.abs(k) / (vol * np.sqrt(years)))
    mark_vol = np.maximum(vol + noise.mark_noise_vol * rng.standard_normal(n), 0.01)
    bid_vol, ask_vol = np.maximum(mark_vol - half, 0.001), mark_vol + half
    mark, bid, ask = (
        coin_price(forward, listing.strike, years, v, listing.sign)
        for v in (mark_vol, bid_vol, ask_vol)
    )
    bid = np.floor(bid / _PRICE_TICK + 1e-9) * _PRICE_TICK
    ask = np.maximum(np.ceil(ask / _PRICE_TICK - 1e-9), 1.0) * _PRICE_TICK
    no_bid = (rng.random(n) < noise.missing_bid) | (bid <= 0)
    no_ask = rng.random(n) < noise.missing_ask
    swap = (rng.random(n) < noise.crossed) & ~no_bid & ~no_ask
    bid, ask = np.where(swap, ask, bid), np.where(swap, bid, ask)
    bid_vol, ask_vol = np.where(swap, ask_vol, bid_vol), np.where(swap, bid_vol, ask_vol)
    return clean_chain(
        venue=venue,
        underlying=path.underlying,
        settlement=Settlement.COIN,
        time_ms=time_ms,
        names=np.array(listing.names, dtype=np.str_),
        quote_ms=quote_ms,
        expiry_ms=listing.expiry_ms,
        strike=listing.strike,
        sign=listing.sign,
        bid=np.where(no_bid, 0.0, bid),
        ask=np.where(no_ask, 0.0, ask),
        mark=np.round(mark / _MARK_TICK) * _MARK_TICK,
        bid_iv=np.where(no_bid, 0.0, bid_vol),
        ask_iv=np.where(no_ask, 0.0, ask_vol),
        mark_iv=mark_vol,
        forward=forward,
        index=spot,
        open_interest=np.round(rng.lognormal(3.0, 1.5, n) * np.exp(-2 * np.abs(k)), 1),
    )


def _surface_vol(
    p: SvjParameters,
    surface: SurfaceParameters,
    variance: FloatArray,
    years: FloatArray,
    k: FloatArray,
) -> FloatArray:
    """SSVI volatility at log-moneyness ``k`` given the variance state, shape (n,)."""
    # E[int v dt] of the square-root process (Cox, Ingersoll and Ross 1985), plus the jumps.
    pull = -np.expm1(-p.reversion * years) / p.reversion
    theta = (p.mean_variance + p.jump_variance) * years + (variance - p.mean_variance) * pull
    r = surface.skew
    phi = surface.curvature / np.sqrt(theta * (1 + theta))
    root = np.sqrt((phi * k + r) ** 2 + 1 - r * r)
    total = 0.5 * theta * (1 + r * phi * k + root)
    return np.asarray(np.sqrt(total / years))


def _nice(value: float) -> float:
    """The nearest of 1, 2 or 5 times a power of ten below ``value``."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(m for m in (1, 2, 5) if m * power <= value * (1 + 1e-12)))
