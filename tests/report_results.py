"""A study's results from a laboratory market: what the report's tests render."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from commonmode.app.study.results import analysis_to_json, card_to_json, plain
from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import Card

__all__ = ["laboratory_results", "study_of"]

_QUESTIONS = {
    "independent": "How many models act as one?",
    "shared": "What do they share?",
    "confidence": "How sure are we?",
    "dollars": "What does it touch in dollars?",
    "first": "What to do first?",
}


def study_of(panels: list[dict[str, Any]], cards: tuple[Card, ...], **rest: Any) -> dict[str, Any]:
    """Whole results around some panels; the five answers are the first panel's own findings."""
    said = {f["index"]: f["sentence"] for f in panels[0]["findings"]}
    answers = {
        "independent": said.get("C2", "Unknown."),
        "shared": said.get("C1", "Unknown."),
        "confidence": said.get("C3", "Unknown."),
        "dollars": "The laboratory has no dollars: every model counts the same.",
        "first": said.get("remedy", "Nothing: no common cause was found."),
    }
    results = {
        "schema": "commonmode/results/1",
        "study": {
            "name": "laboratory",
            "title": "Laboratory market with a planted common cause",
            "seed": 3,
            "source": "laboratory",
            "data_line": "laboratory market, simulated: the truth is known",
            "version": "0.1.0",
            "command": "commonmode run examples/laboratory/study.toml",
            "inputs": {"study.toml": "0" * 64},
        },
        "headline": panels[0]["name"],
        "answers": [{"id": k, "question": q, "answer": answers[k]} for k, q in _QUESTIONS.items()],
        "panels": panels,
        "population": None,
        "greeks": None,
        "margin": None,
        "cards": [card_to_json(card) for card in cards],
        "failures": [],
        "reproduce": "commonmode run examples/laboratory/study.toml --seed 3",
    }
    whole: dict[str, Any] = plain(results | rest)
    return whole


@lru_cache(maxsize=1)
def laboratory_results() -> dict[str, Any]:
    """Results of one laboratory panel with a planted cause; copy before changing."""
    world = simulate_world(WorldConfig(planted_share=0.6, times=2000), seed=3)
    panel = panel_of_world(world)
    analysis = analyse_panel(panel, world.cards, IndexOptions(flips=499, draws=199))
    entry = analysis_to_json(
        analysis,
        family="risk",
        title="Laboratory forecasts, one hour",
        cards=world.cards,
        notes=("simulated: no data were cleaned",),
    )
    return study_of([entry], world.cards)
