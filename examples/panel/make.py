"""Make panel.csv and cards.toml: five risk models, three of which share a vendor's feed.

Run it from anywhere: ``python examples/panel/make.py [FOLDER]`` writes into FOLDER, by default the
folder of this file. The forecasts are simulated, so what is shared is known.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from commonmode import (
    Card,
    ComponentUse,
    Layer,
    ModelFamily,
    WorldConfig,
    panel_of_world,
    simulate_world,
    write_cards,
    write_panel,
)
from commonmode.core.ids import ComponentId, ModelId, TargetId

SEED = 2
WORLD = WorldConfig(
    models=5,
    times=500,
    planted_models=3,
    planted_share=0.6,
    deviation_autocorrelation=0.5,
    decoys=0,
)
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
OWNERS = ("market maker", "lending protocol", "options desk", "options vault", "prime broker")
EXPOSURE_USD = (120e6, 80e6, 45e6, 20e6, 10e6)
TECHNIQUES = ("GARCH(1,1)", "historical simulation", "GARCH(1,1)", "EWMA", "EWMA")


def make(folder: Path) -> None:
    """Write both files into ``folder``."""
    world = simulate_world(WORLD, seed=SEED)
    names = {
        old: ModelId(f"var-{letter}") for old, letter in zip(world.models, "abcde", strict=True)
    }
    panel = panel_of_world(world, name="panel")
    panel = replace(
        panel,
        times_ms=START_MS + panel.times_ms,
        targets=(TargetId("BTC"),),
        models=tuple(names[model] for model in panel.models),
        # A file to look at: seven decimals, a thousandth of a basis point.
        **{
            column: np.round(getattr(panel, column), 7)
            for column in ("forecast", "outcome", "benchmark_a", "benchmark_b")
        },
    )
    write_panel(panel, folder / "panel.csv")
    fed = {names[model] for model in world.planted_models}
    cards = []
    for model, owner, technique in zip(panel.models, OWNERS, TECHNIQUES, strict=True):
        feed = "vendor X volatility feed" if model in fed else f"{owner}'s own ticks"
        cards.append(
            Card(
                model=model,
                family=ModelFamily.RISK,
                owner=owner,
                purpose="1-hour value at risk",
                components=(
                    ComponentUse(ComponentId(feed), Layer.DATA),
                    ComponentUse(ComponentId(technique), Layer.TECHNIQUE),
                ),
            )
        )
    write_cards(folder / "cards.toml", cards, dict(zip(panel.models, EXPOSURE_USD, strict=True)))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
