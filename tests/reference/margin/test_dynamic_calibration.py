"""The shipped settings of our own method are what the calibration gives on the recordings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from commonmode.app.study.margin_parameters import fitted_parameters
from commonmode.margin.dynamic.settings import dynamic_from_toml, shipped_dynamic
from commonmode.margin.parameter_files import shipped_file

pytestmark = [pytest.mark.slow, pytest.mark.recorded]


def test_the_rule_chooses_the_shipped_settings_again(recorded_data: Path) -> None:
    again = fitted_parameters(recorded_data)
    kept, _ = shipped_file("dynamic", "2022-01-01")
    fresh, old = tomllib.loads(again), tomllib.loads(kept)

    def without_numbers(table: dict[str, Any]) -> dict[str, Any]:
        terms = {k: v for k, v in table["multiplier"].items() if k not in ("value", "low", "high")}
        return {**table, "multiplier": terms}

    assert without_numbers(fresh) == without_numbers(old)
    for name in ("value", "low", "high"):
        assert fresh["multiplier"][name] == pytest.approx(old["multiplier"][name], rel=1e-9)
    assert dynamic_from_toml(again).scenarios == shipped_dynamic("2022-01-01").scenarios
