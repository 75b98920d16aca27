"""Two views of every model's deviations, cut into blocks, ready for lagged moments."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from commonmode.converge.comovement import block_plan, deviations
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError, PanelError
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.blocks import block_edges
from commonmode.stats.crosslags import lag_moments, whiten_together

__all__ = ["LaggedViews", "lagged_views", "market_controls"]

_SPANS = (1, 4, 24, 168, 720)  # rows over which the market's own scale is averaged
_OUTCOMES = 6  # latest outcomes
_ROWS_PER_CONTROL = 50


@dataclass(frozen=True, slots=True, eq=False)
class LaggedViews:
    """Deviations from both benchmarks, less what the market's known state explains.

    Attributes
    ----------
    x, y : float64, shape (T, K, N)
        The same array where there are no benchmarks.
    rows : bool, shape (T, K)
    edges : int64, shape (B + 1,)
        Of blocks ten autocorrelation times long where there are enough rows.
    benchmarked : bool
    controls : int
        Columns of the market's state that were taken out.
    """

    x: FloatArray
    y: FloatArray
    rows: BoolArray
    edges: IntArray
    benchmarked: bool
    controls: int

    @property
    def series(self) -> int:
        """N."""
        return int(self.x.shape[2])

    def thinned(self, every: int) -> LaggedViews:
        """Every so many rows, in as many blocks."""
        if every <= 1:
            return self
        x = self.x[::every]
        y = x if self.y is self.x else self.y[::every]
        edges = block_edges(len(x), len(self.edges) - 1)
        return replace(self, x=x, y=y, rows=self.rows[::every], edges=edges)

    def distinct(self, alike: float) -> tuple[int, ...]:
        """The first of every group of series whose correlation is at least ``alike``."""
        moments, _ = self.moments(0)
        total = moments.sum(axis=0)
        size = np.sqrt(np.clip(np.diag(total), 0.0, None))
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = total / size / size[:, None]
        kept: list[int] = []
        for i in range(self.series):
            if not np.any(correlation[i, kept] >= alike):
                kept.append(i)
        return tuple(kept)

    def only(self, series: tuple[int, ...]) -> LaggedViews:
        """Some of the series."""
        x = self.x[:, :, series]
        return replace(self, x=x, y=x if self.y is self.x else self.y[:, :, series])

    def moments(self, lags: int) -> tuple[FloatArray, int]:
        """Block moments per time, added up over targets in units of what is seen of each.

        Returns
        -------
        float64, shape (B, (p + 1) N, (p + 1) N), and the number of times used
        """
        return self._pooled(
            [(self.x[:, k], self._y(k), self.rows[:, k]) for k in range(self.x.shape[1])], lags
        )

    def seen_moments(self, lags: int) -> tuple[FloatArray, int]:
        """The same of the mean of both views, benchmark noise and all: an ordinary sample's."""
        both = []
        for k in range(self.x.shape[1]):
            mean = 0.5 * (self.x[:, k] + self._y(k))
            both.append((mean, mean, self.rows[:, k]))
        return self._pooled(both, lags)

    def whitened(self, lags: int, order: int, *, alone: bool) -> FloatArray:
        """Block moments after whitening by an autoregression of that order.

        Parameters
        ----------
        lags, order : int
        alone : bool
            A filter of each model's own in place of one for all.
        """
        found = []
        for k in range(self.x.shape[1]):
            x, y, rows = self.x[:, k], self._y(k), self.rows[:, k]
            if alone:
                parts = [
                    whiten_together(x[:, [i]], y[:, [i]], order, self.edges, rows)
                    for i in range(self.series)
                ]
                x, y = (np.concatenate([part[v] for part in parts], axis=1) for v in (0, 1))
                rows = parts[0][2]
            else:
                x, y, rows = whiten_together(x, y, order, self.edges, rows)
            found.append((x, y, rows))
        return self._pooled(found, lags)[0]

    def _y(self, k: int) -> FloatArray:
        return self.x[:, k] if self.y is self.x else self.y[:, k]

    def _pooled(
        self, views: list[tuple[FloatArray, FloatArray, BoolArray]], lags: int
    ) -> tuple[FloatArray, int]:
        parts: list[FloatArray] = []
        counts: list[int] = []
        for x, y, rows in views:
            moments, count = lag_moments(x, y, lags, self.edges, rows)
            seen = float(np.median(np.var(x[rows], axis=0)))
            if seen > 0:
                parts.append(moments / (count * seen))
                counts.append(count)
        if not parts:
            raise PanelError("the models do not deviate", remedy="give models that differ")
        return np.asarray(np.mean(parts, axis=0)), min(counts)


