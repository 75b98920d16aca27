"""Results as plain JSON values: the shape published in ``report/schema/results.schema.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from commonmode.converge.analysis import PanelAnalysis, Similarity
from commonmode.converge.attribution_result import AttributionResult, LayerRegression
from commonmode.converge.clusters import act_as_one, rank_remedies
from commonmode.converge.cofailure import CoFailureResult
from commonmode.converge.comovement import EffectiveNumberResult
from commonmode.converge.dispersion import DispersionResult
from commonmode.converge.findings import Finding, panel_findings
from commonmode.converge.groups import GroupContrast
from commonmode.core.arrays import FloatArray
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.panel.benchmark import validate_benchmark
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card

__all__ = ["analysis_to_json", "card_to_json", "failure_to_json", "index_failures", "plain"]


_MATRIX: Final = 200
"""Models above which matrices of pairs are left out: 2 000 models have 4 million cells in each."""


def plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings only; NaN and infinities become None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def failure_to_json(failure: Failure) -> dict[str, str]:
    """Reason, message and remedy."""
    return {
        "reason": failure.reason.value,
        "message": failure.message,
        "remedy": failure.remedy,
    }


def card_to_json(card: Card, *, panel: str = "") -> dict[str, Any]:
    """A card with its components by layer; ``panel`` names the only panel that it belongs to."""
    components: dict[str, dict[str, float]] = {}
    for part in card.components:
        components.setdefault(part.layer.value, {})[part.component] = part.weight
    return {
        "model": card.model,
        "panel": panel,
        "family": card.family.value,
        "owner": card.owner,
        "purpose": card.purpose,
        "materiality": card.materiality.value,
        "jurisdiction": card.jurisdiction,
        "audit": card.audit,
        "components": components,
    }


def index_failures(analysis: PanelAnalysis) -> list[dict[str, str]]:
    """What of a panel was asked for and could not be computed: models left out, failed indices."""
    name = analysis.given.name
    # What C4 lacks where C2 failed is C2's failure, said once.
    indices: dict[str, Result[Any]] = {
        "C1": analysis.c1,
        "C2": analysis.c2,
        "C3": analysis.c3,
        "C6": analysis.c6,
    }
    if isinstance(analysis.c2, Success):
        indices["C4"] = analysis.c4
    return [
        *(
            {"where": f"{name} {entry.model}", **failure_to_json(entry.failure)}
            for entry in analysis.left_out
            if entry.failure.reason is not FailureReason.NOT_APPLICABLE
        ),
        *(
            {"where": f"{name} {index}", **failure_to_json(result)}
            for index, result in indices.items()
            if isinstance(result, Failure) and result.reason is not FailureReason.NOT_APPLICABLE
        ),
    ]


def analysis_to_json(
    analysis: PanelAnalysis,
    *,
    family: str,
    title: str = "",
    cards: Sequence[Card] = (),
    notes: Sequence[str] = (),
    findings: Sequence[Finding] | None = None,
) -> dict[str, Any]:
    """One panel's part of the results."""
    panel = analysis.panel
    said = {card.model: card for card in cards}
    times = panel.times_ms
    value = {
        "name": panel.name,
        "title": title or panel.name,
        "family": family,
        "kind": panel.kind.value,
        "level": panel.level,
        "horizon_ms": panel.horizon_ms,
        "first_ms": int(times[0]) if len(times) else None,
        "last_ms": int(times[-1]) if len(times) else None,
        "times": len(times),
        "targets": list(panel.targets),
        "models": [
            {
                "id": model,
                "owner": said[model].owner if model in said else "",
                "purpose": said[model].purpose if model in said else "",
                "exposure_usd": float(exposure),
            }
            for model, exposure in zip(panel.models, panel.exposure_usd, strict=True)
        ],
        "content_hash": analysis.given.content_hash,
        "notes": list(notes),
        "failed_cells": _failed_cells(analysis.given),
        "c1": _either(analysis.c1, _c1),
        "c2": _either(analysis.c2, lambda r: _c2(panel, r, analysis.options.alpha)),
        "c3": _either(analysis.c3, _c3),
        "c4": _either(analysis.c4, _c4),
        "c6": _either(analysis.c6, _c6),
        "benchmark": _benchmark(panel),
        "findings": [
            {
                "index": finding.index,
                "severity": finding.severity.value,
                "sentence": finding.sentence,
                "numbers": dict(finding.numbers),
            }
            for finding in (panel_findings(analysis) if findings is None else findings)
        ],
    }
    cleaned: dict[str, Any] = plain(value)
    return cleaned


def _either(result: Result[Any], render: Any) -> dict[str, Any]:
    if isinstance(result, Success):
        return {"status": "ok", **render(result.value)}
    return {"status": "failed", **failure_to_json(result)}


def _failed_cells(panel: ErrorPanel) -> list[dict[str, Any]]:
    return [
        {
            "model": cell.model,
            "target": cell.target,
            "time_ms": cell.time_ms,
            "count": cell.count,
            **failure_to_json(cell.failure),
        }
        for cell in panel.failures
    ]


def _contrast(contrast: GroupContrast) -> dict[str, Any]:
    return {
        "name": contrast.group.name,
        "members": list(contrast.group.members),
        "components": [[layer.value, name] for layer, name in contrast.group.components],
        "estimate": contrast.estimate,
        "standard_error": contrast.standard_error,
        "t": contrast.t,
        "p_single": contrast.p_single,
        "p_adjusted": contrast.p_adjusted,
        "identified": contrast.identified,
        "confounded_with": list(contrast.confounded_with),
        "explained_by": contrast.explained_by,
    }


def _pairs(matrix: FloatArray) -> FloatArray | list[float]:
    """A matrix of models by models; empty where it would be too large to publish."""
    return matrix if len(matrix) <= _MATRIX else []


