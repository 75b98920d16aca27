"""How the indices of a study's panel are computed."""

from __future__ import annotations

import numpy as np

from commonmode.app.study.schema import PanelSettings, StudyFile
from commonmode.converge.analysis import IndexOptions
from commonmode.core.units import HOUR_MS

__all__ = ["index_options"]


def index_options(study: StudyFile, settings: PanelSettings) -> IndexOptions:
    """Options of one panel: the study's, with blocks no shorter than the panel allows.

    Parameters
    ----------
    study : StudyFile
    settings : PanelSettings
    """
    step = HOUR_MS if settings.family != "surface" else settings.every_minutes * 60_000
    if settings.non_overlapping:
        step = settings.horizon_hours * HOUR_MS
    return IndexOptions(
        alpha=study.indices.alpha,
        flips=study.indices.flips,
        draws=study.indices.draws,
        minimum_block_rows=max(int(np.ceil(settings.minimum_block_hours * HOUR_MS / step)), 1),
        tail=settings.family != "surface",
        seed=study.study.seed,
    )
