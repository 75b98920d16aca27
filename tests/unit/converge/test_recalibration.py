"""Synchrony of recalibrations given the market, herding, procyclicality: planted and not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.herding import Herding
from commonmode.converge.procyclicality import Procyclicality
from commonmode.converge.recalibration import (
    RecalibrationSynchrony,
    RevisionSteps,
    SynchronyResult,
    panel_revisions,
)
from commonmode.core.errors import DataError, PanelError
from commonmode.core.result import Success
from following_worlds import Kind, following_panel, following_views
from recalibration_worlds import breaches, cycle, follower_of_the_crowd, revisions


def synchrony(steps: RevisionSteps) -> SynchronyResult:
    return RecalibrationSynchrony(flips=499, draws=10).fit(steps).result_


def test_what_the_market_asks_of_everybody_is_no_synchrony() -> None:
    found = [synchrony(revisions(seed)) for seed in range(12)]
    assert min(r.raw for r in found) > 0.3
    assert abs(np.mean([r.correlation for r in found])) < 0.02
    assert sum(r.rejects for r in found) <= 3
    np.testing.assert_allclose(
        np.mean([r.answer for r in found], axis=0), np.linspace(0.5, 1.5, 6), atol=0.1
    )


def test_planted_synchrony_is_found_and_covered() -> None:
    found = [synchrony(revisions(40 + seed, share=0.2)) for seed in range(10)]
    assert all(r.rejects for r in found)
    assert sum(r.interval[0] <= 0.2 <= r.interval[1] for r in found) >= 8
    assert found[0].minimum_detectable < 0.2
    assert "recalibrate as one" in found[0].sentence


def test_who_goes_first_is_found() -> None:
    found = synchrony(revisions(3, follow=0.4))
    assert not found.rejects
    assert isinstance(found.order, Success)
    (first,) = found.order.value.links
    assert (first.sender, first.receiver, first.lag) == ("model-0", "model-1", 1)
    assert "model-1 recalibrates 1 row after model-0" in found.sentence
    assert found.sentence.endswith("What to do: ask whether model-1 waits for model-0.")


def test_one_view_of_the_market_for_both_is_taken_for_synchrony() -> None:
    steps = revisions(5, noise=1.5)
    one = replace(steps, market_b=steps.market_a)
    assert synchrony(one).correlation > synchrony(steps).correlation + 0.1


def test_revisions_of_a_panel_are_log_moves() -> None:
    panel = following_panel(*following_views("alone", 1, times=300))
    steps = panel_revisions(panel, every=10)
    assert steps.step.shape == (29, 1, 6)
    expected = np.log(panel.forecast[10, 0] / panel.forecast[0, 0])
    np.testing.assert_allclose(steps.step[0, 0], expected)
    with pytest.raises(PanelError, match="no benchmarks"):
        panel_revisions(replace(panel, benchmark_a=None, benchmark_b=None))
    with pytest.raises(PanelError):
        panel_revisions(panel, every=400)


def test_models_that_never_step_are_left_out() -> None:
    steps = revisions(1)
    still = steps.step.copy()
    still[:, :, 0] = 0.0
    assert synchrony(replace(steps, step=still)).models == steps.models[1:]
    still[:, :, 1:5] = 0.0
    with pytest.raises(DataError, match="1 models change"):
        synchrony(replace(steps, step=still))
    with pytest.raises(DataError):
        replace(steps, step=still[:, :, :3])


def test_who_revises_towards_the_others_is_found() -> None:
    found = [Herding(flips=499).fit(follower_of_the_crowd(s, 0.4)).result_ for s in range(5)]
    herds = [{m.model for m in r.models if m.herds} for r in found]
    assert sum(h == {"model-0"} for h in herds) >= 4
    assert "the consensus is among their inputs" in found[0].sentence


@pytest.mark.parametrize("kind", ["alone", "hidden part", "filtered part"])
def test_a_shared_part_is_no_herding(kind: Kind) -> None:
    found = [
        Herding(flips=499).fit(following_panel(*following_views(kind, s))).result_ for s in range(5)
    ]
    assert sum(any(m.herds for m in r.models) for r in found) == 0
    if kind != "alone":  # it draws models together all the same, and the sentence says why
        assert all(min(m.p_pull for m in r.models) <= 0.05 for r in found)
        assert "this is no herding" in found[0].sentence


def test_outcomes_tell_who_stays_too_close_to_the_consensus() -> None:
    def of_the_first(lean: float) -> list[tuple[float, float, float]]:
        out = []
        for seed in range(5):
            models = Herding(flips=499).fit(breaches(seed, lean)).result_.models
            (one,) = (m for m in models if m.model == "model-0")
            out.append((one.outcomes, one.p_herding, one.p_apart))
        return out

    honest, herding, apart = (of_the_first(lean) for lean in (0.0, 0.8, -0.8))
    assert abs(np.mean([o for o, *_ in honest])) < 0.02
    assert sum(min(h, a) <= 0.05 for _, h, a in honest) <= 1
    assert all(h <= 0.05 for _, h, _ in herding)
    assert all(a <= 0.05 for *_, a in apart)


def test_an_excess_slope_is_found_and_what_is_due_is_not() -> None:
    none = [Procyclicality(flips=499).fit(cycle(s)).result_ for s in range(10)]
    assert sum(min(m.p_excess for m in r.models) <= 0.05 for r in none) <= 2
    assert sum(min(m.p_asymmetry for m in r.models) <= 0.05 for r in none) <= 2
    assert np.mean([r.benchmark_slope.value for r in none]) == pytest.approx(0.6, abs=0.03)
    some = [Procyclicality(flips=499).fit(cycle(s, excess=0.2)).result_ for s in range(10)]
    first = [r.models[0] for r in some]
    assert all(m.p_excess <= 0.05 for m in first)
    assert sum(m.excess.low <= 0.2 <= m.excess.high for m in first) >= 8
    assert some[0].minimum_detectable < 0.2
    assert none[0].calm_benchmark > none[0].calm_together > 0.3
    assert "No excess of the crowd" in none[1].sentence


def test_up_at_once_and_down_slowly_is_found() -> None:
    found = Procyclicality(flips=499).fit(cycle(4, lagging=True)).result_
    first = found.models[0]
    assert first.p_asymmetry <= 0.05
    assert first.up > first.down
    assert "answer rises more than falls" in found.sentence


def test_sentences_use_the_level_of_the_tests() -> None:
    crowd = Herding(flips=99).fit(breaches(1, 0.8)).result_
    strict = replace(crowd, alpha=0.5 * crowd.p_outcomes)
    loose = replace(crowd, alpha=min(2.0 * crowd.p_outcomes, 1.0))
    assert "Outcomes do not say" in strict.sentence
    assert "By their outcomes" in loose.sentence
    turns = Procyclicality(flips=99, alpha=0.2).fit(cycle(2)).result_
    assert turns.alpha == 0.2
    assert "No excess of the crowd" in replace(turns, alpha=0.5 * turns.p_crowd).sentence
    assert "the cycle (excess slope" in replace(turns, alpha=1.0).sentence


def test_what_has_no_cycle_is_refused() -> None:
    panel = following_panel(*following_views("alone", 1, times=200))
    with pytest.raises(PanelError, match="quantile"):
        Procyclicality().fit(panel)
    with pytest.raises(PanelError, match="herding needs"):
        Herding().fit(panel.select_models(panel.models[:2]))
    flat = replace(cycle(1), scale=np.ones((5000, 1)))
    with pytest.raises(PanelError, match="does not move"):
        Procyclicality().fit(flat)
