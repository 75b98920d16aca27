"""The volatility feed of PM2: one raw SVI slice per expiry, clamped as the exchange clamps it.

For accounts whose feed is SVI (and the published cases); a market that carries implied
volatilities needs none of this.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["feed_vol"]

_REACH: Final = 4.0
_MOST_VARIANCE: Final = 144.0


def feed_vol(
    strike: FloatArray | float,
    *,
    a: float,
    b: float,
    rho: float,
    m: float,
    sigma: float,
    forward: float,
    years: float,
) -> FloatArray:
    """Implied volatility of each strike.

    Parameters
    ----------
    strike : float64, any shape
        USD.
    a, b, rho, m, sigma : float
        Raw SVI (Gatheral 2004) of total variance.
    forward, years : float
        Forward and time to expiry at which the slice was fitted, USD and years.

    Returns
    -------
    float64, shape of `strike`
        Log-moneyness is held within four at-the-money deviations and total variance within 144,
        as the exchange's feed does.

    Raises
    ------
    DataError
        Total variance is negative somewhere: the slice cannot be used.
    """
    strike = np.asarray(strike, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = _REACH * np.sqrt(a + b * sigma)
        k = np.clip(np.log(strike / forward), -reach, reach)
        total = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma * sigma))
    total = np.minimum(total, _MOST_VARIANCE)
    if not np.all(total >= 0.0) or not years > 0.0:
        raise DataError(
            f"SVI slice a={a:g}, b={b:g}, rho={rho:g}, m={m:g}, sigma={sigma:g}: total variance "
            f"{float(np.min(total)):g} at {years:g} years",
            remedy="repair the slice (pricing.repair) or use the previous one of this expiry",
        )
    return np.asarray(np.sqrt(total / years))
