"""Walk-forward error panels: forecast, outcome, benchmark, failure, state."""

from __future__ import annotations

from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind

__all__ = ["CellFailure", "ErrorPanel", "PanelKind"]
