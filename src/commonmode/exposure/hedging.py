"""Hedging errors of recorded options: each model hedges with its own delta, the market decides.

Every model sells the same option at the same mark and hedges it over the same hours, so what tells
models apart is their deltas alone: ``e_t = V_(t+1) - V_t - D_t (S_(t+1)/S_t - 1)`` with V the
market's mark in USD, D the model's cash delta and S the index. Differences between models are
tested by flipping the signs of whole blocks of time, in which everything that the models have in
common cancels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import DataError
from commonmode.core.ids import BookId, InstrumentId, ModelId
from commonmode.core.words import usd
from commonmode.exposure.book import Book, Position, resolve
from commonmode.exposure.greeks import Greek, greek_table
from commonmode.exposure.surfaces import calibrate_surfaces
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.register.model import SurfaceModel
from commonmode.stats.block_spread import weighted_interval
from commonmode.stats.blocks import (
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.detectable import detectable_effect
from commonmode.stats.signflip import sign_flip_max_test

__all__ = ["HedgeComparison", "HedgeRecord", "compare_hedges", "hedge_errors", "record_hedges"]

_FEWEST_BLOCKS = 8


@dataclass(frozen=True, slots=True, eq=False)
class HedgeRecord:
    """Marks and deltas of one contract of I options at T times.

    Attributes
    ----------
    time_ms : int64, shape (T,)
    instruments : array of str, shape (I,)
    models : tuple of ModelId, length M
    mark_usd : float64, shape (T, I)
        NaN where the option was not quoted.
    index : float64, shape (T, I)
    delta_usd : float64, shape (T, I, M)
        Cash delta.
    """

    time_ms: IntArray
    instruments: StringArray
    models: tuple[ModelId, ...]
    mark_usd: FloatArray
    index: FloatArray
    delta_usd: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class HedgeComparison:
    """Hedging errors of M models side by side.

    Attributes
    ----------
    models : tuple of ModelId, length M
    steps, cells : int
        Times, and option-hours in which every model has a delta.
    rmse, mean, low, high : float64, shape (M,)
        Root mean square, mean, and the 5 % and 95 % quantiles, in ``unit``.
    unhedged : float
        Root mean square without a hedge.
    unit : str
    reference : ModelId
    against_reference : float64, shape (M,)
        Relative difference of the mean squared error from the reference's.
    apart_low, apart_high : float64, shape (M,)
        95 % interval of ``against_reference`` over blocks of time, by the weight of each.
    p_value : float64, shape (M,)
        Two-sided, adjusted for all models looked at together; 1 for the reference.
    detectable : float64, shape (M,)
        Relative difference that would have been found with 80 % probability; infinite where so few
        blocks can find none.
    blocks : int
    """

    models: tuple[ModelId, ...]
    steps: int
    cells: int
    rmse: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    unhedged: float
    unit: str
    reference: ModelId
    against_reference: FloatArray
    apart_low: FloatArray
    apart_high: FloatArray
    p_value: FloatArray
    detectable: FloatArray
    blocks: int

    @property
    def sentence(self) -> str:
        """Best and worst, whether they can be told apart, and what to do."""
        best, worst = int(np.argmin(self.rmse)), int(np.argmax(self.rmse))
        apart = [m for m, p in enumerate(self.p_value) if p <= 0.05]
        others = [m for m, name in enumerate(self.models) if name != self.reference]
        worse = [self.models[m] for m in apart if self.against_reference[m] > 0]
        better = [self.models[m] for m in apart if self.against_reference[m] < 0]
        told = (
            f"at 5 % the mean squared error differs from that of {self.reference} for "
            + ", ".join(f"{self.models[m]} by {self._apart(m)}" for m in apart)
            if apart
            else f"no model can be told from {self.reference} at 5 % (the surest, taken alone: "
            + self._nearest(others)
            + ")"
        )
        advice = "do not choose a delta by these hours"
        if apart:
            advice = " and ".join(
                f"{what} {', '.join(names)}"
                for what, names in (("do not hedge with", worse), ("hedge with", better))
                if names
            )
        unknown = [m for m in others if m not in apart]
        found = ""
        if unknown:
            needed = float(np.max(self.detectable[unknown]))
            found = (
                f"; {100 * needed:.2g} % would have been found with 80 % probability"
                if np.isfinite(needed)
                else "; no difference could have been found"
            )
        unit = "" if self.unit == "USD" else f" {self.unit}"
        return (
            f"Delta hedging over {self.steps} steps"
            + (f" and {self.cells:,} option-steps" if self.cells > self.steps else "")
            + ": error "
            f"{self._amount(self.rmse[best])}{unit} under {self.models[best]} to "
            f"{self._amount(self.rmse[worst])} under {self.models[worst]}, "
            f"{self._amount(self.unhedged)} unhedged; "
            f"{told} ({self.blocks} blocks{found}). What to do: {advice}."
        )

    def _amount(self, value: float) -> str:
        return usd(value) if self.unit == "USD" else f"{value:.3g}"

    def _apart(self, model: int) -> str:
        low, high = 100 * self.apart_low[model], 100 * self.apart_high[model]
        return f"{100 * self.against_reference[model]:+.1f} % ({low:+.1f} to {high:+.1f} %)"

    def _nearest(self, others: Sequence[int]) -> str:
        one = min(others, key=lambda m: (self.p_value[m], -abs(self.against_reference[m])))
        return f"{self.models[one]} {self._apart(one)}"


def hedge_errors(mark_usd: FloatArray, delta_usd: FloatArray, index: FloatArray) -> FloatArray:
    """``V_(t+1) - V_t - D_t (S_(t+1)/S_t - 1)``, shape (T - 1, I, M).

    Parameters
    ----------
    mark_usd, index : float64, shape (T, I)
    delta_usd : float64, shape (T, I, M)
        USD per 100 % move of the index.
    """
    gain = np.diff(mark_usd, axis=0)
    move = index[1:] / index[:-1] - 1.0
    return np.asarray(gain[..., None] - delta_usd[:-1] * move[..., None])


def record_hedges(
    snapshots: Iterable[Snapshot], models: Sequence[SurfaceModel], instruments: Sequence[str]
) -> HedgeRecord:
    """Calibrate every model at every snapshot and write down marks and deltas of the options.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        In order of time.
    models : sequence of SurfaceModel
    instruments : sequence of str
        Options of the venue; where one is not listed or expired its cells are NaN.

    Raises
    ------
    DataError
        Fewer than two snapshots.
    """
    names = np.unique(np.asarray(list(instruments), dtype=np.str_))
    ids = tuple(model.id for model in models)
    book = Book(BookId("hedged"), tuple(Position(InstrumentId(n), 1.0) for n in names.tolist()))
    times: list[int] = []
    marks, indices, deltas = [], [], []
    for market in snapshots:
        positions = resolve([book], market)
        table = greek_table(positions, calibrate_surfaces(models, market))
        row = np.searchsorted(names, positions.instrument)
        columns = [table.models.index(m) for m in ids]
        mark, index = np.full(len(names), np.nan), np.full(len(names), np.nan)
        delta = np.full((len(names), len(ids)), np.nan)
        mark[row], index[row] = _marks(positions.instrument, market), positions.index
        delta[row] = table.usd[:, columns, Greek.DELTA]
        times.append(market.time_ms)
        marks.append(mark)
        indices.append(index)
        deltas.append(delta)
    if len(times) < 2:
        raise DataError(
            f"{len(times)} snapshot(s): nothing can be hedged", remedy="give two times or more"
        )
    return HedgeRecord(
        time_ms=np.array(times, np.int64),
        instruments=names,
        models=ids,
        mark_usd=np.stack(marks),
        index=np.stack(indices),
        delta_usd=np.stack(deltas),
    )


def _marks(instruments: StringArray, market: Snapshot) -> FloatArray:
    """The venue's mark in USD per contract of one coin; NaN where there is none."""
    out = np.full(len(instruments), np.nan)
    for chain in market.chains.values():
        place = {str(name): i for i, name in enumerate(chain.names.tolist())}
        for row, name in enumerate(instruments.tolist()):
            if name in place:
                at = place[name]
                coin = chain.settlement is Settlement.COIN
                usd = float(chain.mark.values[at]) * (float(chain.index[at]) if coin else 1.0)
                out[row] = usd if usd > 0 else np.nan
    return out


