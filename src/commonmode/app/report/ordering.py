"""Where things stand in the report's pictures: a deterministic layout, no force simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LAYERS", "by_cluster", "two_columns"]

LAYERS = ("data", "assumption", "technique", "calibration", "vendor", "code")
_SWEEPS = 8


def by_cluster(models: Sequence[str], clusters: Sequence[Mapping[str, Any]]) -> list[int]:
    """Rows of ``models`` with the members of each cluster side by side, the rest behind."""
    order = [models.index(m) for cluster in clusters for m in cluster["models"] if m in models]
    return order + [i for i in range(len(models)) if i not in order]


def two_columns(
    models: Sequence[str], parts: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Order of models (left) and of parts (right, grouped by layer) with few crossing edges.

    Alternating barycentre sweeps (Sugiyama, Tagawa & Toda 1981); ties keep their order, so the same
    results give the same picture.

    Parameters
    ----------
    models : sequence of str
    parts : sequence of mapping
        With ``component``, ``layer`` and ``models``.
    """
    left = list(models)
    right = sorted(parts, key=lambda p: (_layer(p), -len(p["models"]), p["component"]))
    for _ in range(_SWEEPS):
        place = {m: i for i, m in enumerate(left)}
        right.sort(key=lambda p: (_layer(p), _mean([place[m] for m in p["models"] if m in place])))
        spot: dict[str, list[int]] = {m: [] for m in left}
        for i, part in enumerate(right):
            for m in part["models"]:
                if m in spot:
                    spot[m].append(i)
        left.sort(key=lambda m: _mean(spot[m]) if spot[m] else float(len(right)))
    return left, right


def _layer(part: Mapping[str, Any]) -> int:
    return LAYERS.index(part["layer"])


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
