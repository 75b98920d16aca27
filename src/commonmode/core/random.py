"""Random streams: one per (seed, path), so results are bit-identical under any partition."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["as_generator", "stream"]


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """Generator of the stream named by ``path`` under ``seed``.

    The path is hashed into the spawn key of a ``numpy.random.SeedSequence``; the draws of one path
    do not depend on which other paths were used, nor on their order.

    Parameters
    ----------
    seed : int
        Non-negative seed of the whole study.
    *path : str or int
        What the draws are for, e.g. ``stream(7, "bootstrap", "C3", 12)``.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in path)
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def as_generator(rng: int | np.random.Generator, *path: str | int) -> np.random.Generator:
    """``rng`` itself if it is a Generator, else the stream of ``path`` under that seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    return stream(rng, *path)
