"""The indices of one panel file, as results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from commonmode import __version__
from commonmode.adapters.store.cards import read_cards
from commonmode.adapters.store.files import sha256_file
from commonmode.adapters.store.packed import SUFFIX, unpack_panel
from commonmode.adapters.store.panels import load_panel
from commonmode.app.study.answers import answer_questions
from commonmode.app.study.further import look_failures, look_to_json
from commonmode.app.study.look_names import STUDY_LOOKS
from commonmode.app.study.results import analysis_to_json, card_to_json, index_failures, plain
from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.converge.further import chosen_looks, further_looks
from commonmode.core.errors import ConfigurationError
from commonmode.market.clock import utc_iso
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card

__all__ = ["LookOptions", "converge_file"]

_DEFAULT = IndexOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOptions:
    """Which further looks, and how (:func:`~commonmode.converge.further.further_looks`).

    Attributes
    ----------
    names : tuple of str
        None by default: they cost time.
    every : int
    tail_level : float
    baseline_until_ms : int or None
    """

    names: tuple[str, ...] = ()
    every: int = 1
    tail_level: float = 0.05
    baseline_until_ms: int | None = None

    def __post_init__(self) -> None:
        """Refuse unknown names, and looks that need a study, before anything is computed."""
        for name in self.names:
            if name in STUDY_LOOKS:
                raise ConfigurationError(
                    f"{name} needs models, data or books, which a file of forecasts does not hold",
                    remedy=f"name the study that they stand in: --study STUDY --look {name}",
                )
        chosen_looks(self.names)

    def words(self) -> Sequence[str]:
        """The options of the command line that ask for these."""
        if not self.names:
            return ()
        usual = LookOptions()
        words = [f"--look {shlex.quote(name)}" for name in self.names]
        if self.every != usual.every:
            words.append(f"--look-every {self.every}")
        if self.tail_level != usual.tail_level:
            words.append(f"--tail-level {self.tail_level}")
        if self.baseline_until_ms is not None:
            words.append(f"--baseline-until {utc_iso(self.baseline_until_ms)}")
        return words


def converge_file(
    path: Path,
    cards_path: Path | None = None,
    *,
    select: Mapping[str, str] | None = None,
    options: IndexOptions | None = None,
    looks: LookOptions | None = None,
) -> dict[str, Any]:
    """Read a panel file and compute its indices.

    Parameters
    ----------
    path : Path
        ``.parquet``, ``.csv`` (long table) or ``.panel`` (packed).
    cards_path : Path, optional
        Cards; an ``exposure_usd`` there is used where the panel states none.
    select : mapping of column to value, optional
        For a file of several panels.
    options : IndexOptions, optional
    looks : LookOptions, optional
        Further looks, at the models that the indices are of.

    Returns
    -------
    dict
        Results as a study's, with one panel.
    """
    use, further = options or IndexOptions(), looks or LookOptions()
    inputs = {path.name: ""}
    notes: tuple[str, ...] = ()
    if path.suffix == SUFFIX:
        panel = unpack_panel(path)
    else:
        file = load_panel(path, select=dict(select) if select else None)
        panel, notes = file.panel, tuple(note.message for note in file.notes)
    inputs[path.name] = sha256_file(path)
    cards: tuple[Card, ...] = ()
    if cards_path is not None:
        card_file = read_cards(cards_path)
        cards = card_file.cards
        inputs[cards_path.name] = sha256_file(cards_path)
        if np.all(panel.exposure_usd == 1.0) and card_file.exposure_usd:
            exposure = [card_file.exposure_usd.get(model, 0.0) for model in panel.models]
            panel = replace(panel, exposure_usd=np.array(exposure))
    known = {card.model for card in cards}
    missing = [model for model in panel.models if model not in known]
    if cards and missing:
        notes += (f"no card for: {', '.join(missing)}",)
    analysis = analyse_panel(panel, cards, use)
    report = analysis_to_json(
        analysis,
        family=_family(panel),
        cards=cards,
        notes=notes,
    )
    looked = further_looks(
        analysis.panel,
        further.names,
        alpha=use.alpha,
        seed=use.seed,
        baseline_until_ms=further.baseline_until_ms,
        every=further.every,
        tail_level=further.tail_level,
    )
    if looked:
        report["further"] = [look_to_json(look) for look in looked]
    command = f"commonmode converge --panel {shlex.quote(str(path))}"
    if cards_path is not None:
        command += f" --cards {shlex.quote(str(cards_path))}"
    command += "".join(f" --select {shlex.quote(f'{k}={v}')}" for k, v in (select or {}).items())
    if use.alpha != _DEFAULT.alpha:
        command += f" --alpha {use.alpha}"
    if use.minimum_block_rows != _DEFAULT.minimum_block_rows:
        command += f" --block-rows {use.minimum_block_rows}"
    if use.seed != _DEFAULT.seed:
        command += f" --seed {use.seed}"
    command += "".join(f" {word}" for word in further.words())
    results: dict[str, Any] = plain(
        {
            "schema": "commonmode/results/1",
            "study": {
                "name": panel.name,
                "title": f"Panel {path.name}",
                "seed": use.seed,
                "source": "file",
                "data_line": f"panel file {path.name}",
                "version": __version__,
                "command": command,
                "inputs": inputs,
            },
            "headline": panel.name,
            "answers": answer_questions([report], panel.name, None, None),
            "panels": [report],
            "population": None,
            "greeks": None,
            "margin": None,
            "cards": [card_to_json(card) for card in cards],
            "failures": [*index_failures(analysis), *look_failures(panel.name, looked)],
            "reproduce": command,
        }
    )
    return results


def _family(panel: ErrorPanel) -> str:
    named = {
        PanelKind.QUANTILE: "risk",
        PanelKind.VOL: "surface",
        PanelKind.SIGNAL: "signal",
    }
    return named.get(panel.kind, "world")
