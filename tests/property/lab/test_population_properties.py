"""Identities of a drawn population: open interest, nobody on both sides, streams."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.ids import CurrencyCode, ModelId, VenueId
from commonmode.core.units import YEAR_MS
from commonmode.lab.population import DrawnPopulation, ModelChoice, draw_population
from commonmode.market.cleaning import clean_chain
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.register.population import ParticipantKind

SURFACES = ModelChoice((ModelId("svi"), ModelId("sabr"), ModelId("flat")))
RISKS = ModelChoice((ModelId("ewma"), ModelId("garch")))
TIME = 1_681_300_000_000


def snapshot(open_interest: list[float], index: float = 30_000.0) -> Snapshot:
    n = len(open_interest)
    strike = index * np.linspace(0.6, 1.5, n)
    sign = np.where(np.arange(n) % 2 == 0, 1, -1)
    full = np.full
    chain = clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode("BTC"),
        settlement=Settlement.COIN,
        time_ms=TIME,
        names=np.array([f"O{i}" for i in range(n)]),
        quote_ms=full(n, TIME),
        expiry_ms=full(n, TIME + YEAR_MS // 12),
        strike=strike,
        sign=sign,
        bid=full(n, 0.01),
        ask=full(n, 0.02),
        mark=full(n, 0.015),
        bid_iv=full(n, 0.5),
        ask_iv=full(n, 0.6),
        mark_iv=full(n, 0.55),
        forward=full(n, index * 1.01),
        index=full(n, index),
        open_interest=np.array(open_interest),
    )
    return Snapshot(TIME, {CurrencyCode("BTC"): chain})


def drawn(market: Snapshot, counts: dict[ParticipantKind, int], seed: int) -> DrawnPopulation:
    return draw_population(market, counts, surface_models=SURFACES, risk_models=RISKS, seed=seed)


def sides(result: DrawnPopulation) -> dict[str, tuple[float, float]]:
    long: defaultdict[str, list[float]] = defaultdict(list)
    short: defaultdict[str, list[float]] = defaultdict(list)
    for book in result.books:
        for position in book.positions:
            side = long if position.quantity > 0 else short
            side[position.instrument].append(abs(position.quantity))
    names = long.keys() | short.keys()
    return {name: (math.fsum(long[name]), math.fsum(short[name])) for name in names}


counts = st.fixed_dictionaries({kind: st.integers(0, 5) for kind in ParticipantKind}).filter(
    lambda c: sum(c.values()) >= 2
)
# Whole lots of one size, as a venue publishes them.
interests = st.tuples(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=30), st.sampled_from([1.0, 0.1, 0.001])
).map(lambda drawn: [lots * drawn[1] for lots in drawn[0]])


@given(interests, counts, st.integers(0, 2**32))
def test_longs_and_shorts_each_add_up_to_the_open_interest(
    open_interest: list[float], kinds: dict[ParticipantKind, int], seed: int
) -> None:
    result = drawn(snapshot(open_interest), kinds, seed)
    found = sides(result)
    for i, contracts in enumerate(open_interest):
        long, short = found.pop(f"O{i}", (0.0, 0.0))
        assert round(long * 1000) == round(short * 1000) == round(contracts * 1000)
    # What is left are the perpetuals: whole contracts that add up to nothing.
    for name, (long, short) in found.items():
        assert long == short == result.perpetual_interest[name]
        assert long == round(long)


@given(interests, st.integers(0, 2**32))
def test_one_seed_one_population(open_interest: list[float], seed: int) -> None:
    kinds = {ParticipantKind.DESK: 2, ParticipantKind.VAULT: 1}
    first, second = (drawn(snapshot(open_interest), kinds, seed) for _ in range(2))
    assert first.population == second.population
    assert first.books == second.books


@given(st.integers(0, 2**32), st.floats(0.0, 1.0))
def test_a_rule_changes_only_who_runs_what(seed: int, share: float) -> None:
    market = snapshot([100.0] * 8)
    kinds = dict.fromkeys(ParticipantKind, 3)
    rule = ModelChoice(SURFACES.models, (share, (1 - share) / 2, (1 - share) / 2))
    other = draw_population(market, kinds, surface_models=rule, risk_models=RISKS, seed=seed)
    base = drawn(market, kinds, seed)
    assert base.books == other.books
    assert [p.risk_model for p in base.population.participants] == [
        p.risk_model for p in other.population.participants
    ]


@given(st.integers(0, 2**32))
def test_adding_a_participant_leaves_the_models_of_the_others(seed: int) -> None:
    market = snapshot([100.0] * 8)
    few = drawn(market, {ParticipantKind.DESK: 3}, seed).population
    many = drawn(market, {ParticipantKind.DESK: 4}, seed).population
    for one, same in zip(few.participants, many.participants, strict=False):
        assert (one.id, one.models) == (same.id, same.models)