def compare_hedges(
    record: HedgeRecord,
    quantity: FloatArray | None = None,
    *,
    reference: ModelId | None = None,
    flips: int = 1999,
    rng: int | np.random.Generator = 0,
) -> HedgeComparison:
    """Distribution of hedging errors per model, and which models differ.

    Parameters
    ----------
    record : HedgeRecord
    quantity : float64, shape (I,), optional
        Contracts of one book: the errors are then the book's, in USD, at the times at which all
        that it holds is quoted. By default every option counts on its own, in basis points of the
        index (a vega would blow up what is about to expire).
    reference : ModelId, optional
        The model that the others are held against, named beforehand; the first by default.
    flips : int
    rng : int or Generator

    Raises
    ------
    DataError
        Fewer than two models, too few steps for a test, or an unknown reference.
    """
    against = record.models[0] if reference is None else reference
    if against not in record.models:
        raise DataError(
            f"no hedges of {against} were recorded", remedy=f"one of {', '.join(record.models)}"
        )
    errors = hedge_errors(record.mark_usd, record.delta_usd, record.index)
    plain, lead = np.diff(record.mark_usd, axis=0), record.delta_usd[:-1]
    if quantity is None:
        level = record.index[:-1] / 1e4
        errors, plain, unit = errors / level[..., None], plain / level, "bp of the index"
        lead = lead / level[..., None]
    else:
        held = np.flatnonzero(np.asarray(quantity) != 0.0)
        amount = np.asarray(quantity, np.float64)[held]
        errors = np.einsum("tim,i->tm", errors[:, held], amount)[:, None]
        lead = np.einsum("tim,i->tm", lead[:, held], amount)[:, None]
        plain, unit = (plain[:, held] @ amount)[:, None], "USD"
    use: BoolArray = np.asarray(np.isfinite(errors).all(axis=2))
    steps = int(use.any(axis=1).sum())
    if errors.shape[2] < 2 or steps < _FEWEST_BLOCKS:
        raise DataError(
            f"{errors.shape[2]} model(s) over {steps} steps cannot be compared",
            remedy=f"give two models or more and at least {_FEWEST_BLOCKS} steps",
        )
    squared = np.where(use[..., None], errors**2, 0.0).sum(axis=1)
    place = [record.models.index(against)]
    own = squared[:, place]
    apart = squared - own
    # Blocks are as long as deltas stay apart: the market's moves, which are new every step, hide
    # in the errors for how long a model stays wrong.
    gap = np.where(use[..., None], lead - lead[:, :, place], 0.0).sum(axis=1)
    tau = max(integrated_autocorrelation_time(v) for v in (apart, gap))
    count = choose_block_count(len(apart), tau, fewest=_FEWEST_BLOCKS)
    blocks = block_sums(apart, block_edges(len(apart), count))
    both = sign_flip_max_test(np.concatenate([blocks, -blocks], axis=1), flips=flips, rng=rng)
    adjusted = np.minimum(*np.split(both.p_adjusted, 2))
    cells = errors[use]
    total = float(own.sum())
    ratio = apart.sum(axis=0) / total
    # A ratio of sums over blocks: linearised, the ratio taken out of the block's own error.
    own_blocks = block_sums(own, block_edges(len(own), count))
    left = blocks - ratio * own_blocks
    error = np.sqrt(count / (count - 1) * np.sum(left**2, axis=0)) / total
    # A few stormy blocks may hold most of the errors that are compared.
    low, high = weighted_interval(ratio, left / total, own_blocks / total)
    return HedgeComparison(
        models=record.models,
        steps=steps,
        cells=len(cells),
        rmse=np.sqrt((cells**2).mean(axis=0)),
        mean=cells.mean(axis=0),
        low=np.quantile(cells, 0.05, axis=0),
        high=np.quantile(cells, 0.95, axis=0),
        unhedged=float(np.sqrt((plain[use] ** 2).mean())),
        unit=unit,
        reference=against,
        against_reference=ratio,
        apart_low=low,
        apart_high=high,
        p_value=np.asarray(adjusted),
        detectable=error * detectable_effect(both.critical, count),
        blocks=count,
    )
