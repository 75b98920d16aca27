"""Parameters of our own margin method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from commonmode.margin._bounds import check_bounds
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.procyclicality import ProcyclicalityControl

__all__ = ["DynamicParameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicParameters:
    """What may be chosen; every default is a convention, none is fitted.

    The fitted ones come as a file: :mod:`commonmode.margin.dynamic.settings`.

    Attributes
    ----------
    initial_level, maintenance_level : float
        Levels of the expected shortfall, in (0, 1); maintenance not above initial. 0.99 for
        cleared derivatives is EMIR RTS 153/2013 Art. 24.
    maintenance_hypothetical : float
        Part of the mix's hypothetical share that maintenance has to cover, in [0, 1]. Below 1 an
        account that opens at its limit has room before it is liquidated also where a hypothetical
        move sets its margin; 0.8 is the factor both published methods put on their scenarios.
    maintenance_share : float
        Part of the shortfall, at its own level, that maintenance covers, in (0, 1].
    multiplier : float
        Factor on the shortfall, > 0: what calibration to a target coverage sets. Hypothetical
        moves are not multiplied.
    floor : float
        Share of the shortfall on all history known below which the shortfall does not fall, >= 0.
    buffer : float
        On top of the shortfall, exhausted as it comes near the stressed one, >= 0.
    daily_limit : float
        Largest ratio of today's shortfall to yesterday's for the same portfolio, >= 1; infinity
        for none.
    mix : MarginMix
        Normal, stressed, broken and hypothetical losses put together.
    participation : float
        Share of the hedge market's volume that a liquidation may be, in (0, 1].
    reaction_minutes : float
        From breach to the first trade: detection, auction, block time.
    horizon_exponent : float
        Growth of the shortfall with the time that closing takes, beyond the scenarios' horizon.
    open_interest_share : float
        Share of an option's open interest that is closed at the quoted half-spread.
    disagreement_quantile : float
        Over the surface models: 1 is the most cautious of them. In [0, 1].
    disagreement_weight : float
        Part of that excess which is charged, >= 0.
    confidence_floor : float
        Oracle confidence from which on nothing is charged, in (0, 1].
    confidence_rate : float
        Part of the notional charged at confidence 0, >= 0; in between it is linear.
    """

    initial_level: float = 0.99
    maintenance_level: float = 0.975
    maintenance_hypothetical: float = 0.8
    maintenance_share: float = 1.0
    multiplier: float = 1.0
    floor: float = 0.0
    buffer: float = 0.0
    daily_limit: float = float("inf")
    mix: MarginMix = field(
        default_factory=lambda: MarginMix(correlation_stress=0.25, hypothetical_share=0.25)
    )
    participation: float = 0.1
    reaction_minutes: float = 15.0
    horizon_exponent: float = 0.5
    open_interest_share: float = 0.1
    disagreement_quantile: float = 0.9
    disagreement_weight: float = 1.0
    confidence_floor: float = 0.95
    confidence_rate: float = 0.4

    @property
    def maintenance_mix(self) -> MarginMix:
        """The mix at the maintenance level."""
        share = self.mix.hypothetical_share * self.maintenance_hypothetical
        return replace(self.mix, hypothetical_share=share)

    @property
    def control(self) -> ProcyclicalityControl:
        """Buffer and speed limit, one step a day; the stressed weight is in the mix."""
        return ProcyclicalityControl(buffer=self.buffer, limit=self.daily_limit)

    def __post_init__(self) -> None:
        """Check the bounds; every problem is named at once."""
        bounds = {
            "initial_level": 0 < self.initial_level < 1,
            "maintenance_level": 0 < self.maintenance_level <= self.initial_level,
            "maintenance_hypothetical": 0 <= self.maintenance_hypothetical <= 1,
            "maintenance_share": 0 < self.maintenance_share <= 1,
            "floor": 0 <= self.floor < float("inf"),
            "buffer": 0 <= self.buffer < float("inf"),
            "daily_limit": self.daily_limit >= 1,
            "multiplier": 0 < self.multiplier < float("inf"),
            "participation": 0 < self.participation <= 1,
            "reaction_minutes": 0 <= self.reaction_minutes < float("inf"),
            "horizon_exponent": 0 <= self.horizon_exponent <= 1,
            "open_interest_share": 0 < self.open_interest_share <= 1,
            "disagreement_quantile": 0 <= self.disagreement_quantile <= 1,
            "disagreement_weight": 0 <= self.disagreement_weight < float("inf"),
            "confidence_floor": 0 < self.confidence_floor <= 1,
            "confidence_rate": 0 <= self.confidence_rate < float("inf"),
        }
        remedy = "the bounds are in the description of DynamicParameters"
        check_bounds("dynamic margin", self, bounds, remedy=remedy)
