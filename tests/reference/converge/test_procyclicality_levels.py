"""What procyclicality promises, on many worlds of its own: size, coverage, power as printed."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.procyclicality import Procyclicality, ProcyclicalityResult
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel
from recalibration_worlds import cycle

pytestmark = pytest.mark.slow

WORLDS = 400
DUE = 0.6


def seed(kind: str, world: int) -> int:
    return int(stream(5, "procyclicality levels", kind, world).integers(2**31))


def look(panel: ErrorPanel, rng: int) -> ProcyclicalityResult:
    return Procyclicality(flips=499, rng=rng).fit(panel).result_


@pytest.mark.parametrize(
    ("kind", "world", "rows", "worlds"),
    [
        ("plain", {"heavy": False, "regimes": False, "missing": 0.0}, 5000, WORLDS),
        ("regimes", {"heavy": False, "missing": 0.0}, 5000, WORLDS),
        ("rough", {"missing": 0.1, "memory": 0.995}, 5000, WORLDS),
        ("short", {"missing": 0.1}, 1000, 4 * WORLDS),
    ],
)
def test_levels_where_nothing_is_planted(
    kind: str, world: dict[str, float], rows: int, worlds: int
) -> None:
    """Two standard errors about 5 and 95 %, more on the safe side.

    A thousand rows hold ten autocorrelation times of the market: intervals may lose a point there.
    """
    excess, asymmetry, covered, due = [], [], [], []
    for number in range(worlds):
        panel = cycle(seed(kind, number), **world)  # type: ignore[arg-type]
        found = look(panel.select_rows(slice(rows)), number)
        models = found.models
        excess.append(min(*(m.p_excess for m in models), found.p_crowd) <= 0.05)
        asymmetry.append(min(m.p_asymmetry for m in models) <= 0.05)
        covered.append(np.mean([m.excess.low <= 0.0 <= m.excess.high for m in models]))
        due.append(found.benchmark_slope.low <= DUE <= found.benchmark_slope.high)
    slack = 2.0 * float(np.sqrt(0.05 * 0.95 / worlds))
    lost = 0.01 if rows < 5000 else 0.0
    assert np.mean(excess) <= 0.05 + slack
    assert np.mean(asymmetry) <= 0.05 + slack
    assert np.mean(covered) >= 0.95 - lost - slack
    assert np.mean(due) >= 0.95 - lost - slack


def test_the_excess_that_is_printed_is_found_four_times_in_five() -> None:
    """One size in worlds whose own printed ones differ by a seventh costs about three points."""
    printed = float(
        np.mean([look(cycle(seed("printed", s)), s).minimum_detectable for s in range(30)])
    )
    found, covered = [], []
    for number in range(WORLDS):
        first = look(cycle(seed("planted", number), excess=printed), number).models[0]
        found.append(first.p_excess <= 0.05 and first.excess.value > 0)
        covered.append(first.excess.low <= printed <= first.excess.high)
    assert 0.72 <= np.mean(found) <= 0.88
    assert np.mean(covered) >= 0.95 - 2.0 * float(np.sqrt(0.05 * 0.95 / WORLDS))
