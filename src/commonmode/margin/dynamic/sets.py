"""The scenario sets that our own method puts accounts through, now and on the days before."""

from __future__ import annotations

from dataclasses import dataclass

from commonmode.core.errors import DataError
from commonmode.margin.dynamic.scenarios import JointScenarios

__all__ = ["ScenarioSets"]


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioSets:
    """The worlds an account is put through; all over the same factors and one horizon.

    Attributes
    ----------
    normal, stressed : JointScenarios
    hypothetical : JointScenarios or None
    long : JointScenarios or None
        All history known, unfiltered: what a floor is measured on.
    before : tuple of ScenarioSets
        The sets as they stood on each day before, oldest first: what a speed limit is replayed on.
    """

    normal: JointScenarios
    stressed: JointScenarios
    hypothetical: JointScenarios | None = None
    long: JointScenarios | None = None
    before: tuple[ScenarioSets, ...] = ()

    def __post_init__(self) -> None:
        """Check that the sets fit one another."""
        others = [s for s in (self.stressed, self.hypothetical, self.long) if s is not None]
        others += [each.normal for each in self.before]
        if any(other.factors != self.normal.factors for other in others):
            raise DataError(
                "the sets of scenarios move different factors",
                remedy="build them over the same factors in the same order",
            )
        if self.stressed.horizon_minutes != self.normal.horizon_minutes:
            raise DataError(
                f"normal scenarios over {self.normal.horizon_minutes} minutes, stressed ones over "
                f"{self.stressed.horizon_minutes}",
                remedy="stretch them to one horizon with JointScenarios.over",
            )

    @property
    def all(self) -> tuple[JointScenarios, ...]:
        """The sets that are there, those of the days before included."""
        every = (self.normal, self.stressed, self.hypothetical, self.long)
        earlier = tuple(one for each in self.before for one in each.all)
        return (*(one for one in every if one is not None), *earlier)
