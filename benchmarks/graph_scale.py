"""C1 on thousands of models, step by step: from cards to the graph, its interval and the report.

Run ``OMP_NUM_THREADS=1 python benchmarks/graph_scale.py [MODELS]``; with no argument 2 000 models
of 120 parts. Similarities grow with models^2 x parts; a draw of the interval, above 500 models,
with models x parts; what is published with uses, not with pairs. Printed are seconds of the clock
and of the processor, and the largest memory so far.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from commonmode.app.report import render_html
from commonmode.app.study.answers import answer_questions
from commonmode.app.study.results import analysis_to_json, card_to_json
from commonmode.converge.analysis import analyse_panel
from commonmode.core.ids import ComponentId, ModelId, TargetId
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.graph import common_cause_graph, similarity_interval

_PARTS = {
    Layer.DATA: 12,
    Layer.ASSUMPTION: 25,
    Layer.TECHNIQUE: 20,
    Layer.CALIBRATION: 40,
    Layer.VENDOR: 8,
    Layer.CODE: 15,
}
_ROWS = 2  # too few for C2 to C4, which benchmarks/convergence_scale.py is about


@contextmanager
def lap(what: str) -> Iterator[None]:
    """Print how long a step took and how much memory the process has needed so far."""
    wall, used = time.perf_counter(), time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{what:34s} {time.perf_counter() - wall:8.2f} s, processor "
        f"{time.process_time() - used:8.2f} s, {peak:5.2f} GiB",
        flush=True,
    )


def crowd(models: int, seed: int = 0) -> tuple[Card, ...]:
    """Cards of models that use one to three parts of every layer, a few parts by far the most."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(models):
        uses = []
        for layer, count in _PARTS.items():
            chance = 1.0 / np.arange(1, count + 1)
            picked = rng.choice(
                count, size=rng.integers(1, 4), replace=False, p=chance / chance.sum()
            )
            uses += [
                ComponentUse(
                    ComponentId(f"{layer.value} part {c}"), layer, float(rng.uniform(0.2, 1.0))
                )
                for c in picked
            ]
        found.append(Card(ModelId(f"model {i:04d}"), ModelFamily.RISK, components=tuple(uses)))
    return tuple(found)


def panel_of(cards: tuple[Card, ...], rows: int = _ROWS) -> ErrorPanel:
    """A panel so short that only its cards say anything."""
    rng = np.random.default_rng(1)
    names = tuple(card.model for card in cards)
    return ErrorPanel(
        name="crowd",
        kind=PanelKind.QUANTILE,
        level=0.025,
        horizon_ms=3_600_000,
        times_ms=np.arange(rows, dtype=np.int64) * 3_600_000,
        models=names,
        targets=(TargetId("BTC"),),
        forecast=-np.exp(0.1 * rng.standard_normal((rows, 1, len(names)))),
        outcome=0.5 * rng.standard_normal((rows, 1)),
        scale=np.ones((rows, 1)),
    )


def results_of(cards: tuple[Card, ...]) -> dict[str, object]:
    """Results as ``commonmode converge`` makes them."""
    analysis = analyse_panel(panel_of(cards), cards)
    panel = analysis_to_json(analysis, family="risk", cards=cards)
    return {
        "schema": "commonmode/results/1",
        "study": {
            "name": "crowd",
            "title": f"{len(cards)} models",
            "seed": 0,
            "source": "file",
            "data_line": "simulated cards",
            "version": "0",
            "command": "benchmarks/graph_scale.py",
            "inputs": {},
        },
        "headline": "crowd",
        "answers": answer_questions([panel], "crowd", None, None),
        "panels": [panel],
        "population": None,
        "greeks": None,
        "margin": None,
        "cards": [card_to_json(card) for card in cards],
        "failures": [],
        "reproduce": "benchmarks/graph_scale.py",
    }


def main() -> None:
    """Print one line per step."""
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    cards = crowd(models)
    print(f"{models} models, {sum(len(card.components) for card in cards):,} uses of parts")
    with lap("graph"):
        graph = common_cause_graph(cards)
    with lap("its interval, 1 000 draws"):
        low, high = similarity_interval(graph.use)
    print(f"mean similarity between {low:.4f} and {high:.4f}")
    with lap("panel, results (both again)"):
        results = results_of(cards)
    text = json.dumps(results)
    with lap("report"):
        page = render_html(results)
    print(f"results.json {len(text) / 1e6:.1f} MB, report.html {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
