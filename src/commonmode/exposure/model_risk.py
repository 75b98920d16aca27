"""Model risk of a book in money (C6): what its value and its losses owe to the choice of model.

=============  =====================================================================================
range          Cont's coherent measure: largest less smallest value over models that are equally
               well calibrated, i.e. reproduce at least a stated share of quotes inside bid and ask
penalised      Cont's convex measure: every model counts, less its calibration error on as many
               contracts as the book holds
parameters     spread of the value from the calibration's own covariance (delta method)
worst nearby   worst expected loss over reweightings of the scenarios within a Kullback-Leibler ball
reserve        value at which the book is carried less the plausible value that is exceeded with
               90 % confidence (the rule of prudent valuation, Regulation (EU) 2016/101, Article
               11); :func:`~commonmode.stats.model_uncertainty.prudent_value` says how it is reached
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
from commonmode.core.words import usd
from commonmode.exposure.greeks import Greek, GreekTable
from commonmode.exposure.quote_fit import QuoteFit
from commonmode.stats.model_uncertainty import PrudentValue, penalised_range, prudent_value
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
    shared_error_sd : float64, shape (M,)
        Beside it, if half of every quote's error were common to its expiry; NaN where not known.
    expected_loss : float
        Mean over the scenarios with equal weights; NaN without scenarios.
    worst_loss : mapping of radius to float
    prudent : PrudentValue
        Over the admitted models; over all of them where fewer than two are.
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
    shared_error_sd: FloatArray
    expected_loss: float
    prudent: PrudentValue
    worst_loss: Mapping[float, float] = field(default_factory=dict)

    @property
    def reserve(self) -> float:
        """What the book is carried at above its prudent value; 0 if it is not."""
        return max(self.carried - self.prudent.value, 0.0)

    @property
    def noise(self) -> tuple[float, float]:
        """Two deviations from the calibration: quotes off on their own (largest of the models), and
        with half of each error common to its expiry (least of the models, for what a stiff law
        misses counts as error too). NaN where not known.
        """
        known = np.isfinite(self.parameter_sd)
        if not known.any():
            return float("nan"), float("nan")
        alone, shared = self.parameter_sd[known], self.shared_error_sd[known]
        return 2.0 * float(alone.max()), 2.0 * float(np.hypot(alone, shared).min())

    @property
    def sentence(self) -> str:
        """Number, range, what it rests on and what to do."""
        count, of = int(self.admitted.sum()), len(self.models)
        basis = f"{count} of {of} models that reproduce the quotes"
        if count < 2:
            basis = f"all {of} models, since only {count} reproduce(s) the quotes"
        text = (
            f"{self.book}: reserve {usd(self.reserve)} for model risk on a value of "
            f"{usd(self.carried)}, which is worth {usd(self.prudent.value)} or more "
            f"{self._sure()}, from {basis}. "
        )
        text += (
            f"Their values span {usd(self.range)}"
            if count >= 2
            else f"All values span {usd(float(np.ptp(self.values)))}"
        )
        alone, together = self.noise
        if np.isfinite(alone):
            text += f"; the calibration's noise is up to {usd(alone)} (two deviations)"
        if np.isfinite(together):
            text += (
                f", or {usd(together)} and more if half of each quote's error were common to its "
            )
            text += "expiry"
        text += "."
        for radius, loss in self.worst_loss.items():
            text += f" The market's past moves {_made(self.expected_loss)} on average and "
            text += f"{_made(loss)} in the worst case within {radius:g} nats."
            break
        if count < 2:
            return f"{text} What to do: recalibrate, or widen the set of models first."
        return text + (
            " What to do: hold the reserve, or trade the options on which the models differ."
            if self.reserve > 0
            else " What to do: nothing to hold; the book is carried at the prudent end."
        )

    def _sure(self) -> str:
        told, count = self.prudent, self.prudent.models
        if not np.isfinite(told.confidence):
            return "by its only model, with no confidence that could be stated"
        sure = f"with {100 * told.confidence:.0f} % confidence"
        if told.normal:
            sure += f" by a normal law (ranks of {count} reach {100 * told.ranked:.0f} %)"
        return sure


def _made(loss: float) -> str:
    """A loss, or a gain in words."""
    return f"lose {usd(loss)}" if loss >= 0 else f"gain {usd(-loss)}"


def model_risk(
    table: GreekTable,
    fits: Mapping[CurrencyCode, Mapping[ModelId, QuoteFit]],
    *,
    own: Mapping[BookId, ModelId] | None = None,
    parameter_sd: FloatArray | None = None,
    shared_error_sd: FloatArray | None = None,
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
    shared_error_sd : float64, shape (B, M), optional
        Of :func:`~commonmode.exposure.parameter_risk.shared_error_sd`; books sorted.
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
    sd, shared = (
        np.full(values.shape, np.nan) if given is None else np.asarray(given)
        for given in (parameter_sd, shared_error_sd)
    )
    for given in (sd, shared):
        if given.shape != values.shape:
            raise DataError(
                f"deviations have shape {given.shape}, expected {values.shape}",
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
                    shared[b],
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
    shared: FloatArray,
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
    counted = admitted if enough else np.ones(len(models), np.bool_)
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
        shared_error_sd=shared[keep],
        expected_loss=float(loss.mean()) if known else float("nan"),
        worst_loss=MappingProxyType(
            {r: kl_worst_case_sample(loss, r)[0] for r in use.radii} if known else {}
        ),
        prudent=prudent_value(value[counted], spread[counted], confidence=use.confidence),
    )
