"""The interventional graph: random models, what they read, and what their cards say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from evidence_case import Case, power, size

from commonmode.converge.interventions import (
    CardFault,
    InterventionalGraph,
    interventional_graph,
)
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.random import stream
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.history import History
from commonmode.panel.intervention_probes import RiskProbe
from commonmode.panel.interventions import Intervention, run_interventions
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.model import Requirements
from planted_models import FEEDS, Fitted, market

__all__ = ["CARD_CASES"]

Answers = Mapping[str, bool | None]
_FLIPS = 399
_TIMES = 12


@cache
def _data() -> list[History]:
    return market(_TIMES)


@dataclass(frozen=True, eq=False)
class _Dial:
    """Random model whose quantile is proportional to the last value of the columns it reads."""

    id: ModelId
    reads: tuple[str, ...]
    noise: np.random.Generator
    spread: float = 0.01
    heavy: bool = False
    fails: float = 0.0
    declares: tuple[str, ...] = ("funding",)
    requires: Requirements = field(default=Requirements(("close",), 100))

    @property
    def card(self) -> Card:
        uses = tuple(ComponentUse(ComponentId(f"feed of {n}"), Layer.DATA) for n in self.declares)
        return Card(self.id, ModelFamily.RISK, components=uses)

    def calibrate(self, history: History) -> Any:
        if self.noise.random() < self.fails:
            return Failure(FailureReason.CALCULATION_FAILED, "at random", "ask again")
        draw = self.noise.standard_t(3) / np.sqrt(3) if self.heavy else self.noise.standard_normal()
        scale = 0.01 * float(np.exp(self.spread * draw))
        for name in self.reads:
            scale *= abs(float(history.column(name)[-1]))
        return Success(Fitted(scale))


def _turned(name: str, by: float) -> Intervention[History]:
    """The last value of a column times ``exp(by)``: a log quantile that reads it moves by that."""

    def change(data: History, rng: np.random.Generator) -> History:
        column = data.column(name).copy()
        column[-1] *= np.exp(by)
        return type(data)(**{**_fields(data), "columns": {**data.columns, name: column}})

    return Intervention(
        name=f"{name} times e^{by:g}",
        layer=Layer.DATA,
        component=ComponentId(f"feed of {name}"),
        size=by,
        unit="log",
        perturb=change,
    )


def _fields(data: History) -> dict[str, Any]:
    return {name: getattr(data, name) for name in type(data).__dataclass_fields__}


def _graph(seed: int, by: float, **options: Any) -> InterventionalGraph:
    rng = stream(seed, "dials")
    models = tuple(
        _Dial(ModelId(f"m{i}"), ("funding",) if i == 0 else (), rng, **options) for i in range(3)
    )
    turns = (_turned("funding", by), _turned("tweets", 0.02))
    responses = run_interventions(models, _data(), turns, probe=RiskProbe(), seed=seed)
    return interventional_graph(responses, [m.card for m in models], flips=_FLIPS, rng=seed)


@cache
def _printed_move() -> float:
    return float(np.mean([np.median(_graph(900_000 + s, 0.01).detectable[0]) for s in range(30)]))


def _dials(seed: int, planted: float, *, by: float | None = None, **options: Any) -> Answers:
    graph = _graph(seed, planted if by is None else by, **options)
    return {
        "found": bool(graph.moves[0, 0]),
        "a move that is none": bool(graph.moves[1:].any() or graph.moves[0, 1]),
    }


def _nothing_read(seed: int, planted: float, **options: Any) -> Answers:
    rng = stream(seed, "deaf")
    models = tuple(_Dial(ModelId(f"m{i}"), (), rng, **options) for i in range(3))
    turns = tuple(one for one in FEEDS if "close" not in one.name and "drop" not in one.name)
    responses = run_interventions(models, _data(), turns, probe=RiskProbe(), seed=seed)
    graph = interventional_graph(responses, [], flips=_FLIPS, rng=seed)
    return {"a move that is none": bool(graph.moves.any())}


def _cards(seed: int, planted: float, *, random: bool) -> Answers:
    """One reads a feed in secret, one declares a feed that it does not read, one is honest."""
    rng = stream(seed, "cards")

    def one(name: str, reads: tuple[str, ...], declares: tuple[str, ...]) -> _Dial:
        return _Dial(ModelId(name), reads, rng, spread=0.01 if random else 0.0, declares=declares)

    models = (
        one("secret", ("funding",), ()),
        one("boaster", (), ("tweets",)),
        one("honest", ("tweets",), ("tweets",)),
    )
    turns = (_turned("funding", 0.04), _turned("tweets", 0.04))
    responses = run_interventions(models, _data(), turns, probe=RiskProbe(), seed=seed)
    graph = interventional_graph(responses, [m.card for m in models], flips=_FLIPS, rng=seed)
    told = {(d.model, d.component, d.fault) for d in graph.disagreements}
    secret = ("secret", "feed of funding", CardFault.UNDECLARED)
    boast = ("boaster", "feed of tweets", CardFault.UNUSED)
    return {
        "the undeclared feed is found": secret in told,
        "the unused feed is found": boast in told,
        "another card is faulted": bool(told - {secret, boast}),
    }


def _card_cases() -> tuple[Case, ...]:
    index = "Interventional graph"
    none = (size("a move that is none"),)
    some = (power("found"), *none)
    wrong = (
        power("the undeclared feed is found"),
        power("the unused feed is found"),
        size("another card is faulted"),
    )
    deaf = (
        ("random models read nothing, noise 0.1 %", {"spread": 0.001}),
        ("random models read nothing, noise 5 %", {"spread": 0.05}),
        ("the same, three degrees of freedom", {"spread": 0.05, "heavy": True}),
        ("the same, a tenth of answers missing", {"spread": 0.05, "fails": 0.1}),
    )
    cases = [Case(index, w, none, partial(_nothing_read, **k)) for w, k in deaf]  # type: ignore[arg-type]
    moved = (
        ("one moves by 1.0 of its noise", {"by": 0.01}),
        ("one moves by 2.0 of its noise", {"by": 0.02}),
        ("one moves by 4.0 of its noise", {"by": 0.04}),
        ("by 4.0, three degrees of freedom", {"by": 0.04, "heavy": True}),
        ("by 4.0, a tenth of answers missing", {"by": 0.04, "fails": 0.1}),
    )
    cases += [Case(index, w, some, partial(_dials, **k)) for w, k in moved]  # type: ignore[arg-type]
    promised = (power("found", 0.8), *none)
    cases.append(Case(index, "one moves as printed", promised, _dials, planted=_printed_move))
    cases.append(
        Case(index, "wrong cards, exact models", wrong, partial(_cards, random=False), worlds=20)
    )
    cases.append(Case(index, "wrong cards, random models", wrong, partial(_cards, random=True)))
    return tuple(cases)


CARD_CASES = _card_cases()
