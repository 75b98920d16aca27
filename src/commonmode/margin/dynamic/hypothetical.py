"""Hypothetical scenarios: a table of named moves, for what no history holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.dynamic.scenarios import JointScenarios, ScenarioKind

__all__ = ["NamedMove", "hypothetical_scenarios"]


@dataclass(frozen=True, slots=True)
class NamedMove:
    """One hypothetical state of the world.

    Attributes
    ----------
    label : str
        What it is, for the report.
    returns : mapping of factor to float
        Simple returns: -0.35 for a fall by 35 percent. Above -1.
    vol_moves : mapping of factor to float
        Relative moves of implied volatility: 0.5 for 40 to 60. Above -1.
    weight : float
        Relative weight; it matters only where the scenarios enter a mixture.
    """

    label: str
    returns: Mapping[str, float]
    vol_moves: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    weight: float = 1.0


def hypothetical_scenarios(
    moves: Sequence[NamedMove], factors: Sequence[str], *, horizon_minutes: float = 0.0
) -> JointScenarios:
    """The named moves over the given factors; a factor that a move does not name stands still.

    Parameters
    ----------
    moves : sequence of NamedMove
    factors : sequence of str
    horizon_minutes : float
        0 where the moves are instantaneous.

    Raises
    ------
    ConfigurationError
        If a move names an unknown factor (a typing error would silently shock nothing), a return or
        volatility move is not above -1, or labels repeat.
    DataError
        If there is no move.
    """
    if not moves:
        raise DataError("no hypothetical moves", remedy="name at least one")
    labels = [move.label for move in moves]
    if len(set(labels)) != len(labels):
        raise ConfigurationError("hypothetical moves share a label", remedy="name each once")
    column = {name: u for u, name in enumerate(factors)}
    simple = np.zeros((len(moves), len(column)))
    vols = np.zeros_like(simple)
    for row, move in enumerate(moves):
        for table, target in ((move.returns, simple), (move.vol_moves, vols)):
            for name, value in table.items():
                if name not in column:
                    raise ConfigurationError(
                        f"hypothetical move {move.label!r} shocks {name!r}, which is not among "
                        f"{', '.join(factors)}",
                        remedy="correct the name or add the factor",
                    )
                if not value > -1.0 or not np.isfinite(value):
                    raise ConfigurationError(
                        f"hypothetical move {move.label!r} of {name!r} by {value}",
                        remedy="moves are decimals above -1; state a total loss as, say, -0.999",
                    )
                target[row, column[name]] = value
    return JointScenarios.of(
        factors,
        np.log1p(simple),
        kind=ScenarioKind.HYPOTHETICAL,
        labels=labels,
        horizon_minutes=horizon_minutes,
        vol_moves=vols,
        weights=[move.weight for move in moves],
    )
