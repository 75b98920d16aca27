"""Panel files that are wrong: which cell, what is wrong, what to do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.store.panels import load_panel, read_panel, write_panel
from commonmode.core.errors import PanelError
from commonmode.core.result import FailureReason
from commonmode.panel.error_panel import PanelKind

ROWS: dict[str, list[Any]] = {
    "time": ["2023-01-01T00:00Z", "2023-01-01T00:00Z", "2023-01-01T01:00Z", "2023-01-01T01:00Z"],
    "model": ["ewma", "garch", "ewma", "garch"],
    "target": ["BTC"] * 4,
    "kind": ["quantile"] * 4,
    "level": [0.025] * 4,
    "forecast": [-0.01, -0.02, -0.03, -0.04],
    "outcome": [0.001, 0.001, -0.05, -0.05],
    "scale": [0.01] * 4,
}


def written(folder: Path, drop: tuple[str, ...] = (), **changes: list[Any]) -> Path:
    columns = {name: values for name, values in (ROWS | changes).items() if name not in drop}
    path = folder / "panel.parquet"
    pl.DataFrame(columns, strict=False).write_parquet(path)
    return path


def test_smallest_file(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path), "mine")
    assert (panel.name, panel.kind, panel.level, panel.horizon_ms) == (
        "mine",
        PanelKind.QUANTILE,
        0.025,
        0,
    )
    assert panel.models == ("ewma", "garch")
    assert panel.forecast[:, 0, :].tolist() == [[-0.01, -0.02], [-0.03, -0.04]]
    assert panel.failed[:, 0, :].tolist() == [[False, False], [True, True]]
    assert panel.exposure_usd.tolist() == [1.0, 1.0]
    assert panel.benchmark_a is None


def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    shuffled = {name: [values[i] for i in (3, 0, 2, 1)] for name, values in ROWS.items()}
    panel = read_panel(written(tmp_path, **shuffled))
    assert panel.models == ("garch", "ewma")
    assert panel.forecast[:, 0, :].tolist() == [[-0.02, -0.01], [-0.04, -0.03]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": ["quantile", "vol"] * 2}, "several panels: kind is 'quantile', 'vol'"),
        ({"level": [0.025, 0.01] * 2}, r"several panels: level is 0\.01, 0\.025"),
        ({"horizon_ms": [1, 2] * 2}, "several panels: horizon_ms is 1, 2"),
        ({"kind": ["quantil"] * 4}, "did you mean 'quantile'"),
        ({"level": [2.5] * 4}, r"level 2\.5 means nothing"),
        ({"model": ["ewma"] * 4}, "2 cells have several rows, e.g. time 2023-01-01T00:00Z"),
        ({"outcome": [0.1, 0.2, 0.3, 0.3]}, r"outcome differs .* 0\.1 and 0\.2"),
        ({"scale": [0.1, 0.2, 0.3, 0.3]}, "scale differs"),
        ({"benchmark_a": [-0.1, -0.2] * 2, "benchmark_b": [-0.1] * 4}, "benchmark_a differs"),
        ({"benchmark_a": [-0.1] * 4}, "one benchmark without the other"),
        ({"benchmark_a": [0.1] * 4, "benchmark_b": [-0.1] * 4}, "benchmark_a 0.1 at time"),
        ({"state_vol": [1.0, 2.0, 1.0, 1.0]}, "state_vol differs"),
        ({"exposure_usd": [1.0, 1.0, 2.0, 1.0]}, "exposure_usd differs"),
        ({"exposure_usd": [-1.0, 1.0, -1.0, 1.0]}, "exposure_usd of model 'ewma'"),
        ({"forecast": [0.01, -0.02, -0.03, -0.04]}, r"forecast 0\.01 at time .* model 'ewma'"),
        ({"forecast": [float("-inf"), -0.02, -0.03, -0.04]}, "'forecast' is infinite in row 1"),
        ({"forecast": ["-1,5"] * 4}, "'forecast' holds String, not numbers"),
        ({"outcome": [float("inf")] * 4}, "'outcome' is infinite"),
        ({"time": ["2023-01-01", "noon"] * 2}, "'noon' is not a time"),
        ({"time": [None, "2023-01-01"] * 2}, "'time' is empty in row 1"),
        ({"time": [1_672_531_200] * 4}, "no time in milliseconds"),
        ({"time": [1.5] * 4}, "holds Float64, not times"),
        ({"model": [None, "a", "b", "c"]}, "'model' is empty in row 1"),
        ({"reason": ["misssing_data", None, None, None]}, "did you mean 'missing_data'"),
    ],
)
def test_wrong_content(tmp_path: Path, changes: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(PanelError, match=message) as caught:
        read_panel(written(tmp_path, **changes))
    assert caught.value.remedy


def test_value_panel_needs_a_positive_scale(tmp_path: Path) -> None:
    changes = {"kind": ["value"] * 4, "level": [None] * 4, "scale": [0.0, 0.0, 1.0, 1.0]}
    with pytest.raises(PanelError, match=r"scale 0\.0 at time 2023-01-01T00:00Z"):
        read_panel(written(tmp_path, **changes))


def test_missing_columns_are_listed_with_the_nearest_names(tmp_path: Path) -> None:
    path = written(tmp_path, drop=("forecast", "scale"), Forcast=[1.0] * 4)
    with pytest.raises(PanelError, match=r"'forecast' \(is it 'Forcast'\?\), 'scale'") as caught:
        read_panel(path)
    assert "found: time, model" in caught.value.message
    assert "time, model, target, kind, level, forecast, outcome, scale" in caught.value.remedy


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_parquet_cut_off(tmp_path: Path, kept: float) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PanelError, match=r"cannot read|is empty") as caught:
        read_panel(path)
    assert "export it again" in caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="no file"):
        read_panel(tmp_path / "none.parquet")
    (tmp_path / "panel.txt").write_text("x")
    with pytest.raises(PanelError, match=r"not a \.parquet or \.csv"):
        read_panel(tmp_path / "panel.txt")
    (tmp_path / "head.csv").write_text(",".join(ROWS) + "\n")
    with pytest.raises(PanelError, match="has no rows"):
        read_panel(tmp_path / "head.csv")


def test_missing_cells_and_empty_forecasts_become_failures(tmp_path: Path) -> None:
    kept = {name: values[:3] for name, values in ROWS.items()}
    kept["forecast"] = [None, -0.02, -0.03]
    panel = read_panel(written(tmp_path, **kept))
    assert np.isnan(panel.forecast[0, 0, 0])
    assert np.isnan(panel.forecast[1, 0, 1])
    assert [(f.model, f.count, f.failure.reason) for f in panel.failures] == [
        ("ewma", 1, FailureReason.MISSING_DATA),
        ("garch", 1, FailureReason.MISSING_DATA),
    ]
    assert "no reason" in panel.failures[0].failure.message
    assert "no row" in panel.failures[1].failure.message


def test_reason_of_a_failed_cell(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        forecast=[None, -0.02, None, -0.04],
        reason=["calibration_failed", None, "calibration_failed", None],
        message=["no optimum", None, "no optimum", None],
    )
    (failure,) = read_panel(path).failures
    assert (failure.model, failure.count) == ("ewma", 2)
    assert failure.failure.reason is FailureReason.CALIBRATION_FAILED
    assert failure.failure.message == "no optimum"


def test_select_takes_one_panel_out_of_several(tmp_path: Path) -> None:
    path = written(tmp_path, level=[0.025, 0.01] * 2)
    panel = read_panel(path, select={"level": 0.01})
    assert (panel.level, panel.models) == (0.01, ("garch",))
    with pytest.raises(PanelError, match="no rows with level"):
        read_panel(path, select={"level": 0.05})
    with pytest.raises(PanelError, match="cannot select by 'levl'") as caught:
        read_panel(path, select={"levl": 0.01})
    assert "'level'" in caught.value.remedy


MIDNIGHT = 1_672_531_200_000


@pytest.mark.parametrize(
    ("times", "expected", "notes"),
    [
        ([datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC)], 86_400_000, []),
        ([datetime(2023, 1, 1), datetime(2023, 1, 2)], 86_400_000, ["naive_times"]),
        ([date(2023, 1, 1), date(2023, 1, 2)], 86_400_000, ["naive_times"]),
        ([MIDNIGHT, MIDNIGHT + 5], 5, []),
        (["2023-01-01T02:00:00+02:00", "2023-01-01T00:00:01Z"], 1000, []),
        (["2023-01-01", "2023-01-01 01:00:00.005"], 3_600_005, ["naive_times"]),
    ],
)
def test_kinds_of_time(tmp_path: Path, times: list[Any], expected: int, notes: list[str]) -> None:
    found = load_panel(written(tmp_path, time=[t for t in times for _ in range(2)]))
    assert found.panel.times_ms.tolist() == [MIDNIGHT, MIDNIGHT + expected]
    assert [note.code for note in found.notes] == notes


def test_times_finer_than_a_millisecond_are_refused(tmp_path: Path) -> None:
    fine = [datetime(2023, 1, 1, 0, 0, 0, micro) for micro in (1, 1, 2, 2)]
    with pytest.raises(PanelError, match="finer than a millisecond"):
        read_panel(written(tmp_path, time=fine))


def test_unknown_column_is_noted_with_a_guess(tmp_path: Path) -> None:
    found = load_panel(written(tmp_path, benchmarka=[1.0] * 4, colour=["red"] * 4))
    assert [note.code for note in found.notes] == ["unknown_column"] * 2
    assert "did you mean 'benchmark_a'" in found.notes[0].message
    assert "state_" in found.notes[1].message


def test_one_row_may_carry_the_market_for_all(tmp_path: Path) -> None:
    path = written(tmp_path, outcome=[0.001, None, None, -0.05])
    assert read_panel(path).outcome[:, 0].tolist() == [0.001, -0.05]


def test_writing_needs_a_known_suffix_and_leaves_no_debris(tmp_path: Path) -> None:
    panel = read_panel(written(tmp_path))
    with pytest.raises(PanelError, match=r"cannot write panel\.xlsx"):
        write_panel(panel, tmp_path / "panel.xlsx")
    write_panel(panel, tmp_path / "deep" / "panel.csv")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["panel.csv"]
