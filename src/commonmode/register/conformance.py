"""The conformance kit: what every model has to honour, checked on data its author supplies.

``check_risk_model(model, history)`` and ``check_surface_model(model, chain)`` raise
:class:`ModelError` naming the broken rule, and return nothing when all is well. They are meant for
the tests of models that register through the entry-point group ``commonmode.models``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ModelError
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.market.history import History
from commonmode.register.cards import ModelFamily
from commonmode.register.model import (
    FittedRisk,
    FittedSurface,
    Model,
    RiskForecast,
    RiskModel,
    SurfaceModel,
)

__all__ = ["check_risk_model", "check_surface_model"]

T = TypeVar("T")

_ORIGINS = 7
_HALF_WAY = 3


def check_risk_model(
    model: RiskModel,
    history: History,
    *,
    horizons: tuple[int, ...] = (1, 24),
    level: float = 0.025,
) -> None:
    """Check a risk model against its contract.

    Rules: a card of its own; reads only declared columns; a fit is a ``Success`` or ``Failure``;
    forecasts have one finite value per origin, with ``shortfall <= quantile < 0 < vol``; no
    look-ahead (the future of the history changes nothing, one origin's forecast does not depend
    on which others are asked for); the fitted object is frozen, and neither it nor the history
    is changed by forecasting; the same input gives the same output, bit for bit.

    Parameters
    ----------
    model : RiskModel
    history : History
        At least ``requires.window`` + 50 + the longest horizon bars on which the model should fit.
    horizons : tuple of int
    level : float

    Raises
    ------
    ModelError
        Naming the rule and what to do.
    """
    if not isinstance(model, RiskModel):
        raise _broken("protocol", type(model).__name__, "implement id, card, requires, calibrate")
    _check_identity(model, ModelFamily.RISK)
    needs = model.requires
    fit_row = max(needs.window, 1)
    last = len(history) - 1 - max(horizons)
    if last < fit_row + _ORIGINS:
        raise ModelError(
            f"check of {model.id}: history of {len(history)} bars is too short",
            remedy=f"give at least {fit_row + max(horizons) + 50} bars",
        )
    for column in needs.columns:
        history.column(column)
    before = history.content_hash
    declared = _only(history, {*needs.columns, "close"})
    fitted = _fit_risk(model, declared.until(fit_row))
    origins = np.unique(np.linspace(fit_row, last, _ORIGINS).astype(np.int64))
    for horizon in horizons:

        def ask(
            what: FittedRisk, data: History, rows: IntArray, horizon: int = horizon
        ) -> RiskForecast:
            return what.forecast(data, rows, horizon=horizon, level=level)

        known = declared.until(int(origins[-1]))
        made = ask(fitted, known, origins)
        if history.content_hash != before:
            raise _broken("purity", model.id, "do not write into the history")
        _check_forecast(model, made, len(origins))
        again = ask(_fit_risk(model, declared.until(fit_row)), known, origins)
        _same(model, "determinism", made, again, "the same fit and origins gave other numbers")
        blind = _noised(history, set(needs.columns) | {"close"})
        other = ask(_fit_risk(model, blind.until(fit_row)), blind.until(int(origins[-1])), origins)
        _same(model, "declared data", made, other, "an undeclared column changed the forecast")
        later = ask(fitted, declared, origins)
        _same(model, "look-ahead", made, later, "bars after the last origin changed a forecast")
        changed = _changed_after(declared, int(origins[_HALF_WAY]))
        early = ask(_fit_risk(model, changed.until(fit_row)), changed, origins)
        part, early = _first(made, _HALF_WAY + 1), _first(early, _HALF_WAY + 1)
        _same(model, "look-ahead", part, early, "later bars changed an earlier forecast")
        alone = _joined(ask(fitted, known, origins[i : i + 1]) for i in range(len(origins)))
        _same(model, "partition", made, alone, "a forecast depends on which others are asked for")
    _check_frozen(model, fitted)


def check_surface_model(model: SurfaceModel, chain: OptionChain) -> None:
    """Check a surface model against its contract.

    Rules: a card of its own; reads only declared columns; a fit is a ``Success`` or ``Failure``;
    one vol per point, positive or NaN, and not NaN everywhere; the order of the points does not
    matter; the fitted object is frozen; the chain is not changed; deterministic, bit for bit.

    Parameters
    ----------
    model : SurfaceModel
    chain : OptionChain
        One on which the model should fit.

    Raises
    ------
    ModelError
        Naming the rule and what to do.
    """
    if not isinstance(model, SurfaceModel):
        raise _broken("protocol", type(model).__name__, "implement id, card, requires, calibrate")
    _check_identity(model, ModelFamily.SURFACE)
    rows = np.flatnonzero(chain.usable)
    if not len(rows):
        raise ModelError(
            f"check of {model.id}: the chain has no usable quote",
            remedy="give a chain with forwards and mark vols",
        )
    before = {f.name: _bytes(getattr(chain, f.name)) for f in fields(chain)}
    fitted = _fit_surface(model, chain)
    vols = _vols(fitted, chain, rows)
    if vols.shape != rows.shape or vols.dtype != np.float64:
        raise _broken("shapes", model.id, "return one float64 vol per point")
    finite = np.isfinite(vols)
    if not finite.any() or np.any(vols[finite] <= 0.0):
        raise _broken("values", model.id, "vols are positive decimals, NaN only out of reach")
    _equal(model, "determinism", vols, _vols(_fit_surface(model, chain), chain, rows))
    backwards = _vols(fitted, chain, rows[::-1])[::-1]
    if not np.allclose(vols, backwards, rtol=1e-12, atol=0.0, equal_nan=True):
        raise _broken("partition", model.id, "each point's vol depends on that point alone")
    keep = {*model.requires.columns, *_CHAIN_KEYS}
    hidden = [name for name in _CHAIN_DATA if name not in keep]
    changes: dict[str, Any] = {name: np.full(len(chain), np.nan) for name in hidden}
    blind = replace(chain, **changes)
    _equal(model, "declared data", vols, _vols(_fit_surface(model, blind), blind, rows))
    _check_frozen(model, fitted)
    if before != {f.name: _bytes(getattr(chain, f.name)) for f in fields(chain)}:
        raise _broken("purity", model.id, "do not write into the chain")


# What names a quote rather than measuring it, and the forward every smile is drawn against.
_CHAIN_KEYS = frozenset({"forward"})
_CHAIN_DATA = ("bid_iv", "ask_iv", "mark_iv", "index", "open_interest")


def _broken(rule: str, who: str, remedy: str) -> ModelError:
    return ModelError(f"{who} breaks the rule {rule!r}", remedy=remedy)


def _check_identity(model: Model, family: ModelFamily) -> None:
    card = model.card
    if not model.id or card.model != model.id:
        raise _broken("card", str(model.id), "the card names the model by its own id")
    if card.family is not family:
        raise _broken("card", model.id, f"the card's family is {family.value}")
    if model.requires.window < 0 or model.requires.refit_every < 1:
        raise _broken("requires", model.id, "window >= 0 and refit_every >= 1")


def _only(history: History, names: Iterable[str]) -> History:
    return replace(history, columns={name: history.column(name) for name in sorted(names)})


def _noised(history: History, keep: set[str]) -> History:
    """Undeclared columns carry other numbers."""
    columns = {
        name: column if name in keep else np.where(np.isfinite(column), 7.0 - column, 7.0)
        for name, column in history.columns.items()
    }
    columns["undeclared"] = np.full(len(history), np.nan)
    return replace(history, columns=columns)


def _changed_after(history: History, row: int) -> History:
    """The future runs backwards and at another scale."""
    columns = {}
    for name, column in history.columns.items():
        other = column.copy()
        other[row + 1 :] = 1.5 * column[row + 1 :][::-1]
        columns[name] = other
    return replace(history, columns=columns)


def _fit_risk(model: RiskModel, history: History) -> FittedRisk:
    return _value(model, model.calibrate(history))


def _fit_surface(model: SurfaceModel, chain: OptionChain) -> FittedSurface:
    return _value(model, model.calibrate(chain))


def _value(model: Model, result: Success[T] | Failure) -> T:
    if isinstance(result, Failure):
        raise _broken("fit", model.id, f"it should fit on this data, but says: {result}")
    if not isinstance(result, Success):
        raise _broken("result", model.id, "calibrate returns Success(fitted) or Failure(...)")
    return result.value


def _vols(fitted: FittedSurface, chain: OptionChain, rows: IntArray) -> FloatArray:
    return fitted.implied_vol(
        chain.strike[rows], chain.years[rows], chain.forward[rows], chain.expiry_ms[rows]
    )


def _check_forecast(model: Model, made: RiskForecast, n: int) -> None:
    for name in ("vol", "quantile", "shortfall"):
        array = getattr(made, name)
        if not isinstance(array, np.ndarray) or array.shape != (n,) or array.dtype != np.float64:
            raise _broken("shapes", model.id, f"{name} is float64 with one value per origin")
        if not np.all(np.isfinite(array)):
            raise _broken("values", model.id, f"{name} is finite where the window is full")
    ordered = (made.shortfall <= made.quantile) & (made.quantile < 0.0) & (made.vol > 0.0)
    if not np.all(ordered):
        raise _broken("values", model.id, "shortfall <= quantile < 0 < vol")


def _same(model: Model, rule: str, one: RiskForecast, two: RiskForecast, what: str) -> None:
    for name in ("vol", "quantile", "shortfall"):
        if not np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True):
            raise _broken(rule, model.id, f"{what} ({name})")


def _equal(model: Model, rule: str, one: FloatArray, two: FloatArray) -> None:
    if not np.array_equal(one, two, equal_nan=True):
        raise _broken(rule, model.id, "the same declared quotes give the same vols")


def _first(made: RiskForecast, n: int) -> RiskForecast:
    return RiskForecast(made.vol[:n], made.quantile[:n], made.shortfall[:n])


def _joined(parts: Iterable[RiskForecast]) -> RiskForecast:
    made = list(parts)
    return RiskForecast(
        np.concatenate([p.vol for p in made]),
        np.concatenate([p.quantile for p in made]),
        np.concatenate([p.shortfall for p in made]),
    )


def _bytes(value: object) -> bytes:
    array = getattr(value, "values", value)
    return array.tobytes() if isinstance(array, np.ndarray) else repr(array).encode()


def _check_frozen(model: Model, fitted: object) -> None:
    """A frozen dataclass whose arrays cannot be written."""
    if not is_dataclass(fitted) or isinstance(fitted, type) or not _is_frozen(fitted):
        raise _broken("immutability", model.id, "make the fitted object a frozen dataclass")
    for field in fields(fitted):
        value = getattr(fitted, field.name)
        if isinstance(value, np.ndarray) and value.flags.writeable:
            raise _broken(
                "immutability", model.id, f"hand over {field.name} read-only (core.arrays.frozen)"
            )


def _is_frozen(fitted: object) -> bool:
    return bool(getattr(fitted, "__dataclass_params__").frozen)  # noqa: B009  # not in typeshed
