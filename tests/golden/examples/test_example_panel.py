"""examples/panel: its script makes its files, its README runs, its answer is the true one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from commonmode import analyse_panel, read_cards, read_panel
from commonmode.core.result import Success

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples" / "panel"


def test_the_script_makes_the_files_to_the_byte(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(FOLDER / "make.py"), str(tmp_path)], check=True, timeout=120
    )
    for name in ("panel.csv", "cards.toml"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name
    assert (FOLDER / "panel.csv").stat().st_size < 300_000


def test_it_finds_the_shared_feed_and_nothing_else() -> None:
    panel = read_panel(FOLDER / "panel.csv")
    analysis = analyse_panel(panel, read_cards(FOLDER / "cards.toml").cards)
    assert isinstance(analysis.c2, Success)
    c2 = analysis.c2.value
    assert c2.rejects
    standing = [c for c in c2.components if c.p_adjusted <= 0.05 and not c.explained_by]
    assert [c.group.name for c in standing] == ["vendor X volatility feed"]
    assert standing[0].group.members == ("var-a", "var-d", "var-e")


def test_the_code_of_its_readme_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code) == 1
    monkeypatch.chdir(ROOT)
    exec(compile(code[0], "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "C2: 5 models count as" in said
    # Among five models C4 cannot confirm it, so it is named and not advised outright.
    assert "Look first at vendor X volatility feed" in said
