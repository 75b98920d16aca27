"""Parameters of Deribit's portfolio margin, as its simulation endpoint shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from commonmode.core.errors import ConfigurationError
from commonmode.margin._bounds import check_rules
from commonmode.margin.parameter_files import (
    Provenance,
    parse_file,
    shipped_file,
    shipped_files,
    table_as,
    tables_as,
)

__all__ = [
    "CurrencyTerms",
    "DeribitParameters",
    "GeneralTerms",
    "PairTerms",
    "deribit_from_toml",
    "merged",
    "shipped_deribit",
    "shipped_deribit_versions",
]

_METHOD: Final = "deribit"
_WHAT: Final = "deribit parameters"
_REMEDY: Final = "start from what private/pme/simulate shows"


@dataclass(frozen=True, slots=True)
class PairTerms:
    """Terms of one underlying against USD (``currency_pair`` of the endpoint).

    Attributes
    ----------
    price_range : float
        Largest move of the standard table.
    vol_up, vol_down : float
        Relative shocks of a 30-day volatility.
    least_vol_up : float
        A volatility shocked up is at least this.
    short_power, long_power : float
        Exponents of ``30 / days`` below 30 days and from there on.
    extended_factor : float
        Factor on the extended table.
    delta_threshold_usd : float
        Net delta from which the delta shock starts.
    delta_slope : float
        Growth of the delta shock's rate per coin of delta above the threshold.
    delta_most : float
        Largest rate.
    """

    price_range: float
    vol_up: float
    vol_down: float
    least_vol_up: float
    short_power: float
    long_power: float
    extended_factor: float
    delta_threshold_usd: float
    delta_slope: float
    delta_most: float

    def __post_init__(self) -> None:
        """Check bounds."""
        check_rules(
            _WHAT,
            self,
            {
                "0 < price_range < 0.66": 0.0 < self.price_range < 0.66,
                "0 <= vol_up <= 5": 0.0 <= self.vol_up <= 5.0,
                "0 <= vol_down <= 1": 0.0 <= self.vol_down <= 1.0,
                "0 <= least_vol_up <= 5": 0.0 <= self.least_vol_up <= 5.0,
                "powers lie in [0, 1]": 0.0 <= self.short_power <= 1.0
                and 0.0 <= self.long_power <= 1.0,
                "0 <= extended_factor <= 1": 0.0 <= self.extended_factor <= 1.0,
                "delta_threshold_usd >= 0": self.delta_threshold_usd >= 0.0,
                "0 <= delta_slope <= 1": 0.0 <= self.delta_slope <= 1.0,
                "0 <= delta_most <= 1": 0.0 <= self.delta_most <= 1.0,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class CurrencyTerms:
    """Terms of one settlement currency (``currency`` of the endpoint).

    Attributes
    ----------
    annualised_move : float
        Rate per year at which the basis of an expiry is taken to move (roll shock).
    least_move : float
        Smallest move of a basis.
    dampener_usd : float
        What the extended table forgives at twice the price range.
    pnl_offset : float
        Fraction of a gain that may offset losses in another currency.
    offset_limit_usd : float
        Largest gain that may.
    haircut : float
        Fraction of a balance in this currency that does not count.
    """

    annualised_move: float
    least_move: float
    dampener_usd: float
    pnl_offset: float
    offset_limit_usd: float
    haircut: float = 0.0

    def __post_init__(self) -> None:
        """Check bounds."""
        check_rules(
            _WHAT,
            self,
            {
                "0 <= annualised_move <= 2": 0.0 <= self.annualised_move <= 2.0,
                "0 <= least_move <= 1": 0.0 <= self.least_move <= 1.0,
                "dampener_usd >= 0": self.dampener_usd >= 0.0,
                "0 <= pnl_offset <= 1": 0.0 <= self.pnl_offset <= 1.0,
                "offset_limit_usd >= 0": self.offset_limit_usd >= 0.0,
                "0 <= haircut <= 1": 0.0 <= self.haircut <= 1.0,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class GeneralTerms:
    """Terms of the whole method.

    Attributes
    ----------
    maintenance : float
        Maintenance margin as a fraction of the risk matrix margin.
    """

    maintenance: float = 0.8

    def __post_init__(self) -> None:
        """Check bounds."""
        rules = {"0 < maintenance <= 1": 0.0 < self.maintenance <= 1.0}
        check_rules(_WHAT, self, rules, remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class DeribitParameters:
    """A parameter set.

    Attributes
    ----------
    pairs : mapping of underlying to PairTerms
    currencies : mapping of settlement currency to CurrencyTerms
        The coins themselves, and ``USD`` for everything that settles in a stablecoin.
    general : GeneralTerms
    """

    pairs: Mapping[str, PairTerms]
    currencies: Mapping[str, CurrencyTerms]
    general: GeneralTerms

    def __post_init__(self) -> None:
        """Every underlying needs a currency of its own and the dollar."""
        missing = sorted({*self.pairs, "USD"} - set(self.currencies))
        if missing or not self.pairs:
            what = f"no currency terms for {', '.join(missing)}" if missing else "no pair"
            raise ConfigurationError(
                f"deribit parameters: {what}",
                remedy="give one table under pairs per underlying and one under currencies for "
                "each of them and for USD",
            )
        object.__setattr__(self, "pairs", MappingProxyType(dict(self.pairs)))
        object.__setattr__(self, "currencies", MappingProxyType(dict(self.currencies)))


def deribit_from_toml(
    text: str, *, where: str = "deribit parameters"
) -> tuple[Provenance, DeribitParameters]:
    """A parameter set from the text of its file.

    Raises
    ------
    ConfigurationError
        A key is missing, unknown or out of bounds, named with the remedy.
    """
    header, content = parse_file(text, where, ("pairs", "currencies", "general"))
    return header, DeribitParameters(
        pairs=tables_as(PairTerms, content.get("pairs"), f"{where}: pairs"),
        currencies=tables_as(CurrencyTerms, content.get("currencies"), f"{where}: currencies"),
        general=table_as(GeneralTerms, content.get("general", {}), f"{where}: general"),
    )


def shipped_deribit_versions() -> tuple[str, ...]:
    """Versions that come with the package, oldest first."""
    return shipped_files(_METHOD)


def merged(*sets: DeribitParameters) -> DeribitParameters:
    """One set with the underlyings of several; a later one goes before an earlier one."""
    pairs = {coin: terms for each in sets for coin, terms in each.pairs.items()}
    money = {coin: terms for each in sets for coin, terms in each.currencies.items()}
    return DeribitParameters(pairs, money, sets[-1].general)


def shipped_deribit(*versions: str) -> DeribitParameters:
    """Parameter sets that come with the package, merged in the order given; all if none is.

    Raises
    ------
    ConfigurationError
        If there is no such version.
    """
    found = []
    for version in versions or shipped_deribit_versions():
        text, name = shipped_file(_METHOD, version)
        found.append(deribit_from_toml(text, where=name)[1])
    return merged(*found)
