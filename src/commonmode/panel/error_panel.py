"""The error panel: the hand-over object between models and everything that judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import PanelError
from commonmode.core.hashing import hash_arrays
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.result import Failure

__all__ = ["CellFailure", "ErrorPanel", "PanelKind"]


class PanelKind(Enum):
    """What is forecast; it decides what a deviation and a failure are.

    ``QUANTILE``  lower quantile of a return (negative); deviation ``log(f / m)``; failure = breach.
    ``VOL``       volatility or implied volatility (> 0); deviation ``log(f / m)``.
    ``VALUE``     a price or value in ``scale`` units; deviation ``(f - m) / scale``.
    ``SIGNAL``    a position or signal; deviation ``(f - m) / scale``.
    """

    QUANTILE = "quantile"
    VOL = "vol"
    VALUE = "value"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class CellFailure:
    """One (model, target) at one time, or over a span of times, without a forecast.

    Attributes
    ----------
    model, target
    time_ms : int
        First time concerned.
    count : int
        Number of consecutive times.
    failure : Failure
    """

    model: ModelId
    target: TargetId
    time_ms: int
    count: int
    failure: Failure


@dataclass(frozen=True, slots=True, eq=False)
class ErrorPanel:
    """Forecasts of N models of K targets at T times, with outcomes and benchmarks.

    One panel is one target family on one clock; panels of different clocks never enter one index.

    Attributes
    ----------
    name : str
    kind : PanelKind
    level : float
        Tail probability for ``QUANTILE`` (0.025), else 0.
    horizon_ms : int
        From forecast to outcome.
    times_ms : int64, shape (T,)
        When the forecast was made; strictly increasing.
    models : tuple of ModelId, length N
    targets : tuple of TargetId, length K
    forecast : float64, shape (T, K, N)
        NaN marks a failed or missing cell.
    outcome : float64, shape (T, K)
    scale : float64, shape (T, K)
        The market's own scale (realised move, market vega); never a model's sigma.
    benchmark_a, benchmark_b : float64, shape (T, K), or None
        Two forecasts outside the population made from disjoint data.
    exposure_usd : float64, shape (N,)
        USD behind each model.
    state : mapping of name to float64, shape (T, K)
    failures : tuple of CellFailure
    """

    name: str
    kind: PanelKind
    level: float
    horizon_ms: int
    times_ms: IntArray
    models: tuple[ModelId, ...]
    targets: tuple[TargetId, ...]
    forecast: FloatArray
    outcome: FloatArray
    scale: FloatArray
    benchmark_a: FloatArray | None = None
    benchmark_b: FloatArray | None = None
    exposure_usd: FloatArray = field(default_factory=lambda: np.zeros(0))
    state: Mapping[str, FloatArray] = field(default_factory=dict)
    failures: tuple[CellFailure, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check shapes, order, uniqueness and signs."""
        t, k, n = len(self.times_ms), len(self.targets), len(self.models)
        if len(self.exposure_usd) == 0:
            object.__setattr__(self, "exposure_usd", np.ones(n))
        expected = {"forecast": (t, k, n), "outcome": (t, k), "scale": (t, k), "exposure_usd": (n,)}
        if (self.benchmark_a is None) != (self.benchmark_b is None):
            raise PanelError(
                f"panel {self.name}: one benchmark without the other",
                remedy="give both benchmark_a and benchmark_b (from disjoint data) or neither",
            )
        arrays: dict[str, FloatArray] = {"forecast": self.forecast, "outcome": self.outcome}
        arrays |= {"scale": self.scale, "exposure_usd": self.exposure_usd}
        if self.benchmark_a is not None and self.benchmark_b is not None:
            arrays |= {"benchmark_a": self.benchmark_a, "benchmark_b": self.benchmark_b}
        for name, array in (*arrays.items(), *((f"state_{k}", v) for k, v in self.state.items())):
            want = expected.get(name, (t, k))
            if array.shape != want:
                raise PanelError(
                    f"panel {self.name}: {name} has shape {array.shape}, expected {want}",
                    remedy="times x targets x models for forecasts, times x targets otherwise",
                )
        if len(set(self.models)) != n or len(set(self.targets)) != k:
            raise PanelError(
                f"panel {self.name}: duplicate model or target", remedy="names must be unique"
            )
        if t and np.any(np.diff(self.times_ms) <= 0):
            raise PanelError(
                f"panel {self.name}: times are not strictly increasing", remedy="sort the rows"
            )
        self._check_signs(arrays)

    def _check_signs(self, arrays: Mapping[str, FloatArray]) -> None:
        names = ("forecast", "benchmark_a", "benchmark_b")
        wanted = {PanelKind.QUANTILE: -1.0, PanelKind.VOL: 1.0}.get(self.kind)
        if wanted is None:
            return
        for name in names:
            if name in arrays and np.any(wanted * arrays[name] <= 0):
                side = "negative (a loss)" if wanted < 0 else "positive"
                raise PanelError(
                    f"panel {self.name}: {name} of kind {self.kind.value} must be {side}",
                    remedy="quantiles are lower quantiles of the return; volatilities are decimals",
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, K, N)."""
        return len(self.times_ms), len(self.targets), len(self.models)

    def deviation(self, benchmark: FloatArray) -> FloatArray:
        """What each model chose to say beyond ``benchmark``, shape (T, K, N).

        ``log(f / m)`` for quantiles and vols, ``(f - m) / scale`` for values and signals; scaled by
        the market, never by the model.
        """
        if self.kind in (PanelKind.QUANTILE, PanelKind.VOL):
            return np.asarray(np.log(self.forecast / benchmark[:, :, None]))
        return np.asarray((self.forecast - benchmark[:, :, None]) / self.scale[:, :, None])

    @property
    def failed(self) -> BoolArray:
        """Tail failure ``F_it``: the outcome is below the quantile, shape (T, K, N).

        Raises
        ------
        PanelError
            For kinds other than ``QUANTILE``, which carry no tail claim.
        """
        if self.kind is not PanelKind.QUANTILE:
            raise PanelError(
                f"panel {self.name} of kind {self.kind.value} has no tail failures",
                remedy="co-failure (C3) needs a panel of kind 'quantile'",
            )
        return np.asarray(self.outcome[:, :, None] < self.forecast)

    @property
    def complete(self) -> BoolArray:
        """Rows in which all that a deviation and a loss are made of is there, shape (T, K).

        Every model, the outcome, both benchmarks and, for values and signals, the scale.
        """
        ok = np.isfinite(self.forecast).all(axis=2) & np.isfinite(self.outcome)
        if self.benchmark_a is not None and self.benchmark_b is not None:
            ok &= np.isfinite(self.benchmark_a) & np.isfinite(self.benchmark_b)
        if self.kind in (PanelKind.VALUE, PanelKind.SIGNAL):
            ok &= np.isfinite(self.scale)
        return np.asarray(ok)

    def select_models(self, models: tuple[ModelId, ...]) -> ErrorPanel:
        """The panel restricted to ``models``, in that order."""
        missing = [m for m in models if m not in self.models]
        if missing:
            raise PanelError(
                f"panel {self.name} has no model {', '.join(missing)}",
                remedy=f"it has: {', '.join(self.models)}",
            )
        columns = [self.models.index(m) for m in models]
        return replace(
            self,
            models=models,
            forecast=self.forecast[:, :, columns],
            exposure_usd=self.exposure_usd[columns],
            failures=tuple(f for f in self.failures if f.model in models),
        )

    def select_rows(self, rows: slice) -> ErrorPanel:
        """The panel at consecutive times; failures that reach into them are cut to them.

        Parameters
        ----------
        rows : slice
            Without a step.
        """
        low, high, step = rows.indices(len(self.times_ms))
        if step != 1:
            raise PanelError(
                f"panel {self.name}: rows with a step of {step}",
                remedy="take consecutive rows; horizons and failures count in them",
            )
        cut = []
        for one in self.failures:
            first = int(np.searchsorted(self.times_ms, one.time_ms))
            begin, end = max(first, low), min(first + one.count, high)
            if begin < end:
                cut.append(replace(one, time_ms=int(self.times_ms[begin]), count=end - begin))
        a, b = self.benchmark_a, self.benchmark_b
        return replace(
            self,
            times_ms=self.times_ms[rows],
            forecast=self.forecast[rows],
            outcome=self.outcome[rows],
            scale=self.scale[rows],
            benchmark_a=None if a is None else a[rows],
            benchmark_b=None if b is None else b[rows],
            state={name: column[rows] for name, column in self.state.items()},
            failures=tuple(cut),
        )

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything numeric in the panel."""
        arrays = {"times_ms": self.times_ms, "forecast": self.forecast, "outcome": self.outcome}
        arrays["scale"] = self.scale
        if self.benchmark_a is not None and self.benchmark_b is not None:
            arrays |= {"benchmark_a": self.benchmark_a, "benchmark_b": self.benchmark_b}
        arrays |= {f"state_{name}": array for name, array in self.state.items()}
        return hash_arrays(**arrays)
