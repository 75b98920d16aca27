"""The longest run of repeats, where the chance of a repeat is constant and where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.runs import longest_run


def test_length_and_place_of_the_longest_run() -> None:
    found = longest_run(np.array([False, True, True, False, True, True, True, False] * 3))
    assert (found.length, found.start) == (3, 4)
    none = longest_run(np.zeros(50, dtype=bool))
    assert (none.length, none.p_value) == (0, 1.0)
    with pytest.raises(DataError):
        longest_run(np.zeros(0, dtype=bool))


def test_a_constant_chance_is_taken_for_one() -> None:
    """Geometric runs: the level holds and the fitted spread is small."""
    found = [
        longest_run(np.random.default_rng(seed).random(3000) < 0.1, alpha=0.05)
        for seed in range(200)
    ]
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.09
    assert np.median([one.mean for one in found]) == pytest.approx(0.1, abs=0.01)
    assert np.median([one.spread for one in found]) < 0.02
    # -log(n) / log(p): the longest of 3 000 runs at one in ten.
    assert np.median([one.allowed for one in found]) == pytest.approx(4.8, abs=0.5)


def test_chances_that_vary_are_no_freeze() -> None:
    """Each stretch has a chance of its own, a Beta law's; a constant one would be refuted."""
    flagged = constant = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        repeats = rng.random(3000) < np.repeat(rng.beta(1.0, 5.0, 150), 20)
        found = longest_run(repeats, alpha=0.05)
        flagged += found.p_value < 0.05
        begins = repeats[1:] & ~repeats[:-1]
        chance = begins.sum() / (~repeats).sum()
        constant += 3000 * chance**found.length < 0.05
    assert constant > 60
    assert flagged <= 20


@pytest.mark.parametrize("times", [1, 5])
def test_freezes_are_found_however_many_there_are(times: int) -> None:
    rng = np.random.default_rng(1)
    repeats = rng.random(3000) < 0.01
    for place in range(times):
        repeats[500 * place + 100 : 500 * place + 112] = True
    found = longest_run(repeats)
    assert found.length >= 12
    assert found.p_value < 1e-6
