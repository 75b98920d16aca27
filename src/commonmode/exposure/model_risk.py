"""Model risk of a book in money (C6): what its value and its losses owe to the choice of model.

=============  =====================================================================================
range          Cont's coherent measure: largest less smallest value over models that are equally
               well calibrated, i.e. reproduce at least a stated share of quotes inside bid and ask
penalised      Cont's convex measure: every model counts, less its calibration error on as many
               contracts as the book holds
parameters     spread of the value from the calibration's own covariance (delta method)
worst nearby   worst expected loss over reweightings of the scenarios within a Kullback-Leibler ball
reserve        value at which the book is carried less the plausible value that is exceeded with
               90 % confidence (the rule of prudent valuation, Regulation (EU) 2016/101, Article 11)
=============  =====================================================================================

References
----------
Cont, R. (2006), Model uncertainty and its impact on the pricing of derivative instruments,
Mathematical Finance 16(3); Glasserman & Xu (2014), Robust risk measurement and model risk,
Quantitative Finance 14(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import BookId, CurrencyCode, ModelId
from commonmode.exposure.greeks import Greek, GreekTable
from commonmode.exposure.quote_fit import QuoteFit
from commonmode.stats.model_uncertainty import penalised_range, prudent_reserve
from commonmode.stats.robust import kl_worst_case_sample, valuation_range

__all__ = ["BookModelRisk", "ModelRiskSettings", "model_risk", "total_reserve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRiskSettings:
    """What is fixed beforehand.

    Attributes
    ----------
    inside : float
        Share of quotes inside bid and ask from which a model counts as equally well calibrated.
    confidence : float
        Of the reserve.
    radii : tuple of float
        Of the Kullback-Leibler balls, nats: how far scenario weights may be from those assumed.
    """

    inside: float = 0.5
    confidence: float = 0.9
    radii: tuple[float, ...] = (0.02, 0.1, 0.5)

    def __post_init__(self) -> None:
        """Check ranges."""
        shares = (0.0 <= self.inside <= 1.0, 0.0 < self.confidence < 1.0)
        if not all(shares) or any(not r > 0 for r in self.radii):
            raise ConfigurationError(
                "shares lie between 0 and 1 and radii are positive",
                remedy="inside=0.5, confidence=0.9, radii=(0.02, 0.1, 0.5)",
            )


@dataclass(frozen=True, slots=True, eq=False)
class BookModelRisk:
    """Model risk of one book, USD.

    Attributes
    ----------
    book : BookId
    models : tuple of ModelId, length M
        That value the whole book.
    values : float64, shape (M,)
    admitted : bool, shape (M,)
        Equally well calibrated on every underlying that the book holds options on.
    inside : float64, shape (M,)
        Smallest share of quotes inside bid and ask over these underlyings; NaN where not quoted.
    carried : float
        Value under the book's own model, or the median of the models where it names none.
    own : ModelId or None
    range : float
        NaN where fewer than two models are admitted.
    penalised : float
        NaN without a fit to quotes.
    parameter_sd : float64, shape (M,)
        NaN where not known.
    expected_loss : float
        Mean over the scenarios with equal weights; NaN without scenarios.
    worst_loss : mapping of radius to float
    reserve : float
        Over the admitted models; over all of them where fewer than two are.
    confidence : float
    """

    book: BookId
    models: tuple[ModelId, ...]
    values: FloatArray
    admitted: BoolArray
    inside: FloatArray
    carried: float
    own: ModelId | None
    range: float
    penalised: float
    parameter_sd: FloatArray
    expected_loss: float
    worst_loss: Mapping[float, float] = field(default_factory=dict)
    reserve: float = 0.0
    confidence: float = 0.9

    @property
    def sentence(self) -> str:
        """Number, range, what it rests on and what to do."""
        count, of = int(self.admitted.sum()), len(self.models)
        basis = f"{count} of {of} models that reproduce the quotes"
        if count < 2:
            basis = f"all {of} models, since only {count} reproduce(s) the quotes"
        spread = f"their values span {self.range:,.0f} USD" if count >= 2 else (
            f"all values span {np.ptp(self.values):,.0f} USD"
        )  # fmt: skip
        noise = self.parameter_sd[np.isfinite(self.parameter_sd)]
        if noise.size:
            spread += f", parameters alone up to {2.0 * noise.max():,.0f} USD (two deviations)"
        text = (
            f"{self.book}: reserve {self.reserve:,.0f} USD for model risk at "
            f"{100 * self.confidence:.0f} % on a value of {self.carried:,.0f} USD, from {basis}; "
            f"{spread}."
        )
        for radius, loss in self.worst_loss.items():
            text += f" Expected scenario loss {self.expected_loss:,.0f} USD, "
            text += f"{loss:,.0f} USD in the worst case within {radius:g} nats."
            break
        if count < 2:
            return text + " Recalibrate or widen the set of models before relying on the range."
        return text + (
            " Hold the reserve, or trade the options on which the models differ."
            if self.reserve > 0
            else " Nothing to hold: the book is carried at the prudent end."
        )


def model_risk(
    table: GreekTable,
    fits: Mapping[CurrencyCode, Mapping[ModelId, QuoteFit]],
    *,
    own: Mapping[BookId, ModelId] | None = None,
    parameter_sd: FloatArray | None = None,
    scenario_pnl: Mapping[BookId, FloatArray] | None = None,
    settings: ModelRiskSettings | None = None,
) -> tuple[BookModelRisk, ...]:
    """Model risk of every book of a table.

    Parameters
    ----------
    table : GreekTable
        Positions of any number of books under M models.
    fits : mapping of underlying to mapping of ModelId to QuoteFit
        See :func:`~commonmode.exposure.quote_fit.quote_fit`.
    own : mapping of BookId to ModelId, optional
        Which model a book is carried by.
    parameter_sd : float64, shape (B, M), optional
        Of :func:`~commonmode.exposure.parameter_risk.parameter_sd`; books sorted.
    scenario_pnl : mapping of BookId to float64 of shape (S,), optional
        P&L of the book under its own model, USD.
    settings : ModelRiskSettings, optional

    Returns
    -------
    tuple of BookModelRisk, sorted by book
        Books that no model values are left out.

    Raises
    ------
    DataError
        A shape that does not fit the books and models.
    """
    use = settings or ModelRiskSettings()
    books, owner = np.unique(table.positions.book, return_inverse=True)
    values = np.zeros((len(books), len(table.models)))
    np.add.at(values, owner, table.usd[:, :, Greek.PRICE])
    sd = np.full(values.shape, np.nan) if parameter_sd is None else np.asarray(parameter_sd)
    if sd.shape != values.shape:
        raise DataError(
            f"parameter_sd has shape {sd.shape}, expected {values.shape}",
            remedy="one row per book (sorted), one column per model of the table",
        )
    out = []
    for b, name in enumerate(books.tolist()):
        priced = np.isfinite(values[b])
        if priced.any():
            mine = table.select(np.flatnonzero(owner == b))
            out.append(
                _one(
                    BookId(name),
                    mine,
                    fits,
                    values[b],
                    sd[b],
                    (own or {}).get(BookId(name)),
                    (scenario_pnl or {}).get(BookId(name)),
                    use,
                )
            )
    return tuple(out)


def total_reserve(books: tuple[BookModelRisk, ...]) -> tuple[float, float]:
    """Sum of the books' reserves, and half of it: the rule's own allowance for diversification.

    Regulation (EU) 2016/101, Annex, Method 1: category-level model-risk adjustments count at 50 %.
    That half is generous where models share a cause: the sum is the figure for a monoculture.
    """
    total = float(sum(book.reserve for book in books))
    return total, 0.5 * total


def _one(
    book: BookId,
    table: GreekTable,
    fits: Mapping[CurrencyCode, Mapping[ModelId, QuoteFit]],
    values: FloatArray,
    sd: FloatArray,
    own: ModelId | None,
    pnl: FloatArray | None,
    use: ModelRiskSettings,
) -> BookModelRisk:
    held = table.positions
    curved = held.is_option | held.is_curved_perpetual
    coins = [CurrencyCode(c) for c in np.unique(held.underlying[curved]).tolist()]
    keep = np.flatnonzero(np.isfinite(values))
    models = tuple(table.models[m] for m in keep)
    value, spread = values[keep], sd[keep]
    inside, penalty = np.full(len(models), np.inf), np.zeros(len(models))
    for coin in coins:
        at_stake = float(np.abs(held.coins)[curved & (held.underlying == coin)].sum())
        for m, model in enumerate(models):
            fit = fits.get(coin, {}).get(model)
            inside[m] = min(inside[m], fit.inside if fit else -np.inf)
            penalty[m] += at_stake * fit.worst_usd if fit else np.inf
    admitted: BoolArray = np.asarray(inside >= use.inside)
    enough = int(admitted.sum()) >= 2
    carried = float(value[models.index(own)]) if own in models else float(np.median(value))
    loss = -np.asarray(pnl, np.float64) if pnl is not None else np.zeros(0)
    known = bool(loss.size) and bool(np.isfinite(loss).all())
    return BookModelRisk(
        book=book,
        models=models,
        values=value,
        admitted=admitted,
        inside=np.where(np.isfinite(inside), inside, np.nan if coins else 1.0),
        carried=carried,
        own=own if own in models else None,
        range=float(valuation_range(value[admitted])) if enough else float("nan"),
        penalised=float(penalised_range(value, penalty)),
        parameter_sd=spread,
        expected_loss=float(loss.mean()) if known else float("nan"),
        worst_loss=MappingProxyType(
            {r: kl_worst_case_sample(loss, r)[0] for r in use.radii} if known else {}
        ),
        reserve=prudent_reserve(
            value,
            carried,
            spread,
            confidence=use.confidence,
            admitted=admitted if enough else None,
        ),
        confidence=use.confidence,
    )
