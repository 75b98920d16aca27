"""What of a monitor is fixed before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from commonmode.core.errors import ConfigurationError

__all__ = ["MonitoringSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Everything that is fixed before the monitor starts.

    Attributes
    ----------
    block_rows : int
        Rows of one block; a day of an hourly panel.
    half_life : float
        Blocks, of the weighted indices.
    windows : tuple of int
        Blocks, of the window rules.
    false_alarms_per_year : float
        Of all rules together, below 1: ``1 - exp(-rate)`` bounds the chance of any in a year.
    every : int
        Blocks between two values of the weighted indices.
    refit_blocks, learn_blocks : int
        Blocks between fits of the probability of failure, and blocks that each is learnt from.
    flips, draws, paths : int
        Of the windows' tests and intervals, and of the simulated threshold.
    """

    block_rows: int = 24
    half_life: float = 30.0
    windows: tuple[int, ...] = (7, 14, 28, 56)
    false_alarms_per_year: float = 0.5
    every: int = 7
    refit_blocks: int = 7
    learn_blocks: int = 180
    flips: int = 499
    draws: int = 299
    paths: int = 4000

    def __post_init__(self) -> None:
        """Check ranges."""
        whole = (self.block_rows, self.every, self.refit_blocks, self.learn_blocks, *self.windows)
        if min(whole) < 1 or not self.windows or not self.half_life > 0:
            raise ConfigurationError(
                "blocks, windows, cadences and the half-life are positive",
                remedy="for an hourly panel: block_rows 24, windows of one to eight weeks",
            )
        if not 0.0 < self.false_alarms_per_year < 1.0:
            raise ConfigurationError(
                f"{self.false_alarms_per_year} false alarms per year",
                remedy="state a rate between 0 and 1 a year, for all rules together",
            )
