"""Strategies and risk models in one market: what is planted between them is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.ids import ModelId, TargetId
from commonmode.core.units import HOUR_MS
from commonmode.panel.error_panel import ErrorPanel, PanelKind


def selling_world(
    seed: int, *, rows: int = 2500, link: float = 0.0, lag: int = 0, missing: float = 0.0
) -> tuple[ErrorPanel, ErrorPanel]:
    """Three strategies and two risk models in a market of fat tails and regimes.

    All react to the market's move, in their own ways, stronger in some regimes; ``link`` is the
    correlation of what else the first strategy and the first risk model do, ``lag`` bars later.
    """
    rng = np.random.default_rng(seed)
    regime = np.repeat(rng.choice([0.5, 1.0, 2.5], rows // 100 + 1), 100)[:rows]
    vol = 0.005 * regime * np.exp(0.2 * np.cumsum(rng.standard_normal(rows)) / np.sqrt(rows))
    z = rng.standard_t(4, rows) / np.sqrt(2.0)
    moves = vol * z
    own = rng.standard_normal((rows, 5)) * np.sqrt(regime)[:, None]
    own[:, 3] = np.sqrt(1 - link**2) * own[:, 3] + link * np.roll(own[:, 0], lag)
    reaction = np.column_stack([np.abs(z), -z * regime, np.minimum(z, 0.0)])
    sold = 0.004 * reaction + 0.01 * own[:, :3]
    cut = 0.02 * np.column_stack([np.log1p(z**2), np.abs(z)]) + 0.03 * own[:, 3:]
    signal = 0.3 * np.tanh(np.cumsum(-sold + sold.mean(axis=0), axis=0) / 5.0)
    quantile = -0.01 * np.exp(np.cumsum(cut - cut.mean(axis=0), axis=0) / 5.0)
    times = HOUR_MS * np.arange(1, rows + 1)
    signal[rng.random(signal.shape) < missing] = np.nan
    common = {
        "level": 0.0,
        "horizon_ms": HOUR_MS,
        "times_ms": times,
        "targets": (TargetId("BTC"),),
        "outcome": np.append(moves[1:], 0.0)[:, None],
        "scale": np.append(vol[1:], vol[-1])[:, None],
    }
    names = tuple(ModelId(n) for n in ("vault", "trend", "dealer"))
    signals = ErrorPanel("s", PanelKind.SIGNAL, models=names, forecast=signal[:, None], **common)
    risk = ErrorPanel(
        "r",
        PanelKind.QUANTILE,
        models=(ModelId("ewma"), ModelId("hs")),
        forecast=quantile[:, None],
        **(common | {"level": 0.025}),
    )
    if missing:
        keep = rng.random(rows) > missing
        risk = replace(
            risk,
            times_ms=times[keep],
            forecast=risk.forecast[keep],
            outcome=risk.outcome[keep],
            scale=risk.scale[keep],
        )
    return signals, risk
