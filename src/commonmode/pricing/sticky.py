"""What the two smoothed models share: options, card, selection, table; the axis is their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceTable, slice_table, surface_card, surface_requirements
from commonmode.pricing.slices import (
    ChainSlices,
    QuoteSource,
    chain_slices,
    check_quote_options,
)
from commonmode.pricing.smoothing import SmoothCurves, curve_parameters, smooth_curves
from commonmode.register.cards import Card
from commonmode.register.model import Requirements

__all__ = ["SmoothedSmile"]

Axis = Callable[[ChainSlices], tuple[FloatArray, Callable[[float], FloatArray]]]
"""From the selected quotes to their nodes and to the nodes of standardised moneyness z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedSmile:
    """Base of the models that smooth each expiry; see its two subclasses.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    bandwidth : float
        Kernel width in units of the distance to the nearer quoted strike, > 0.
    min_quotes : int
        Strikes that a slice needs; at least three.
    venue, owner, purpose : str
        For the card.
    """

    id: ModelId
    quotes: QuoteSource = "mark"
    bandwidth: float = 1.0
    min_quotes: int = 5
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, "vega", self.min_quotes, least=3)
        if not self.bandwidth > 0:
            raise ConfigurationError(
                f"bandwidth={self.bandwidth} of {self.id} is not positive",
                remedy="1 smooths over about five strikes; smaller follows the quotes closer",
            )

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, "vega")

    def _card(self, assumption: str) -> Card:
        return surface_card(
            self.id,
            venue=self.venue,
            quotes=self.quotes,
            owner=self.owner,
            purpose=self.purpose,
            assumption=(assumption,),
            technique=("local-linear smoothing",),
            calibration=(f"kernel bandwidth {self.bandwidth:g}", "each expiry on its own"),
            code=("commonmode.pricing.smoothing",),
        )

    def _smooth(
        self, chain: OptionChain, axis: Axis, what: str
    ) -> Success[tuple[SliceTable, SmoothCurves]] | Failure:
        """Smooth every expiry along ``axis``; one that fails stays in the table as a failure."""
        selected = chain_slices(chain, quotes=self.quotes, min_quotes=self.min_quotes)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        nodes, at = axis(s)
        curves = smooth_curves(nodes, s.vol, s.count, bandwidth=self.bandwidth)
        parameters = curve_parameters(curves, s.at_money_vol, at)
        table = slice_table(s, parameters, curves.value, what=f"{what} of {chain.underlying}")
        if isinstance(table, Failure):
            return table
        return Success((table, curves.rows(s.expiry_ms, table.expiry_ms)))
