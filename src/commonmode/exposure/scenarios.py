"""Scenarios: what happens to spot, to volatility and to the calendar, and how the smile follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, frozen
from commonmode.core.errors import ConfigurationError, DataError

__all__ = ["ScenarioGrid", "SmileDynamics"]

SmileDynamics = Literal["model", "sticky_strike", "sticky_delta"]
"""How the smile follows spot: as the model says, not at all, or in moneyness K/F."""


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioGrid:
    """S scenarios of one underlying's market; each column is a scalar or has shape (S,).

    Attributes
    ----------
    spot : float64, shape (S,)
        Multiple of today's index, > 0: 0.9 is a fall of 10 %. Forwards move in proportion.
    vol_scale, vol_shift : float64, shape (S,)
        The volatility of the shocked smile becomes ``max(vol * vol_scale + vol_shift, 0)``.
    elapsed_years : float64, shape (S,)
        Time that passes, >= 0; volatilities are held while it does.
    dynamics : {"model", "sticky_strike", "sticky_delta"}
        Where spot moves, the volatility of a strike K is: the fitted surface asked with the moved
        forward (``model``: each model's own dynamics); that of today at K (``sticky_strike``); that
        of today at ``K / spot``, the same moneyness (``sticky_delta``; Derman 1999, "Regimes of
        volatility").

    Raises
    ------
    DataError
        A column of the wrong shape, or a shock that no market can be in.
    ConfigurationError
        Unknown dynamics.
    """

    spot: FloatArray
    vol_scale: FloatArray = field(default_factory=lambda: np.ones(1))
    vol_shift: FloatArray = field(default_factory=lambda: np.zeros(1))
    elapsed_years: FloatArray = field(default_factory=lambda: np.zeros(1))
    dynamics: SmileDynamics = "model"

    def __post_init__(self) -> None:
        """Broadcast and check."""
        if self.dynamics not in get_args(SmileDynamics):
            raise ConfigurationError(
                f"smile dynamics {self.dynamics!r} are not known",
                remedy=f"use one of {', '.join(get_args(SmileDynamics))}",
            )
        given = {name: np.asarray(getattr(self, name), np.float64) for name in _COLUMNS}
        try:
            shape = np.broadcast_shapes((1,), *(column.shape for column in given.values()))
        except ValueError as error:
            raise DataError(_shapes(given), remedy="one entry per scenario, or scalars") from error
        if len(shape) != 1:
            raise DataError(_shapes(given), remedy="ravel it; product() makes a grid of axes")
        for name, column in given.items():
            least = {"vol_shift": -np.inf, "spot": np.nextafter(0.0, 1.0)}.get(name, 0.0)
            wrong = ~(np.isfinite(column) & (column >= least))
            if wrong.any():
                raise DataError(
                    f"scenarios: {name} {column[wrong].flat[0]} cannot be",
                    remedy="spot is a multiple > 0, vol_scale and elapsed_years are >= 0",
                )
            object.__setattr__(self, name, frozen(np.broadcast_to(column, shape).copy()))

    def __len__(self) -> int:
        return len(self.spot)

    @classmethod
    def product(
        cls,
        spot: Sequence[float] | FloatArray,
        vol_shift: Sequence[float] | FloatArray = (0.0,),
        *,
        vol_scale: Sequence[float] | FloatArray = (1.0,),
        elapsed_years: Sequence[float] | FloatArray = (0.0,),
        dynamics: SmileDynamics = "model",
    ) -> ScenarioGrid:
        """Every combination of the axes, the last of (spot, scale, shift, elapsed) fastest.

        ``values.reshape(len(spot), len(vol_scale), len(vol_shift), len(elapsed_years))`` makes a
        grid again of what has one entry per scenario.
        """
        axes = (np.ravel(axis) for axis in (spot, vol_scale, vol_shift, elapsed_years))
        columns = (mesh.ravel() for mesh in np.meshgrid(*axes, indexing="ij"))
        return cls(**dict(zip(_COLUMNS, columns, strict=True)), dynamics=dynamics)

    def select(self, rows: Any) -> ScenarioGrid:
        """The scenarios ``rows`` (mask or indices), in that order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def and_today(self) -> ScenarioGrid:
        """The same with one more scenario at the end, in which nothing happens."""
        added = zip(_COLUMNS, (1.0, 1.0, 0.0, 0.0), strict=True)
        columns = {name: np.append(getattr(self, name), none) for name, none in added}
        return ScenarioGrid(**columns, dynamics=self.dynamics)

    def distinct_spots(self) -> tuple[FloatArray, IntArray]:
        """The different multiples of spot, and for each scenario which of them it has."""
        spots, which = np.unique(self.spot, return_inverse=True)
        return spots, which.astype(np.int64)


_COLUMNS = ("spot", "vol_scale", "vol_shift", "elapsed_years")


def _shapes(columns: dict[str, FloatArray]) -> str:
    return "scenarios: " + ", ".join(f"{name} {column.shape}" for name, column in columns.items())
