"""Content hashes: every result names exactly what it was computed from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["hash_arrays", "hash_json"]


def hash_json(value: Any) -> str:
    """SHA-256 of the canonical JSON text of ``value`` (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_arrays(**arrays: NDArray[Any]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of the arrays (order of names irrelevant)."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
