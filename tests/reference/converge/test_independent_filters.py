"""Filters of one market that read nobody: whoever is later is noted, and not said to have read.

How often it is noted stands in docs/evidence.md (24 worlds of 20 000 hours each: seeds 710001 to
710024 of ``filter_worlds.filter_panel`` with 22 000 bars).
"""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.further import further_looks
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.severity import Severity
from commonmode.core.result import Success
from filter_worlds import filter_panel, garch_history

LATER = ["propagation", "tail"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [700009, 700015, 700022])  # both looks find links in the last two
def test_independent_filters_raise_no_alarm(seed: int) -> None:
    panel = filter_panel(seed)
    for look in further_looks(panel, LATER):
        assert isinstance(look.result, Success)
        finding = look.findings[0]
        assert finding.severity is not Severity.ALERT
        if look.result.value.links:
            assert finding.severity is Severity.NOTE
            assert "cannot be told apart" in finding.sentence
        if isinstance(look.result.value, PropagationResult) and look.result.value.swamped:
            assert finding.severity is not Severity.FINE


def test_returns_cluster_and_have_no_memory_of_sign() -> None:
    close = np.log(garch_history(20_000, 720001).columns["close"])
    moves = np.diff(close)
    sizes = np.abs(moves)
    assert abs(float(np.corrcoef(moves[1:], moves[:-1])[0, 1])) < 0.05
    assert float(np.corrcoef(sizes[1:], sizes[:-1])[0, 1]) > 0.05
