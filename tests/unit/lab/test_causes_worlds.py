"""Worlds of known causes: the truth they state is the truth they play out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.random import stream
from commonmode.lab.causes import CauseWorld, cause_world, play_out
from commonmode.lab.causes_cards import Identifiability, identifiability
from commonmode.lab.causes_design import (
    CardMistake,
    CauseWorldDesign,
    Mechanism,
    Memory,
    NearDecoy,
    ProcessDesign,
    WorldKind,
)
from commonmode.lab.causes_market import WARM_UP, look_back, simulate_market
from commonmode.lab.causes_oracle import pairs_oracle, series_oracle
from commonmode.lab.causes_prior import draw_design
from commonmode.lab.causes_score import score_causes
from commonmode.lab.causes_series import process_series, two_states
from commonmode.panel.cause_worlds import panel_of_causes
from commonmode.panel.error_panel import PanelKind

CALM = ProcessDesign(Memory.AR, 0.8, 0.3, 100.0, float("inf"), (0.0, 0.0), 0.0, 5.0)


def plain_correlation(world: CauseWorld) -> np.ndarray:
    """Of true deviations, mean over targets, off the diagonal."""
    found = [np.corrcoef(world.deviation[:, k].T) for k in range(world.design.targets)]
    mean = np.mean(found, axis=0)
    np.fill_diagonal(mean, 0.0)
    return mean


def designs(kind: WorldKind, count: int, times: int = 6000) -> list[CauseWorldDesign]:
    """Designs of moderate size."""
    drawn = [draw_design(seed, kind=kind) for seed in range(count)]
    return [replace(design, times=times, targets=min(2, design.targets)) for design in drawn]


@pytest.fixture(scope="module")
def worlds() -> list[CauseWorld]:
    return [play_out(design) for design in designs(WorldKind.ONE, 24)]


def test_same_seed_same_world() -> None:
    first, again, other = cause_world(34), cause_world(34), cause_world(35)
    np.testing.assert_array_equal(first.forecast, again.forecast)
    assert first.cards == again.cards
    assert first.forecast.shape != other.forecast.shape or not np.array_equal(
        first.forecast, other.forecast, equal_nan=True
    )


def test_realised_correlation_is_the_stated_one(worlds: list[CauseWorld]) -> None:
    """The plain sample correlation differs from the structural one only by own parts' noise."""
    gaps = []
    for world in worlds:
        gap = plain_correlation(world) - world.truth.correlation
        gaps.append(gap[np.triu_indices(len(gap), 1)])
    everything = np.concatenate(gaps)
    assert abs(everything.mean()) < 0.01
    assert np.sqrt(np.mean(everything**2)) < 0.06


def test_the_cause_moves_the_pairs_that_share_it(worlds: list[CauseWorld]) -> None:
    """Users' correlations fall by about the stated part when the same world has no cause."""
    for world in worlds:
        (cause,) = world.truth.causes
        users = sorted(cause.users)
        pair = np.ix_(users, users)
        idle = play_out(replace(world.design, kind=WorldKind.NONE))
        np.testing.assert_array_equal(idle.outcome, world.outcome)
        outside = np.setdiff1d(np.arange(world.design.models), users)
        np.testing.assert_allclose(
            idle.deviation[:, :, outside], world.deviation[:, :, outside], rtol=0, atol=1e-12
        )
        alone = world.deviation - world.nuisance
        found = np.mean([np.corrcoef(alone[:, k].T) for k in range(world.design.targets)], axis=0)
        inside = found[pair][np.triu_indices(len(users), 1)].mean()
        rest = found[np.ix_(outside, outside)][np.triu_indices(len(outside), 1)].mean()
        assert inside > 0.05
        assert abs(rest) < 0.1
        assert inside > 2 * rest
        assert (cause.pair_correlation[pair][np.triu_indices(len(users), 1)] > 0).mean() > 0.9
        off = cause.pair_correlation.copy()
        off[pair] = 0.0
        assert np.all(off == 0.0)


