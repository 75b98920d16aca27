"""Nobody reads anybody: real volatility filters, fast and slow, on simulated GARCH returns."""

from __future__ import annotations

import numpy as np

from commonmode.core.ids import InstrumentId
from commonmode.core.random import as_generator, stream
from commonmode.forecast import (
    Ewma,
    FilteredHistoricalSimulation,
    Garch,
    HistoricalSimulation,
)
from commonmode.market.history import History
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.risk import build_risk_panel

STEP = 3_600_000
MODELS = (
    HistoricalSimulation(window=500),
    Ewma(decay=0.94),
    Ewma(decay=0.97),
    Ewma(decay=0.99, innovations="empirical", window=1000),
    Garch(),
    FilteredHistoricalSimulation(paths=200),
)


def garch_history(bars: int, seed: int, *, degrees: float = 6.0) -> History:
    """Hourly bars whose variance is a GARCH(1, 1) of their own returns; sixteen steps in each."""
    draw = as_generator(stream(seed, "independent filters", bars))
    unit = draw.standard_t(degrees, (bars, 16)) * np.sqrt((degrees - 2.0) / degrees / 16.0)
    # The shock of a whole bar has fat tails too: one factor for all its steps.
    unit *= np.sqrt((degrees - 2.0) / draw.chisquare(degrees, bars))[:, None]
    size = unit.sum(axis=1)
    variance = np.empty(bars)
    level = 0.005**2
    last = level
    for row in range(bars):
        variance[row] = last
        last = 0.03 * level + 0.08 * last * size[row] ** 2 + 0.89 * last
    path = np.cumsum((np.sqrt(variance)[:, None] * unit).ravel()).reshape(bars, 16)
    close = path[:, -1]
    opened = np.concatenate(([0.0], close[:-1]))
    columns = {
        "open": opened,
        "high": np.maximum(path.max(axis=1), opened),
        "low": np.minimum(path.min(axis=1), opened),
        "close": close,
    }
    times = 1_600_560_000_000 + STEP * np.arange(1, bars + 1, dtype=np.int64)
    prices = {key: 20_000.0 * np.exp(values) for key, values in columns.items()}
    return History(InstrumentId("BTC-USDT"), STEP, times, prices)


def filter_panel(seed: int, *, bars: int = 6000) -> ErrorPanel:
    """What six filters say of the next hour; ``bars`` less the 2 000 that they learn from."""
    return build_risk_panel({"BTC": garch_history(bars, seed)}, MODELS, name="filters")
