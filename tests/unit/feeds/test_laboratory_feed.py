"""The laboratory feed: the recorded feed's methods over a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.errors import DataError
from commonmode.market.feed import Feed


@pytest.fixture(scope="module")
def feed() -> LaboratoryFeed:
    return LaboratoryFeed.simulate("2023-04-12", 6, seed=3)


def test_it_is_a_feed(feed: LaboratoryFeed) -> None:
    assert isinstance(feed, Feed)


def test_snapshots_of_both_coins_at_every_hour(feed: LaboratoryFeed) -> None:
    times = feed.snapshot_times("2023-04-11", "2023-04-20")
    assert len(times) == 7
    snapshots = list(feed.snapshots(times))
    assert [s.time_ms for s in snapshots] == times.tolist()
    for snapshot in snapshots:
        assert set(snapshot.chains) == {"BTC", "ETH"}
        assert "simulated" in [note.code for note in snapshot.notes]


def test_a_snapshot_does_not_depend_on_the_others(feed: LaboratoryFeed) -> None:
    times = feed.snapshot_times("2023-04-12", "2023-04-13")
    (alone,) = feed.snapshots(times[3:4], ("ETH",))
    among = list(feed.snapshots(times))[3]
    np.testing.assert_array_equal(alone.chain("ETH").mark_iv, among.chain("ETH").mark_iv)
    np.testing.assert_array_equal(alone.chain("ETH").bid.values, among.chain("ETH").bid.values)


def test_history_is_cut_by_the_end_of_its_bars(feed: LaboratoryFeed) -> None:
    assert len(feed.history("BTC")) == 6
    part = feed.history("BTC", "2023-04-12T02:00", "2023-04-12T04:00")
    np.testing.assert_array_equal(part.times_ms, feed.history("BTC").times_ms[1:4])


def test_what_is_not_there_has_a_remedy(feed: LaboratoryFeed) -> None:
    with pytest.raises(DataError, match="holds no 'SOL'") as caught:
        feed.history("SOL")
    assert "BTC, ETH" in caught.value.remedy
    with pytest.raises(DataError, match="no bar in that period"):
        feed.history("BTC", "2024-01-01")
    with pytest.raises(DataError, match="not on the simulated path"):
        list(feed.snapshots([0]))
