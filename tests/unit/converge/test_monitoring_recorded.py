"""The monitor on the hourly BTC and ETH panel of the example, settings fixed beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.store.packed import unpack_panel
from commonmode.converge.monitoring import monitor_panel
from commonmode.market.clock import utc_ms

EVIDENCE = Path(__file__).parents[3] / "examples" / "btc-shapella-2023" / "evidence"
DAY_MS = 86_400_000


@pytest.mark.slow
def test_two_crises_changed_nothing_in_how_models_agree() -> None:
    panel = unpack_panel(EVIDENCE / "risk-1h.panel")
    result = monitor_panel(panel, utc_ms("2021-04-15T00:00Z"))
    assert result.baseline_blocks == 123
    # A level that is high throughout, and no change that the rules would have warned of.
    assert np.nanmax(result.effective_number.value) < 4.0
    assert np.nanmax(result.effective_number.p_value) <= 0.05
    assert result.levels[0].first_ms is not None
    for name, start, end in (
        ("May 2021", "2021-05-12T00:00Z", "2021-05-24T00:00Z"),
        ("November 2022", "2022-11-06T00:00Z", "2022-11-15T00:00Z"),
    ):
        event = result.episode(name, utc_ms(start), utc_ms(end), 14 * DAY_MS)
        assert "did not see it" in event.sentence
        assert 1.5 < event.before[0] < 3.5
        assert 1.0 < event.during[1] < 1.3
