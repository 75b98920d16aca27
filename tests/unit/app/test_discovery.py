"""Models of other packages are found by their entry points; broken ones are reported."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from commonmode.app.discovery import discover_models
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import InstrumentId
from commonmode.core.result import FailureReason
from commonmode.market.history import History
from commonmode.register.conformance import check_risk_model

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "my_model"

STEP = 3_600_000


def make_history(n: int, seed: int, name: str = "BTC-USDT") -> History:
    """Bars with volatility clustering and an hour-of-day cycle; high and low enclose the path."""
    rng = np.random.default_rng(seed)
    log_vol = np.zeros(n)
    for row in range(1, n):
        log_vol[row] = 0.97 * log_vol[row - 1] + 0.1 * rng.standard_normal()
    cycle = 0.2 * np.sin(2 * np.pi * np.arange(n) / 24)
    minutes = 0.005 / 4 * np.exp(log_vol + cycle)[:, None] * rng.standard_t(6, (n, 16))
    path = np.cumsum(minutes.ravel()).reshape(n, 16)
    close = path[:, -1]
    opened = np.concatenate(([0.0], close[:-1]))
    columns = {
        "open": opened,
        "high": np.maximum(path.max(axis=1), opened),
        "low": np.minimum(path.min(axis=1), opened),
        "close": close,
    }
    times = 1_600_560_000_000 + STEP * np.arange(1, n + 1, dtype=np.int64)
    prices = {key: 20_000.0 * np.exp(values) for key, values in columns.items()}
    return History(InstrumentId(name), STEP, times, prices)


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


def test_built_in_models_are_there() -> None:
    found = discover_models()
    for name in ("garch", "historical-simulation", "black-box"):
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
