"""A passport says what the data can carry, and what not."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.market.history import History
from commonmode.register.model import Requirements
from commonmode.register.passport import data_passport, history_screens, risk_factors
from simulated_bars import STEP, make_history

MODEL = ModelId("ewma")


def damaged(history: History) -> History:
    """Two gaps, a frozen stretch, missing highs."""
    columns = {k: v.copy() for k, v in history.columns.items()}
    for column in columns.values():
        column[2500:2510] = column[2499]
    columns["high"][2600:2603] = np.nan
    keep = np.ones(len(history), dtype=bool)
    keep[2700:2705] = keep[2800] = False
    return History(
        history.instrument,
        STEP,
        history.times_ms[keep],
        {k: v[keep] for k, v in columns.items()},
    )


def test_passport_of_clean_data() -> None:
    history = make_history(4000, 1)
    passport = data_passport(
        MODEL,
        Requirements(columns=("high", "low", "close"), window=2000, refit_every=24),
        history,
        source="simulated",
        licence="none",
    )
    assert (passport.rows, passport.window, passport.refit_every) == (4000, 2000, 24)
    assert passport.missing == {"high": 0, "low": 0, "close": 0}
    assert passport.gaps == passport.missing_bars == passport.stale_bars == 0
    assert 100 < passport.effective_size < 2000  # volatility clusters
    assert passport.tail.exceedances == 50
    assert passport.failed_screens == ()
    assert passport.content_hash == history.content_hash
    assert not any("source" in limit for limit in passport.limits)
    assert "2,000 bars of BTC-USDT" in passport.sentence


def test_defects_become_limits() -> None:
    passport = data_passport(
        MODEL, Requirements(columns=("high", "close"), window=2000), damaged(make_history(4000, 1))
    )
    assert passport.gaps == 2
    assert passport.missing_bars == 6
    assert passport.stale_bars >= 9
    assert passport.missing == {"high": 3, "close": 0}
    said = " ".join(passport.limits)
    assert "source is not declared" in said
    assert "3 values of high, 6 whole bars" in said
    assert [screen.name for screen in passport.failed_screens] == ["frozen venue"]
    assert "the close stays the same for up to 10 bars" in said


def test_a_crash_outside_the_window_is_a_limit_and_inside_is_not() -> None:
    history = make_history(4000, 2)
    fall = np.where(np.arange(4000) >= 500, 0.7, 1.0)
    crashed = History(
        history.instrument,
        STEP,
        history.times_ms,
        {k: v * fall for k, v in history.columns.items()},
    )
    short = data_passport(MODEL, Requirements(window=2000), crashed)
    whole = data_passport(MODEL, Requirements(), crashed)
    assert not short.regimes.crash_in_window
    assert any("No crash in the window" in limit for limit in short.limits)
    assert whole.regimes.crash_in_window
    assert not any("No crash" in limit for limit in whole.limits)


def test_a_stress_outside_the_window_is_extrapolation() -> None:
    history = make_history(3000, 3)
    factors = risk_factors(history)
    usual = np.nanmedian(factors, axis=0)
    passport = data_passport(
        MODEL,
        Requirements(window=2000),
        history,
        source="simulated",
        stresses={"a usual hour": usual.tolist(), "a crash": [-0.3, 0.35]},
    )
    assert [one.outside for one in passport.stresses] == [False, True]
    assert sum("extrapolation" in limit for limit in passport.limits) == 1


def test_closes_alone_and_too_little() -> None:
    history = make_history(600, 4)
    closes = History(history.instrument, STEP, history.times_ms, {"close": history.column("close")})
    passport = data_passport(MODEL, Requirements(), closes, level=0.01)
    assert any("rests on a law" in limit for limit in passport.limits)
    assert any("a backtest that tells twice" in limit for limit in passport.limits)
    assert len(history_screens(closes)) == 4
    with pytest.raises(DataError, match="window of 900 bars"):
        data_passport(MODEL, Requirements(window=900), closes)
