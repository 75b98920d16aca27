"""What the models fitted to quoted volatilities share: options, requirements, card, selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import surface_card, surface_requirements
from commonmode.pricing.slices import (
    ChainSlices,
    QuoteSource,
    Weighting,
    chain_slices,
    check_quote_options,
)
from commonmode.register.cards import Card
from commonmode.register.model import Requirements

__all__ = ["QuotedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedModel:
    """Base of the models that are fitted by weighted least squares; see its subclasses.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    min_quotes : int
        Strikes that a slice needs; at least ``least_quotes`` of the subclass.
    venue, owner, purpose : str
        For the card.
    """

    least_quotes: ClassVar[int] = 1

    id: ModelId
    quotes: QuoteSource = "mark"
    weighting: Weighting = "vega"
    min_quotes: int = 5
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, self.weighting, self.min_quotes, least=self.least_quotes)

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, self.weighting)

    def _card(
        self,
        *,
        assumption: tuple[str, ...],
        technique: tuple[str, ...],
        calibration: tuple[str, ...],
        code: tuple[str, ...],
    ) -> Card:
        return surface_card(
            self.id,
            venue=self.venue,
            quotes=self.quotes,
            owner=self.owner,
            purpose=self.purpose,
            assumption=assumption,
            technique=technique,
            calibration=(f"{self.weighting}-weighted least squares", *calibration),
            code=code,
        )

    def _slices(self, chain: OptionChain) -> Success[ChainSlices] | Failure:
        """The quotes to fit, by expiry."""
        return chain_slices(
            chain, quotes=self.quotes, weighting=self.weighting, min_quotes=self.min_quotes
        )