def test_realised_share_is_near_the_designed_one(worlds: list[CauseWorld]) -> None:
    """Up to the covariance of a market-driven cause with a market-driven nuisance."""
    ratios = []
    for world in worlds:
        (cause,) = world.truth.causes
        assert set(np.flatnonzero(cause.share)) == set(cause.users)
        ratios.append(cause.share[list(cause.design.users)] / cause.design.shares)
        if abs(cause.factor_correlation) < 0.02 and not world.design.crowd.windows:
            np.testing.assert_allclose(ratios[-1], 1.0, atol=0.06)
    assert np.median(np.concatenate(ratios)) == pytest.approx(1.0, abs=0.05)


def test_spread_and_bias(worlds: list[CauseWorld]) -> None:
    for world in worlds:
        sd = world.deviation.std(axis=0).mean(axis=0)
        assert np.median(sd / world.design.crowd.sd) == pytest.approx(1.0, abs=0.2)
        np.testing.assert_allclose(
            world.deviation.mean(axis=(0, 1)), world.design.crowd.bias, atol=1e-9
        )


def test_effective_number_is_that_of_the_correlation(worlds: list[CauseWorld]) -> None:
    for world in worlds:
        number = world.design.models**2 / np.sum(world.truth.correlation**2)
        assert world.truth.effective_number == pytest.approx(number)
        np.testing.assert_allclose(np.diag(world.truth.correlation), 1.0)


def test_benchmark_noise() -> None:
    design = replace(draw_design(2), times=20_000, targets=1)
    quiet = replace(design.benchmarks, noise=0.7, phi=0.95, blind_spot=0.0)
    world = play_out(replace(design, benchmarks=quiet))
    errors = [np.log(b / world.true_quantile)[:, 0] for b in (world.benchmark_a, world.benchmark_b)]
    size = 0.7 * float(np.median(design.crowd.sd))
    assert [e.std() for e in errors] == pytest.approx([size, size], rel=0.1)
    assert abs(np.corrcoef(errors)[0, 1]) < 0.15
    blind = play_out(replace(design, benchmarks=replace(quiet, blind_spot=0.5)))
    pair = [np.log(b / blind.true_quantile)[:, 0] for b in (blind.benchmark_a, blind.benchmark_b)]
    assert np.corrcoef(pair)[0, 1] == pytest.approx(0.2, abs=0.15)


def test_true_quantile_is_breached_at_its_level() -> None:
    design = replace(draw_design(3), times=20_000, targets=1, level=0.03)
    world = play_out(design)
    assert np.mean(world.outcome < world.true_quantile) == pytest.approx(0.03, abs=0.005)


def test_missing_cells() -> None:
    seen = {"gaps": False, "late": False, "dead": False}
    for seed in range(30):
        design = replace(draw_design(seed), times=2000, targets=1)
        gone = np.isnan(play_out(design).forecast[:, 0])
        missing = design.missing
        for i in range(design.models):
            first, last = round(missing.start[i] * 2000), round(missing.end[i] * 2000)
            assert gone[: max(first - 1, 0), i].all()
            assert gone[last + 1 :, i].all()
            seen["late"] |= first > 0
            seen["dead"] |= last < 2000
        if missing.gap_share == 0 and max(missing.start) == 0 and min(missing.end) == 1:
            assert not gone.any()
        seen["gaps"] |= missing.gap_share > 0 and bool(gone.any())
    assert all(seen.values())


def test_processes() -> None:
    def drawn(**changes: object) -> np.ndarray:
        law = replace(CALM, **changes)  # type: ignore[arg-type]
        return process_series(law, stream(7, "process"), 20_000, 4)

    def kurtosis(x: np.ndarray) -> float:
        return float(np.mean(x**4))

    def memory(x: np.ndarray, lag: int) -> float:
        return float(np.mean(x[lag:] * x[:-lag]))

    plain = drawn()
    assert memory(plain, 1) == pytest.approx(0.8, abs=0.03)
    assert kurtosis(plain) == pytest.approx(3.0, abs=0.3)
    assert kurtosis(drawn(degrees_of_freedom=3.0, phi=0.1)) > 8.0
    assert kurtosis(drawn(jump_rate=0.005, jump_size=8.0, phi=0.1)) > 5.0
    clustered = drawn(garch=(0.12, 0.87), phi=0.0)
    assert memory(clustered**2 - 1.0, 20) > 5 * abs(memory(drawn(phi=0.0) ** 2 - 1.0, 20))
    long = drawn(memory=Memory.LONG, d=0.4)
    # ARFIMA(0, .4, 0) cut at 1000 weights: lag 200 from the weights themselves.
    k = np.arange(1, 1000)
    psi = np.concatenate(([1.0], np.cumprod((k - 0.6) / k)))
    assert memory(long, 200) == pytest.approx((psi[200:] @ psi[:-200]) / (psi @ psi), abs=0.03)
    assert abs(memory(plain, 200)) < 0.03
    regime = drawn(memory=Memory.REGIME, duration=300.0)
    # Half of the variance is a level with correlation exp(-2 lag / duration).
    assert memory(regime, 100) == pytest.approx(0.5 * np.exp(-2 / 3), abs=0.08)
    together = process_series(CALM, stream(7, "pair"), 20_000, 2, 0.6)
    assert np.corrcoef(together.T)[0, 1] == pytest.approx(0.6, abs=0.06)


