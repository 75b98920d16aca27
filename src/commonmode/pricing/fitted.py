"""What the fitted surfaces share: parameters by expiry, errors by slice, failures kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, frozen
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Failure, FailureReason
from commonmode.pricing.slices import ChainSlices, QuoteSource, Weighting
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.model import Requirements

__all__ = ["SliceSurface", "SliceTable", "slice_table", "surface_card", "surface_requirements"]


@dataclass(frozen=True, slots=True, eq=False)
class SliceTable:
    """Parameters of the fitted slices.

    Attributes
    ----------
    expiry_ms : int64, shape (E,), ascending
    years, forward : float64, shape (E,)
        At calibration.
    parameters : mapping of name to float64, shape (E,)
    rmse : float64, shape (E,)
        Weighted root mean square error in volatility (decimal).
    count : int64, shape (E,)
        Quotes fitted.
    failures : mapping of expiry_ms to Failure
        Expiries without a fit, and why.
    """

    expiry_ms: IntArray
    years: FloatArray
    forward: FloatArray
    parameters: Mapping[str, FloatArray]
    rmse: FloatArray
    count: IntArray
    failures: Mapping[int, Failure]

    def locate(self, expiry_ms: IntArray) -> tuple[IntArray, BoolArray]:
        """Row of each expiry (0 where there is none) and whether there is one, shape (n,)."""
        wanted = np.asarray(expiry_ms, dtype=np.int64)
        row = np.minimum(np.searchsorted(self.expiry_ms, wanted), len(self.expiry_ms) - 1)
        found = self.expiry_ms[row] == wanted
        return np.where(found, row, 0).astype(np.int64), np.asarray(found)


@dataclass(frozen=True, slots=True, eq=False)
class SliceSurface:
    """Base of the fitted surfaces: what is known about the slices.

    Attributes
    ----------
    slices : SliceTable
    """

    slices: SliceTable

    @property
    def expiry_ms(self) -> IntArray:
        """Fitted expiries, ascending, shape (E,)."""
        return self.slices.expiry_ms

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """Fitted parameters by name, each of shape (E,)."""
        return self.slices.parameters

    @property
    def rmse(self) -> FloatArray:
        """Weighted root mean square error in volatility (decimal) by slice, shape (E,)."""
        return self.slices.rmse

    @property
    def slice_failures(self) -> Mapping[int, Failure]:
        """Expiries of the chain without a fit, and why."""
        return self.slices.failures


def slice_table(
    slices: ChainSlices,
    parameters: Mapping[str, FloatArray],
    fitted_vol: FloatArray,
    *,
    what: str,
) -> SliceTable | Failure:
    """Keep the slices whose fit is a positive volatility at its own quotes.

    Parameters
    ----------
    slices : ChainSlices
    parameters : mapping of name to float64, shape (E,)
    fitted_vol : float64, shape (E, n)
        The fit at the quotes.
    what : str
        Name of the fit, for messages.

    Returns
    -------
    SliceTable, or Failure where no slice is left
    """
    quoted = slices.weight > 0
    good = np.all(~quoted | (np.isfinite(fitted_vol) & (fitted_vol > 0)), axis=1)
    if not good.any():
        return Failure(
            FailureReason.CALIBRATION_FAILED,
            f"{what}: no expiry could be fitted",
            "look at the quoted volatilities, or use the other source of quotes",
        )
    failures = {
        int(expiry): Failure(
            FailureReason.CALIBRATION_FAILED,
            f"{what} at expiry {expiry}: the fit is not a positive volatility at its own quotes",
            "look at the quotes of this expiry; other expiries are not affected",
        )
        for expiry in slices.expiry_ms[~good].tolist()
    }
    return SliceTable(
        expiry_ms=frozen(slices.expiry_ms[good]),
        years=frozen(slices.years[good]),
        forward=frozen(slices.slice_forward[good]),
        parameters=MappingProxyType({k: frozen(v[good]) for k, v in parameters.items()}),
        rmse=frozen(slices.rmse(fitted_vol)[good]),
        count=frozen(slices.count[good]),
        failures=MappingProxyType({**slices.failures, **failures}),
    )


def surface_card(
    model: ModelId,
    *,
    venue: str,
    quotes: QuoteSource,
    owner: str,
    purpose: str,
    assumption: tuple[str, ...],
    technique: tuple[str, ...],
    code: tuple[str, ...],
    calibration: tuple[str, ...],
) -> Card:
    """Card of a surface model; what all of them share is filled in here."""
    data = f"{venue} mark iv" if quotes == "mark" else f"{venue} bid-ask mid"
    layers = {
        Layer.DATA: (data, f"{venue} forwards"),
        Layer.ASSUMPTION: ("black-76 quoting", *assumption),
        Layer.TECHNIQUE: technique,
        Layer.CALIBRATION: ("refit at every snapshot", *calibration),
        Layer.VENDOR: (venue,),
        Layer.CODE: ("commonmode.pricing.slices", *code),
    }
    return Card(
        model=model,
        family=ModelFamily.SURFACE,
        owner=owner,
        purpose=purpose,
        components=tuple(
            ComponentUse(ComponentId(name), layer)
            for layer, names in layers.items()
            for name in names
        ),
    )


def surface_requirements(quotes: QuoteSource, weighting: Weighting) -> Requirements:
    """Columns of the chain that a surface model reads."""
    read = ("mark_iv",) if quotes == "mark" and weighting == "vega" else ("bid_iv", "ask_iv")
    if quotes == "mark" and weighting == "spread":
        read = ("mark_iv", *read)
    columns = ("quote_ms", "expiry_ms", "strike", "sign", "forward", "flags", *read)
    return Requirements(columns=columns, window=0, refit_every=1)