def _c1(c1: Similarity) -> dict[str, Any]:
    return {
        "mean_similarity": c1.mean,
        "interval": c1.interval,
        "layers": {layer.value: _pairs(matrix) for layer, matrix in c1.graph.similarity.items()},
        "overall": _pairs(c1.graph.overall),
        "components": [
            {
                "component": part.component,
                "layer": part.layer.value,
                "models": list(part.models),
                "share": part.share,
                "exposure_usd": part.exposure_usd,
            }
            for part in c1.graph.blast
        ],
    }


def _c2(panel: ErrorPanel, c2: EffectiveNumberResult, alpha: float) -> dict[str, Any]:
    return {
        "models": c2.models,
        "rows": c2.rows,
        "blocks": c2.blocks,
        "autocorrelation_time": c2.autocorrelation_time,
        "benchmarked": c2.benchmarked,
        "effective_number": c2.effective_number,
        "interval": c2.interval,
        "p_value": c2.p_value,
        "rejects": c2.rejects,
        "alpha": alpha,
        "mean_correlation": c2.mean_correlation,
        "correlation": _pairs(c2.correlation),
        "single_benchmark_number": c2.single_benchmark_number,
        "benchmark_noise_ratio": c2.benchmark_noise_ratio,
        "ambiguity_share": c2.ambiguity_share,
        "minimum_detectable_share": c2.minimum_detectable_share,
        "minimum_detectable_common": c2.minimum_detectable_common,
        "components": [_contrast(c) for c in c2.components],
        "found": [_contrast(c) for c in c2.found],
        "clusters": [
            {
                "models": list(c.models),
                "mean_correlation": c.mean_correlation,
                "exposure_usd": c.exposure_usd,
            }
            for c in act_as_one(panel, c2)
        ],
        "remedies": [
            {
                "name": r.contrast.group.name,
                "members": list(r.contrast.group.members),
                "effective_number_after": r.effective_number_after,
                "gain": r.gain,
                "exposure_usd": r.exposure_usd,
            }
            for r in rank_remedies(panel, c2, alpha=alpha)
        ],
    }


def _c3(c3: CoFailureResult) -> dict[str, Any]:
    split = None
    if c3.split is not None:
        split = {
            name: {"value": share.value, "low": share.low, "high": share.high}
            for name, share in (
                ("market", c3.split.market),
                ("shared_design", c3.split.shared_design),
                ("individual", c3.split.individual),
            )
        }
    return {
        "ratio": c3.ratio,
        "interval": c3.interval,
        "p_value": c3.p_value,
        "rejects": c3.rejects,
        "extrapolation_allowance": c3.extrapolation_allowance,
        "uncorrected_ratio": c3.uncorrected_ratio,
        "raw_ratio": c3.raw_ratio,
        "pair_failures": c3.pair_failures,
        "failures": c3.failures,
        "rows": c3.rows,
        "blocks": c3.blocks,
        "minimum_detectable_ratio": c3.minimum_detectable_ratio,
        "split": split,
        "alpha_factors": {"alpha": c3.alpha.alpha},
        "components": [_contrast(c) for c in c3.components],
    }


def _c4(c4: AttributionResult) -> dict[str, Any]:
    return {
        "sentence": c4.sentence,
        "components": [
            {
                "name": one.group.name,
                "members": list(one.group.members),
                "components": [[layer.value, name] for layer, name in one.group.components],
                "p_value": one.p_value,
                "first_share": one.first_share,
                "ahead_share": one.ahead_share,
                "ranks": [one.rank_low, one.rank_high],
                "loadings": list(one.loadings),
                "is_cause": one.is_cause,
                "deviation": _contrast(one.deviation),
                "cofailure": None if one.cofailure is None else _contrast(one.cofailure),
            }
            for one in c4.components
        ],
        "undeclared": [_contrast(one) for one in c4.undeclared],
        "layers": [_either(layer, _layers) for layer in c4.layers],
    }


def _layers(found: LayerRegression) -> dict[str, Any]:
    regression = found.regression
    return {
        "graph": found.graph,
        "response": found.response,
        "layers": [
            {
                "layer": name,
                "coefficient": float(regression.coefficient[k]),
                "t": float(regression.statistic[k]),
                "p_greater": float(regression.p_greater[k]),
                "p_two_sided": float(regression.p_two_sided[k]),
            }
            for k, name in enumerate(regression.names)
        ],
        "r_squared": regression.r_squared,
        "pairs": regression.pairs,
        "permutations": regression.permutations,
        "every_permutation": regression.exact,
    }


def _c6(c6: DispersionResult) -> dict[str, Any]:
    def mean(name: str) -> dict[str, float]:
        estimate = getattr(c6, name)
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return {
        "risk_ratio": mean("risk_ratio"),
        "interquartile_dispersion": mean("interquartile_dispersion"),
        "cont_range": mean("cont_range"),
        "equally_good": list(c6.equally_good),
        "crowd_loss": c6.crowd_loss,
        "worst_case_loss": [list(pair) for pair in c6.worst_case_loss],
        "mean_loss": c6.mean_loss,
    }


def _benchmark(panel: ErrorPanel) -> dict[str, Any] | None:
    """How the benchmarks did against outcomes; None where that is not defined."""
    scored = panel.kind is PanelKind.QUANTILE and panel.benchmark_a is not None
    if not scored or not panel.complete.any(axis=0).all():
        return None
    report = validate_benchmark(panel)
    return {
        "forecasts": list(report.forecasts),
        "targets": list(report.targets),
        "pinball": report.pinball,
        "coverage": report.coverage,
        "coverage_p": report.coverage_p,
    }