def test_two_states() -> None:
    state = two_states(stream(1, "states"), 200_000, 0.2, 50.0)
    stays = np.count_nonzero(state[1:] & ~state[:-1])
    assert state.mean() == pytest.approx(0.2, abs=0.02)
    assert state.sum() / stays == pytest.approx(50.0, rel=0.1)


def series_of(mechanism: Mechanism, **changes: object) -> tuple[CauseWorldDesign, np.ndarray]:
    """A design whose cause acts by the mechanism, and its series of the first target."""
    design = replace(draw_design(4, kind=WorldKind.ONE), times=3000, targets=2)
    cause = replace(
        design.causes[0],
        mechanism=mechanism,
        stress_only=False,
        **changes,  # type: ignore[arg-type]
    )
    world = play_out(replace(design, causes=(cause,)))
    return world.design, world.truth.causes[0].series[:, 0]


@pytest.mark.parametrize("mechanism", list(Mechanism))
def test_every_mechanism_moves(mechanism: Mechanism) -> None:
    _, series = series_of(mechanism)
    assert series.mean() == pytest.approx(0.0, abs=1e-9)
    assert series.std() == pytest.approx(1.0, abs=1e-9)


def test_mechanisms_act_as_they_say() -> None:
    design, floor = series_of(Mechanism.FLOOR, edge=0.3)
    rng = stream(design.seed, "causes", "market")
    market = simulate_market(design.market, rng, design.times, design.targets, design.level)
    vol, stress = market.log_vol[WARM_UP:, 0], market.stress[WARM_UP:]
    idle = vol > np.quantile(vol, 0.3)
    assert np.ptp(floor[idle]) < 1e-12
    assert np.corrcoef(floor[~idle], -vol[~idle])[0, 1] > 0.999

    _, cap = series_of(Mechanism.CAP, edge=0.3)
    assert np.ptp(cap[vol < np.quantile(vol, 0.7)]) < 1e-12

    _, tails = series_of(Mechanism.THIN_TAILS)
    assert len(np.unique(np.round(tails, 9))) == 2
    assert np.ptp(tails[stress]) < 1e-12 < np.ptp(tails)

    _, window = series_of(Mechanism.WINDOW, span=100.0)
    past = market.returns[:, 0]
    plain = [
        np.log(np.sqrt(np.mean(past[t - 100 : t] ** 2))) for t in range(WARM_UP, WARM_UP + 3000)
    ]
    assert np.corrcoef(window, np.array(plain) - vol)[0, 1] == pytest.approx(1.0, abs=1e-9)

    _, delay = series_of(Mechanism.SOURCE_DELAY, span=5.0)
    old = market.log_vol[WARM_UP - 5 : -5, 0] - vol
    assert np.corrcoef(delay, old)[0, 1] == pytest.approx(1.0, abs=1e-9)


def test_stress_only_causes_rest_in_calm() -> None:
    design = replace(draw_design(4, kind=WorldKind.ONE), times=3000, targets=1)
    cause = replace(design.causes[0], mechanism=Mechanism.VENDOR_NOISE, stress_only=True)
    world = play_out(replace(design, causes=(cause,)))
    rng = stream(design.seed, "causes", "market")
    stress = simulate_market(design.market, rng, 3000, 1, design.level).stress[WARM_UP:]
    series = world.truth.causes[0].series[:, 0]
    assert np.ptp(series[~stress]) < 1e-12 < np.ptp(series[stress])


