"""Evidence: our own results of a study, kept so that it can be recomputed without the recordings.

A folder with one packed file per panel, the surface parameters, the cards, what was found out about
the population, and a manifest of hashes and of the command that makes it. No quotes are kept.
"""

from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from commonmode.adapters.store.cards import read_cards, write_cards
from commonmode.adapters.store.files import (
    atomic_path,
    check_manifest,
    sha256_file,
    write_json,
    write_manifest,
)
from commonmode.adapters.store.packed import SUFFIX, pack_panel, unpack_panel
from commonmode.app.study.panels import BuiltPanel, failed_panel
from commonmode.app.study.results import failure_to_json
from commonmode.app.study.schema import PanelSettings, StudyFile
from commonmode.core.errors import CommonmodeError, DataError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.panel.surface import FittedParameters
from commonmode.register.cards import Card

__all__ = ["Evidence", "has_evidence", "read_evidence", "write_evidence"]

MANIFEST: Final = "manifest.json"
STUDY: Final = "study.json"
CARDS: Final = "cards.toml"
MARGIN: Final = "margin.json.gz"
LOOKS: Final = "looks.json.gz"
_MARKET: Final = ("forward", "years", "count")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What an evidence folder holds.

    Attributes
    ----------
    panels : tuple of BuiltPanel
    cards : tuple of Card
    population, greeks, margin : mapping or None
        As in the results.
    inputs : mapping of name to hash
    data_line : str
        Which data it was made from.
    command : str
        What makes it again.
    study_sha256 : str
        Of the study file that it was made from.
    failures : tuple of dict
        Parts that are damaged, as in the results; panels say so themselves.
    looks : tuple of mapping
        Looks at the study that were taken when it was made, as in the results.
    """

    panels: tuple[BuiltPanel, ...]
    cards: tuple[Card, ...]
    population: Mapping[str, Any] | None
    greeks: Mapping[str, Any] | None
    margin: Mapping[str, Any] | None
    inputs: Mapping[str, str]
    data_line: str
    command: str
    study_sha256: str
    failures: tuple[dict[str, str], ...] = ()
    looks: tuple[Mapping[str, Any], ...] = ()


def has_evidence(folder: Path) -> bool:
    """Whether ``folder`` holds evidence."""
    return (folder / MANIFEST).is_file()


def write_evidence(
    folder: Path,
    *,
    study: StudyFile,
    study_file: Path,
    panels: Sequence[BuiltPanel],
    cards: Sequence[Card],
    population: Mapping[str, Any] | None,
    greeks: Mapping[str, Any] | None,
    margin: Mapping[str, Any] | None,
    inputs: Mapping[str, str],
    data_line: str,
    version: str,
    looks: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the evidence of one run into ``folder``, replacing what an earlier run left there."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in (f"*{SUFFIX}", "parameters-*.parquet", _own_cards("*"), CARDS, MARGIN, LOOKS):
        for old in folder.glob(pattern):
            old.unlink()
    files = [folder / STUDY, *([folder / CARDS] if cards else [])]
    described = []
    for built in panels:
        entry: dict[str, Any] = {
            "name": built.settings.name,
            "notes": list(built.notes),
            "inputs": dict(built.inputs),
        }
        if isinstance(built.panel, Success):
            path = folder / f"{built.settings.name}{SUFFIX}"
            pack_panel(built.panel.value, path)
            files.append(path)
        else:
            entry["failure"] = failure_to_json(built.panel)
        if built.cards:
            path = folder / _own_cards(built.settings.name)
            write_cards(path, built.cards)
            files.append(path)
        if built.parameters is not None:
            path = folder / f"parameters-{built.settings.name}.parquet"
            _write_parameters(built.parameters, path)
            files.append(path)
        described.append(entry)
    if cards:
        write_cards(folder / CARDS, cards)
    if margin is not None:
        _write_packed(margin, folder / MARGIN)
        files.append(folder / MARGIN)
    if looks:
        _write_packed(looks, folder / LOOKS)
        files.append(folder / LOOKS)
    write_json(
        folder / STUDY,
        {
            "study": study.study.name,
            "study_sha256": sha256_file(study_file),
            "version": version,
            "data_line": data_line,
            "command": f"commonmode run {shlex.quote(_shown(study_file))} --write-evidence",
            "inputs": dict(inputs),
            "panels": described,
            "population": population,
            "greeks": greeks,
        },
        compact=True,
    )
    write_manifest(folder, files, folder / MANIFEST)


def read_evidence(folder: Path, study: StudyFile) -> Evidence:
    """Read an evidence folder; a damaged or missing panel is a failure, the others are unharmed.

    Raises
    ------
    DataError
        No evidence there, or its description cannot be read.
    """
    if not has_evidence(folder):
        raise DataError(
            f"there is no evidence in {folder}",
            remedy="run the study with the recordings and --write-evidence",
        )
    changed = {m.path: m.problem for m in check_manifest(folder, folder / MANIFEST)}
    if STUDY in changed or CARDS in changed:
        what = STUDY if STUDY in changed else CARDS
        raise DataError(
            f"evidence {what} is {changed[what]} against its manifest",
            remedy="restore the evidence folder from version control, or make it again",
        )
    described = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    margin, failures = _packed(folder / MARGIN, changed, "margin")
    looks, damaged = _packed(folder / LOOKS, changed, "looks")
    entries = {entry["name"]: entry for entry in described["panels"]}
    return Evidence(
        panels=tuple(
            _panel(folder, settings, entries.get(settings.name), changed)
            for settings in study.panels
        ),
        cards=read_cards(folder / CARDS).cards if (folder / CARDS).is_file() else (),
        population=described["population"],
        greeks=described["greeks"],
        margin=margin,
        inputs=described["inputs"],
        data_line=described["data_line"],
        command=described["command"],
        study_sha256=described["study_sha256"],
        failures=(*failures, *damaged),
        looks=tuple(looks or ()),
    )


def _write_packed(value: Any, path: Path) -> None:
    """Compressed: a number per account, method and surface model, or per model and change."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    with atomic_path(path) as temporary:
        # No time stamp: the same values give the same bytes.
        temporary.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def _packed(
    path: Path, changed: Mapping[str, str], what: str
) -> tuple[Any, tuple[dict[str, str], ...]]:
    """What was kept, None without it; damaged, it is a failure and harms nothing else."""
    if path.name in changed:
        error = DataError(
            f"evidence {path.name} is {changed[path.name]} against its manifest",
            remedy="restore the evidence folder from version control, or make it again",
        )
        why = Failure(FailureReason.INVALID_INPUT, error.message, error.remedy)
        return None, ({"where": what, **failure_to_json(why)},)
    if not path.is_file():
        return None, ()
    return json.loads(gzip.decompress(path.read_bytes())), ()


