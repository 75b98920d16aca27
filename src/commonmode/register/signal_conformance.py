"""The conformance kit of trading strategies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ModelError
from commonmode.core.result import Failure, Success
from commonmode.market.history import History
from commonmode.register.cards import ModelFamily
from commonmode.register.signal import FittedSignal, SignalModel

__all__ = ["check_signal_model"]

_ORIGINS = 7
_HALF_WAY = 3


def check_signal_model(model: SignalModel, history: History) -> None:
    """Check a strategy against its contract.

    Rules: a card of its own, of the family of signals; reads only declared columns; a fit is a
    ``Success`` or ``Failure``; one signal in [-1, 1] per origin; no look-ahead (bars after an
    origin change nothing, nor does it matter which others are asked for); the fitted object is
    frozen, the history is not written to; the same input gives the same output, bit for bit.

    Parameters
    ----------
    model : SignalModel
    history : History
        At least ``requires.window`` + 50 bars on which the strategy should fit.

    Raises
    ------
    ModelError
        Naming the rule and what to do.
    """
    if not isinstance(model, SignalModel):
        raise _broken("protocol", type(model).__name__, "implement id, card, requires, traded")
    if not model.id or model.card.model != model.id:
        raise _broken("card", str(model.id), "the card names the model by its own id")
    if model.card.family is not ModelFamily.SIGNAL:
        raise _broken("card", model.id, "the card's family is signal")
    needs = model.requires
    if needs.window < 0 or needs.refit_every < 1:
        raise _broken("requires", model.id, "window >= 0 and refit_every >= 1")
    fit_row, last = max(needs.window, 1), len(history) - 1
    if last < fit_row + _ORIGINS:
        raise ModelError(
            f"check of {model.id}: history of {len(history)} bars is too short",
            remedy=f"give at least {fit_row + 50} bars",
        )
    before = history.content_hash
    names = sorted({*needs.columns, "close"})
    declared = replace(history, columns={name: history.column(name) for name in names})
    origins = np.unique(np.linspace(fit_row, last, _ORIGINS).astype(np.int64))

    def fit(data: History) -> FittedSignal:
        return _value(model, model.calibrate(data.until(fit_row)))

    fitted = fit(declared)
    made = fitted.signal(declared, origins)
    if np.shape(made) != origins.shape or made.dtype != np.float64:
        raise _broken("shapes", model.id, "signal is float64 with one value per origin")
    if not np.all(np.isfinite(made)) or np.any(np.abs(made) > 1.0):
        raise _broken("values", model.id, "signals lie in [-1, 1] where the window is full")
    if history.content_hash != before:
        raise _broken("purity", model.id, "do not write into the history")
    _same(model, "determinism", made, fit(declared).signal(declared, origins))
    blind = _with_other_columns(history, names)
    _same(model, "declared data", made, fit(blind).signal(blind, origins))
    known = declared.until(int(origins[_HALF_WAY]))
    _same(
        model,
        "look-ahead",
        made[: _HALF_WAY + 1],
        fitted.signal(known, origins[: _HALF_WAY + 1]),
    )
    alone = np.concatenate([fitted.signal(declared, origins[i : i + 1]) for i in range(_ORIGINS)])
    _same(model, "partition", made, alone)
    _check_frozen(model, fitted)


def _broken(rule: str, who: str, remedy: str) -> ModelError:
    return ModelError(f"{who} breaks the rule {rule!r}", remedy=remedy)


def _value(model: SignalModel, result: Success[FittedSignal] | Failure) -> FittedSignal:
    if isinstance(result, Failure):
        raise _broken("fit", model.id, f"it should fit on this data, but says: {result}")
    return result.value


def _same(model: SignalModel, rule: str, one: FloatArray, two: FloatArray) -> None:
    if not np.array_equal(one, two, equal_nan=True):
        raise _broken(rule, model.id, "the same declared past gives the same signals")


def _with_other_columns(history: History, keep: Iterable[str]) -> History:
    """Undeclared columns carry other numbers."""
    kept = set(keep)
    columns = {
        name: column if name in kept else np.where(np.isfinite(column), 7.0 - column, 7.0)
        for name, column in history.columns.items()
    }
    return replace(history, columns=columns)


def _check_frozen(model: SignalModel, fitted: object) -> None:
    ok = is_dataclass(fitted) and not isinstance(fitted, type)
    if not ok or not getattr(fitted, "__dataclass_params__").frozen:  # noqa: B009
        raise _broken("immutability", model.id, "make the fitted object a frozen dataclass")
    for field in fields(fitted):  # type: ignore[arg-type]  # checked above
        value = getattr(fitted, field.name)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            raise _broken("immutability", model.id, f"hand over {field.name} read-only")
