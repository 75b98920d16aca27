"""Parameter sets of the standard manager that come with the package, and files of one's own."""

from __future__ import annotations

from typing import Final

from commonmode.margin.parameter_files import (
    Provenance,
    parse_file,
    shipped_file,
    shipped_files,
    table_as,
    tables_as,
)
from commonmode.margin.standard import (
    CollateralTerms,
    DepegTerms,
    StandardMarket,
    StandardParameters,
)

__all__ = ["shipped_standard", "shipped_standard_versions", "standard_from_toml"]

_METHOD: Final = "standard"


def standard_from_toml(
    text: str, *, where: str = "standard parameters"
) -> tuple[Provenance, StandardParameters]:
    """A parameter set from the text of its file.

    Raises
    ------
    ConfigurationError
        A key is missing, unknown or out of bounds, named with the remedy.
    """
    header, content = parse_file(text, where, ("markets", "collateral", "depeg"))
    return header, StandardParameters(
        markets=tables_as(StandardMarket, content.get("markets"), f"{where}: markets"),
        collateral=tables_as(
            CollateralTerms, content.get("collateral", {}), f"{where}: collateral"
        ),
        depeg=table_as(DepegTerms, content.get("depeg"), f"{where}: depeg"),
    )


def shipped_standard_versions() -> tuple[str, ...]:
    """Versions that come with the package."""
    return shipped_files(_METHOD)


def shipped_standard(version: str = "main-network") -> StandardParameters:
    """A parameter set that comes with the package.

    Raises
    ------
    ConfigurationError
        If there is no such version.
    """
    text, name = shipped_file(_METHOD, version)
    return standard_from_toml(text, where=name)[1]
