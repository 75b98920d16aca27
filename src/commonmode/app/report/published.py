"""The published shape of results.json."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["schema_text"]


def schema_text() -> str:
    """JSON Schema (2020-12) of results.json, as text."""
    path = files("commonmode.app.report") / "schema" / "results.schema.json"
    return path.read_text(encoding="utf-8")
