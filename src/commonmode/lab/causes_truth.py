"""The truth of a world of known causes: who, by how much, and whether it can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, frozen
from commonmode.core.ids import ComponentId
from commonmode.lab.causes_cards import Declaration, Identifiability, identifiability
from commonmode.lab.causes_design import CauseDesign, CauseWorldDesign, Memory, WorldKind

__all__ = ["CauseTruth", "TrueCause", "truth_of"]

#: From this correlation on, a cause shares half its variance with the unlisted factor.
_ALONG = 0.5**0.5


@dataclass(frozen=True, slots=True, eq=False)
class TrueCause:
    """One acting component.

    Attributes
    ----------
    name : ComponentId
    design : CauseDesign
    users : frozenset of int
        Models that really use it.
    identifiability : Identifiability
    tied : frozenset of ComponentId
        Components declared by the users the cards give the cause, with itself; empty where the
        cards do not have it shared.
    share : float64, shape (N,)
        Realised part of each model's deviation variance, mean over targets, 0 for non-users.
    pair_correlation : float64, shape (N, N)
        What it alone adds to the correlation of two models' deviations, mean over targets; zero
        diagonal.
    series : float64, shape (T, K)
        Its effect, standardised, without lag.
    factor_correlation : float
        Of that series with the unlisted factor, mean over targets; at 1 or -1 the cause is only an
        unequal loading on what moves everybody.
    """

    name: ComponentId
    design: CauseDesign
    users: frozenset[int]
    identifiability: Identifiability
    tied: frozenset[ComponentId]
    share: FloatArray
    pair_correlation: FloatArray
    series: FloatArray
    factor_correlation: float


@dataclass(frozen=True, slots=True, eq=False)
class CauseTruth:
    """Everything known about a world.

    Correlations are *structural*: the realised covariance of everything common (causes, unlisted
    factor, look-backs) plus the variance of own parts, which are independent by construction.

    Attributes
    ----------
    version : str
        Of the prior.
    seed : int
    kind : WorldKind
    causes : tuple of TrueCause
        None in a ``NONE`` world.
    declared : mapping of ComponentId to frozenset of int
        Users on the cards.
    correlation : float64, shape (N, N)
        Of true deviations, mean over targets.
    nuisance_correlation : float64, shape (N, N)
        The part of it without any cause; zero diagonal.
    effective_number : float
        ``N^2 / sum C_ij^2`` of ``correlation``.
    tags : tuple of str
        What makes the world hard, ascending.
    """

    version: str
    seed: int
    kind: WorldKind
    causes: tuple[TrueCause, ...]
    declared: Mapping[ComponentId, frozenset[int]]
    correlation: FloatArray
    nuisance_correlation: FloatArray
    effective_number: float
    tags: tuple[str, ...]

    @property
    def shared_causes(self) -> tuple[TrueCause, ...]:
        """The causes that the cards show to be shared: those that can be named at all."""
        return tuple(cause for cause in self.causes if cause.tied)

    @property
    def identifiable(self) -> bool:
        """There are causes, and data could tell every one of them."""
        return bool(self.causes) and all(
            cause.identifiability is Identifiability.YES for cause in self.causes
        )


def _covariance(common: FloatArray) -> FloatArray:
    """Covariance over time per target, shape (K, N, N)."""
    centred = (common - common.mean(axis=0)).transpose(1, 2, 0)
    return np.asarray(centred @ centred.transpose(0, 2, 1) / common.shape[0])


def _off_diagonal(matrices: FloatArray) -> FloatArray:
    """Mean over targets with a zero diagonal, shape (N, N)."""
    mean = matrices.mean(axis=0)
    np.fill_diagonal(mean, 0.0)
    return frozen(mean)


def truth_of(
    design: CauseWorldDesign,
    declaration: Declaration,
    effects: list[FloatArray],
    series: list[FloatArray],
    nuisance: FloatArray,
    factor: FloatArray,
    own_variance: FloatArray,
) -> CauseTruth:
    """Work out the truth.

    Parameters
    ----------
    design : CauseWorldDesign
    declaration : Declaration
    effects : list of float64, shape (T, K, N)
        What each acting cause does to every model's log deviation.
    series : list of float64, shape (T, K)
    nuisance : float64, shape (T, K, N)
    factor : float64, shape (T, K)
    own_variance : float64, shape (N,)
    """
    common = nuisance + sum(effects)
    total = _covariance(common) + np.diag(own_variance)
    sd = np.sqrt(np.diagonal(total, axis1=1, axis2=2))
    norm = sd[:, :, None] * sd[:, None, :]
    correlation = (total / norm).mean(axis=0)
    causes = []
    for number, cause in enumerate(design.acting):
        name, users = declaration.causes[number], frozenset(cause.users)
        told, tied = identifiability(declaration.users, name, users)
        part = _covariance(effects[number]) / norm
        causes.append(
            TrueCause(
                name=name,
                design=cause,
                users=users,
                identifiability=told,
                tied=tied,
                share=frozen(np.diagonal(part, axis1=1, axis2=2).mean(axis=0)),
                pair_correlation=_off_diagonal(part),
                series=series[number],
                factor_correlation=float(np.mean(series[number] * factor)),
            )
        )
    return CauseTruth(
        version=design.version,
        seed=design.seed,
        kind=design.kind,
        causes=tuple(causes),
        declared=declaration.users,
        correlation=frozen(correlation),
        nuisance_correlation=_off_diagonal(_covariance(nuisance) / norm),
        effective_number=float(design.models**2 / np.sum(correlation**2)),
        tags=_tags(design, causes),
    )


def _tags(design: CauseWorldDesign, causes: list[TrueCause]) -> tuple[str, ...]:
    """What makes the world hard."""
    laws, missing, cards = design.crowd.own, design.missing, design.cards
    factor = design.factor
    flags = {
        f"kind: {design.kind.value}": True,
        "short history": design.times < 3000,
        "many models": design.models > 20,
        "heavy tails": any(not math.isinf(law.degrees_of_freedom) for law in laws),
        "garch": any(law.garch[0] > 0 for law in laws),
        "jumps": any(law.jump_rate > 0 for law in laws),
        "long memory": any(law.memory is Memory.LONG for law in laws),
        "regime switching": any(law.memory is Memory.REGIME for law in laws),
        "own windows": bool(design.crowd.windows),
        "unlisted factor": factor is not None,
        "strong unlisted factor": factor is not None and np.mean(np.abs(factor.shares)) > 0.3,
        "unlisted factor in stress": factor is not None and factor.stress_only,
        "noisy benchmarks": design.benchmarks.noise > 1.0,
        "blind benchmarks": design.benchmarks.blind_spot > 0,
        "gaps": missing.gap_share > 0,
        "late start": max(missing.start) > 0,
        "death": min(missing.end) < 1,
        "near decoys": bool(cards.near),
        "twin": cards.twin,
        "houses": bool(cards.houses),
        "common to everybody": cards.everybody > 0,
    }
    if cards.mistake is not None:
        flags[f"cards: {cards.mistake.value}"] = True
    for cause in design.acting:
        flags[f"layer: {cause.layer.value}"] = True
        flags[f"mechanism: {cause.mechanism.value}"] = True
        flags["stress only"] = flags.get("stress only", False) or cause.stress_only
        flags["lagged users"] = flags.get("lagged users", False) or any(cause.lags)
        flags["two users"] = flags.get("two users", False) or len(cause.users) == 2
        flags["weak cause"] = flags.get("weak cause", False) or np.mean(cause.shares) < 0.3
    for true in causes:
        flags[f"identifiable: {true.identifiability.value}"] = True
        if abs(true.factor_correlation) >= _ALONG:
            flags["cause along the unlisted factor"] = True
    return tuple(sorted(name for name, flag in flags.items() if flag))
