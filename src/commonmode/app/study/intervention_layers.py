"""C4 on the graph that the interventions measured, for every panel that was built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from commonmode.app.study.index_options import index_options
from commonmode.app.study.intervention_report import LEVEL, Tried
from commonmode.app.study.look_context import LookTable
from commonmode.app.study.panels import BuiltPanel
from commonmode.app.study.schema import StudyFile
from commonmode.converge.attribution_result import LayerRegression
from commonmode.converge.measured_layers import measured_layers
from commonmode.core.result import Failure, Success

__all__ = ["layers"]

_PANELS: Final = {"risk models": "risk", "strategies": "signal", "surface models": "surface"}
_SAID: Final = {"deviation": "moving together", "co-failure": "failing together"}


def layers(
    tried: Sequence[Tried], panels: Sequence[BuiltPanel], study: StudyFile
) -> tuple[LookTable, list[str]]:
    """Moving and failing together regressed on measured similarity, and a sentence for each panel.

    Parameters
    ----------
    tried : sequence of Tried
    panels : sequence of BuiltPanel
        Of any family; a family that nobody changed has no row.
    study : StudyFile
    """
    rows: list[tuple[Any, ...]] = []
    notes: list[str] = []
    for one in tried:
        mine = [built for built in panels if built.settings.family == _PANELS[one.family]]
        if not mine:
            notes.append(
                f"No panel of {one.family} was built, so their moving together could not be held "
                "against the measured graph: run the whole study."
            )
        for built in mine:
            if isinstance(built.panel, Failure):
                continue
            panel, use = built.panel.value, index_options(study, built.settings)
            found = measured_layers(
                panel,
                one.graph.models,
                one.graph.similarity,
                permutations=use.flips,
                minimum_block_rows=use.minimum_block_rows,
                tail=use.tail,
                seed=use.seed,
            )
            fits = [fit.value for fit in found if isinstance(fit, Success)]
            notes += [
                f"{panel.name} on the measured graph: {fit.message}."
                for fit in found
                if isinstance(fit, Failure)
            ]
            own = [row for fit in fits for row in _rows(panel.name, fit)]
            rows += own
            if fits:
                notes.append(_sentence(panel.name, own))
    table = LookTable(
        "layers",
        "Does moving under the same changes go with moving or failing together (C4 on the measured "
        "graph)? Regression over pairs of models on all layers at once, p by permuting the models, "
        "one-sided; empty where a layer is the same for all pairs",
        ("panel", "of", "layer", "pairs", "per unit of similarity", "p_greater"),
        rows,
    )
    return table, notes


def _rows(panel: str, fit: LayerRegression) -> list[tuple[Any, ...]]:
    """A row per layer; coefficient and p empty where the layer is the same for all pairs."""
    result = fit.regression
    known = np.isfinite(result.coefficient).tolist()
    return [
        (
            panel,
            _SAID[fit.response],
            layer,
            result.pairs,
            float(result.coefficient[k]) if known[k] else None,
            float(result.p_greater[k]) if known[k] else None,
        )
        for k, layer in enumerate(result.names)
    ]


def _sentence(panel: str, rows: Sequence[tuple[Any, ...]]) -> str:
    ahead = [
        f"{layer} ({said}, {coefficient:+.3f}, p = {p:.2g})"
        for _, said, layer, _, coefficient, p in rows
        if p is not None and p <= LEVEL
    ]
    which = ", ".join(ahead) or f"no layer (p > {LEVEL:g} each)"
    do = (
        "take that layer's parts apart first where C4 names one of them."
        if ahead
        else "few models show strong effects only."
    )
    return (
        f"C4 of {panel} on the measured graph: models that move under the same changes err alike "
        f"in {which}; {do}"
    )
