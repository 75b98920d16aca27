"""From a method's name to the public function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias

from commonmode.app.verify.cases import Case

__all__ = ["Adaptor", "Unsupported", "find_adaptor", "supported_methods"]

#: Reads a case's inputs, calls a public function, names the parts of the answer.
Adaptor: TypeAlias = Callable[[Case], Any]


class Unsupported(Exception):
    """Raised by an adaptor that cannot answer this variant of its method."""


@cache
def supported_methods() -> Mapping[str, Adaptor]:
    """All adaptors by method name; a name ending in ``*`` stands for all names that start so."""
    # here, not above: the adaptors import the whole library
    from commonmode.app.verify import (
        adaptors_convergence,
        adaptors_margin,
        adaptors_pricing,
        adaptors_validation,
    )

    table: dict[str, Adaptor] = {}
    for topic in (adaptors_pricing, adaptors_validation, adaptors_convergence, adaptors_margin):
        table.update(topic.ADAPTORS)
    return MappingProxyType(table)


def find_adaptor(method: str) -> Adaptor | None:
    """The adaptor of a method: its own, else that of the longest pattern it starts with."""
    table = supported_methods()
    if method in table:
        return table[method]
    patterns = [n for n in table if n.endswith("*") and method.startswith(n[:-1])]
    return table[max(patterns, key=len)] if patterns else None
