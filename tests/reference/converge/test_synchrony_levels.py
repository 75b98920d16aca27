"""What the synchrony of recalibrations promises, on many worlds of its own."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.recalibration import RecalibrationSynchrony, SynchronyResult
from commonmode.core.random import stream
from recalibration_worlds import revisions

pytestmark = pytest.mark.slow

WORLDS = 400
SLACK = 2.0 * float(np.sqrt(0.05 * 0.95 / WORLDS))


def look(kind: str, world: int, **planted: float) -> SynchronyResult:
    seed = int(stream(5, "synchrony levels", kind, world).integers(2**31))
    steps = revisions(seed, **planted)  # type: ignore[arg-type]
    return RecalibrationSynchrony(flips=499, draws=10, rng=world).fit(steps).result_


@pytest.mark.parametrize(
    ("kind", "share", "missing"),
    [("nothing", 0.0, 0.0), ("a fifth", 0.2, 0.0), ("few rows", 0.2, 0.05)],
)
def test_intervals_hold_under_heavy_tails_and_regimes(
    kind: str, share: float, missing: float
) -> None:
    """94 %: a few common steps of four degrees of freedom, in the wilder regime, decide."""
    found = [look(kind, w, share=share, missing=missing) for w in range(WORLDS)]
    held = np.mean([r.interval[0] <= share <= r.interval[1] for r in found])
    assert held >= 0.94 - SLACK
    if share == 0.0:
        assert np.mean([r.rejects for r in found]) <= 0.05 + SLACK


def test_the_correlation_that_is_printed_is_found_four_times_in_five() -> None:
    printed = float(np.mean([look("printed", w).minimum_detectable for w in range(60)]))
    found = [look("planted", w, share=printed) for w in range(WORLDS)]
    assert 0.75 <= np.mean([r.rejects for r in found]) <= 0.88
