from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import CurrencyCode, ModelId, VenueId
from commonmode.core.units import YEAR_MS
from commonmode.lab.population import DEFAULT_STYLES, ModelChoice, Style, draw_population
from commonmode.market.cleaning import clean_chain
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.register.population import ParticipantKind

TIME = 1_681_300_000_000
KINDS = {
    ParticipantKind.DESK: 5,
    ParticipantKind.VAULT: 3,
    ParticipantKind.EXCHANGE: 2,
    ParticipantKind.PROTOCOL: 3,
}
MODEL = ModelChoice((ModelId("m"),))


def market(open_interest: np.ndarray, settlement: Settlement = Settlement.COIN) -> Snapshot:
    n = len(open_interest)
    chain = clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode("BTC"),
        settlement=settlement,
        time_ms=TIME,
        names=np.array([f"O{i}" for i in range(n)]),
        quote_ms=np.full(n, TIME),
        expiry_ms=np.full(n, TIME + YEAR_MS // 24),
        strike=30_000.0 * np.linspace(0.7, 1.4, n),
        sign=np.where(np.linspace(0.7, 1.4, n) > 1, 1, -1),
        bid=np.full(n, 0.01),
        ask=np.full(n, 0.02),
        mark=np.full(n, 0.015),
        bid_iv=np.full(n, 0.5),
        ask_iv=np.full(n, 0.6),
        mark_iv=np.full(n, 0.55),
        forward=np.full(n, 30_000.0),
        index=np.full(n, 30_000.0),
        open_interest=open_interest,
    )
    return Snapshot(TIME, {CurrencyCode("BTC"): chain})


def test_styles_show_in_the_books() -> None:
    drawn = draw_population(
        market(np.full(60, 1000.0)), KINDS, surface_models=MODEL, risk_models=MODEL, seed=1
    )
    by_kind: dict[ParticipantKind, float] = dict.fromkeys(ParticipantKind, 0.0)
    for participant, book in zip(drawn.population.participants, drawn.books, strict=True):
        options = [p.quantity for p in book.positions if p.instrument.startswith("O")]
        by_kind[participant.kind] += sum(options)
        perpetuals = [p.quantity for p in book.positions if p.instrument == "BTC-PERPETUAL"]
        assert bool(perpetuals) is (participant.kind is not ParticipantKind.VAULT)
    assert by_kind[ParticipantKind.VAULT] < 0
    assert sum(by_kind.values()) == pytest.approx(0, abs=1e-6)
    assert "assumed" in drawn.population.ownership
    assert "seed 1" in drawn.population.ownership


def test_capital_follows_its_rule() -> None:
    drawn = draw_population(
        market(np.full(10, 100.0)), KINDS, surface_models=MODEL, risk_models=MODEL, seed=2
    )
    for p in drawn.population.participants:
        ratio = DEFAULT_STYLES[p.kind].capital_ratio
        assert p.capital_usd == max(1e5, ratio * p.gross_usd)
    assert drawn.population.gross_usd >= 2 * 10 * 100 * 30_000


def test_linear_chains_hedge_in_the_linear_perpetual() -> None:
    drawn = draw_population(
        market(np.full(10, 100.0), Settlement.USD),
        KINDS,
        surface_models=MODEL,
        risk_models=MODEL,
        seed=3,
    )
    assert list(drawn.perpetual_interest) == ["BTC_USDC-PERPETUAL"]


def test_bad_open_interest_is_skipped_and_named() -> None:
    drawn = draw_population(
        market(np.array([10.0, np.nan, -5.0, 10.0])),
        KINDS,
        surface_models=MODEL,
        risk_models=MODEL,
        seed=4,
    )
    assert drawn.skipped == ("O1", "O2")
    with pytest.raises(DataError, match="whole number of lots"):
        draw_population(
            market(np.array([0.12345])), KINDS, surface_models=MODEL, risk_models=MODEL, seed=4
        )


def test_configuration_is_checked() -> None:
    snapshot = market(np.array([10.0]))
    with pytest.raises(ConfigurationError, match="somebody"):
        draw_population(
            snapshot, {ParticipantKind.DESK: 1}, surface_models=MODEL, risk_models=MODEL, seed=0
        )
    with pytest.raises(ConfigurationError, match="kind vault"):
        draw_population(
            snapshot,
            KINDS,
            surface_models={ParticipantKind.DESK: MODEL},
            risk_models=MODEL,
            seed=0,
        )
    with pytest.raises(ConfigurationError, match="weights"):
        ModelChoice((ModelId("a"),), (-1.0,))
    with pytest.raises(ConfigurationError, match="out of range"):
        Style(1, 2, 0, 1, 1, 0, 0, 1)


def test_weights_decide_who_is_picked() -> None:
    choice = ModelChoice((ModelId("a"), ModelId("b"), ModelId("c")), (0.5, 0.0, 0.5))
    assert [choice.pick(u) for u in (0.0, 0.49, 0.5, 0.999)] == ["a", "a", "c", "c"]
