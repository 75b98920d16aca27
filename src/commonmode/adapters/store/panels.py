"""Error panels as long tables, one row per (time, target, model); Parquet and CSV, in and out.

Columns: ``time, model, target, kind, level, forecast, outcome, scale`` and, where there are any,
``benchmark_a, benchmark_b, exposure_usd, horizon_ms, state_*`` and ``reason, message, remedy``. A
failed cell is a row with an empty forecast and its reason. A panel that is written and read again
is the same to the last bit (failures of one cell after another with one reason are one entry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.store._columns import (
    number_column,
    read_frame,
    text_column,
    time_column,
)
from commonmode.adapters.store._panel_frame import panel_frame
from commonmode.adapters.store.files import atomic_path
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.result import Failure, FailureReason
from commonmode.market.clock import utc_iso
from commonmode.market.columns import nearest
from commonmode.market.snapshot import DataNote
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind

__all__ = ["PANEL_COLUMNS", "PanelFile", "load_panel", "read_panel", "write_panel"]

PANEL_COLUMNS: Final = (
    "time",
    "model",
    "target",
    "kind",
    "level",
    "forecast",
    "outcome",
    "scale",
)
"""Columns that a panel file must have."""

_OPTIONAL: Final = ("benchmark_a", "benchmark_b", "exposure_usd", "horizon_ms")
_FAILURE: Final = ("reason", "message", "remedy")
_NO_ROW: Final = Failure(
    FailureReason.MISSING_DATA, "no row in the panel file", "add the row, or leave the model out"
)
_NO_FORECAST: Final = Failure(
    FailureReason.MISSING_DATA,
    "the panel file has no forecast and no reason",
    "say why in the column 'reason'",
)


@dataclass(frozen=True, slots=True, eq=False)
class PanelFile:
    """A panel and what was noticed while it was read."""

    panel: ErrorPanel
    notes: tuple[DataNote, ...] = field(default=())


def write_panel(panel: ErrorPanel, path: Path) -> None:
    """Write ``panel`` as a long table; the suffix (.parquet or .csv) decides the format.

    The file is written beside its place and moved there whole.

    Raises
    ------
    PanelError
        Nothing to write, or another suffix.
    """
    t, k, n = panel.shape
    if not t * k * n:
        raise PanelError(f"panel {panel.name} is empty", remedy="score at least one forecast")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise PanelError(f"cannot write {path.name}", remedy="name it .parquet or .csv")
    frame = panel_frame(panel)
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            frame.write_parquet(temporary, compression="zstd", statistics=False)
        else:
            text = pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            frame.with_columns(text).write_csv(temporary)


def read_panel(
    path: Path, name: str | None = None, *, select: Mapping[str, str | float] | None = None
) -> ErrorPanel:
    """The panel of :func:`load_panel`, without its notes."""
    return load_panel(path, name, select=select).panel


def load_panel(
    path: Path, name: str | None = None, *, select: Mapping[str, str | float] | None = None
) -> PanelFile:
    """Read a long table of forecasts as an error panel.

    Models and targets keep the order of their first rows, times are sorted. A (time, target,
    model) without a row becomes NaN with a ``MISSING_DATA`` failure.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.csv``.
    name : str, optional
        Of the panel; the file's own name by default.
    select : mapping, optional
        Keep only rows with these values, e.g. ``{"kind": "quantile", "level": 0.025}``.

    Raises
    ------
    PanelError
        Wrong columns, several panels in one file, duplicate rows, contradictory outcomes, wrong
        signs, unreadable times or a damaged file; each with an example and a remedy.
    """
    frame = _selected(read_frame(path, PANEL_COLUMNS), path, select or {})
    kind, level, horizon = _single_panel(frame, path)
    times_ms, notes = time_column(frame["time"])
    models, model_code = _codes(frame["model"])
    targets, target_code = _codes(frame["target"])
    times, time_code = np.unique(times_ms, return_inverse=True)
    shape = (len(times), len(targets), len(models))
    pair = time_code * shape[1] + target_code
    cell = pair * shape[2] + model_code
    where = _Where(path.name, times, targets, models, cell)
    _no_duplicates(where, shape)

    values = number_column(frame["forecast"])
    _check_signs(where, "forecast", values, kind)
    forecast = np.full(shape, np.nan)
    forecast.reshape(-1)[cell] = values

    def shared(column: str) -> FloatArray:
        flat = _agreed(where, column, number_column(frame[column]), pair, shape[0] * shape[1])
        return flat.reshape(shape[0], shape[1])

    there = set(frame.columns)
    benchmarks = {b: shared(b) for b in ("benchmark_a", "benchmark_b") if b in there}
    for benchmark, array in benchmarks.items():
        _check_signs(where, benchmark, array.reshape(-1)[pair], kind)
    scale = shared("scale")
    if kind in (PanelKind.VALUE, PanelKind.SIGNAL):
        _check_scale(where, scale.reshape(-1)[pair])
    exposure = np.zeros(0)
    if "exposure_usd" in there:
        exposure = _exposure(where, number_column(frame["exposure_usd"]), model_code, shape[2])
    panel = ErrorPanel(
        name=name or path.stem,
        kind=kind,
        level=level,
        horizon_ms=horizon,
        times_ms=times,
        models=tuple(ModelId(m) for m in models),
        targets=tuple(TargetId(k) for k in targets),
        forecast=forecast,
        outcome=shared("outcome"),
        scale=scale,
        benchmark_a=benchmarks.get("benchmark_a"),
        benchmark_b=benchmarks.get("benchmark_b"),
        exposure_usd=exposure,
        state={c.removeprefix("state_"): shared(c) for c in frame.columns if c[:6] == "state_"},
        failures=_failures(where, frame, values, shape),
    )
    return PanelFile(panel, (*notes, *_unknown_columns(frame)))


@dataclass(frozen=True, slots=True, eq=False)
class _Where:
    """Enough to name the cell of a row in a message."""

    file: str
    times: IntArray
    targets: list[str]
    models: list[str]
    cell: IntArray

    def row(self, row: int) -> str:
        return self.name(int(self.cell[row]))

    def name(self, cell: int) -> str:
        pair, model = divmod(cell, len(self.models))
        time, target = divmod(pair, len(self.targets))
        return (
            f"time {utc_iso(int(self.times[time]))}, target {self.targets[target]!r}, "
            f"model {self.models[model]!r}"
        )


def _selected(frame: pl.DataFrame, path: Path, select: Mapping[str, str | float]) -> pl.DataFrame:
    for column, value in select.items():
        if column not in frame.columns:
            guess = nearest(column, frame.columns)
            raise PanelError(
                f"cannot select by {column!r}: {path.name} has no such column",
                remedy=f"did you mean {guess!r}?" if guess else f"it has {frame.columns}",
            )
        values = frame[column].unique().sort().to_list()
        # A command line gives texts: "0.025" is the number 0.025 in a column of numbers.
        wanted = pl.Series([value]).cast(frame[column].dtype, strict=False)
        frame = frame.filter(frame[column] == wanted) if wanted.null_count() == 0 else frame.clear()
        if frame.is_empty():
            raise PanelError(
                f"{path.name} has no rows with {column} = {value!r}", remedy=f"it has {values}"
            )
    return frame


def _single_panel(frame: pl.DataFrame, path: Path) -> tuple[PanelKind, float, int]:
    """Kind, level and horizon, of which a panel has one each."""
    if "horizon_ms" not in frame.columns:
        frame = frame.with_columns(pl.lit(0).alias("horizon_ms"))
    found = {}
    for column in ("kind", "level", "horizon_ms"):
        values = frame[column].unique().sort().to_list()
        if len(values) > 1:
            raise PanelError(
                f"{path.name} holds several panels: {column} is {', '.join(map(repr, values))}",
                remedy="write one panel per file, or choose one: --select "
                f"{column}={values[0]} (in Python: select={{{column!r}: {values[0]!r}}})",
            )
        found[column] = values[0]
    kinds = {kind.value: kind for kind in PanelKind}
    if found["kind"] not in kinds:
        guess = nearest(str(found["kind"]), kinds)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise PanelError(
            f"{path.name}: {found['kind']!r} is not a kind of panel{hint}",
            remedy=f"kinds are {', '.join(kinds)}",
        )
    kind = kinds[found["kind"]]
    try:
        level = float(found["level"] or 0.0)
        horizon = int(found["horizon_ms"] or 0)
    except ValueError as error:
        raise PanelError(
            f"{path.name}: level or horizon_ms is not a number", remedy="e.g. 0.025 and 3600000"
        ) from error
    if kind is PanelKind.QUANTILE and not 0.0 < level < 1.0:
        raise PanelError(
            f"{path.name}: a quantile of level {level} means nothing",
            remedy="level is the tail probability as a decimal, e.g. 0.025",
        )
    return kind, level, horizon


def _codes(column: pl.Series) -> tuple[list[str], IntArray]:
    texts = text_column(column)
    names = texts.unique(maintain_order=True).to_list()
    return names, texts.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()


def _no_duplicates(where: _Where, shape: tuple[int, int, int]) -> None:
    counts = np.bincount(where.cell, minlength=shape[0] * shape[1] * shape[2])
    if counts.max() > 1:
        twice = np.flatnonzero(counts > 1)
        raise PanelError(
            f"{where.file}: {len(twice)} cells have several rows, e.g. {where.name(int(twice[0]))}",
            remedy="keep one forecast per time, target and model",
        )


def _agreed(
    where: _Where, column: str, values: FloatArray, index: IntArray, size: int
) -> FloatArray:
    """One value per ``index``, shape (size,); rows must agree, empty ones follow the others."""
    known = np.isfinite(values)
    agreed = np.full(size, np.nan)
    agreed[index[known]] = values[known]
    different = known & (values != agreed[index])
    if different.any():
        row = int(np.flatnonzero(different)[0])
        raise PanelError(
            f"{where.file}: {column} differs between rows that share it: {float(values[row])} and "
            f"{float(agreed[index[row]])} at {where.row(row)}",
            remedy=f"{column} belongs to the market, not to a model: write one value for all",
        )
    return agreed


def _exposure(where: _Where, values: FloatArray, model: IntArray, n: int) -> FloatArray:
    exposure = _agreed(where, "exposure_usd", values, model, n)
    bad = ~(exposure >= 0)
    if bad.any():
        name = where.models[int(np.flatnonzero(bad)[0])]
        raise PanelError(
            f"{where.file}: exposure_usd of model {name!r} is missing or negative",
            remedy="give the USD behind the model, 0 or more, or leave the column out",
        )
    return exposure


def _check_signs(where: _Where, column: str, values: FloatArray, kind: PanelKind) -> None:
    wanted = {PanelKind.QUANTILE: -1.0, PanelKind.VOL: 1.0}.get(kind)
    if wanted is None:
        return
    bad = np.flatnonzero(wanted * values <= 0)
    if len(bad):
        row = int(bad[0])
        side = "negative: a lower quantile of the return" if wanted < 0 else "positive: a decimal"
        raise PanelError(
            f"{where.file}: {column} {float(values[row])} at {where.row(row)}; forecasts of kind "
            f"{kind.value} are {side}",
            remedy="turn the sign of losses (VaR 3 % is -0.03); leave a failed forecast empty",
        )


def _check_scale(where: _Where, scale: FloatArray) -> None:
    bad = np.flatnonzero(scale <= 0)
    if len(bad):
        raise PanelError(
            f"{where.file}: scale {float(scale[int(bad[0])])} at {where.row(int(bad[0]))}",
            remedy="scale divides the deviation: give the market's own move, more than 0",
        )


def _failures(
    where: _Where, frame: pl.DataFrame, forecast: FloatArray, shape: tuple[int, int, int]
) -> tuple[CellFailure, ...]:
    """Failed cells, runs of one reason together, in the order of targets, models and times."""
    listed = [_NO_ROW, _NO_FORECAST]
    code = np.ones(shape[0] * shape[1] * shape[2], dtype=np.int64)
    code[where.cell] = np.where(np.isnan(forecast), 2, 0)
    if "reason" in frame.columns:
        given = frame.select(
            *(
                pl.col(c).cast(pl.String)
                if c in frame.columns
                else pl.lit(None, pl.String).alias(c)
                for c in _FAILURE
            )
        ).with_columns(pl.Series("cell", where.cell))
        given = given.filter(pl.col("reason").is_not_null())
        distinct = given.select(_FAILURE).unique(maintain_order=True)
        numbered = distinct.with_row_index("number", len(listed) + 1)
        rows = given.join(numbered, on=list(_FAILURE), how="left", nulls_equal=True)
        code[rows["cell"].to_numpy()] = rows["number"].cast(pl.Int64).to_numpy()
        listed += [_failure(where.file, *row) for row in distinct.rows()]
    grid = code.reshape(shape)
    found = []
    for k, target in enumerate(where.targets):
        for n, model in enumerate(where.models):
            line = grid[:, k, n]
            if not line.any():
                continue
            starts = np.flatnonzero(np.diff(line, prepend=-1) != 0)
            lengths = np.diff(starts, append=len(line))
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                if line[start]:
                    found.append(
                        CellFailure(
                            ModelId(model),
                            TargetId(target),
                            int(where.times[start]),
                            length,
                            listed[int(line[start]) - 1],
                        )
                    )
    return tuple(found)


def _failure(file: str, reason: str, message: str | None, remedy: str | None) -> Failure:
    reasons = {item.value: item for item in FailureReason}
    if reason not in reasons:
        guess = nearest(reason, reasons)
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise PanelError(
            f"{file}: {reason!r} is not a reason{hint}", remedy=f"reasons are {', '.join(reasons)}"
        )
    return Failure(reasons[reason], message or "", remedy or "")


def _unknown_columns(frame: pl.DataFrame) -> tuple[DataNote, ...]:
    known = {*PANEL_COLUMNS, *_OPTIONAL, *_FAILURE}
    unknown = [c for c in frame.columns if c not in known and not c.startswith("state_")]
    notes = []
    for column in unknown:
        guess = nearest(column, known)
        hint = f"; did you mean {guess!r}?" if guess else "; name it state_… to keep it"
        notes.append(DataNote("unknown_column", f"column {column!r} is ignored{hint}", 1))
    return tuple(notes)
