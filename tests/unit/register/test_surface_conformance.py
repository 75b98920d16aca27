"""The built-in surface models honour their contract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from commonmode.app.discovery import discover_models
from commonmode.core.errors import ModelError
from commonmode.core.ids import CurrencyCode, ModelId, VenueId
from commonmode.core.result import Success
from commonmode.core.units import HOUR_MS, CoinArray
from commonmode.market.chain import OptionChain
from commonmode.market.instruments import Settlement
from commonmode.pricing import SURFACE_MODELS
from commonmode.register.conformance import check_surface_model

NOW = 1_681_300_000_000


def make_chain() -> OptionChain:
    """A smooth smile at four expiries, quoted two-sided around a mark."""
    days = np.repeat([7.0, 30.0, 90.0, 180.0], 17)
    spot = 30_000.0
    forward = spot * np.exp(0.03 * days / 365)
    moneyness = np.tile(np.linspace(-1.6, 1.6, 17), 4)
    vol = 0.6 - 0.03 * moneyness + 0.04 * moneyness**2 + 0.02 * np.log(days / 30)
    strike = forward * np.exp(moneyness * 0.6 * np.sqrt(days / 365))
    n = len(days)
    mark = 0.4 * vol * np.sqrt(days / 365) * np.exp(-(moneyness**2) / 2)
    return OptionChain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode("BTC"),
        settlement=Settlement.COIN,
        time_ms=NOW,
        names=np.array([f"option-{i}" for i in range(n)]),
        quote_ms=np.full(n, NOW - 1000, dtype=np.int64),
        expiry_ms=(NOW + days * 24 * HOUR_MS).astype(np.int64),
        strike=strike,
        sign=np.where(moneyness >= 0, 1, -1).astype(np.int64),
        bid=CoinArray(0.98 * mark),
        ask=CoinArray(1.02 * mark),
        mark=CoinArray(mark),
        bid_iv=vol - 0.01,
        ask_iv=vol + 0.01,
        mark_iv=vol,
        forward=forward,
        index=np.full(n, spot),
        open_interest=np.full(n, 10.0),
        flags=np.zeros(n, dtype=np.int64),
    )


@pytest.mark.parametrize("name", sorted(SURFACE_MODELS))
def test_built_in_surfaces_conform(name: str) -> None:
    model = discover_models().constructor(name)(id=ModelId("mine"))
    check_surface_model(model, make_chain())


@dataclass(frozen=True)
class Surface:
    vice: str

    def implied_vol(self, strike, years, forward, expiry_ms):
        if self.vice == "partition":
            return np.linspace(0.5, 0.6, len(strike))
        return np.full(len(strike), -0.5 if self.vice == "values" else 0.5)


@dataclass(frozen=True)
class Bad:
    vice: str
    like: object

    @property
    def id(self):
        return self.like.id

    @property
    def card(self):
        return self.like.card

    @property
    def requires(self):
        return self.like.requires

    def calibrate(self, chain: OptionChain):
        if self.vice == "purity":
            chain.mark_iv[0] = 0.7
        return Success(Surface(self.vice))


@pytest.mark.parametrize("vice", ["partition", "values", "purity"])
def test_broken_surface_rules_are_named(vice: str) -> None:
    like = SURFACE_MODELS["flat-black"](id=ModelId("mine"))
    with pytest.raises(ModelError, match=f"rule {vice!r}"):
        check_surface_model(Bad(vice, like), make_chain())
