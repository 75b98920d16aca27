"""Which models of a panel the indices can judge, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.converge.apart import stands_apart
from commonmode.core.errors import CommonmodeError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason
from commonmode.panel.error_panel import ErrorPanel

__all__ = ["LeftOut", "judged_panel"]

# Indices need the same times of everybody. A model that answers at fewer than half of the times at
# which some model does would cost the others most of the panel.
_LEAST_ANSWERED = 0.5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model that took no part in the indices.

    Attributes
    ----------
    model : ModelId
    answered : float
        Share of the times at which it gave a forecast, for the target where it gave fewest.
    failure : Failure
        Why, with the reason of most of its failed cells.
    """

    model: ModelId
    answered: float
    failure: Failure


def judged_panel(
    panel: ErrorPanel, *, minimum_block_rows: int = 1
) -> tuple[ErrorPanel, tuple[LeftOut, ...], bool]:
    """The panel without models that no index can judge.

    Parameters
    ----------
    panel : ErrorPanel
    minimum_block_rows : int

    Returns
    -------
    panel : ErrorPanel
    left_out : tuple of LeftOut
        Those that mostly failed, and those that cannot be told from the benchmarks' noise.
    nobody_apart : bool
        Fewer than two can be told from it: all of those are kept, and co-movement says nothing.
    """
    failed = _mostly_failed(panel)
    panel = _without(panel, failed)
    copies = _follow_the_benchmarks(panel, minimum_block_rows)
    if len(copies) > len(panel.models) - 2:
        return panel, failed, True
    return _without(panel, copies), (*failed, *copies), False


def _mostly_failed(panel: ErrorPanel) -> tuple[LeftOut, ...]:
    """Models that answer at fewer than half of the times at which somebody does."""
    there = np.isfinite(panel.forecast)
    somebody = np.maximum(there.any(axis=2).sum(axis=0), 1)
    answered = (there.sum(axis=0) / somebody[:, None]).min(axis=0)
    found = []
    for model, share in zip(panel.models, answered.tolist(), strict=True):
        if share >= _LEAST_ANSWERED:
            continue
        said = [cell for cell in panel.failures if cell.model == model]
        most = max(said, key=lambda cell: cell.count).failure if said else None
        found.append(
            LeftOut(
                model,
                share,
                Failure(
                    most.reason if most else FailureReason.MISSING_DATA,
                    f"{model} answered at {100 * share:.0f} % of the times and is left out of the "
                    f"indices{f': {most.message}' if most else ''}",
                    (most.remedy if most else "") or "give its forecasts, or leave the model out",
                ),
            )
        )
    # With fewer than two left there is nothing to compare, and the indices themselves say so.
    return tuple(found) if len(found) <= len(panel.models) - 2 else ()


def _without(panel: ErrorPanel, left_out: Sequence[LeftOut]) -> ErrorPanel:
    gone = {entry.model for entry in left_out}
    if not gone:
        return panel
    return panel.select_models(tuple(m for m in panel.models if m not in gone))


def _follow_the_benchmarks(panel: ErrorPanel, minimum_rows: int) -> tuple[LeftOut, ...]:
    """Models that cannot be told from the benchmarks' noise."""
    try:
        apart = stands_apart(panel, minimum_rows=minimum_rows)
    except CommonmodeError:
        return ()  # a panel that no index can be computed on: the indices say why
    return tuple(
        LeftOut(
            model,
            1.0,
            Failure(
                FailureReason.NOT_APPLICABLE,
                f"{model} deviates from the benchmarks no more than their own noise and is left "
                "out of the indices: whether it is independent cannot be judged",
                "give a longer panel, or benchmarks from data that the model does not read",
            ),
        )
        for model, stands in zip(panel.models, apart, strict=True)
        if not stands
    )
