"""How parameter sets refuse figures out of bounds: everything that is wrong, named at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from commonmode.core.errors import ConfigurationError

__all__ = ["check_bounds", "check_rules"]


def check_rules(what: str, terms: Any, rules: Mapping[str, bool], *, remedy: str) -> None:
    """Every field of a dataclass is finite, and every rule holds.

    Raises
    ------
    ConfigurationError
        With the rules that do not hold, in their words.
    """
    bad = [f.name for f in fields(terms) if not math.isfinite(getattr(terms, f.name))]
    broken = [f"{name} must be finite" for name in bad]
    broken += [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise ConfigurationError(f"{what}: broken bounds: {'; '.join(broken)}", remedy=remedy)


def check_bounds(what: str, terms: Any, checks: Mapping[str, bool], *, remedy: str) -> None:
    """Every field named lies where it may.

    Raises
    ------
    ConfigurationError
        With the names and values of those that do not.
    """
    wrong = [f"{name} {getattr(terms, name)}" for name, fits in checks.items() if not fits]
    if wrong:
        raise ConfigurationError(f"{what}: out of bounds: {', '.join(wrong)}", remedy=remedy)
