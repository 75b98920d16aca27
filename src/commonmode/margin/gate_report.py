"""What a parameter gate finds: properties, findings with their witness, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

__all__ = [
    "Finding",
    "GateReport",
    "ParameterCheck",
    "ParameterProperties",
    "Property",
    "Severity",
    "Witness",
]


class Property(Enum):
    """What a margin method with its parameters has to satisfy."""

    PARAMETERS = "published parameters are in order"
    PRICED = "every probe is margined"
    NOT_NEGATIVE = "no requirement is negative"
    INITIAL_COVERS = "the initial requirement is no less than the maintenance requirement"
    LONG_OPTION = "a long option never hurts"
    LONG_BOX = "a long box is never credited above its discounted payoff"
    SHORT_BOX = "a short box is never charged below its discounted payoff"
    SIZE = "twice the book needs at least twice the margin"
    HEDGED = "a fully hedged leg needs no more than the leg alone"
    SPLITTING = "splitting an account saves nothing"
    CONFIDENCE = "margin is continuous in oracle confidence"


class Severity(Enum):
    """Whether a property that fails refuses the parameters."""

    REFUSE = "refuse"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Witness:
    """The book that shows a failure.

    Attributes
    ----------
    name : str
    holdings : tuple of (str, float)
        Instruments and posted assets with their quantities.
    """

    name: str
    holdings: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One property, examined.

    Attributes
    ----------
    property : Property
    passed : bool
    severity : Severity
    sentence : str
        What was found; of a failure the reason and the remedy.
    numbers : mapping of str to float
        Of the worst probe, whether or not it failed; USD-stable unless the name says otherwise.
    witness : Witness or None
        The worst probe of a property that failed; None where no book is needed to see it.
    """

    property: Property
    passed: bool
    severity: Severity
    sentence: str
    numbers: Mapping[str, float]
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class ParameterCheck:
    """A property that can be read off the parameters without a probe.

    Attributes
    ----------
    passed : bool
    sentence : str
        Reason and remedy if it failed.
    numbers : mapping of str to float
    """

    passed: bool
    sentence: str
    numbers: Mapping[str, float]


@runtime_checkable
class ParameterProperties(Protocol):
    """A method that publishes properties of its own parameters."""

    def parameter_checks(self) -> tuple[ParameterCheck, ...]:
        """The checks, all of them, passed or not."""
        ...


@dataclass(frozen=True, slots=True)
class GateReport:
    """Verdict on a method with its parameters.

    Attributes
    ----------
    method : str
    findings : tuple of Finding
    probes : int
        Books that were margined.
    """

    method: str
    findings: tuple[Finding, ...]
    probes: int

    @property
    def accepted(self) -> bool:
        """Whether nothing that refuses has failed."""
        return not self.refusals

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Failures that refuse the parameters."""
        return tuple(f for f in self.findings if not f.passed and f.severity is Severity.REFUSE)

    @property
    def notices(self) -> tuple[Finding, ...]:
        """Failures that a reader has to know about but that do not refuse."""
        return tuple(f for f in self.findings if not f.passed and f.severity is Severity.NOTICE)

    @property
    def verdict(self) -> str:
        """``accepted``, or ``refused`` with the reasons."""
        if self.accepted:
            return f"{self.method}: accepted"
        return f"{self.method}: refused. " + " ".join(f.sentence for f in self.refusals)
