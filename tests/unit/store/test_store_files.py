"""Files are written whole, hashed, and checked against their manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from commonmode.adapters.store.files import (
    Mismatch,
    atomic_path,
    check_manifest,
    sha256_file,
    write_json,
    write_manifest,
)
from commonmode.core.errors import DataError


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1_000_000)
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="cannot read"):
        sha256_file(tmp_path / "none")


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})

    def half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_json_keeps_every_digit_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"b": 0.1 + 0.2, "a": None})
    assert path.read_text() == '{\n  "a": null,\n  "b": 0.30000000000000004\n}\n'
    for value in (float("nan"), {1, 2}):
        with pytest.raises(DataError, match=r"x\.json"):
            write_json(path, value)


def test_manifest_finds_what_changed(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "deep" / "b.txt"]
    files[1].parent.mkdir()
    for path in files:
        path.write_text(path.name)
    manifest = tmp_path / "manifest.json"
    listing = write_manifest(tmp_path, files, manifest)["files"]
    assert list(listing) == ["a.txt", "deep/b.txt"]
    assert listing["a.txt"]["bytes"] == 5
    assert check_manifest(tmp_path, manifest) == ()
    files[0].write_text("A.txt")
    files[1].unlink()
    assert check_manifest(tmp_path, manifest) == (
        Mismatch("a.txt", "changed"),
        Mismatch("deep/b.txt", "missing"),
    )
    manifest.write_text("{")
    with pytest.raises(DataError, match="cannot read the manifest"):
        check_manifest(tmp_path, manifest)
