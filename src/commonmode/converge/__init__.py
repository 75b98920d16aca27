"""Indices C2 to C7: co-movement, co-failure, attribution, dispersion."""

from __future__ import annotations

from commonmode.converge.analysis import (
    IndexOptions,
    LeftOut,
    PanelAnalysis,
    Similarity,
    analyse_panel,
)
from commonmode.converge.bias import Bias, BiasEstimate, BiasResult
from commonmode.converge.bias_kinds import BiasKind
from commonmode.converge.bias_words import bias_findings, bias_sentence
from commonmode.converge.clusters import Cluster, Remedy, act_as_one, rank_remedies
from commonmode.converge.cofailure import (
    CoFailureResult,
    ConditionalCoFailure,
    JointFailureSplit,
    Share,
)
from commonmode.converge.comovement import EffectiveNumber, EffectiveNumberResult
from commonmode.converge.dispersion import Disagreement, DispersionResult, Estimate
from commonmode.converge.findings import Finding, Severity, panel_findings
from commonmode.converge.further import LOOKS, FurtherLook, further_looks
from commonmode.converge.groups import Group, GroupContrast, blind_groups, declared_groups

__all__ = [
    "LOOKS",
    "Bias",
    "BiasEstimate",
    "BiasKind",
    "BiasResult",
    "Cluster",
    "CoFailureResult",
    "ConditionalCoFailure",
    "Disagreement",
    "DispersionResult",
    "EffectiveNumber",
    "EffectiveNumberResult",
    "Estimate",
    "Finding",
    "FurtherLook",
    "Group",
    "GroupContrast",
    "IndexOptions",
    "JointFailureSplit",
    "LeftOut",
    "PanelAnalysis",
    "Remedy",
    "Severity",
    "Share",
    "Similarity",
    "act_as_one",
    "analyse_panel",
    "bias_findings",
    "bias_sentence",
    "blind_groups",
    "declared_groups",
    "further_looks",
    "panel_findings",
    "rank_remedies",
]
