"""Interventions: change one component, calibrate and ask again, see which models move.

A card says what a model rests on; an intervention finds out. At each of several times a model is
calibrated and asked on the data as they were, and again with one component changed: a feed gone, a
source off by some basis points or late, a window cut, an engine swapped. Data are handed over
whole, not cut to what a model declares: reading what it should not is what one wants to catch.

Two placebos come with every time. *Rerun* repeats the model on the same data beside a column of
noise that nobody knows: whatever moves then is the model's own randomness. *Jitter* changes every
number by the 12th digit: whatever moves then is the optimiser's. An intervention has reached a
model if it moves it by more than these do (:mod:`commonmode.converge.interventions`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import CommonmodeError, ConfigurationError, DataError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.random import stream
from commonmode.core.result import Failure, FailureReason, Result, Success, capture
from commonmode.register.cards import Layer
from commonmode.register.model import Model

__all__ = [
    "Intervention",
    "InterventionFailure",
    "InterventionResponses",
    "Probe",
    "run_interventions",
]

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


# No slots: calling the class with its parameter, Intervention[History](...), sets an attribute.
@dataclass(frozen=True, eq=False, kw_only=True)
class Intervention(Generic[D]):
    """One component, changed in one way.

    Attributes
    ----------
    name : str
        What is done, e.g. "spot close 50 bp off in the last bar".
    layer, component : Layer, ComponentId
        What it stands for on the cards.
    size : float
    unit : str
        How much is changed, e.g. 50 "bp".
    perturb : callable of (data, Generator) to data, optional
        The change of the data.
    swap : callable of model to model, optional
        The change of the model itself; it returns a model without the component as it is.
        Exactly one of the two is given.
    on_cards : bool
        False for a probe that stands for nothing a card could name (e.g. of a memory's length); it
        enters similarity, but is not held against the cards.
    must_move : bool
        False where a model may rest on the part and yet keep still, as a well-posed fit does under
        another optimiser: keeping still is then not held against its card.
    """

    name: str
    layer: Layer
    component: ComponentId
    size: float
    unit: str
    perturb: Callable[[D, np.random.Generator], D] | None = None
    swap: Callable[[Any], Any] | None = None
    on_cards: bool = True
    must_move: bool = True

    def __post_init__(self) -> None:
        """Check that one thing is changed."""
        if (self.perturb is None) == (self.swap is None):
            raise ConfigurationError(
                f"intervention {self.name!r} changes both the data and the model, or neither",
                remedy="give perturb (data) or swap (model)",
            )


class Probe(Protocol[D_contra]):
    """How a family of models is asked, and how a move is measured."""

    @property
    def unit(self) -> str:
        """Market unit of a move."""
        ...

    def ask(self, model: Any, data: D_contra, asked: D_contra) -> Result[FloatArray]:
        """Calibrate on ``data`` and answer; ``asked`` are the data as they were.

        What is asked (which quotes, which origin) is read from ``asked``, so that a change of the
        data does not change the question.
        """
        ...

    def move(self, before: FloatArray, after: FloatArray) -> tuple[float, float]:
        """Size of the move (>= 0, root mean square) and its signed mean; NaN if unanswered."""
        ...

    def junk(self, data: D_contra, rng: np.random.Generator) -> Any:
        """The same data beside noise that no model can know of."""
        ...

    def jitter(self, data: D_contra, rng: np.random.Generator) -> Any:
        """The data with every number changed in the 12th digit."""
        ...


@dataclass(frozen=True, slots=True)
class InterventionFailure:
    """A model that did not answer.

    Attributes
    ----------
    model : ModelId
    intervention : str
        "" when it was asked on the data as they were.
    time : int
        Which of the data.
    failure : Failure
    """

    model: ModelId
    intervention: str
    time: int
    failure: Failure


@dataclass(frozen=True, slots=True, eq=False)
class InterventionResponses:
    """How far N models moved under C interventions at R times.

    Attributes
    ----------
    models : tuple of ModelId, length N
    interventions : tuple of Intervention, length C
    unit : str
        Of every move.
    size : float64, shape (R, N, C)
        NaN where the model failed, with or without the intervention, or could not be rebuilt.
    signed : float64, shape (R, N, C)
        Mean signed move.
    broke : bool, shape (R, N, C)
        It answers on the data as they were, but not under the intervention.
    rerun, jitter : float64, shape (R, N)
        Moves under the two placebos.
    failures : tuple of InterventionFailure
    """

    models: tuple[ModelId, ...]
    interventions: tuple[Intervention[Any], ...]
    unit: str
    size: FloatArray
    signed: FloatArray
    broke: np.typing.NDArray[np.bool_]
    rerun: FloatArray
    jitter: FloatArray
    failures: tuple[InterventionFailure, ...] = field(default=())


# What a model may raise in spite of its contract is its own failure: plug-ins may raise anything.
_ANY: Final = (Exception,)


def run_interventions(
    models: Sequence[Model],
    data: Sequence[D],
    interventions: Sequence[Intervention[D]],
    *,
    probe: Probe[D],
    seed: int = 0,
) -> InterventionResponses:
    """Ask every model on every data set, as it is and under every intervention.

    Parameters
    ----------
    models : sequence of Model
        Of one family.
    data : sequence
        What was known at each of R times (at least 8, far enough apart to be separate evidence):
        histories that end there, or option chains.
    interventions : sequence of Intervention
    probe : Probe
        Of the models' family (:mod:`commonmode.panel.intervention_probes`).
    seed : int
        Each (intervention, time) has a stream of its own; all models get the same perturbed data.

    Raises
    ------
    DataError
        No model, no data, or two interventions of one name.
    """
    names = [one.name for one in interventions]
    if not models or not data or len(set(names)) != len(names):
        raise DataError(
            "interventions need models, data and a name each",
            remedy="give at least one model and one data set; no two interventions of one name",
        )
    r, n, c = len(data), len(models), len(interventions)
    size, signed = np.full((r, n, c), np.nan), np.full((r, n, c), np.nan)
    broke = np.zeros((r, n, c), dtype=np.bool_)
    rerun, jitter = np.full((r, n), np.nan), np.full((r, n), np.nan)
    failures: list[InterventionFailure] = []
    for t, known in enumerate(data):
        other = [
            capture(
                lambda known=known, one=one, t=t: one.perturb(  # type: ignore[misc]
                    known, stream(seed, "intervention", one.name, t)
                ),
                what=one.name,
                errors=(CommonmodeError,),
            )
            if one.perturb is not None
            else Success(known)
            for one in interventions
        ]
        placebos = (
            probe.junk(known, stream(seed, "placebo", "junk", t)),
            probe.jitter(known, stream(seed, "placebo", "jitter", t)),
        )
        for i, model in enumerate(models):
            base = _ask(probe, model, known, known)
            if isinstance(base, Failure):
                failures.append(InterventionFailure(model.id, "", t, base))
                continue
            for row, changed in zip((rerun, jitter), placebos, strict=True):
                again = _ask(probe, model, changed, known)
                if isinstance(again, Success):
                    row[t, i] = probe.move(base.value, again.value)[0]
            for k, (one, changed) in enumerate(zip(interventions, other, strict=True)):
                asked = _under(one, model, changed, known, probe)
                if isinstance(asked, Failure):
                    failures.append(InterventionFailure(model.id, one.name, t, asked))
                    # Where the change itself could not be made, nothing was learned.
                    broke[t, i, k] = asked.reason is not FailureReason.NOT_APPLICABLE
                    continue
                size[t, i, k], signed[t, i, k] = probe.move(base.value, asked.value)
    return InterventionResponses(
        models=tuple(model.id for model in models),
        interventions=tuple(interventions),
        unit=probe.unit,
        size=size,
        signed=signed,
        broke=broke,
        rerun=rerun,
        jitter=jitter,
        failures=tuple(failures),
    )


def _under(
    one: Intervention[D], model: Model, changed: Result[D], known: D, probe: Probe[D]
) -> Result[FloatArray]:
    if isinstance(changed, Failure):
        return Failure(FailureReason.NOT_APPLICABLE, changed.message, changed.remedy)
    if one.swap is None:
        return _ask(probe, model, changed.value, known)
    swap = one.swap
    rebuilt = capture(lambda: swap(model), what=f"{one.name} in {model.id}", errors=_ANY)
    if isinstance(rebuilt, Failure):
        return Failure(FailureReason.NOT_APPLICABLE, rebuilt.message, rebuilt.remedy)
    return _ask(probe, rebuilt.value, changed.value, known)


def _ask(probe: Probe[D], model: Model, data: D, asked: D) -> Result[FloatArray]:
    done = capture(lambda: probe.ask(model, data, asked), what=f"asking {model.id}", errors=_ANY)
    answer = done if isinstance(done, Failure) else done.value
    if isinstance(answer, Success) and not np.isfinite(answer.value).any():
        return Failure(FailureReason.CALCULATION_FAILED, f"{model.id} gives no number", "")
    return answer
