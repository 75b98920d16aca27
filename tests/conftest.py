"""Fixtures for data that is not part of the project, and the Hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

_ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("default", deadline=None)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def _outside_folder(variable: str, name: str) -> Path:
    """The folder named by `variable`, else the one beside the project; skips where it is not."""
    named = os.environ.get(variable)
    folder = Path(named) if named else _ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} (set {variable} to where it is)")
    return folder


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Folder of the recorded market data."""
    return _outside_folder("COMMONMODE_DATA", "data")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Folder of the independent answers."""
    return _outside_folder("COMMONMODE_ORACLES", "oracles")
