"""C1 to C4 on hundreds of models, step by step, beside a plain implementation of the slow steps.

Run ``OMP_NUM_THREADS=1 python benchmarks/convergence_scale.py [MODELS TIMES TARGETS]``; with no
arguments 200 models x 20 000 times x 5 targets, 1 000 resamples of each index. The peers (rows
resampled with numpy, one statsmodels logit per model and span) are timed on a part and scaled up,
as printed. Cost grows with times x models^2 (C2, C3: Gram matrices per block), with blocks x pairs
per resample, with components x models^4 (C4: pairs x nuisance^2), with models^2 x components (C1).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import statsmodels.api as sm

from commonmode.converge.attribution import Attribution
from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber, deviations
from commonmode.converge.groups import declared_groups
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import Card
from commonmode.register.graph import common_cause_graph, similarity_interval

DRAWS = 1000


def panel_of(models: int, times: int, targets: int) -> tuple[ErrorPanel, tuple[Card, ...]]:
    """Worlds of several seeds as the targets of one panel."""
    config = WorldConfig(models=models, times=times, planted_share=0.3, planted_models=5)
    worlds = [simulate_world(config, seed=seed) for seed in range(targets)]
    panels = [panel_of_world(world) for world in worlds]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(panel, name) for panel in panels], axis=1)

    first = panels[0]
    names = ("forecast", "outcome", "scale", "benchmark_a", "benchmark_b")
    panel = ErrorPanel(
        name="scale",
        kind=first.kind,
        level=first.level,
        horizon_ms=first.horizon_ms,
        times_ms=first.times_ms,
        models=first.models,
        targets=tuple(f"target {k}" for k in range(targets)),
        **{name: joined(name) for name in names},
    )
    return panel, worlds[0].cards


@contextmanager
def lap(what: str) -> Iterator[None]:
    """Print how long a step took and how much memory the process has needed so far."""
    start = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:44s} {time.perf_counter() - start:8.2f} s {peak:6.2f} GiB", flush=True)


def plain_bootstrap(panel: ErrorPanel, draws: int) -> float:
    """Seconds for 1 000 resamples of the pair correlations by resampling rows."""
    x, y, _ = deviations(panel)
    edges = np.linspace(0, len(x), 41).astype(int)
    blocks = [np.arange(low, high) for low, high in pairwise(edges)]
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(draws):
        rows = np.concatenate([blocks[b] for b in rng.integers(0, 40, 40)])
        for k in range(x.shape[1]):
            a, b = x[rows, k], y[rows, k]
            moment = (a - a.mean(0)).T @ (b - b.mean(0)) / len(rows)
            scale = np.sqrt(np.abs(np.diag(moment)))
            _ = 0.5 * (moment + moment.T) / scale / scale[:, None]
    return (time.perf_counter() - start) * DRAWS / draws


def plain_logits(panel: ErrorPanel, models: int) -> float:
    """Seconds for all failure probabilities: one logit per model, target, span and noise level."""
    size = np.log(np.abs(panel.outcome[:, 0]) / np.abs(panel.benchmark_a[:, 0]))
    use = panel.outcome[:, 0] < 0
    design = np.column_stack([np.ones(use.sum()), size[use], np.maximum(size[use], 0) ** 3])
    start = time.perf_counter()
    for model in range(models):
        sm.Logit(panel.failed[use, 0, model].astype(float), design).fit(disp=False)
    fits = len(panel.models) * len(panel.targets) * 5 * 5
    return (time.perf_counter() - start) * fits / models


def main() -> None:
    """Print one line per step."""
    sizes = [int(text) for text in sys.argv[1:4]] or [200, 20_000, 5]
    panel, cards = panel_of(*sizes)
    groups = declared_groups(panel.models, cards)
    print(f"{sizes[0]} models, {sizes[1]} times, {sizes[2]} targets, {DRAWS} resamples")
    whole = time.perf_counter()
    with lap("C1: graph and interval"):
        similarity_interval(common_cause_graph(cards).use, draws=DRAWS)
    with lap("C2"):
        c2 = EffectiveNumber(draws=DRAWS, flips=DRAWS).fit(panel, groups)
    with lap("C3, two threads"):
        c3 = ConditionalCoFailure(draws=DRAWS, flips=DRAWS, threads=2).fit(panel, groups)
    with lap("C4"):
        Attribution(draws=DRAWS, flips=DRAWS, permutations=DRAWS).fit(panel.models, cards, c2, c3)
    print(f"together {time.perf_counter() - whole:.1f} s")
    print(f"plain numpy, C2's resamples alone: {plain_bootstrap(panel, 3):8.1f} s (from 3)")
    print(f"statsmodels, C3's logits alone:    {plain_logits(panel, 5):8.1f} s (from 5)")


if __name__ == "__main__":
    main()
