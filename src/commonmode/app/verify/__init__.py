"""Known-answer cases: published figures against what the library computes."""

from __future__ import annotations

from commonmode.app.verify.cases import Case, CaseFiles, load_cases
from commonmode.app.verify.compare import Comparison, compare
from commonmode.app.verify.registry import (
    Adaptor,
    Unsupported,
    find_adaptor,
    supported_methods,
)
from commonmode.app.verify.render import render
from commonmode.app.verify.run import (
    CaseResult,
    Status,
    VerifyReport,
    run_case,
    run_cases,
    shipped_figures,
)

__all__ = [
    "Adaptor",
    "Case",
    "CaseFiles",
    "CaseResult",
    "Comparison",
    "Status",
    "Unsupported",
    "VerifyReport",
    "compare",
    "find_adaptor",
    "load_cases",
    "render",
    "run_case",
    "run_cases",
    "shipped_figures",
    "supported_methods",
]
