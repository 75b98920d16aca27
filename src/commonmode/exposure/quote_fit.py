"""How well surfaces reproduce the quotes they are judged by: inside bid and ask, or how far off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Success, capture
from commonmode.exposure.surfaces import CALCULATION_ERRORS, FittedSurfaces
from commonmode.market.chain import OptionChain
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.black76 import black76_price
from commonmode.register.model import FittedSurface

__all__ = ["QuoteFit", "quote_fit"]


@dataclass(frozen=True, slots=True)
class QuoteFit:
    """One model against the two-sided quotes of one underlying.

    Attributes
    ----------
    quotes : int
    inside : float
        Share of quotes whose volatility lies between bid and ask.
    worst_usd : float
        Largest distance of a price from its bid-ask interval, USD per coin: Cont's penalty with the
        maximum norm, for a static hedge of one contract.
    mean_usd : float
        Mean of these distances.
    """

    quotes: int
    inside: float
    worst_usd: float
    mean_usd: float


def quote_fit(
    surfaces: FittedSurfaces, market: Snapshot
) -> Mapping[CurrencyCode, Mapping[ModelId, QuoteFit]]:
    """Hold every calibrated surface against the quotes of its snapshot.

    A model that was not calibrated is left out; a quote that it gives no volatility counts as
    outside, at the distance of its intrinsic value.

    Parameters
    ----------
    surfaces : mapping of underlying to mapping of ModelId to Success or Failure
    market : Snapshot
    """
    out: dict[CurrencyCode, dict[ModelId, QuoteFit]] = {}
    for coin, fits in surfaces.items():
        chain = market.chain(coin)
        quoted = chain.two_sided & (chain.bid_iv > 0) & (chain.ask_iv >= chain.bid_iv)
        chain = chain.select(np.asarray(quoted))
        out[coin] = {}
        if len(chain):
            for model, fitted in fits.items():
                if isinstance(fitted, Success):
                    out[coin][model] = _one(fitted.value, chain, model)
    return out


def _one(surface: FittedSurface, chain: OptionChain, model: ModelId) -> QuoteFit:
    done = capture(
        lambda: surface.implied_vol(chain.strike, chain.years, chain.forward, chain.expiry_ms),
        what=f"quotes of {chain.underlying} under {model}",
        errors=CALCULATION_ERRORS,
    )
    vol = done.value if isinstance(done, Success) else np.full(len(chain), np.nan)
    with np.errstate(invalid="ignore"):
        inside: BoolArray = (vol >= chain.bid_iv) & (vol <= chain.ask_iv)
    level = chain.index / chain.forward

    def price(sigma: FloatArray) -> FloatArray:
        known = np.where(np.isfinite(sigma) & (sigma > 0), sigma, 0.0)
        return np.asarray(
            level * black76_price(chain.forward, chain.strike, chain.years, known, sign=chain.sign)
        )

    value = price(vol)
    low, high = price(chain.bid_iv), price(chain.ask_iv)
    distance = np.where(inside, 0.0, np.maximum(np.maximum(low - value, value - high), 0.0))
    return QuoteFit(
        quotes=len(chain),
        inside=float(inside.mean()),
        worst_usd=float(distance.max()),
        mean_usd=float(distance.mean()),
    )
