"""The loss of accounts over all scenario sets as one figure, attributable to the last leg.

The procyclicality control is applied here: what the account's present portfolio would have needed
on each day before is worked out on the scenarios as they stood then, and the control runs over
that path up to now. Without a speed limit it needs no path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.measure import TailMeasure, WorstLoss, tail_measure, worst_loss
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.profit import ScenarioProfit
from commonmode.margin.dynamic.worlds import Worlds
from commonmode.margin.procyclicality import ProcyclicalityControl

__all__ = ["Loss", "LossTerms", "joint_loss"]


@dataclass(frozen=True, slots=True)
class LossTerms:
    """How losses become one requirement.

    Attributes
    ----------
    mix : MarginMix
    level : float
        Of the expected shortfall, in (0, 1).
    multiplier : float
        On the mixed shortfall after its control; not on hypothetical moves.
    floor : float
        Share of the shortfall on all history known.
    control : ProcyclicalityControl
        Buffer and speed limit, a step a day.
    """

    mix: MarginMix
    level: float
    multiplier: float = 1.0
    floor: float = 0.0
    control: ProcyclicalityControl = field(default_factory=ProcyclicalityControl)


@dataclass(frozen=True, slots=True, eq=False)
class _Joint:
    """Mixed shortfall of A accounts in one state of the scenarios."""

    value: FloatArray
    coefficients: FloatArray
    together: tuple[TailMeasure, ...]
    apart: tuple[tuple[TailMeasure, ...], ...]
    stressed_share: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """Requirement of A accounts and what it rests on.

    Attributes
    ----------
    requirement : float64, shape (A,)
        ``scale x sum of coefficients x components``, USD.
    uncontrolled : float64, shape (A,)
        The same without floor, buffer and speed limit.
    coefficients, plain : float64, shape (A, 5)
        Of normal, stressed, broken, hypothetical and long-history loss, with and without control.
    scale : float64, shape (A,)
    together : tuple of TailMeasure
        Of the whole P&L, in the normal and in the stressed set.
    apart : tuple of tuple of TailMeasure
        Of each factor's own P&L, by set.
    stressed_share : float64, shape (A,)
        Weight of the stressed set in the broken component.
    hypothetical : WorstLoss or None
    long : TailMeasure or None
    worst : tuple of str, length A
        The scenario that weighs most in the requirement.
    """

    requirement: FloatArray
    uncontrolled: FloatArray
    coefficients: FloatArray
    plain: FloatArray
    scale: FloatArray
    together: tuple[TailMeasure, ...]
    apart: tuple[tuple[TailMeasure, ...], ...]
    stressed_share: FloatArray
    hypothetical: WorstLoss | None
    long: TailMeasure | None
    worst: tuple[str, ...]

    def legs(self, account: Accounts, worlds: Worlds, *, controlled: bool = True) -> FloatArray:
        """Contributions of one account's positions, assets and cash, float64, shape (P + C + 1,).

        Of the account in row 0; they add up to its requirement within rounding.
        """
        c = (self.coefficients if controlled else self.plain)[0]
        w = float(self.stressed_share[0])
        total = np.zeros(len(account.instrument) + account.collateral.shape[1] + 1)
        for which, profit in enumerate((worlds.normal, worlds.stressed)):
            by_factor = _leg_profit(account, profit)
            total += c[which] * self.together[which].contributions(by_factor.sum(axis=2), 0)
            weight = c[2] * (w if which else 1.0 - w)
            for k, tail in enumerate(self.apart[which]):
                if weight:
                    total += weight * tail.contributions(by_factor[:, :, k], 0)
        if self.hypothetical is not None and worlds.hypothetical is not None and c[3]:
            worst = int(self.hypothetical.scenario[0])
            total -= c[3] * _leg_profit(account, worlds.hypothetical).sum(axis=2)[:, worst]
        if self.long is not None and worlds.long is not None and c[4]:
            by_factor = _leg_profit(account, worlds.long)
            total += c[4] * self.long.contributions(by_factor.sum(axis=2), 0)
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


def joint_loss(accounts: Accounts, worlds: Worlds, terms: LossTerms, scale: FloatArray) -> Loss:
    """Losses of all accounts at one level.

    ``requirement = scale x max(multiplier x controlled joint loss, share x worst hypothetical, 0)``

    Parameters
    ----------
    accounts : Accounts
    worlds : Worlds
    terms : LossTerms
    scale : float64, shape (A,)
        Horizon of each account's liquidation.
    """
    joint = _joint(accounts, worlds, terms)
    value, coefficients, long = _controlled(accounts, worlds, terms, joint)
    share, hypothetical, cover = terms.mix.hypothetical_share, None, np.zeros(len(accounts))
    if worlds.hypothetical is not None and share > 0.0:
        hypothetical = worst_loss(worlds.hypothetical.accounts(accounts).sum(axis=2))
        cover = share * hypothetical.loss
    with_control = _covered(terms.multiplier * value, coefficients, terms, cover)
    without = _covered(terms.multiplier * joint.value, joint.coefficients, terms, cover)
    return Loss(
        requirement=with_control[0] * scale,
        uncontrolled=without[0] * scale,
        coefficients=with_control[1],
        plain=without[1],
        scale=scale,
        together=joint.together,
        apart=joint.apart,
        stressed_share=joint.stressed_share,
        hypothetical=hypothetical,
        long=long,
        worst=_worst(with_control[1], joint.together, hypothetical, long, worlds),
    )


def _joint(accounts: Accounts, worlds: Worlds, terms: LossTerms) -> _Joint:
    """Normal, stressed and broken shortfall as one, never below zero."""
    mix, level = replace(terms.mix, hypothetical_share=0.0), terms.level
    together, apart = [], []
    for profit in (worlds.normal, worlds.stressed):
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
    four = mix.coefficients(normal, stressed, broken)
    value = np.zeros(len(accounts))
    for k, part in enumerate((normal, stressed, broken)):
        if part is not None:
            value = value + four[:, k] * part
    coefficients = np.concatenate([four, 0.0 * four[:, :1]], axis=1)
    return _Joint(value, coefficients, tuple(together), tuple(apart), share)


def _long(accounts: Accounts, worlds: Worlds, terms: LossTerms) -> TailMeasure | None:
    if worlds.long is None or not terms.floor:
        return None
    pnl = worlds.long.accounts(accounts).sum(axis=2)
    return tail_measure(pnl, worlds.long.scenarios.weights, terms.level)


def _controlled(
    accounts: Accounts, worlds: Worlds, terms: LossTerms, joint: _Joint
) -> tuple[FloatArray, FloatArray, TailMeasure | None]:
    """The joint loss after floor, buffer and speed limit, its coefficients, and the long tail."""
    control, coefficients = terms.control, joint.coefficients
    long = _long(accounts, worlds, terms)
    if long is None and not control.buffer and control.limit == float("inf"):
        return joint.value, coefficients, None
    days: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    if control.limit < float("inf"):
        for world in worlds.before:
            was, ever = _joint(accounts, world, terms), _long(accounts, world, terms)
            days.append((was.value, was.together[1].shortfall, _floor(ever, terms, len(accounts))))
    now = _floor(long, terms, len(accounts))
    days.append((joint.value, joint.together[1].shortfall, now))
    raw, stressed, floor = (np.stack(column) for column in zip(*days, strict=True))
    value = control.path(raw, floor=floor, release=stressed)[-1]
    floored = np.maximum(joint.value, now)
    by_floor = now > joint.value
    out = coefficients.copy()
    out[by_floor] = [0.0, 0.0, 0.0, 0.0, terms.floor]
    ratio = np.where(floored > 0.0, value / np.where(floored > 0.0, floored, 1.0), 1.0)
    return value, out * ratio[:, None], long


def _floor(long: TailMeasure | None, terms: LossTerms, n: int) -> FloatArray:
    return np.zeros(n) if long is None else terms.floor * long.shortfall


def _covered(
    value: FloatArray, coefficients: FloatArray, terms: LossTerms, cover: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The larger of the shortfall and the cover of hypothetical moves, with its coefficients."""
    out = terms.multiplier * coefficients
    by_moves = cover > value
    out[by_moves] = [0.0, 0.0, 0.0, terms.mix.hypothetical_share, 0.0]
    out[np.isnan(cover)] = np.nan
    return np.maximum(value, cover), out


