"""Models of other packages are found by their entry points; broken ones are reported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from commonmode.app.discovery import discover_models
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import FailureReason
from commonmode.register.conformance import check_risk_model
from commonmode.register.signal import SignalModel
from commonmode.register.signal_conformance import check_signal_model
from simulated_bars import make_history

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "my_model"


def install(folder: Path, package: str, entries: str) -> None:
    info = folder / f"{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[commonmode.models]\n{entries}\n")


def test_example_is_found_and_conforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = (EXAMPLE / "pyproject.toml").read_text()
    entry = 'parkinson-ewma = "my_model:ParkinsonEwma"'
    assert entry in project
    install(tmp_path, "my_model", entry.replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    found = discover_models()
    assert found.sources["parkinson-ewma"] == "my_model"
    assert "parkinson-ewma" not in found.failures
    model = found.constructor("parkinson-ewma")(window=300)
    check_risk_model(model, make_history(500, 41))
    sys.modules.pop("my_model")


def test_example_strategy_is_found_and_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = 'donchian = "my_strategy:Donchian"'
    assert entry in (EXAMPLE / "pyproject.toml").read_text()
    install(tmp_path, "my_model", entry.replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    model = discover_models().constructor("donchian")(bars=100)
    assert isinstance(model, SignalModel)
    check_signal_model(model, make_history(300, 41))
    sys.modules.pop("my_strategy")


def test_built_in_models_are_there() -> None:
    found = discover_models()
    for name in ("garch", "historical-simulation", "black-box", "trend", "vol-selling-vault"):
        assert found.sources[name] == "built in"
    assert found.constructor("ewma")(decay=0.9).id == "ewma-0.9"


def test_broken_plug_ins_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cracked_plugin.py").write_text("NUMBER = 7\nraise_later = 1\n")
    (tmp_path / "crashing_plugin.py").write_text("1 / 0\n")
    install(
        tmp_path,
        "plugins",
        "absent = no_such_module_anywhere:Model\n"
        "crashing = crashing_plugin:Model\n"
        "nameless = cracked_plugin:Model\n"
        "number = cracked_plugin:NUMBER\n"
        "garch = cracked_plugin:NUMBER",
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = discover_models()
    assert {"absent", "crashing", "nameless", "number", "garch"} <= set(found.failures)
    assert "ZeroDivisionError" in found.failures["crashing"].message
    assert "not a constructor" in found.failures["number"].message
    assert found.failures["garch"].reason is FailureReason.INVALID_INPUT
    assert found.sources["garch"] == "built in"
    with pytest.raises(ConfigurationError, match="does not load") as caught:
        found.constructor("crashing")
    assert "plugins" in caught.value.remedy
    sys.modules.pop("cracked_plugin")


def test_unknown_type_suggests_a_known_one() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'garch'"):
        discover_models().constructor("garhc")