def test_look_back_ignores_the_row_itself() -> None:
    design = draw_design(4)
    market = simulate_market(design.market, stream(1, "market"), 500, 1, 0.03)
    changed = replace(market, returns=np.where(np.arange(1500)[:, None] < 1400, market.returns, 9))
    np.testing.assert_array_equal(look_back(market, 24)[:1401], look_back(changed, 24)[:1401])


def test_cards_say_what_was_drawn() -> None:
    """Declared users, decoys and mistakes, read back from the cards."""
    seen = set()
    for seed in range(60):
        design = replace(draw_design(seed, kind=WorldKind.ONE), times=1500, targets=1)
        world = play_out(design)
        (cause,) = world.truth.causes
        declared: dict[str, set[int]] = {}
        for i, card in enumerate(world.cards):
            for use in card.components:
                assert 0 < use.weight <= 1
                declared.setdefault(use.component, set()).add(i)
        assert declared == {name: set(users) for name, users in world.truth.declared.items()}
        assert len(declared) >= min(5, design.cards.components) - 1
        mine, mistake = declared.get(cause.name, set()), design.cards.mistake
        seen.add(mistake)
        if mistake is None:
            assert mine == cause.users
            assert (len(cause.tied) > 1) == design.cards.twin
        elif mistake is CardMistake.MISSING_USER:
            assert mine < cause.users
        elif mistake is CardMistake.FALSE_USER:
            assert mine > cause.users
            assert len(mine) == len(cause.users) + 1
        else:
            assert not mine
            assert cause.identifiability is Identifiability.UNDECLARED
        if mistake is None and NearDecoy.SUPERSET in design.cards.near:
            assert any(mine < users for users in declared.values())
    assert seen == {None, *CardMistake}


def test_identifiability() -> None:
    def told(declared: dict[str, set[int]]) -> tuple[Identifiability, frozenset[str]]:
        sets = {name: frozenset(users) for name, users in declared.items()}
        return identifiability(sets, "c", frozenset({1, 2, 3}))  # type: ignore[arg-type]

    assert told({"c": {1, 2, 3}, "d": {1, 2}}) == (Identifiability.YES, {"c"})
    assert told({"c": {1, 2, 3}, "d": {1, 2, 3}}) == (Identifiability.TIED, {"c", "d"})
    assert told({"c": {1, 2}, "d": {1, 2, 3}})[0] is Identifiability.MISDECLARED
    assert told({"c": {1, 2, 3, 4}, "d": {1, 2}})[0] is Identifiability.MISDECLARED
    assert told({"c": {1, 2, 3, 4}, "d": {1, 5}})[0] is Identifiability.YES
    assert told({"c": {1}, "d": {1, 5}}) == (Identifiability.UNSHARED, frozenset())
    assert told({"d": {1, 5}}) == (Identifiability.UNDECLARED, frozenset())


def test_panel() -> None:
    world = cause_world(34)
    panel = panel_of_causes(world)
    assert panel.kind is PanelKind.QUANTILE
    assert panel.shape == (world.design.times, world.design.targets, world.design.models)
    assert panel.level == world.design.level
    assert set(panel.state) == {"realised_vol", "stress_index"}
    assert panel.name == "causes 34"
    assert np.all(panel.scale > 0)


def test_oracles_find_identifiable_causes() -> None:
    """Right first in nearly all worlds whose cards allow it; the bound leaves room for 90 %."""
    right, series, count = 0, 0, 0
    for design in designs(WorldKind.ONE, 30, times=3000):
        world = play_out(design)
        if not world.truth.identifiable:
            continue
        count += 1
        verdicts = [pairs_oracle(world), series_oracle(world)]
        scores = [score_causes(v.ranking, v.significant, world.truth) for v in verdicts]
        right += scores[0].right_first
        series += scores[1].right_first
    assert count > 15
    assert right >= 0.85 * count
    assert series >= 0.9 * count


@pytest.mark.slow
def test_oracle_keeps_its_size() -> None:
    """19 shifted histories: 5 % of worlds without a cause, within three standard errors."""
    alarms = 0
    for design in designs(WorldKind.NONE, 200, times=2500):
        small = replace(design, targets=1)
        alarms += bool(pairs_oracle(play_out(small)).significant)
    assert alarms <= 200 * 0.05 + 3 * (200 * 0.05 * 0.95) ** 0.5
