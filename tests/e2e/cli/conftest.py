"""The command line, run inside the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from margin_questions import margin_study
from typer.testing import CliRunner

from commonmode.app.cli.main import app


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli() -> Cli:
    """Run ``commonmode`` with the given words; an exception that is not an exit is a failure."""

    def run(*words: object) -> Ran:
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a study file and return its path."""

    def study(text: str) -> Path:
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return study


@pytest.fixture
def study(write: Callable[[str], Path]) -> Path:
    """The study that margin is asked of; tests of something else have one of their own."""
    return write(margin_study())


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str, dict[str, str]], None]:
    """Put a package of models on the path as an installation would, with its entry points."""

    def package(name: str, source: str, models: dict[str, str]) -> None:
        folder = tmp_path / "site"
        info = folder / f"{name}-0.1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        lines = [f"{kind} = {name}:{what}\n" for kind, what in models.items()]
        (info / "entry_points.txt").write_text("[commonmode.models]\n" + "".join(lines))
        monkeypatch.syspath_prepend(folder)

    return package
