"""Packed panels: the evidence format, small and exact.

A zip archive with ``panel.json`` (names, kinds, failures) and one member per array: its float64
bytes transposed (all first bytes, all second bytes, ...) before deflation, because the high bytes
of neighbouring values repeat and the low ones do not. A 20 000 x 2 x 7 panel takes 2.6 MB so and
3.4 MB as Parquet; every bit comes back.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from commonmode.adapters.store.files import atomic_path
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.result import Failure, FailureReason
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind

__all__ = ["SUFFIX", "pack_panel", "unpack_panel"]

SUFFIX: Final = ".panel"
_FORMAT: Final = "commonmode/panel/1"
# Whatever reading a damaged archive may raise, down to corrupt flags (for zipfile "encrypted" is a
# RuntimeError and an unknown compression a NotImplementedError).
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_STAMP: Final = (2000, 1, 1, 0, 0, 0)  # a fixed time, so that equal panels are equal files


def pack_panel(panel: ErrorPanel, path: Path) -> None:
    """Write ``panel`` to ``path`` (suffix ``.panel``), replacing what is there."""
    arrays: dict[str, FloatArray] = {
        "times_ms": panel.times_ms.astype(np.float64),
        "outcome": panel.outcome,
        "scale": panel.scale,
        "exposure_usd": panel.exposure_usd,
        **{f"forecast/{i}": panel.forecast[:, :, i] for i in range(len(panel.models))},
        **{f"state/{name}": values for name, values in panel.state.items()},
    }
    if panel.benchmark_a is not None and panel.benchmark_b is not None:
        arrays |= {"benchmark_a": panel.benchmark_a, "benchmark_b": panel.benchmark_b}
    header = {
        "format": _FORMAT,
        "name": panel.name,
        "kind": panel.kind.value,
        "level": panel.level,
        "horizon_ms": panel.horizon_ms,
        "models": list(panel.models),
        "targets": list(panel.targets),
        "state": list(panel.state),
        "benchmarks": panel.benchmark_a is not None,
        "content_hash": panel.content_hash,
        "failures": [
            {
                "model": cell.model,
                "target": cell.target,
                "time_ms": cell.time_ms,
                "count": cell.count,
                "reason": cell.failure.reason.value,
                "message": cell.failure.message,
                "remedy": cell.failure.remedy,
            }
            for cell in panel.failures
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        text = json.dumps(header, sort_keys=True, indent=1)
        archive.writestr(zipfile.ZipInfo("panel.json", _STAMP), text, zipfile.ZIP_DEFLATED, 9)
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name, _STAMP)
            archive.writestr(member, _shuffled(array), zipfile.ZIP_DEFLATED, 9)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def unpack_panel(path: Path) -> ErrorPanel:
    """Read a packed panel and check it against its own hash.

    Raises
    ------
    PanelError
        Missing, damaged, cut off, or of a format this version does not know.
    """
    if not path.is_file():
        raise PanelError(f"no packed panel at {path}", remedy="check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("panel.json"))
            if header.get("format") != _FORMAT:
                raise PanelError(
                    f"{path.name} has format {header.get('format')!r}, not {_FORMAT!r}",
                    remedy="make the evidence again with this version",
                )
            panel, stated = _panel(header, archive), header["content_hash"]
    except _DAMAGE as error:
        raise PanelError(
            f"{path.name} is damaged or cut off ({type(error).__name__}: {error})",
            remedy="fetch the file again, or make the evidence again",
        ) from error
    if panel.content_hash != stated:
        raise PanelError(f"{path.name} does not match its own hash", remedy="fetch the file again")
    return panel


def _panel(header: dict[str, Any], archive: zipfile.ZipFile) -> ErrorPanel:
    k, n = len(header["targets"]), len(header["models"])

    def read(name: str) -> FloatArray:
        return _unshuffled(archive.read(name))

    def by_target(name: str) -> FloatArray:
        return read(name).reshape(-1, k)

    forecast = np.stack([by_target(f"forecast/{i}") for i in range(n)], axis=2)
    benchmarks = header["benchmarks"]
    return ErrorPanel(
        name=header["name"],
        kind=PanelKind(header["kind"]),
        level=float(header["level"]),
        horizon_ms=int(header["horizon_ms"]),
        times_ms=read("times_ms").astype(np.int64),
        models=tuple(ModelId(m) for m in header["models"]),
        targets=tuple(TargetId(t) for t in header["targets"]),
        forecast=forecast,
        outcome=by_target("outcome"),
        scale=by_target("scale"),
        benchmark_a=by_target("benchmark_a") if benchmarks else None,
        benchmark_b=by_target("benchmark_b") if benchmarks else None,
        exposure_usd=read("exposure_usd"),
        state={name: by_target(f"state/{name}") for name in header["state"]},
        failures=tuple(
            CellFailure(
                ModelId(cell["model"]),
                TargetId(cell["target"]),
                int(cell["time_ms"]),
                int(cell["count"]),
                Failure(FailureReason(cell["reason"]), cell["message"], cell["remedy"]),
            )
            for cell in header["failures"]
        ),
    )


def _shuffled(array: FloatArray) -> bytes:
    # Targets one after another: neighbours in time are then neighbours in the file.
    columns = np.ascontiguousarray(array.T, dtype="<f8")
    shape = np.array([columns.ndim, *columns.shape], dtype="<i8").tobytes()
    return shape + columns.reshape(-1).view(np.uint8).reshape(-1, 8).T.tobytes()


def _unshuffled(data: bytes) -> FloatArray:
    dimensions = int(np.frombuffer(data, "<i8", 1)[0])
    shape = np.frombuffer(data, "<i8", dimensions, offset=8)
    body = np.frombuffer(data, np.uint8, offset=8 * (1 + dimensions))
    values = body.reshape(8, -1).T.copy().reshape(-1).view("<f8").reshape(tuple(shape))
    return np.ascontiguousarray(values.T, dtype=np.float64)