def sum_of(parts: Sequence[TailMeasure]) -> FloatArray:
    """Shortfalls of the factors added up, shape (A,)."""
    return np.asarray(np.sum([part.shortfall for part in parts], axis=0))


def _worst(
    coefficients: FloatArray,
    together: Sequence[TailMeasure],
    hypothetical: WorstLoss | None,
    long: TailMeasure | None,
    worlds: Worlds,
) -> tuple[str, ...]:
    """Label of the scenario with the largest weight in each account's requirement."""
    labels = []
    for a, row in enumerate(coefficients):
        if not np.isfinite(row).all() or not row.any():
            labels.append("")
        elif row[3] > 0 and hypothetical is not None and worlds.hypothetical is not None:
            scenario = int(hypothetical.scenario[a])
            labels.append(str(worlds.hypothetical.scenarios.labels[scenario]))
        elif row[4] > 0 and long is not None and worlds.long is not None:
            labels.append(str(worlds.long.scenarios.labels[int(np.argmax(long.tail_weights[a]))]))
        else:
            profits = (worlds.normal, worlds.stressed)
            weights = [row[k] * together[k].tail_weights[a] for k in range(2)]
            best = int(weights[1].max() > weights[0].max())
            labels.append(str(profits[best].scenarios.labels[int(np.argmax(weights[best]))]))
    return tuple(labels)
