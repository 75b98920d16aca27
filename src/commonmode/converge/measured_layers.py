"""C4 on the measured graph: do models that move under the same changes err alike?

What the cards declare enters C4 with the panel (:mod:`commonmode.converge.attribution_layers`);
what perturbing the parts has shown (:mod:`commonmode.converge.interventions`) is known later, and
costs far more. Both are regressed in the same way, on the same pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from commonmode.converge.attribution_layers import regress_on_layers
from commonmode.converge.attribution_result import INTERVENTIONAL, LayerRegression
from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.left_out import judged_panel
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import CommonmodeError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.core.result import Failure, FailureReason, Result
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["measured_layers"]

# Contributions of pairs are wanted, not the indices' own tests and intervals.
_FEW = 19


def measured_layers(
    panel: ErrorPanel,
    models: Sequence[ModelId],
    similarity: Mapping[str, FloatArray],
    *,
    permutations: int = 1999,
    minimum_block_rows: int = 1,
    tail: bool = True,
    seed: int = 0,
) -> tuple[Result[LayerRegression], ...]:
    """Regress moving, and failing, together on similarity as measured by interventions.

    Parameters
    ----------
    panel : ErrorPanel
        Models that no index can judge are left out, as everywhere.
    models : sequence of ModelId, length N
        Of the measured graph; those that the panel does not have are not used.
    similarity : mapping of layer to float64, shape (N, N)
        :attr:`commonmode.converge.interventions.InterventionalGraph.similarity`.
    permutations : int
        Of the models.
    minimum_block_rows : int
    tail : bool
        Whether failing together is asked of a panel of quantiles.
    seed : int

    Returns
    -------
    tuple of Success or Failure
        One for moving together, one for failing together where it is asked.
    """
    judged, _, nobody_apart = judged_panel(panel, minimum_block_rows=minimum_block_rows)
    shared = [model for model in judged.models if model in set(models)]
    if nobody_apart or len(shared) < 2:
        return (
            Failure(
                FailureReason.NOT_APPLICABLE,
                f"panel {panel.name} has no two of these models whose deviations can be judged",
                "give a longer panel",
            ),
        )
    place = [list(models).index(model) for model in shared]
    among = MappingProxyType(
        {layer: matrix[np.ix_(place, place)] for layer, matrix in similarity.items()}
    )
    judged = judged.select_models(tuple(shared))
    options = {"flips": _FEW, "draws": _FEW, "minimum_block_rows": minimum_block_rows, "rng": seed}
    indices: dict[str, EffectiveNumber | ConditionalCoFailure] = {
        "deviation": EffectiveNumber(**options)
    }
    if tail and panel.kind is PanelKind.QUANTILE:
        indices["co-failure"] = ConditionalCoFailure(**options)

    def regressed(
        response: str, index: EffectiveNumber | ConditionalCoFailure
    ) -> Result[LayerRegression]:
        try:
            pairs = index.fit(judged).contributions_
        except CommonmodeError as error:
            return Failure(FailureReason.CALCULATION_FAILED, error.message, error.remedy)
        if pairs is None or not among:
            return Failure(
                FailureReason.MISSING_DATA,
                f"no pairs of panel {panel.name}, or no layer in which a model moved",
                "change more parts, or give a longer panel",
            )
        return regress_on_layers(
            INTERVENTIONAL,
            response,
            np.asarray(pairs.sum(axis=0)),
            among,
            permutations=permutations,
            rng=stream(seed, "C4", "layers", INTERVENTIONAL, response),
        )

    return tuple(regressed(response, index) for response, index in indices.items())
