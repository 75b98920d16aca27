"""Parameter files of our own method: what they say, their bounds, and what they rest on."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.dynamic.build import ScenarioRecipe
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.settings import (
    CONVENTIONAL,
    dynamic_from_toml,
    shipped_dynamic,
)
from commonmode.margin.parameter_files import shipped_file, shipped_files

HOUR = 3_600_000
VERSION = "2022-01-01"
TEXT, NAME = shipped_file("dynamic", VERSION)
EVIDENCE = Path(__file__).parents[3] / "examples" / "margin-backtest" / "evidence" / "results.json"


def test_the_shipped_file_holds_what_the_committed_backtest_chose() -> None:
    kept = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    chosen = kept["chosen"]["bounded"]["settings"]
    found = shipped_dynamic(VERSION)
    p, terms, scenarios = found.parameters, found.multiplier, found.scenarios
    assert terms is not None
    assert scenarios is not None
    assert found.calibration is not None
    assert [scenarios.half_life_hours] == chosen["half_lives"]
    assert (p.initial_level, p.floor, p.buffer) == (
        chosen["level"],
        chosen["floor"],
        chosen["buffer"],
    )
    assert p.mix.stressed_weight == chosen["stressed_weight"]
    assert p.mix.correlation_stress == chosen["correlation_stress"]
    assert chosen["daily_limit"] is None
    assert math.isinf(p.daily_limit)
    assert terms.window_days == chosen["window_days"]
    assert terms.breach_rate == kept["target"]
    (run,) = [r for r in kept["runs"] if r["family"] == "linear" and r["horizon_hours"] == 1]
    path = run["multipliers"]["bounded"]
    begun = path["from"].index(f"{VERSION}T00:00Z")
    assert terms.value == pytest.approx(path["value"][begun], rel=1e-12)
    assert p.multiplier == terms.value
    assert terms.low < terms.value < terms.high
    hashes = {coin: h for coin, h in kept["inputs"].items() if coin != "DVOL"}
    assert dict(found.calibration.inputs) == hashes
    days = (found.calibration.first.isoformat(), found.calibration.last.isoformat())
    assert list(days) == kept["periods"]["training"]


def test_it_is_the_only_one_and_the_conventional_one_has_no_file() -> None:
    assert shipped_files("dynamic") == (VERSION,)
    plain = shipped_dynamic(CONVENTIONAL)
    assert plain.parameters == DynamicParameters()
    assert plain.recipe(300_000) == ScenarioRecipe()
    with pytest.raises(ConfigurationError, match="1999") as raised:
        shipped_dynamic("1999")
    assert VERSION in raised.value.remedy
    assert CONVENTIONAL in raised.value.remedy


def test_lengths_are_hours_whatever_the_bars() -> None:
    found = shipped_dynamic(VERSION)
    hourly, fine = found.recipe(HOUR), found.recipe(HOUR // 12)
    assert (hourly.bars, fine.bars) == (1, 12)
    assert fine.window == 12 * hourly.window == 12 * 2160
    assert hourly.filter.decay == pytest.approx(0.5 ** (1 / 72))
    assert fine.filter.decay**12 == pytest.approx(hourly.filter.decay)
    assert hourly.long
    assert hourly.monthly
    assert hourly.replay_days == 0
    limited = dynamic_from_toml(TEXT.replace("daily_limit = inf", "daily_limit = 1.5"))
    assert limited.recipe(HOUR).replay_days > 0
    with pytest.raises(DataError, match="1440 minutes") as raised:
        found.recipe(24 * HOUR)
    assert CONVENTIONAL in raised.value.remedy


WRONG = {
    "level": ("level = 0.975\nstr", "level = 1.2\nstr", "level 1.2"),
    "weight": ("stressed_weight = 0.25", "stressed_weight = 2.0", "stressed_weight 2.0"),
    "broken": ("correlation_stress = 0.0", "correlation_stress = -1", "correlation_stress -1"),
    "multiplier": ("low = 0.5", "low = 0.9", "value"),
    "refit": ("window_days = 90", "window_days = 30", "window_days 30"),
    "breach": ("breach_rate = 0.01", "breach_rate = 1.0", "breach_rate"),
    "floor": ("floor = 1.0", "floor = -0.5", "floor -0.5"),
    "buffer": ("buffer = 0.0", "buffer = -0.5", "buffer -0.5"),
    "limit": ("daily_limit = inf", "daily_limit = 0.5", "daily_limit 0.5"),
    "half-life": ("half_life_hours = 72.0", "half_life_hours = 0.0", "half_life_hours"),
    "scaling": ("highest_scaling = 4.0", "highest_scaling = -1", "highest_scaling"),
    "window": ("window_hours = 2160", "window_hours = 50", "50"),
    "share": ("maintenance_share = 0.8", "maintenance_share = 1.5", "maintenance_share 1.5"),
    "order": ("maintenance_level = 0.975", "maintenance_level = 0.99", "maintenance_level"),
    "moves": ("posted_move = 0.1", "posted_move = 1.0", "hypothetical moves"),
    "missing": ("buffer = 0.0\n", "", "buffer is missing"),
    "unknown": ("buffer = 0.0", "buffer = 0.0\nbufer = 1", "bufer is not known"),
    "no number": ("floor = 1.0", "floor = true", "floor is True"),
    "no table": ("[control]", "[controls]", "controls"),
    "dates": ("last = 2022-01-01", "last = 2020-01-01", "calibration"),
    "no rule": ('rule = "', 'rules = "', "calibration"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_what_is_out_of_bounds_is_refused_by_name(kind: str) -> None:
    old, new, said = WRONG[kind]
    assert TEXT.count(old) >= 1
    with pytest.raises(ConfigurationError) as raised:
        dynamic_from_toml(TEXT.replace(old, new, 1), where="mine.toml")
    assert "mine.toml" in raised.value.message
    assert said in raised.value.message
    assert raised.value.remedy


def test_the_file_is_in_order() -> None:
    table = tomllib.loads(TEXT)
    assert f"dynamic-{table['version']}.toml" == NAME
    assert table["valid_from"].isoformat() == VERSION
    assert set(table["calibration"]["inputs"]) == set(table["underlyings"])