def _panel(
    folder: Path,
    settings: PanelSettings,
    entry: Mapping[str, Any] | None,
    changed: Mapping[str, str],
) -> BuiltPanel:
    name = f"{settings.name}{SUFFIX}"
    if entry is None:
        return failed_panel(
            settings,
            DataError("not in the evidence", remedy="make the evidence again: the study changed"),
        )
    if "failure" in entry:
        said = entry["failure"]
        reason = FailureReason(said["reason"])
        return BuiltPanel(settings, Failure(reason, said["message"], said["remedy"]))
    own = _own_cards(settings.name)
    for file in (name, own):
        if file in changed:
            return failed_panel(
                settings,
                DataError(
                    f"{file} is {changed[file]} against its manifest",
                    remedy="restore the evidence folder from version control, or make it again",
                ),
            )
    try:
        panel = unpack_panel(folder / name)
        cards = read_cards(folder / own).cards if (folder / own).is_file() else ()
    except CommonmodeError as error:
        return failed_panel(settings, error)
    return BuiltPanel(
        settings,
        Success(panel),
        cards=cards,
        notes=tuple(entry["notes"]),
        inputs=dict(entry["inputs"]),
    )


def _own_cards(panel: str) -> str:
    """File of the cards that only this panel has: two worlds may name their models alike."""
    return f"cards-{panel}.toml"


def _write_parameters(parameters: FittedParameters, path: Path) -> None:
    """Fitted surface parameters as Parquet, one row each, unrounded; no market data among them."""
    table = pl.DataFrame(
        {
            "time_ms": parameters.time_ms,
            "underlying": pl.Series(parameters.underlying.astype(str), dtype=pl.Categorical),
            "model": pl.Series(parameters.model.astype(str), dtype=pl.Categorical),
            "expiry_ms": parameters.expiry_ms,
            "parameter": pl.Series(parameters.name.astype(str), dtype=pl.Categorical),
            "value": parameters.value,
        }
    )
    table = table.filter(~pl.col("parameter").cast(pl.String).is_in(_MARKET))
    # Column by column: values of one parameter of one model stand together and compress.
    table = table.sort("model", "parameter", "underlying", "expiry_ms", "time_ms")
    table.write_parquet(path, compression="zstd", compression_level=19)


def _shown(study_file: Path) -> str:
    """The study's path as a user of a clone would write it: its folder under examples."""
    parts = study_file.resolve().parent.parts
    return "/".join(parts[parts.index("examples") :]) if "examples" in parts else study_file.name
