"""Repair of slices and surfaces that admit static arbitrage.

Butterfly, one slice: Gatheral and Jacquier (2014), section 5.1. In jump-wings parameters the call
wing c and the minimum variance are moved to ``c' = p + 2 psi`` and ``v' = 4 v p c' / (p + c')^2``,
which makes the slice an SSVI one; of the points on the way back to the given slice the nearest
free of arbitrage is kept. Surface: projection onto eSSVI, weighted least squares. Prices of one
expiry: the nearest call prices that some risk-neutral density on the strikes can have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.pricing._compiled import Engine
from commonmode.pricing.arbitrage import Slice
from commonmode.pricing.surface_fit import SurfaceFit, fit_surface
from commonmode.pricing.svi import JumpWings, SviRaw, butterfly_report

__all__ = ["ButterflyRepair", "project_slices", "repair_butterfly", "repair_call_prices"]

_NODES = 81
_BEYOND = (1.25, 1.6, 2.5, 5.0, 20.0)  # nodes after the last strike, in units of it
_FIRM = 1e4


@dataclass(frozen=True, slots=True)
class ButterflyRepair:
    """A repaired slice.

    Attributes
    ----------
    params : SviRaw
        Free of butterfly arbitrage.
    wings : JumpWings
    kept : float
        Share in [0, 1] of the way from the SSVI slice to the given one; 1: nothing was wrong.
    largest_move : float
        Largest change of total variance over three standard deviations either side.
    """

    params: SviRaw
    wings: JumpWings
    kept: float
    largest_move: float


def repair_butterfly(params: SviRaw, years: float) -> Success[ButterflyRepair] | Failure:
    """Smallest move towards SSVI that removes butterfly arbitrage.

    Parameters
    ----------
    params : SviRaw
    years : float
        Time to expiry, > 0.

    Returns
    -------
    Success of ButterflyRepair, or Failure
        Failure where even the SSVI slice with this level, skew and put wing has arbitrage, or
        where the slice has no jump-wings form.
    """
    try:
        given = params.jump_wings(years)
    except DataError as error:
        return Failure(FailureReason.INVALID_INPUT, error.message, error.remedy)
    if not butterfly_report(params).arbitrage:
        return Success(ButterflyRepair(params, given, 1.0, 0.0))
    c = given.p + 2.0 * given.psi
    v = 4.0 * given.v * given.p * c / (given.p + c) ** 2 if given.p + c > 0 else np.nan

    def at(share: float) -> tuple[SviRaw, JumpWings] | None:
        wings = JumpWings(
            given.v,
            given.psi,
            given.p,
            c + share * (given.c - c),
            v + share * (given.v_tilde - v),
        )
        try:
            raw = SviRaw.from_jump_wings(wings.v, wings.psi, wings.p, wings.c, wings.v_tilde, years)
        except DataError:
            return None
        return None if butterfly_report(raw).arbitrage else (raw, wings)

    best = at(0.0)
    if best is None:
        return Failure(
            FailureReason.ARBITRAGE,
            f"no SSVI slice free of butterfly arbitrage has v={given.v:.6g}, psi={given.psi:.6g}, "
            f"p={given.p:.6g} at {years:.4g} years",
            "project the quotes of the surface onto eSSVI instead",
        )
    low, high = 0.0, 1.0
    for _ in range(40):
        mid = 0.5 * (low + high)
        found = at(mid)
        if found is None:
            high = mid
        else:
            low, best = mid, found
    reach = 3.0 * np.sqrt(given.v * years)
    k = np.linspace(-reach, reach, _NODES)
    moved = np.max(np.abs(best[0].total_variance(k) - params.total_variance(k)))
    return Success(ButterflyRepair(best[0], best[1], low, float(moved)))


def project_slices(
    years: FloatArray,
    slices: list[Slice],
    quoted: list[tuple[float, float]],
    *,
    engine: Engine = "auto",
) -> Success[SurfaceFit] | Failure:
    """eSSVI surface nearest to given slices, in volatility over their quoted ranges.

    Parameters
    ----------
    years : float64, shape (E,), ascending
    slices : list of callable
        As :func:`~commonmode.pricing.arbitrage.check_slices` takes them.
    quoted : list of (low, high)
        Range of log-moneyness over which each slice counts.
    """
    k = np.stack([np.linspace(low, high, _NODES) for low, high in quoted])
    w = np.stack([slice_(row)[0] for slice_, row in zip(slices, k, strict=True)])
    t = np.asarray(years, np.float64)[:, None]
    with np.errstate(all="ignore"):
        weight = np.where(w > 0, 1.0 / (4.0 * w * t), 0.0)
    return fit_surface(np.asarray(years, np.float64), k, w, weight, engine=engine)


def repair_call_prices(
    strike: FloatArray, call: FloatArray, forward: float, *, weight: FloatArray | None = None
) -> Success[FloatArray] | Failure:
    """Nearest undiscounted call prices of one expiry without butterfly or vertical arbitrage.

    Parameters
    ----------
    strike : float64, shape (n,), ascending, > 0
    call : float64, shape (n,)
        Undiscounted, same currency as strikes.
    forward : float
        > 0.
    weight : float64, shape (n,), optional
        Of squared price errors.

    Returns
    -------
    Success of float64, shape (n,), or Failure
        Prices ``sum_j q_j max(y_j - K, 0)`` of a density q on the strikes, zero and nodes beyond
        the last strike, by non-negative least squares; its mean is the forward. Other expiries
        are not looked at.
    """
    x, c = np.asarray(strike, np.float64), np.asarray(call, np.float64)
    importance = np.ones_like(x) if weight is None else np.asarray(weight, np.float64)
    good = x.ndim == 1 and x.shape == c.shape == importance.shape and len(x) > 0 and forward > 0
    if not (
        good
        and np.all(np.isfinite(x + c + importance))
        and np.all(np.diff(x, prepend=0.0) > 0)
        and np.all(importance >= 0)
    ):
        return Failure(
            FailureReason.INVALID_INPUT,
            f"no call prices: strikes of shape {x.shape}, prices of shape {c.shape}",
            "give ascending positive strikes, finite prices, weights >= 0 and a positive forward",
        )
    top = max(float(x[-1]), forward)
    node = np.unique(np.concatenate([[0.0, forward], x, top * np.array(_BEYOND)])) / forward
    k, price = x / forward, c / forward
    payoff = np.maximum(node[None, :] - k[:, None], 0.0)
    root = np.sqrt(importance / max(float(importance.max()), np.finfo(np.float64).tiny))
    # Mass one and mean one as rows that outweigh the prices; what is left of them is taken out.
    system = np.vstack([root[:, None] * payoff, _FIRM * np.ones_like(node), _FIRM * node])
    mass, _ = nnls(system, np.concatenate([root * price, [_FIRM, _FIRM]]))
    mass = mass / np.sum(mass)
    mean = float(mass @ node)
    return Success(np.maximum(node[None, :] / mean - k[:, None], 0.0) @ mass * forward)
