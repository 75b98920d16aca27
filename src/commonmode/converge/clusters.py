"""Which models act as one, and which shared part to take apart first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from commonmode.converge.comovement import EffectiveNumberResult
from commonmode.converge.groups import GroupContrast
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.comovement import effective_number

__all__ = ["Cluster", "Remedy", "act_as_one", "rank_remedies"]

_ROUNDING = 1e-9  # sums of squared correlations closer than this are the same


@dataclass(frozen=True, slots=True)
class Cluster:
    """Models whose deviations move together.

    Attributes
    ----------
    models : tuple of ModelId
    mean_correlation : float
        Over the cluster's pairs.
    exposure_usd : float
        USD behind its models.
    """

    models: tuple[ModelId, ...]
    mean_correlation: float
    exposure_usd: float


@dataclass(frozen=True, slots=True)
class Remedy:
    """What taking one shared component apart would do.

    Attributes
    ----------
    contrast : GroupContrast
        The component (or components with the same users) and its excess co-movement.
    effective_number_after : float
        If the pairs that share it moved together as little as their members do with others; NaN
        without benchmarks, as the effective number itself.
    gain : float
        Independent models won; NaN without benchmarks.
    exposure_usd : float
        USD behind the models that use it.
    """

    contrast: GroupContrast
    effective_number_after: float
    gain: float
    exposure_usd: float


def act_as_one(
    panel: ErrorPanel, result: EffectiveNumberResult, *, threshold: float = 0.5
) -> tuple[Cluster, ...]:
    """Clusters of models by average linkage on the deviation correlation, largest first.

    Parameters
    ----------
    panel : ErrorPanel
    result : EffectiveNumberResult
        Clusters are formed only if its test rejects, and only with benchmarks: otherwise there is
        nothing to cluster, or what is there is an effect of centring on the crowd.
    threshold : float
        Mean correlation at which two clusters still merge.
    """
    if not result.rejects or not result.benchmarked or len(panel.models) < 2:
        return ()
    distance = 1.0 - np.clip(result.correlation, -1.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    label = fcluster(tree, t=1.0 - threshold, criterion="distance")
    clusters = []
    for number in np.unique(label):
        rows = np.flatnonzero(label == number)
        if len(rows) < 2:
            continue
        pairs = result.correlation[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)]
        clusters.append(
            Cluster(
                models=tuple(panel.models[i] for i in rows),
                mean_correlation=float(pairs.mean()),
                exposure_usd=float(panel.exposure_usd[rows].sum()),
            )
        )
    return tuple(sorted(clusters, key=lambda c: (-len(c.models), -c.mean_correlation)))


def rank_remedies(
    panel: ErrorPanel, result: EffectiveNumberResult, *, alpha: float = 0.05
) -> tuple[Remedy, ...]:
    """Declared components that significantly move together, by independent models won.

    Components that (nearly) everybody uses are left out: with nobody to compare with, their effect
    cannot be told from a blind spot of the benchmark.

    The counterfactual takes each component's estimated excess correlation off the pairs that share
    it (never below zero): a first-order answer that ignores what replaces it.
    """
    before = _excess(result.correlation)
    # The index is debiased; what is taken off a pair comes off its debiased sum of squares.
    debiased = (result.models**2 / result.effective_number - result.models) / 2.0
    remedies = []
    taken_off = {}
    for contrast in result.components:
        if contrast.p_adjusted > alpha or contrast.estimate <= 0 or not contrast.identified:
            continue
        if contrast.explained_by:
            continue
        rows = [panel.models.index(m) for m in contrast.group.members]
        changed = result.correlation.copy()
        block = np.ix_(rows, rows)
        changed[block] = np.clip(changed[block] - contrast.estimate, 0.0, None)
        np.fill_diagonal(changed, 1.0)
        off = before - _excess(changed)
        if off <= _ROUNDING:
            continue
        taken_off[contrast.group.name] = off
        after = float(effective_number(debiased - off, result.models))
        remedies.append(
            Remedy(
                contrast=contrast,
                effective_number_after=after,
                gain=after - result.effective_number,
                exposure_usd=float(panel.exposure_usd[rows].sum()),
            )
        )
    # What can be told apart from everything else comes first.
    return tuple(
        sorted(
            remedies,
            key=lambda r: (bool(r.contrast.confounded_with), -taken_off[r.contrast.group.name]),
        )
    )


def _excess(correlation: FloatArray) -> float:
    return float((correlation[np.triu_indices(len(correlation), 1)] ** 2).sum())
