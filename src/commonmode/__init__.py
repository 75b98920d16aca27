"""Model risk convergence in crypto derivatives.

The public names are looked up on first use (PEP 562), so that ``import commonmode`` and
``commonmode --help`` do not import numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commonmode.adapters.store.cards import read_cards, write_cards
    from commonmode.adapters.store.panels import read_panel, write_panel
    from commonmode.app.study.run import run_study
    from commonmode.converge.analysis import IndexOptions, PanelAnalysis, analyse_panel
    from commonmode.converge.cofailure import ConditionalCoFailure
    from commonmode.converge.comovement import EffectiveNumber
    from commonmode.converge.dispersion import Disagreement
    from commonmode.converge.findings import panel_findings
    from commonmode.core.errors import CommonmodeError
    from commonmode.lab.worlds import WorldConfig, simulate_world
    from commonmode.panel.error_panel import ErrorPanel, PanelKind
    from commonmode.panel.laboratory import panel_of_world
    from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
    from commonmode.register.graph import common_cause_graph

__version__ = "0.1.0"

# Public name -> module that defines it. A name listed here is part of the public API.
_EXPORTS: dict[str, str] = {
    "Card": "commonmode.register.cards",
    "CommonmodeError": "commonmode.core.errors",
    "ComponentUse": "commonmode.register.cards",
    "ConditionalCoFailure": "commonmode.converge.cofailure",
    "Disagreement": "commonmode.converge.dispersion",
    "EffectiveNumber": "commonmode.converge.comovement",
    "ErrorPanel": "commonmode.panel.error_panel",
    "IndexOptions": "commonmode.converge.analysis",
    "Layer": "commonmode.register.cards",
    "ModelFamily": "commonmode.register.cards",
    "PanelAnalysis": "commonmode.converge.analysis",
    "PanelKind": "commonmode.panel.error_panel",
    "WorldConfig": "commonmode.lab.worlds",
    "analyse_panel": "commonmode.converge.analysis",
    "common_cause_graph": "commonmode.register.graph",
    "panel_findings": "commonmode.converge.findings",
    "panel_of_world": "commonmode.panel.laboratory",
    "read_cards": "commonmode.adapters.store.cards",
    "read_panel": "commonmode.adapters.store.panels",
    "run_study": "commonmode.app.study.run",
    "simulate_world": "commonmode.lab.worlds",
    "write_cards": "commonmode.adapters.store.cards",
    "write_panel": "commonmode.adapters.store.panels",
}

__all__ = [
    "Card",
    "CommonmodeError",
    "ComponentUse",
    "ConditionalCoFailure",
    "Disagreement",
    "EffectiveNumber",
    "ErrorPanel",
    "IndexOptions",
    "Layer",
    "ModelFamily",
    "PanelAnalysis",
    "PanelKind",
    "WorldConfig",
    "__version__",
    "analyse_panel",
    "common_cause_graph",
    "panel_findings",
    "panel_of_world",
    "read_cards",
    "read_panel",
    "run_study",
    "simulate_world",
    "write_cards",
    "write_panel",
]


def __getattr__(name: str) -> object:
    try:
        module = _EXPORTS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value  # the next access no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