def market_controls(panel: ErrorPanel) -> FloatArray:
    """What everybody knows of the market at each time, shape (T, K, M).

    For quantiles the log of the panel's own scale (realised volatility), its means over the rows
    before, and the sizes of the latest outcomes that were known, in units of the scale then; none
    for other kinds, and none where the scale does not move.
    """
    t, k, _ = panel.shape
    none = np.zeros((t, k, 0))
    if panel.kind is not PanelKind.QUANTILE:
        return none
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(panel.scale)
    if not np.any(np.nanstd(np.where(np.isfinite(scale), scale, np.nan), axis=0) > 1e-12):
        return none
    there = np.isfinite(scale)
    total = np.concatenate([np.zeros((1, k)), np.cumsum(np.where(there, scale, 0.0), axis=0)])
    seen = np.concatenate([np.zeros((1, k)), np.cumsum(there, axis=0)])
    end = np.arange(1, t + 1)
    columns = []
    for span in _SPANS:
        if span * _ROWS_PER_CONTROL > max(t, _ROWS_PER_CONTROL):
            break
        low = np.maximum(end - span, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns.append((total[end] - total[low]) / (seen[end] - seen[low]))
    gap = float(np.median(np.diff(panel.times_ms))) if t > 1 else 1.0
    first = max(int(np.ceil(panel.horizon_ms / gap)), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(panel.outcome) / panel.scale
    size = np.where(np.isfinite(size), size, 0.0)
    for lag in range(first, min(first + _OUTCOMES, max(t - _ROWS_PER_CONTROL, first))):
        late = np.zeros_like(size)
        late[lag:] = size[: t - lag]
        columns.append(late)
    return np.stack(columns, axis=2)


def lagged_views(
    panel: ErrorPanel, *, market: bool = True, minimum_block_rows: int = 1
) -> LaggedViews:
    """Prepare a panel.

    Without benchmarks the models' own levels take the place of deviations.

    Parameters
    ----------
    panel : ErrorPanel
    market : bool
        Take out what :func:`market_controls` explain, by least squares.
    minimum_block_rows : int

    Raises
    ------
    PanelError
        Too few models or rows.
    """
    rows = usable_rows(panel)
    benchmarked = panel.benchmark_a is not None and panel.benchmark_b is not None
    if benchmarked:
        x, y, _ = deviations(panel)
    elif panel.kind in (PanelKind.QUANTILE, PanelKind.VOL):
        x = y = np.log(np.abs(panel.forecast))
    else:
        x = y = np.asarray(panel.forecast / panel.scale[:, :, None])
    controls = market_controls(panel) if market else np.zeros((*panel.shape[:2], 0))
    if controls.shape[2]:
        rows = rows & np.isfinite(controls).all(axis=2)
        x, y = (_without(v, controls, rows) for v in (x, y))
        y = y if benchmarked else x
    try:
        _, edges = block_plan(x, y, rows, minimum_block_rows)
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"panel {panel.name}: no rows in which the market's state is known",
            remedy="give a scale above zero",
        ) from error
    return LaggedViews(x, y, rows, edges, benchmarked, controls.shape[2])


def _without(series: FloatArray, controls: FloatArray, rows: BoolArray) -> FloatArray:
    out = np.full_like(series, np.nan)
    for k in range(series.shape[1]):
        use = rows[:, k]
        design = np.column_stack([np.ones(int(use.sum())), controls[use, k]])
        slope, *_ = np.linalg.lstsq(design, series[use, k], rcond=None)
        out[use, k] = series[use, k] - design @ slope
    return out
