"""What a book's value owes to parameters that a calibration leaves uncertain (delta method)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, StringArray, frozen
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Success, capture
from commonmode.exposure.book import ResolvedBook
from commonmode.exposure.greeks import Greek, GreekTable
from commonmode.exposure.revaluation import revalue
from commonmode.exposure.scenarios import ScenarioGrid
from commonmode.exposure.surfaces import CALCULATION_ERRORS, FittedSurfaces
from commonmode.pricing.fitted import SliceTable
from commonmode.pricing.fourier.surface import CfSurface
from commonmode.pricing.ssvi_model import SsviSurface
from commonmode.register.model import FittedSurface
from commonmode.stats.model_uncertainty import common_error_sd, delta_method_sd

__all__ = ["parameter_sd", "shared_error_sd"]

_STEP: Final = (
    0.01  # standard errors: small enough for a slope, large enough for the prices' digits
)
_VOL_POINT: Final = 0.01  # in which vega is counted
_TODAY: Final = ScenarioGrid(spot=np.ones(1))


def parameter_sd(
    positions: ResolvedBook, surfaces: FittedSurfaces, models: tuple[ModelId, ...]
) -> tuple[StringArray, FloatArray]:
    """Standard deviation of every book's value from the calibration covariance of each model.

    ``sqrt(sum g' C g)`` over the groups of parameters that were estimated together (expiries of an
    SSVI surface, the one law or the laws per expiry of a characteristic function), slopes by
    central differences. Groups and underlyings count as independent.

    Parameters
    ----------
    positions : ResolvedBook
        Of any number of books.
    surfaces : mapping of underlying to mapping of ModelId to Success or Failure
    models : tuple of ModelId, length M

    Returns
    -------
    books : array of str, shape (B,)
        Sorted.
    sd : float64, shape (B, M)
        USD. NaN where a model gives no covariance, or did not identify a parameter that matters.

    Notes
    -----
    Residuals of a misspecified model are not noise: the figure says how far the parameters can move
    without the fit getting worse, not how far the truth may be.
    """
    books, owner = np.unique(positions.book, return_inverse=True)
    variance = np.zeros((len(books), len(models)))
    curved = positions.is_option | positions.is_curved_perpetual
    for name in np.unique(positions.underlying[curved]).tolist():
        coin = CurrencyCode(name)
        rows = np.flatnonzero(curved & (positions.underlying == name))
        part = positions.select(rows)
        held = np.zeros((len(books), len(rows)))
        held[owner[rows], np.arange(len(rows))] = part.quantity
        for m, model in enumerate(models):
            fitted = surfaces.get(coin, {}).get(model)
            touched = np.abs(held).sum(axis=1) > 0
            surface = fitted.value if isinstance(fitted, Success) else None
            if isinstance(surface, SsviSurface | CfSurface):
                variance[touched, m] += _variance(part, held, coin, surface)[touched]
            else:
                variance[touched, m] = np.nan
    return np.asarray(books), np.asarray(np.sqrt(variance))


def shared_error_sd(
    table: GreekTable, surfaces: FittedSurfaces, *, share: float = 0.5
) -> tuple[StringArray, FloatArray]:
    """Standard deviation of every book's value if quotes of an expiry were off together.

    The fit follows such an error without a residual, so that no covariance of parameters holds it
    and one snapshot cannot tell it from the market. What is given is what it would be if ``share``
    of the variance of every quote's error were common to its expiry: vega of the expiry times the
    error that then goes with the residuals seen. A law fitted to all expiries at once follows one
    of them less: for such a model it is an upper bound.

    Parameters
    ----------
    table : GreekTable
        Positions of any number of books under M models.
    surfaces : mapping of underlying to mapping of ModelId to Success or Failure
    share : float
        Assumed; not estimated.

    Returns
    -------
    books : array of str, shape (B,)
        Sorted.
    sd : float64, shape (B, M)
        USD; NaN where the model has no slices to read residuals from.
    """
    held = table.positions
    books, owner = np.unique(held.book, return_inverse=True)
    variance = np.zeros((len(books), len(table.models)))
    curved = held.is_option | held.is_curved_perpetual
    for name in np.unique(held.underlying[curved]).tolist():
        rows = np.flatnonzero(curved & (held.underlying == name))
        expiries, place = np.unique(held.smile_expiry_ms[rows], return_inverse=True)
        touched = np.isin(np.arange(len(books)), owner[rows])
        for m, model in enumerate(table.models):
            fitted = surfaces.get(CurrencyCode(name), {}).get(model)
            slices = getattr(fitted.value, "slices", None) if isinstance(fitted, Success) else None
            if not isinstance(slices, SliceTable):
                variance[touched, m] = np.nan
                continue
            vega = np.zeros((len(books), len(expiries)))
            np.add.at(vega, (owner[rows], place), table.usd[rows, m, Greek.VEGA])
            row, found = slices.locate(expiries)
            seen = np.where(found, slices.rmse[row], np.median(slices.rmse)) / _VOL_POINT
            variance[:, m] += np.where(touched, common_error_sd(vega, seen, share) ** 2, 0.0)
    return np.asarray(books), np.asarray(np.sqrt(variance))


def _variance(
    positions: ResolvedBook, held: FloatArray, coin: CurrencyCode, surface: SsviSurface | CfSurface
) -> FloatArray:
    """Variance of every book's value, USD^2, shape (B,)."""

    def values(moved: FittedSurface) -> FloatArray:
        done = revalue(positions, {coin: moved}, _TODAY)
        return np.asarray(held @ done.today[done.rows(positions)])

    total = np.zeros(len(held))
    for covariance, moves in _groups(surface):
        gradient = np.full((len(held), len(moves)), np.nan)
        for a, move in enumerate(moves):
            if move.step == 0.0:
                gradient[:, a] = 0.0  # held at a bound: the fit does not let it move
                continue
            done = capture(
                partial(_slope, values, move), what=f"slope of {coin}", errors=CALCULATION_ERRORS
            )
            if isinstance(done, Success):
                gradient[:, a] = done.value
        still = (gradient == 0.0).all(axis=1)
        total += np.where(still, 0.0, delta_method_sd(gradient, covariance) ** 2)
    return total


