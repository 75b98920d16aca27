"""Stores: error panels, model cards, hashed files."""

from __future__ import annotations

from commonmode.adapters.store.cards import (
    CardFile,
    cards_from_toml,
    cards_to_toml,
    read_cards,
    write_cards,
)
from commonmode.adapters.store.files import (
    Mismatch,
    check_manifest,
    sha256_file,
    write_json,
    write_manifest,
)
from commonmode.adapters.store.panels import (
    PANEL_COLUMNS,
    PanelFile,
    load_panel,
    read_panel,
    write_panel,
)

__all__ = [
    "PANEL_COLUMNS",
    "CardFile",
    "Mismatch",
    "PanelFile",
    "cards_from_toml",
    "cards_to_toml",
    "check_manifest",
    "load_panel",
    "read_cards",
    "read_panel",
    "sha256_file",
    "write_cards",
    "write_json",
    "write_manifest",
    "write_panel",
]
