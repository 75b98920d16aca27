"""The quotes of a chain as matrices: payoffs that stay fixed while a model's parameters move.

In the cosine series the payoff of every quote is a row of weights that knows nothing of the model
(:func:`~commonmode.pricing.fourier.cos.put_coefficients`). They are computed once; prices and their
derivatives at new parameters then cost one evaluation of the characteristic function on the grid
and one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.pricing.fourier.model import CharacteristicModel, ComplexArray

__all__ = ["PutBook", "widened"]

_REACH: Final = 12.0  # half-width of the first interval in standard deviations at the money
_TERMS: Final = 96
_MAX_TERMS: Final = 1024
_MAX_REACH: Final = 80.0
# A bound of the error of a price, per square root of a year: a volatility at the money moves by at
# most 2.5e-5, and by far less where the series falls off fast.
_PRICE_ERROR: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class PutBook:
    """Puts over the forward, by expiry; E expiries, n quotes each (padding included).

    Attributes
    ----------
    k : float64, shape (E, n)
        Log-moneyness.
    years : float64, shape (E, 1)
    left, right : float64, shape (E,)
        Ends of the intervals.
    frequency : complex128, shape (E, N)
    start : complex128, shape (E, N)
        ``exp(-i u left)``.
    payoff : float64, shape (E, N, n + 3)
        Weights of the quotes; then of ``E exp(X)`` and of the density at both ends, which tell
        whether the interval was wide enough.
    """

    k: FloatArray
    years: FloatArray
    left: FloatArray
    right: FloatArray
    frequency: ComplexArray
    start: ComplexArray
    payoff: FloatArray

    @classmethod
    def of(
        cls,
        k: FloatArray,
        years: FloatArray,
        at_money_vol: FloatArray,
        *,
        left: FloatArray | None = None,
        right: FloatArray | None = None,
        terms: int = _TERMS,
    ) -> PutBook:
        """Book over an interval of 12 standard deviations each way, or the given one.

        Parameters
        ----------
        k : float64, shape (E, n)
        years, at_money_vol : float64, shape (E,)
        left, right : float64, shape (E,), optional
        terms : int
        """
        spread = at_money_vol * np.sqrt(years)
        low = -_REACH * spread if left is None else left
        high = _REACH * spread if right is None else right
        low = np.minimum(low, np.min(k, axis=1) - spread)
        high = np.maximum(high, np.max(k, axis=1) + spread)
        u = np.arange(terms) * (np.pi / (high - low))[:, None]
        return cls(
            k=k,
            years=years[:, None],
            left=low,
            right=high,
            frequency=u.astype(np.complex128),
            start=np.exp(-1j * u * low[:, None]),
            payoff=_payoff(k, low, high, u),
        )

    def prices(self, model: CharacteristicModel) -> FloatArray:
        """Puts over the forward and their derivatives, shape (E, 1 + p, n).

        Parameters
        ----------
        model : CharacteristicModel
            Parameters of shape (E, 1) or (1, 1).
        """
        n = self.k.shape[1]
        return np.asarray((self._waves(model) @ self.payoff)[..., :n])

    def _waves(self, model: CharacteristicModel) -> FloatArray:
        log_cf, *gradient = model.gradient(self.frequency, self.years)
        phi = np.exp(log_cf) * self.start
        wave = np.empty((*phi.shape[:-1], 1 + len(gradient), phi.shape[-1]))
        wave[..., 0, :] = phi.real
        for j, part in enumerate(gradient, start=1):
            # The real part of the product alone.
            wave[..., j, :] = phi.real * part.real - phi.imag * part.imag
        return wave


def _payoff(k: FloatArray, low: FloatArray, high: FloatArray, u: FloatArray) -> FloatArray:
    """:func:`put_coefficients` of every expiry and the three checks, shape (E, N, n + 3).

    Sines and cosines of multiples of one angle are powers of a complex number, by doubling.
    """
    expiries, terms = u.shape
    n = k.shape[1]
    from_low, width = k - low[:, None], (high - low)[:, None]
    power = np.empty((expiries, terms, n), dtype=np.complex128)
    power[:, 0] = 1.0
    turn, done = np.exp(1j * (np.pi * from_low / width)), 1
    while done < terms:
        more = min(done, terms - done)
        np.multiply(power[:, :more], turn[:, None, :], out=power[:, done : done + more])
        done += more
        turn = turn * turn
    out = np.empty((expiries, terms, n + 3))
    quotes = out[..., :n]
    np.divide(power.imag[:, 1:], u[:, 1:, None], out=quotes[:, 1:])
    quotes[:, 0] = from_low
    quotes -= power.real
    quotes *= np.exp(k)[:, None, :]
    e_low, e_high = np.exp(low)[:, None], np.exp(high)[:, None]
    quotes += e_low[..., None]
    ends = np.where(np.arange(terms) % 2 == 0, 1.0, -1.0)
    damping = 1.0 / (1.0 + u * u)
    quotes *= damping[..., None]
    out[..., n] = (e_high * ends - e_low) * damping
    out[..., n + 1], out[..., n + 2] = 1.0, ends
    out *= (2.0 / width)[..., None]
    out[:, 0] *= 0.5
    return out


def widened(book: PutBook, model: CharacteristicModel, at_money_vol: FloatArray) -> PutBook | None:
    """A book with room for the model's tails, or None where it has it already.

    The mass that the interval cuts off on the right shows as ``E exp(X)`` short of one, on either
    side as density at the end, and too short a series as a last coefficient that is not small.
    """
    phi = np.exp(model.log_cf(book.frequency, book.years)) * book.start
    n = book.k.shape[1]
    forward, at_left, at_right = np.moveaxis(
        (phi.real[:, None, :] @ book.payoff[..., n:])[:, 0], -1, 0
    )
    spread = at_money_vol * np.sqrt(book.years[:, 0])
    allowed = _PRICE_ERROR * np.sqrt(book.years[:, 0])
    terms = book.frequency.shape[1]
    size = np.abs(phi[:, -1])
    # The density is told by the series only where that has died out.
    clear = size < 1e-3
    short_left = clear & (np.abs(at_left) * spread > 10.0 * allowed)
    short_right = clear & (np.abs(at_right) * spread > 10.0 * allowed)
    short_right |= np.abs(forward - 1) > allowed
    tail = size / np.maximum(book.frequency[:, -1].real, 1.0)
    excess = float(np.max(tail / allowed))
    coarse = excess > 1.0 and terms < _MAX_TERMS
    far = _MAX_REACH * spread
    short_left &= -book.left < far
    short_right &= book.right < far
    if terms == _MAX_TERMS or not (coarse or short_left.any() or short_right.any()):
        return None  # at most terms a wider interval would be a coarser one
    left = np.where(short_left, 1.7 * book.left, book.left)
    right = np.where(short_right, 1.7 * book.right, book.right)
    # Keep the highest frequency where the interval grows.
    growth = float(np.max((right - left) / (book.right - book.left)))
    finer = (3.0 if excess > 10.0 else 1.8) if coarse else 1.0
    more = int(np.ceil(terms * growth * finer / 32.0)) * 32
    return PutBook.of(
        book.k,
        book.years[:, 0],
        at_money_vol,
        left=left,
        right=right,
        terms=min(more, _MAX_TERMS),
    )