def _slope(values: Callable[[FittedSurface], FloatArray], move: _Move) -> FloatArray:
    return (values(move.moved(1.0)) - values(move.moved(-1.0))) / (2.0 * move.step)


@dataclass(frozen=True, slots=True)
class _Move:
    """One parameter moved up or down by a step in its own unit."""

    step: float
    moved: Callable[[float], FittedSurface]


def _groups(surface: SsviSurface | CfSurface) -> Iterator[tuple[FloatArray, list[_Move]]]:
    """Covariance and moves of every group of parameters that were estimated together."""
    if isinstance(surface, SsviSurface):
        for row, covariance in enumerate(surface.fit.covariance):
            yield (
                covariance,
                [
                    _Move(step, _ssvi_mover(surface, row, name, step))
                    for name, step in zip(("theta", "rho", "psi"), _steps(covariance), strict=True)
                ],
            )
        return
    groups, expiries = len(surface.fit.parameters), len(surface.expiry_ms)
    for row, covariance in enumerate(surface.fit.covariance):
        # Laws per expiry stand beside their slices only where every slice was kept.
        known = groups in (1, expiries)
        rows = slice(None) if groups == 1 else slice(row, row + 1)
        yield (
            (covariance if known else np.full_like(covariance, np.nan)),
            [
                _Move(step, _cf_mover(surface, rows, name, step))
                for name, step in zip(surface.fit.names, _steps(covariance), strict=True)
            ],
        )


def _steps(covariance: FloatArray) -> list[float]:
    """A hundredth of each standard error; where there is none, a step that says "not known"."""
    variance = np.diag(covariance)
    sd = np.sqrt(np.where(variance >= 0, variance, np.nan))
    return [float(v) for v in np.where(np.isfinite(sd), _STEP * sd, 1e-6)]


def _ssvi_mover(
    surface: SsviSurface, row: int, name: str, step: float
) -> Callable[[float], FittedSurface]:
    def moved(sign: float) -> FittedSurface:
        column = np.array(getattr(surface.fit.slices, name))
        column[row] += sign * step
        slices = replace(surface.fit.slices, **{name: frozen(column)})
        return replace(surface, fit=replace(surface.fit, slices=slices))

    return moved


def _cf_mover(
    surface: CfSurface, rows: slice, name: str, step: float
) -> Callable[[float], FittedSurface]:
    def moved(sign: float) -> FittedSurface:
        column = np.array(surface.slices.parameters[name])
        column[rows] += sign * step
        parameters = MappingProxyType({**surface.slices.parameters, name: frozen(column)})
        return replace(surface, slices=replace(surface.slices, parameters=parameters))

    return moved
