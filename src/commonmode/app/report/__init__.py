"""Frozen results shown: one terminal screen, one HTML page, one published schema."""

from __future__ import annotations

from commonmode.app.report.html import render_html
from commonmode.app.report.published import schema_text
from commonmode.app.report.terminal import render_terminal

__all__ = ["render_html", "render_terminal", "schema_text"]
