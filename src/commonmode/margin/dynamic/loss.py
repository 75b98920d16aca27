"""The loss of accounts over all scenario sets as one figure, attributable to the last leg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.measure import TailMeasure, WorstLoss, tail_measure, worst_loss
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.profit import ScenarioProfit

__all__ = ["Loss", "joint_loss"]


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """Requirement of A accounts and what it rests on.

    Attributes
    ----------
    requirement : float64, shape (A,)
        ``scale x sum of coefficients x components``, USD.
    coefficients : float64, shape (A, 4)
        Of normal, stressed, broken and hypothetical loss.
    scale : float64, shape (A,)
    together : tuple of TailMeasure
        Of the whole P&L, in the normal and in the stressed set.
    apart : tuple of tuple of TailMeasure
        Of each factor's own P&L, by set.
    stressed_share : float64, shape (A,)
        Weight of the stressed set in the broken component.
    hypothetical : WorstLoss or None
    worst : tuple of str, length A
        The scenario that weighs most in the requirement.
    """

    requirement: FloatArray
    coefficients: FloatArray
    scale: FloatArray
    together: tuple[TailMeasure, ...]
    apart: tuple[tuple[TailMeasure, ...], ...]
    stressed_share: FloatArray
    hypothetical: WorstLoss | None
    worst: tuple[str, ...]

    def legs(self, account: Accounts, profits: Sequence[ScenarioProfit]) -> FloatArray:
        """Contributions of one account's positions, assets and cash, float64, shape (P + C + 1,).

        Of the account in row 0; they add up to its requirement within rounding.
        """
        c, w = self.coefficients[0], float(self.stressed_share[0])
        total = np.zeros(len(account.instrument) + account.collateral.shape[1] + 1)
        for which, profit in enumerate(profits[:2]):
            by_factor = _leg_profit(account, profit)
            total += c[which] * self.together[which].contributions(by_factor.sum(axis=2), 0)
            weight = c[2] * (w if which else 1.0 - w)
            for k, tail in enumerate(self.apart[which]):
                if weight:
                    total += weight * tail.contributions(by_factor[:, :, k], 0)
        if self.hypothetical is not None and c[3]:
            worst = int(self.hypothetical.scenario[0])
            total -= c[3] * _leg_profit(account, profits[2]).sum(axis=2)[:, worst]
        return np.asarray(total * self.scale[0])


def _leg_profit(account: Accounts, profit: ScenarioProfit) -> FloatArray:
    """P&L of every leg by factor, float64, shape (P + C + 1, S, U)."""
    s, u = len(profit.scenarios), len(profit.scenarios.factors)
    legs = len(account.instrument)
    out = np.zeros((legs + account.collateral.shape[1] + 1, s, u))
    rows = account.instrument
    own = account.quantity[:, None] * profit.instruments[rows]
    out[np.arange(legs), :, profit.factor[rows]] = own
    out[legs:-1] = account.collateral[0][:, None, None] * profit.assets
    out[-1] = (account.cash[0] + account.unrealised[0]) * profit.cash
    return out


def joint_loss(
    accounts: Accounts,
    profits: Sequence[ScenarioProfit],
    mix: MarginMix,
    level: float,
    scale: FloatArray,
) -> Loss:
    """Losses of all accounts at one level.

    Parameters
    ----------
    accounts : Accounts
    profits : sequence of ScenarioProfit
        Under the normal, the stressed and, if there is one, the hypothetical set.
    mix : MarginMix
    level : float
        Of the expected shortfall, in (0, 1).
    scale : float64, shape (A,)
        Horizon of each account's liquidation, and the multiplier.
    """
    together, apart = [], []
    for profit in profits[:2]:
        by_factor = profit.accounts(accounts)
        weights = profit.scenarios.weights
        together.append(tail_measure(by_factor.sum(axis=2), weights, level))
        parts: tuple[TailMeasure, ...] = ()
        if mix.correlation_stress > 0.0:
            parts = tuple(
                tail_measure(by_factor[:, :, k], weights, level) for k in range(by_factor.shape[2])
            )
        apart.append(parts)
    normal, stressed = together[0].shortfall, together[1].shortfall
    if mix.rule == "weight":
        share = np.full(len(accounts), mix.stressed_weight)
    else:
        share = (stressed > normal).astype(np.float64)
    broken = None
    if mix.correlation_stress > 0.0:
        alone = [sum_of(parts) for parts in apart]
        broken = (1.0 - share) * alone[0] + share * alone[1]
    hypothetical, worst_hypothetical = None, None
    if len(profits) > 2 and mix.hypothetical_share > 0.0:
        hypothetical = worst_loss(profits[2].accounts(accounts).sum(axis=2))
        worst_hypothetical = hypothetical.loss
    elif mix.hypothetical_share > 0.0:
        worst_hypothetical = np.zeros(len(accounts))
    coefficients = mix.coefficients(normal, stressed, broken, worst_hypothetical)
    components = [normal, stressed, broken, worst_hypothetical]
    requirement = np.zeros(len(accounts))
    for k, part in enumerate(components):
        if part is not None:
            requirement = requirement + coefficients[:, k] * part
    return Loss(
        requirement=requirement * scale,
        coefficients=coefficients,
        scale=scale,
        together=tuple(together),
        apart=tuple(apart),
        stressed_share=share,
        hypothetical=hypothetical,
        worst=_worst(coefficients, together, hypothetical, profits),
    )


def sum_of(parts: Sequence[TailMeasure]) -> FloatArray:
    """Shortfalls of the factors added up, shape (A,)."""
    return np.asarray(np.sum([part.shortfall for part in parts], axis=0))


def _worst(
    coefficients: FloatArray,
    together: Sequence[TailMeasure],
    hypothetical: WorstLoss | None,
    profits: Sequence[ScenarioProfit],
) -> tuple[str, ...]:
    """Label of the scenario with the largest weight in each account's requirement."""
    labels = []
    for a, row in enumerate(coefficients):
        if not np.isfinite(row).all() or not row.any():
            labels.append("")
        elif row[3] > 0 and hypothetical is not None:
            labels.append(str(profits[2].scenarios.labels[int(hypothetical.scenario[a])]))
        else:
            weights = [row[k] * together[k].tail_weights[a] for k in range(2)]
            best = int(weights[1].max() > weights[0].max())
            labels.append(str(profits[best].scenarios.labels[int(np.argmax(weights[best]))]))
    return tuple(labels)
