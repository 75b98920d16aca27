"""Our own margin method: joint scenarios over every underlying and every asset that is posted.

For each account::

    loss      = MarginMix of the expected shortfalls under normal, stressed and broken correlation,
                controlled for procyclicality, or the share of the worst hypothetical move if that
                is more; at the account's own liquidation horizon
    initial   = loss at the initial level + disagreement + close-out + oracle + convergence
    maintenance = loss at the maintenance level (a smaller hypothetical share) + close-out

Collateral stands in the scenarios with the portfolio, so wrong-way risk needs no haircut. The
disagreement is the excess of the shortfall under other surface models over that under the
reference, before the control, plus what the book is worth less under them today than at its marks
(which closing takes no time to lose, so the horizon does not scale it); a quantile over the models:
the idea of additional valuation adjustments, Regulation (EU) 2016/101, brought to margin. The
convergence charge is computed above this floor and handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason
from commonmode.margin._columns import failures_by_account, margin_table, sums
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.horizon import exposed_minutes, horizon_scale
from commonmode.margin.dynamic.liquidity import CloseOut, Liquidity, close_out
from commonmode.margin.dynamic.loss import Loss, LossTerms, joint_loss
from commonmode.margin.dynamic.oracle import collateral_doubts, position_doubts
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.profit import (
    mark_values,
    missing_factors,
    silent_models,
)
from commonmode.margin.dynamic.sets import ScenarioSets
from commonmode.margin.dynamic.worlds import Valuation, Worlds, value_worlds
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginTable
from commonmode.margin.sensitivities import Sensitivities, sensitivities
from commonmode.pricing.kernels import Engine

__all__ = ["Dynamic", "ScenarioSets"]

_BLOCK_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True, eq=False)
class _Worked:
    """Everything that is the same for all accounts, and the close-out of each."""

    worlds: Worlds
    others: Mapping[ModelId, Worlds]
    gaps: Mapping[ModelId, FloatArray]
    marks: FloatArray
    greeks: Sensitivities
    closing: CloseOut
    scale: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Dynamic:
    """Joint-scenario margin; see the top of this module.

    Attributes
    ----------
    scenarios : ScenarioSets
    liquidity : Liquidity
        Rows as the instruments of the market that is margined.
    parameters : DynamicParameters
    convergence_charge : mapping of account id to float
        USD on the initial requirement, >= 0; from the convergence analysis above.
    stable : str
        Factor that moves the settlement stablecoin; "" for none.
    engine : {"auto", "numba", "numpy"}
        What values options; the two agree to rounding, so name one where bits have to agree.
    quick : bool
        Interpolate profits between nodes (:mod:`commonmode.margin.dynamic.worlds`): for searches,
        not for a margin that is called.
    """

    scenarios: ScenarioSets
    liquidity: Liquidity
    parameters: DynamicParameters = field(default_factory=DynamicParameters)
    convergence_charge: Mapping[str, float] = field(default_factory=dict)
    stable: str = ""
    engine: Engine = "auto"
    quick: bool = False
    id: str = "dynamic"

    def __post_init__(self) -> None:
        """Check that the control has the history it needs."""
        p, sets = self.parameters, self.scenarios
        for needed, there, what in (
            (p.floor > 0.0, sets.long is not None, "a floor without a long history"),
            (p.daily_limit < float("inf"), bool(sets.before), "a speed limit without days before"),
        ):
            if needed and not there:
                raise DataError(
                    f"dynamic margin: {what}",
                    remedy="build the scenarios with the recipe of the same parameter file",
                )

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """Margin of every account; see :class:`~commonmode.margin.method.MarginMethod`."""
        n = len(accounts)
        failures = self._failures(accounts, market)
        worked = self._work(accounts, market)
        initial = {name: np.full(n, np.nan) for name in _COMPONENTS}
        maintenance = {name: np.full(n, np.nan) for name in ("loss", "close_out")}
        for rows in self._blocks(n):
            block, scale = accounts.select(rows), worked.scale[rows]
            first = self._loss(block, worked.worlds, scale)
            second = self._loss(block, worked.worlds, scale, maintenance=True)
            initial["loss"][rows] = first.requirement
            maintenance["loss"][rows] = second.requirement
            initial["disagreement"][rows] = self._disagreement(block, worked, scale, first)[0]
        initial["close_out"] = maintenance["close_out"] = worked.closing.total
        doubted = position_doubts(accounts, market, worked.greeks, self.parameters)
        initial["oracle"] = sums(accounts.row, doubted, n)
        initial["oracle"] += collateral_doubts(accounts, market, self.parameters).sum(axis=1)
        charges = [self.convergence_charge.get(str(name), 0.0) for name in accounts.ids]
        initial["convergence"] = np.array(charges, dtype=np.float64)
        equity = self._equity(accounts, market, worked.marks)
        notices = self._notices(accounts, market)
        return margin_table(
            self.id, accounts, equity, initial, maintenance, failures, notices, unknown=_no_value
        )

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        """Exact attribution of one account; see :class:`MarginMethod`."""
        if self.quick:
            return replace(self, quick=False).legs(accounts, market, row)
        account = accounts.select(np.array([row], dtype=np.int64))
        worked = self._work(account, market)
        p = self.parameters
        first = self._loss(account, worked.worlds, worked.scale)
        second = self._loss(account, worked.worlds, worked.scale, maintenance=True)
        initial = first.legs(account, worked.worlds)
        positions = len(account.instrument)
        other = self._disagreement(account, worked, worked.scale, first)[1]
        if other is not None:
            model, loss = other
            excess = loss.legs(account, worked.others[model], controlled=False)
            excess = excess - first.legs(account, worked.worlds, controlled=False)
            excess[:positions] -= account.quantity * worked.gaps[model][account.instrument]
            initial = initial + p.disagreement_weight * excess
        maintenance = second.legs(account, worked.worlds)
        closing = np.zeros(len(initial))
        closing[:positions] = worked.closing.positions
        extra = closing.copy()
        extra[:positions] += position_doubts(account, market, worked.greeks, p)
        extra[positions:-1] += collateral_doubts(account, market, p)[0]
        charge = self.convergence_charge.get(str(account.ids[0]), 0.0)
        gross = np.abs(account.quantity * worked.greeks.delta_usd[account.instrument])
        share = (
            gross / gross.sum() if gross.sum() > 0 else np.full(positions, 1.0 / (positions or 1))
        )
        if positions:
            extra[:positions] += charge * share
        else:
            extra[-1] += charge
        names = [*market.instruments.instrument[account.instrument], *market.assets.name, "cash"]
        return Legs(
            leg=np.array(names, dtype=np.str_),
            initial=initial + extra,
            maintenance=maintenance + closing,
            scenario=first.worst[0],
        )

    def _work(self, accounts: Accounts, market: MarginMarket) -> _Worked:
        p = self.parameters
        marks, greeks = mark_values(market, engine=self.engine), sensitivities(market)
        held = np.unique(accounts.instrument).astype(np.int64)

        def worlds(sets: ScenarioSets, vol: FloatArray, value: FloatArray) -> Worlds:
            how = Valuation(vol, value, held, self.stable, self.engine, self.quick)
            return value_worlds(market, sets, how)

        # The disagreement is taken before the control: no floor and no path under other models.
        bare = replace(self.scenarios, long=None, before=())
        needed = replace(
            self.scenarios,
            long=self.scenarios.long if p.floor else None,
            before=self.scenarios.before if p.daily_limit < float("inf") else (),
        )
        values = {
            model: mark_values(market, vol, engine=self.engine)
            for model, vol in market.alternatives.items()
        }
        closing = close_out(
            accounts,
            market,
            greeks,
            self.liquidity,
            participation=p.participation,
            open_interest_share=p.open_interest_share,
        )
        exposed = exposed_minutes(closing.minutes, reaction=p.reaction_minutes)
        base = self.scenarios.normal.horizon_minutes
        return _Worked(
            worlds=worlds(needed, market.vol, marks),
            others={
                model: worlds(bare, vol, values[model])
                for model, vol in market.alternatives.items()
            },
            gaps={model: value - marks for model, value in values.items()},
            marks=marks,
            greeks=greeks,
            closing=closing,
            scale=horizon_scale(exposed, base, exponent=p.horizon_exponent),
        )

    def _loss(
        self,
        accounts: Accounts,
        worlds: Worlds,
        scale: FloatArray,
        *,
        maintenance: bool = False,
        controlled: bool = True,
    ) -> Loss:
        p = self.parameters
        terms = LossTerms(p.mix, p.initial_level, p.multiplier)
        if maintenance:
            share = p.multiplier * p.maintenance_share
            terms = LossTerms(p.maintenance_mix, p.maintenance_level, share)
        if controlled:
            terms = replace(terms, floor=p.floor, control=p.control)
        return joint_loss(accounts, worlds, terms, scale)

    def _disagreement(
        self, accounts: Accounts, worked: _Worked, scale: FloatArray, own: Loss
    ) -> tuple[FloatArray, tuple[ModelId, Loss] | None]:
        """Excess over the reference, shape (A,), and for a lone account the model behind it."""
        p = self.parameters
        if not worked.others or not p.disagreement_weight:
            return np.zeros(len(accounts)), None
        losses = {
            model: self._loss(accounts, worlds, scale, controlled=False)
            for model, worlds in worked.others.items()
        }
        held = accounts.instrument
        worth = {
            model: sums(accounts.row, accounts.quantity * gap[held], len(accounts))
            for model, gap in worked.gaps.items()
        }
        rows = (loss.uncontrolled - worth[model] for model, loss in losses.items())
        table = np.stack([own.uncontrolled, *rows])
        # A model that does not reach an instrument has no opinion: a notice, not a failure.
        table = np.where(np.isnan(table), own.uncontrolled, table)
        order = np.argsort(table, axis=0, kind="stable")
        at = int(np.ceil(p.disagreement_quantile * (len(table) - 1)))
        chosen = np.take_along_axis(table, order[at][None], axis=0)[0]
        excess = p.disagreement_weight * np.maximum(chosen - own.uncontrolled, 0.0)
        which = int(order[at][0]) if len(accounts) else 0
        if which == 0 or not excess[0] > 0.0:
            return excess, None
        model = tuple(losses)[which - 1]
        return excess, (model, losses[model])

    def _failures(self, accounts: Accounts, market: MarginMarket) -> dict[int, Failure]:
        unmoved = missing_factors(market, self.scenarios.normal)
        on = enumerate(market.underlying.tolist())
        found = failures_by_account(
            accounts, market, {row: unmoved[coin] for row, coin in on if coin in unmoved}
        )
        known = set(self.scenarios.normal.factors)
        for c, name in enumerate(market.assets.name.tolist()):
            follows = int(market.assets.underlying[c])
            coin = str(market.underlyings.name[follows]) if follows >= 0 else ""
            if name in known or coin in known:
                continue
            for row in np.flatnonzero(accounts.collateral[:, c]).tolist():
                found.setdefault(row, _unmoved(name))
        return found

    def _equity(self, accounts: Accounts, market: MarginMarket, marks: FloatArray) -> FloatArray:
        held = sums(accounts.row, accounts.quantity * marks[accounts.instrument], len(accounts))
        money = (accounts.cash + accounts.unrealised) * market.stable_price
        posted = accounts.collateral * market.assets.price
        # An asset without a price harms only who holds it.
        return np.asarray(
            held + money + np.where(accounts.collateral != 0, posted, 0.0).sum(axis=1)
        )

    def _notices(self, accounts: Accounts, market: MarginMarket) -> dict[int, tuple[str, ...]]:
        proxies = self.scenarios.normal.proxies
        coins = market.underlyings.name.tolist()
        notices: dict[int, list[str]] = {}
        for position, row in zip(accounts.instrument.tolist(), accounts.row.tolist(), strict=True):
            coin = coins[int(market.underlying[position])]
            if coin in proxies:
                line = f"{coin} has too short a history: {proxies[coin]} stands in for it"
                if line not in notices.setdefault(row, []):
                    notices[row].append(line)
        for row, models in silent_models(accounts, market).items():
            if self.parameters.disagreement_weight:
                line = f"{', '.join(models)}: no volatility for a position, so no part in the "
                notices.setdefault(row, []).append(line + "disagreement")
        if not 0.95 <= market.stable_price <= 1.05:
            line = f"cash is counted at {market.stable_price:g} USD per unit of the stablecoin"
            for row in range(len(accounts)):
                notices.setdefault(row, []).append(line)
        return {row: tuple(lines) for row, lines in notices.items()}

    def _blocks(self, n: int) -> list[IntArray]:
        factors = len(self.scenarios.normal.factors)
        longest = max(len(one) for one in self.scenarios.all)
        size = max(1, _BLOCK_BYTES // (8 * factors * longest))
        return [np.arange(low, min(low + size, n), dtype=np.int64) for low in range(0, n, size)]

    def with_charge(self, charge: Mapping[str, float]) -> Dynamic:
        """The same method with another convergence charge."""
        return replace(self, convergence_charge=charge)


_COMPONENTS: Final = ("loss", "disagreement", "close_out", "oracle", "convergence")


def _no_value(name: str, _method: str) -> Failure:
    return Failure(
        FailureReason.CALCULATION_FAILED,
        f"account {name}: a position has no value in some scenario, or cannot be closed",
        "give the underlying a hedge market, the option a quote, and the surface that expiry",
    )


def _unmoved(name: str) -> Failure:
    return Failure(
        FailureReason.MISSING_DATA,
        f"collateral {name}: no scenario moves it",
        "give its price history, or name the coin that it follows",
    )
