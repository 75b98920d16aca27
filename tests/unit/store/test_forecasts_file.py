"""A black box's table of forecasts, in Parquet and CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.adapters.store.forecasts import read_forecasts
from commonmode.core.errors import PanelError

HOUR = 3_600_000


def table(quantile: np.ndarray, **more: object) -> pl.DataFrame:
    n = len(quantile)
    columns: dict[str, object] = {
        "time": 1_700_000_000_000 + HOUR * np.arange(n),
        "instrument": ["BTC"] * n,
        "horizon": [1] * n,
        "level": [0.025] * n,
        "quantile": quantile,
    }
    return pl.DataFrame(columns | more)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@given(
    quantile=arrays(
        np.float64,
        st.integers(1, 20),
        elements=st.floats(-1e3, -5e-324) | st.just(float("nan")),
    )
)
def test_every_bit_comes_back(
    suffix: str, quantile: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("box") / f"f.{suffix}"
    frame = table(quantile).with_columns(pl.col("quantile").fill_nan(None))
    frame = frame.sample(fraction=1.0, shuffle=True, seed=1)  # rows come in any order
    getattr(frame, f"write_{suffix}")(path)
    (read,) = read_forecasts(path)
    assert read.quantile.tobytes() == quantile.tobytes()
    assert (read.instrument, read.horizon, read.level) == ("BTC", 1, 0.025)
    assert read.vol is None
    assert np.all(np.diff(read.times_ms) == HOUR)


def test_one_series_per_instrument_horizon_and_level(tmp_path: Path) -> None:
    frame = table(np.array([-0.1, -0.2, -0.3, -0.4]), vol=[0.1, 0.2, 0.3, None]).with_columns(
        instrument=pl.Series(["BTC", "ETH", "BTC", "BTC"]),
        horizon=pl.Series([1, 1, 24, 1]),
        level=pl.Series([0.025, 0.025, 0.025, 0.01]),
    )
    frame.write_parquet(tmp_path / "f.parquet")
    found = {(r.instrument, r.horizon, r.level): r for r in read_forecasts(tmp_path / "f.parquet")}
    assert set(found) == {
        ("BTC", 1, 0.025),
        ("ETH", 1, 0.025),
        ("BTC", 24, 0.025),
        ("BTC", 1, 0.01),
    }
    vol = found["BTC", 1, 0.01].vol
    assert vol is not None
    assert np.isnan(vol).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantile": [-0.1, 0.2]}, "quantile 0.2 in row 2"),
        ({"horizon": [1.0, 1.5]}, "horizon 1.5 in row 2"),
        ({"horizon": [0, 1]}, "horizon 0 in row 1"),
        ({"level": [0.025, 2.5]}, "level 2.5 in row 2"),
        ({"level": ["low", "high"]}, "not numbers"),
        ({"time": [HOUR, HOUR * 2]}, "no time in milliseconds"),
        ({"time": [1_700_000_000_000] * 2}, "2 rows forecast the same thing"),
        ({"instrument": ["BTC", None]}, "'instrument' is empty in row 2"),
    ],
)
def test_bad_rows_are_named(change: dict[str, list[object]], words: str, tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    frame = table(np.array([-0.1, -0.2]))
    frame.with_columns(pl.Series(name, values) for name, values in change.items()).write_parquet(
        path
    )
    with pytest.raises(PanelError) as caught:
        read_forecasts(path)
    assert words in caught.value.message
    assert caught.value.remedy


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    with pytest.raises(PanelError, match="no file"):
        read_forecasts(path)
    table(np.full(500, -0.1)).write_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PanelError, match=r"cannot read f\.parquet"):
        read_forecasts(path)
