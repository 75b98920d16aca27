"""Bars for tests that need a history: volatility clusters, ranges enclose the path."""

from __future__ import annotations

import numpy as np

from commonmode.core.ids import InstrumentId
from commonmode.market.history import History

STEP = 3_600_000


def make_history(n: int, seed: int, name: str = "BTC-USDT") -> History:
    """Bars with volatility clustering and an hour-of-day cycle; high and low enclose the path."""
    rng = np.random.default_rng(seed)
    log_vol = np.zeros(n)
    for row in range(1, n):
        log_vol[row] = 0.97 * log_vol[row - 1] + 0.1 * rng.standard_normal()
    cycle = 0.2 * np.sin(2 * np.pi * np.arange(n) / 24)
    minutes = 0.005 / 4 * np.exp(log_vol + cycle)[:, None] * rng.standard_t(6, (n, 16))
    path = np.cumsum(minutes.ravel()).reshape(n, 16)
    close = path[:, -1]
    opened = np.concatenate(([0.0], close[:-1]))
    columns = {
        "open": opened,
        "high": np.maximum(path.max(axis=1), opened),
        "low": np.minimum(path.min(axis=1), opened),
        "close": close,
    }
    times = 1_600_560_000_000 + STEP * np.arange(1, n + 1, dtype=np.int64)
    prices = {key: 20_000.0 * np.exp(values) for key, values in columns.items()}
    return History(InstrumentId(name), STEP, times, prices)
