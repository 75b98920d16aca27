"""The population: who runs which model, on which book, with how much capital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import BookId, ModelId, ParticipantId

__all__ = ["Dependence", "Outsider", "Participant", "ParticipantKind", "Population"]


class ParticipantKind(Enum):
    """What sort of participant it is; it decides the style of the book it holds."""

    DESK = "desk"
    VAULT = "vault"
    EXCHANGE = "exchange"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant.

    Attributes
    ----------
    id : ParticipantId
    kind : ParticipantKind
    book : BookId
    surface_model : ModelId
        Prices and hedges the book.
    risk_model : ModelId
        Margins the book.
    capital_usd : float
        > 0.
    gross_usd : float
        Gross exposure of the book, >= 0: sum of ``|contracts| x coins per contract x index``.
    jurisdiction : str
        Where it is regulated; "" when undeclared.
    """

    id: ParticipantId
    kind: ParticipantKind
    book: BookId
    surface_model: ModelId
    risk_model: ModelId
    capital_usd: float
    gross_usd: float = 0.0
    jurisdiction: str = ""

    def __post_init__(self) -> None:
        """Check the amounts."""
        if not (np.isfinite(self.capital_usd) and self.capital_usd > 0):
            raise ConfigurationError(
                f"participant {self.id}: capital {self.capital_usd} USD is not positive",
                remedy="give every participant the USD it can lose",
            )
        if not (np.isfinite(self.gross_usd) and self.gross_usd >= 0):
            raise ConfigurationError(
                f"participant {self.id}: gross exposure {self.gross_usd} USD is negative or not "
                "finite",
                remedy="gross exposure is a sum of absolute amounts",
            )

    @property
    def models(self) -> tuple[ModelId, ...]:
        """The models it depends on, each once."""
        return tuple(dict.fromkeys((self.surface_model, self.risk_model)))


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody outside the population whose model was observed, not declared.

    It holds no book of the population, so no exposure rests on it here.

    Attributes
    ----------
    id : ParticipantId
    kind : ParticipantKind
    model : ModelId
    purpose : str
        What it uses the model for.
    observed : str
        Where the model was observed.
    """

    id: ParticipantId
    kind: ParticipantKind
    model: ModelId
    purpose: str
    observed: str


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """Who depends on what.

    Attributes
    ----------
    participants : tuple of ParticipantId, length P
    models : tuple of ModelId, length N
    prices, margins : bool, shape (P, N)
        The model prices, respectively margins, the participant's book.
    """

    participants: tuple[ParticipantId, ...]
    models: tuple[ModelId, ...]
    prices: BoolArray
    margins: BoolArray


@dataclass(frozen=True, slots=True)
class Population:
    """All participants.

    Attributes
    ----------
    participants : tuple of Participant
        Ids and books are unique.
    ownership : str
        One plain sentence: where it is known from who holds what.
    outsiders : tuple of Outsider
        Whose models stand beside those of the participants.
    """

    participants: tuple[Participant, ...]
    ownership: str = ""
    outsiders: tuple[Outsider, ...] = ()

    def __post_init__(self) -> None:
        """Check that ids and books are unique."""
        for what, names in (
            ("participant", [str(p.id) for p in self.participants]),
            ("book", [str(p.book) for p in self.participants]),
        ):
            if len(names) != len(set(names)):
                raise ConfigurationError(
                    f"the population names a {what} more than once",
                    remedy=f"give every {what} a name of its own",
                )

    def __len__(self) -> int:
        return len(self.participants)

    @property
    def models(self) -> tuple[ModelId, ...]:
        """Every model somebody depends on, in order of first use."""
        return tuple(dict.fromkeys(m for p in self.participants for m in p.models))

    @property
    def gross_usd(self) -> float:
        """Gross exposure of all books together, USD."""
        return float(sum(p.gross_usd for p in self.participants))

    def participant(self, name: str) -> Participant:
        """The participant of that id.

        Raises
        ------
        ConfigurationError
            If there is none.
        """
        for participant in self.participants:
            if participant.id == name:
                return participant
        raise ConfigurationError(
            f"the population has no participant {name!r}",
            remedy=f"it has: {', '.join(str(p.id) for p in self.participants)}",
        )

    def dependents(self, model: str) -> tuple[Participant, ...]:
        """Participants whose book ``model`` prices or margins."""
        return tuple(p for p in self.participants if model in p.models)

    def exposure_usd(self, models: Sequence[ModelId] | None = None) -> FloatArray:
        """Gross exposure behind each model: the sum over the participants that depend on it.

        A participant that prices with one model and margins with another counts in full for both,
        so the entries add up to more than :attr:`gross_usd`.

        Parameters
        ----------
        models : sequence of ModelId, optional
            All models of the population by default.

        Returns
        -------
        float64, shape (N,)
            USD.
        """
        names = self.models if models is None else tuple(models)
        return np.array([sum(p.gross_usd for p in self.dependents(m)) for m in names], dtype=float)

    def dependence(self, models: Sequence[ModelId] | None = None) -> Dependence:
        """Who depends on what, as two incidence matrices."""
        names = self.models if models is None else tuple(models)

        def incidence(used: Sequence[ModelId]) -> BoolArray:
            return np.array([[u == m for m in names] for u in used], dtype=np.bool_).reshape(
                len(used), len(names)
            )

        return Dependence(
            participants=tuple(p.id for p in self.participants),
            models=names,
            prices=incidence([p.surface_model for p in self.participants]),
            margins=incidence([p.risk_model for p in self.participants]),
        )
