"""Filtered historical scenarios: past joint moves in units of their own volatility, at today's.

References: Hull and White (1998), "Incorporating volatility updating into the historical simulation
method for value-at-risk", Journal of Risk 1(1); Barone-Adesi, Giannopoulos and Vosper (1999), "VaR
without correlations for portfolios of derivative securities", Journal of Futures Markets 19(5).
Rows stay joint: the dependence of the standardised moves is the one that history had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.ewma import ewma_variance
from commonmode.forecast.garch_filter import garch_variance, total_variance
from commonmode.forecast.garch_fit import estimate_garch
from commonmode.margin.dynamic.history import ReturnPanel, horizon_sums, window_labels
from commonmode.margin.dynamic.scenarios import JointScenarios, ScenarioKind

__all__ = ["VolatilityFilter", "VolatilityPath", "filter_volatility", "filtered_scenarios"]

_MS_PER_MINUTE = 60_000
# The start of the EWMA carries a weight below 5 % after as many bars (as in forecast.ewma).
_START_WEIGHT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityFilter:
    """How the volatility of one factor is followed.

    Attributes
    ----------
    model : "ewma", "garch" or "gjr"
    decay : float
        ``lambda`` per bar of the EWMA, in (0, 1).
    highest_scaling : float
        Bound on volatility now over volatility then. A factor that stood still for a while (a
        pegged coin, a stale feed) has a volatility near zero there, and its next move, in units of
        that, would be blown up without bound. Infinity: no bound.
    """

    model: Literal["ewma", "garch", "gjr"] = "ewma"
    decay: float = 0.97
    highest_scaling: float = float("inf")

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.model not in ("ewma", "garch", "gjr") or not 0.0 < self.decay < 1.0:
            raise ConfigurationError(
                f"volatility filter {self.model!r} with decay {self.decay}",
                remedy="use 'ewma' with a decay in (0, 1), 'garch' or 'gjr'",
            )
        if not self.highest_scaling > 0.0:
            raise ConfigurationError(
                f"highest scaling {self.highest_scaling} is not positive",
                remedy="give a positive factor, or infinity for none",
            )

    @property
    def burn_in(self) -> int:
        """First returns of a factor whose volatility is not used."""
        return int(np.ceil(np.log(_START_WEIGHT) / np.log(self.decay)))


@dataclass(frozen=True, slots=True, eq=False)
class VolatilityPath:
    """Forecast volatility over the horizon, made before each bar.

    Attributes
    ----------
    forecast : float64, shape (T + 1, U)
        Row t is the volatility of the log return over bars t to t + bars - 1, known before bar t;
        the last row is today's forecast. NaN during burn-in.
    bars : int
    """

    forecast: FloatArray
    bars: int

    @property
    def current(self) -> FloatArray:
        """Today's forecast, shape (U,)."""
        return np.asarray(self.forecast[-1])


def filter_volatility(
    panel: ReturnPanel, settings: VolatilityFilter, *, bars: int = 1
) -> Success[VolatilityPath] | Failure:
    """Volatility of every factor of a panel over ``bars`` bars, before each bar and now.

    A missing return leaves the state as it is. The starting variance of the EWMA and the parameters
    of GARCH come from the whole panel (in sample); the recursion itself only looks back.

    Returns
    -------
    Success of VolatilityPath, or Failure
        Naming the first factor that does not move or whose GARCH cannot be fitted.
    """
    forecast = np.full((len(panel) + 1, len(panel.factors)), np.nan)
    for u, name in enumerate(panel.factors):
        seen = np.isfinite(panel.returns[:, u])
        returns = np.ascontiguousarray(panel.returns[seen, u])
        if len(returns) <= settings.burn_in or not np.any(returns != 0.0):
            return Failure(
                FailureReason.INVALID_INPUT,
                f"risk factor {name}: {len(returns)} returns, too few to follow a volatility "
                f"(burn-in {settings.burn_in}), or none of them moves",
                "give it a longer history, state a proxy, or margin it by hypothetical moves",
            )
        if settings.model == "ewma":
            initial = float(np.mean(returns**2))
            variance = ewma_variance(returns, settings.decay, initial) * bars
        else:
            fit = estimate_garch(returns, asymmetric=settings.model == "gjr", innovations="normal")
            if isinstance(fit, Failure):
                return Failure(fit.reason, f"risk factor {name}: {fit.message}", fit.remedy)
            p = fit.value.parameters
            one = garch_variance(returns, p, fit.value.backcast)
            variance = total_variance(one, p, bars)
        variance[: settings.burn_in] = np.nan
        # Number of returns known before each row of the panel and after the last one.
        known = np.concatenate(([0], np.cumsum(seen)))
        forecast[:, u] = np.sqrt(variance[known])
    return Success(VolatilityPath(forecast, bars))


def filtered_scenarios(
    panel: ReturnPanel,
    settings: VolatilityFilter | None = None,
    *,
    bars: int = 1,
    vol_moves: FloatArray | None = None,
) -> Success[JointScenarios] | Failure:
    """Past joint moves, each divided by its volatility forecast then and multiplied by today's.

    Over several bars the move of the whole horizon is divided by the forecast for the whole
    horizon, so what returns do inside it (trend, reversal) is kept.

    Parameters
    ----------
    panel : ReturnPanel
    settings : VolatilityFilter, optional
    bars : int
    vol_moves : float64, shape (T - bars + 1, U), optional
        Relative volatility moves over the same windows, taken as they are: they are relative
        already.

    Returns
    -------
    Success of JointScenarios, or Failure
        If a factor cannot be filtered or no window is complete.
    """
    path = filter_volatility(panel, settings or VolatilityFilter(), bars=bars)
    if isinstance(path, Failure):
        return path
    settings = settings or VolatilityFilter()
    sums = horizon_sums(panel.returns, bars)
    vols = np.zeros_like(sums) if vol_moves is None else vol_moves
    then = path.value.forecast[: len(sums)]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaling = np.minimum(path.value.current / then, settings.highest_scaling)
        moves = sums * scaling
    use = np.isfinite(moves).all(axis=1) & np.isfinite(vols).all(axis=1)
    if not use.any():
        return Failure(
            FailureReason.MISSING_DATA,
            f"no window of {bars} bars is complete after burn-in in all of "
            f"{', '.join(panel.factors)}",
            "give a longer history, or leave out the factor with the shortest one",
        )
    return Success(
        JointScenarios.of(
            panel.factors,
            moves[use],
            kind=ScenarioKind.FILTERED,
            labels=window_labels(panel, bars)[use],
            horizon_minutes=bars * panel.step_ms / _MS_PER_MINUTE,
            vol_moves=vols[use],
            left_out=int((~use).sum()),
            proxies=panel.proxies,
        )
    )
