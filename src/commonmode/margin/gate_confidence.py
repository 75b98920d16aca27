"""Where margin jumps as the confidence of the oracle feeds falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.margin.gate_probes import Probes, probe_accounts
from commonmode.margin.gate_report import Finding, Property, Severity, Witness
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.solvency import gross_notional

__all__ = ["confidence_finding", "with_confidence"]

_POINTS = 41
_WIDTH = 1e-9
# A continuous charge changes by far less than this share of notional across so small a width.
_SHARE = 1e-6


def with_confidence(market: MarginMarket, level: float) -> MarginMarket:
    """The market with every oracle confidence at ``level``."""
    u, e, c = market.underlyings, market.expiries, market.assets
    per_u, per_e = np.full(len(u), level), np.full(len(e), level)
    return replace(
        market,
        underlyings=replace(u, spot_confidence=per_u, perp_confidence=per_u),
        expiries=replace(e, forward_confidence=per_e, rate_confidence=per_e, vol_confidence=per_e),
        assets=replace(c, confidence=np.full(len(c), level)),
    )


def confidence_finding(
    method: MarginMethod,
    market: MarginMarket,
    books: Probes,
    severity: Severity,
    rounding: float,
) -> tuple[Finding, int]:
    """The greatest jump of the initial requirement over confidence, and the probes it took.

    The requirement of every book is scanned from confidence 0 to 1; the steepest step is halved
    until it is ``1e-9`` wide. What it still changes by then is a jump.
    """
    accounts = probe_accounts(books)
    gross = gross_notional(accounts, market) + np.abs(books.coins) @ market.assets.price
    gross = np.maximum(gross, rounding)

    def share(level: float) -> FloatArray:
        table = method.margin(accounts, with_confidence(market, level))
        return np.asarray(table.initial / gross)

    levels = np.linspace(0.0, 1.0, _POINTS)
    values = np.stack([share(float(level)) for level in levels])
    steps = np.nan_to_num(np.abs(np.diff(values, axis=0)), nan=0.0)
    at, row = np.unravel_index(int(np.argmax(steps)), steps.shape)
    low, high = float(levels[at]), float(levels[at + 1])
    at_low, at_high = float(values[at, row]), float(values[at + 1, row])
    spent = _POINTS * len(books)
    while high - low > _WIDTH:
        middle = 0.5 * (low + high)
        value = float(share(middle)[row])
        spent += len(books)
        if abs(value - at_low) >= abs(at_high - value):
            high, at_high = middle, value
        else:
            low, at_low = middle, value
    which, jump = Property.CONFIDENCE, abs(at_high - at_low)
    numbers = {"confidence": high, "jump as a share of notional": jump}
    if jump <= _SHARE:
        return Finding(which, True, severity, f"{which.value}: no jump found.", numbers), spent
    name = books.names[int(row)]
    return (
        Finding(
            which,
            False,
            severity,
            f"Not so: {which.value}. The initial requirement jumps by {100 * jump:.1f} % of "
            f"notional at confidence {high:.4g} ({name}): a feed that wavers there opens and "
            "closes accounts. Let the charge grow from zero at the threshold.",
            numbers,
            Witness(name, books.describe(int(row), market)),
        ),
        spent,
    )
