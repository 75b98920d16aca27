"""Surface models calibrated on a snapshot, per underlying; what fails is kept as a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from commonmode.core.errors import CommonmodeError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Failure, Success, capture
from commonmode.market.chain import OptionChain
from commonmode.market.snapshot import Snapshot
from commonmode.register.model import FittedSurface, SurfaceModel

__all__ = ["CALCULATION_ERRORS", "FittedSurfaces", "calibrate_surface", "calibrate_surfaces"]

FittedSurfaces: TypeAlias = Mapping[
    CurrencyCode, Mapping[ModelId, Success[FittedSurface] | Failure]
]
"""By underlying, then by model."""

CALCULATION_ERRORS = (CommonmodeError, ArithmeticError, ValueError, np.linalg.LinAlgError)
"""What a model may raise in spite of its contract; it becomes a failed cell."""


def calibrate_surface(model: SurfaceModel, chain: OptionChain) -> Success[FittedSurface] | Failure:
    """Calibrate; a model that raises an error of calculation has failed, not the batch."""
    done = capture(
        lambda: model.calibrate(chain),
        what=f"calibration of {model.id} on {chain.underlying}",
        errors=CALCULATION_ERRORS,
    )
    return done if isinstance(done, Failure) else done.value


def calibrate_surfaces(models: Sequence[SurfaceModel], market: Snapshot) -> FittedSurfaces:
    """Calibrate every model on every chain of the snapshot."""
    return {
        coin: {model.id: calibrate_surface(model, chain) for model in models}
        for coin, chain in market.chains.items()
    }
