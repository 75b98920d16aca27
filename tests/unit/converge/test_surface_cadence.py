"""Surfaces at several cadences in a simulated market whose volatility moves all the time."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from commonmode.converge.cadence_sweep import surface_revisions, sweep_surface_cadences
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.units import HOUR_MS
from commonmode.lab.market import SvjParameters, simulate_path
from commonmode.lab.options import simulate_snapshots
from commonmode.market.chain import OptionChain
from commonmode.market.clock import utc_ms
from commonmode.panel.surface_refits import SurfaceWalks, walk_surfaces
from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.sticky_delta import StickyDelta

START = utc_ms("2024-02-05T12:00Z")
BTC = CurrencyCode("BTC")


@cache
def chains() -> tuple[OptionChain, ...]:
    path = simulate_path("BTC", SvjParameters(), START - 2 * HOUR_MS, 80, seed=4)
    times = START + HOUR_MS * np.arange(72)
    return tuple(s.chain(BTC) for s in simulate_snapshots({BTC: path}, times))


@cache
def walks() -> SurfaceWalks:
    models = (FlatBlack(id=ModelId("flat")), StickyDelta(id=ModelId("sticky")))
    return walk_surfaces(chains(), models, cadences=(1, 6, 24))


def test_error_grows_with_the_age_of_a_surface() -> None:
    sticky = [float(np.nanmean(w.error[:, 1])) for w in walks().walks.values()]
    assert sticky[0] < sticky[1] < sticky[2]
    assert not any(walks().failures.values())
    assert np.nanmin(walks().half_spread) > 0


def test_every_cadence_prices_the_same_quotes_and_the_first_refit_is_shared() -> None:
    one, six, _ = walks().walks.values()
    np.testing.assert_array_equal(np.isnan(one.error), np.isnan(six.error))
    np.testing.assert_array_equal(one.error[1], six.error[1])
    assert one.step.shape == (71, 9, 2)
    assert six.times_ms[0] == chains()[6].time_ms


def test_nothing_later_is_seen() -> None:
    models = (FlatBlack(id=ModelId("flat")), StickyDelta(id=ModelId("sticky")))
    part = walk_surfaces(chains()[:30], models, cadences=(1, 6, 24))
    np.testing.assert_array_equal(part.walks[6].error, walks().walks[6].error[:30])


def test_the_fresh_surface_is_recommended_where_it_is_better() -> None:
    sweep = sweep_surface_cadences(walks(), present=6)
    by = {a.model: a for a in sweep.advice}
    assert by[ModelId("sticky")].recommended == "1 h"
    assert [r.label for r in by[ModelId("sticky")].rows] == ["1 h", "6 h", "1 d"]
    assert not by[ModelId("sticky")].rows[2].acceptable  # not known to be as good
    with pytest.raises(DataError, match="present cadence"):
        sweep_surface_cadences(walks(), present=5)


def test_steps_follow_the_market_s_own() -> None:
    steps = surface_revisions(walks(), every=1)
    atm = steps.targets.index("7-45d atm")  # type: ignore[arg-type]
    rows = np.isfinite(steps.step[:, atm, 1]) & np.isfinite(steps.market_a[:, atm])
    together = np.corrcoef(steps.step[rows, atm, 1], steps.market_a[rows, atm])
    assert together[0, 1] > 0.9


def test_too_few_chains_are_refused() -> None:
    with pytest.raises(DataError, match="cadences"):
        walk_surfaces(chains()[:2], (FlatBlack(id=ModelId("flat")),), cadences=(2,))
