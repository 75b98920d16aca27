"""Returns as the models read them: gaps dropped, never bridged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.history import History

__all__ = [
    "ReturnStream",
    "WindowReturns",
    "horizon_returns",
    "returns_since",
    "too_short",
    "window_returns",
]


@dataclass(frozen=True, slots=True, eq=False)
class ReturnStream:
    """The finite one-bar returns of a history, and how many are known at each row.

    A return over a gap is unknown; a filter carries its state across it.

    Attributes
    ----------
    values : float64, shape (m,)
    known : int64, shape (T,)
        ``values[: known[t]]`` are those known at row t.
    """

    values: FloatArray
    known: IntArray


def returns_since(history: History, start_ms: int) -> ReturnStream:
    """Finite log returns of bars that end after ``start_ms``.

    Parameters
    ----------
    history : History
    start_ms : int
        End of the bar whose close is the first price of the window.
    """
    returns = history.log_returns
    use = np.isfinite(returns) & (history.times_ms > start_ms)
    return ReturnStream(returns[use], np.cumsum(use, dtype=np.int64))


def horizon_returns(history: History, horizon: int) -> FloatArray:
    """``ln(close_t / close_{t-horizon})``, shape (T,); NaN where a bar in between is missing."""
    close = history.column("close")
    n = len(close)
    out = np.full(n, np.nan)
    if n > horizon:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(close)
            out[horizon:] = logs[horizon:] - logs[:-horizon]
        elapsed = history.times_ms[horizon:] - history.times_ms[:-horizon]
        out[horizon:][elapsed != horizon * history.step_ms] = np.nan
    out[~np.isfinite(out)] = np.nan
    return out


def too_short(history: History, window: int, model: str) -> Failure | None:
    """The failure of a model that needs ``window`` returns and does not get them."""
    if len(history) > window:
        return None
    return Failure(
        FailureReason.MISSING_DATA,
        f"{model} needs {window + 1} bars of {history.instrument}, got {len(history)}",
        "give a longer history or a shorter window",
    )


@dataclass(frozen=True, slots=True, eq=False)
class WindowReturns:
    """Returns of a calibration window that a volatility filter can start on.

    Attributes
    ----------
    start_ms : int
        End of the bar before the first return, UTC milliseconds.
    values : float64, shape (n,)
    variance : float
        Mean square, > 0.
    """

    start_ms: int
    values: FloatArray
    variance: float


def window_returns(
    history: History, window: int, *, burn_in: int, model: str
) -> Success[WindowReturns] | Failure:
    """Returns of the last ``window`` bars, or why no filter can start on them.

    Parameters
    ----------
    history : History
    window, burn_in : int
    model : str
        For the message.
    """
    short = too_short(history, window, model)
    if short:
        return short
    start_ms = int(history.times_ms[-window - 1])
    returns = returns_since(history, start_ms).values
    variance = float(np.mean(returns**2)) if len(returns) else 0.0
    if len(returns) <= burn_in or not variance > 0.0:
        return Failure(
            FailureReason.INVALID_INPUT,
            f"{model}: the last {window} bars of {history.instrument} hold no movement "
            "or too few returns",
            "check the feed for stale bars and gaps",
        )
    return Success(WindowReturns(start_ms, returns, variance))
