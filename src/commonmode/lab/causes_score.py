"""What counts as right about a cause; declared before any estimator was measured.

An estimator hands over a *ranking* (components, best first; a set stands for components it calls
indistinguishable) and the *significant* set. Cards decide which causes can be named: a cause is
nameable where the cards have at least two models use it. Rules:

1. ``right_first``: the first of the ranking is a nameable cause, or a component declared by the
   very users the cards give that cause (a tie that no data can break). ``credit`` is the chance
   that a blind pick among the tied is the cause: 1 without tie, 1/k with k tied. A first set
   counts with the part of it that is right.
2. ``detected``: the significant set holds a nameable cause or one tied with it.
3. ``false names``: significant components of which at most one user really uses any one acting
   cause; nothing that acts is shared among their users. ``proxies``: significant components that
   are not the cause but of which two or more users really share one.
4. The outcome is the first that applies: without any acting cause, ``FALSE_ALARM`` where anything
   is significant, else ``QUIET``. With causes of which none is nameable, ``FALSE_ALARM`` where
   there is a false name, ``PROXY`` where there is a proxy, else ``QUIET``. Otherwise ``RIGHT``
   (right first, detected, nothing else declared by the same users), ``TIE`` (the same, tied),
   ``MISS`` (nothing significant), ``WRONG`` (significant, but the first of the ranking is not the
   cause, or the cause is not among the significant).
5. Rates: *right first* over worlds with a nameable cause, whatever is significant (and, apart,
   together with detection); *false alarms* over worlds without any cause. Both are also given for
   the worlds in which the cause is identifiable, and in which an oracle is right first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from scipy.special import ndtri

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId
from commonmode.lab.causes_truth import CauseTruth

__all__ = ["CauseOutcome", "CauseRate", "CauseScore", "CauseTally", "score_causes", "tally"]


class CauseOutcome(Enum):
    """Verdict on one world; the rules are in the module."""

    RIGHT = "right"
    TIE = "tie"
    WRONG = "wrong"
    MISS = "miss"
    FALSE_ALARM = "false alarm"
    PROXY = "proxy"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class CauseScore:
    """Score of one world.

    Attributes
    ----------
    outcome : CauseOutcome
    nameable, identifiable : bool
        Of the world: a cause is shared on the cards; data could tell every cause.
    right_first : bool
    credit : float
        In [0, 1].
    detected : bool
    causes_found : int
        Nameable causes (or ties) among the significant.
    false_names, proxies : tuple of ComponentId
    tags : tuple of str
        The world's difficulties.
    """

    outcome: CauseOutcome
    nameable: bool
    identifiable: bool
    right_first: bool
    credit: float
    detected: bool
    causes_found: int
    false_names: tuple[ComponentId, ...]
    proxies: tuple[ComponentId, ...]
    tags: tuple[str, ...]


def _first(ranking: Sequence[str | Collection[str]]) -> frozenset[str]:
    if not ranking:
        return frozenset()
    return frozenset([ranking[0]] if isinstance(ranking[0], str) else ranking[0])


def _check_names(names: Iterable[str], truth: CauseTruth) -> None:
    unknown = sorted(set(names) - set(truth.declared))
    if unknown:
        raise ConfigurationError(
            f"world {truth.seed} has no component {', '.join(unknown)} on its cards",
            remedy="rank the components under the names the cards give them",
        )


def score_causes(
    ranking: Sequence[str | Collection[str]], significant: Collection[str], truth: CauseTruth
) -> CauseScore:
    """Score an attribution against the truth.

    Parameters
    ----------
    ranking : sequence of component names, or of sets of names called indistinguishable
        Best first; need not be complete.
    significant : collection of component names
    truth : CauseTruth

    Raises
    ------
    ConfigurationError
        A name that is not on the cards.
    """
    first = _first(ranking)
    for entry in ranking:
        _check_names([entry] if isinstance(entry, str) else entry, truth)
    _check_names(significant, truth)
    nameable = truth.shared_causes
    right: frozenset[str] = frozenset().union(*(cause.tied for cause in nameable))
    right_first, credit = _credit(first, truth)
    found = sum(bool(cause.tied & set(significant)) for cause in nameable)

    others = sorted(ComponentId(name) for name in set(significant) - right)
    shares = {
        name: any(len(truth.declared[name] & cause.users) >= 2 for cause in truth.causes)
        for name in others
    }
    false_names = tuple(name for name in others if not shares[name])
    proxies = tuple(name for name in others if shares[name])
    if not nameable:
        alarm = CauseOutcome.FALSE_ALARM if false_names else CauseOutcome.QUIET
        outcome = CauseOutcome.PROXY if proxies and not false_names else alarm
    elif not significant:
        outcome = CauseOutcome.MISS
    elif not (right_first and found):
        outcome = CauseOutcome.WRONG
    else:
        outcome = CauseOutcome.RIGHT if credit == 1.0 else CauseOutcome.TIE
    return CauseScore(
        outcome=outcome,
        nameable=bool(nameable),
        identifiable=truth.identifiable,
        right_first=right_first,
        credit=credit,
        detected=found > 0,
        causes_found=found,
        false_names=false_names,
        proxies=proxies,
        tags=truth.tags,
    )


def _credit(first: frozenset[str], truth: CauseTruth) -> tuple[bool, float]:
    """Whether the first is a cause up to ties, and the chance that a blind pick in it is."""
    nameable = truth.shared_causes
    chance = 0.0
    for name in first:
        tied = [cause for cause in nameable if name in cause.tied]
        if tied:
            chance += sum(cause.tied == tied[0].tied for cause in tied) / len(tied[0].tied)
    credit = min(1.0, chance / len(first)) if first else 0.0
    right = bool(first) and all(any(name in c.tied for c in nameable) for name in first)
    return right, credit


@dataclass(frozen=True, slots=True)
class CauseRate:
    """A rate with its 95 % interval (Wilson 1927, score interval).

    ``hits`` may be fractional where it adds up credits; nan bounds where nothing was counted.
    """

    hits: float
    worlds: int

    @property
    def value(self) -> float:
        """The rate, nan over no worlds."""
        return self.hits / self.worlds if self.worlds else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound at 95 %."""
        if not self.worlds:
            return float("nan"), float("nan")
        z, n, p = float(ndtri(0.975)), self.worlds, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * ((p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5)
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        """E.g. ``0.912 (0.88 to 0.94, 312 worlds)``."""
        low, high = self.interval
        return f"{self.value:.3f} ({low:.2f} to {high:.2f}, {self.worlds} worlds)"


@dataclass(frozen=True, slots=True)
class CauseTally:
    """Rates over many worlds.

    Attributes
    ----------
    right_first : CauseRate
        Up to ties, over worlds with a nameable cause.
    strict : CauseRate
        The same with ties at their chance.
    right_and_significant : CauseRate
        Right first and detected.
    right_first_identifiable : CauseRate
        Over worlds whose causes are all identifiable.
    right_first_where_oracle : CauseRate
        Over worlds with a nameable cause where the oracle is right first and detects.
    false_alarms : CauseRate
        Over worlds without any cause.
    false_names : CauseRate
        Worlds with a false name, over worlds with a cause.
    proxies : CauseRate
        Worlds with a proxy, over worlds with a cause.
    """

    right_first: CauseRate
    strict: CauseRate
    right_and_significant: CauseRate
    right_first_identifiable: CauseRate
    right_first_where_oracle: CauseRate
    false_alarms: CauseRate
    false_names: CauseRate
    proxies: CauseRate


def tally(scores: Sequence[CauseScore], oracle: Sequence[CauseScore] | None = None) -> CauseTally:
    """Add up scores; ``oracle`` holds an oracle's scores of the same worlds, in the same order.

    Raises
    ------
    ConfigurationError
        Another number of the oracle's scores.
    """
    if oracle is not None and len(oracle) != len(scores):
        raise ConfigurationError(
            f"{len(oracle)} scores of the oracle for {len(scores)} worlds",
            remedy="score the oracle on the same worlds in the same order",
        )
    named = [score for score in scores if score.nameable]
    clear = [score for score in named if score.identifiable]
    quiet = [s for s in scores if "kind: none" in s.tags]
    moved = [s for s in scores if "kind: none" not in s.tags]
    best = [
        score
        for score, top in zip(scores, oracle or (), strict=False)
        if score.nameable and top.right_first and top.detected
    ]
    return CauseTally(
        right_first=CauseRate(sum(s.right_first for s in named), len(named)),
        strict=CauseRate(sum(s.credit for s in named), len(named)),
        right_and_significant=CauseRate(
            sum(s.right_first and s.detected for s in named), len(named)
        ),
        right_first_identifiable=CauseRate(sum(s.right_first for s in clear), len(clear)),
        right_first_where_oracle=CauseRate(sum(s.right_first for s in best), len(best)),
        false_alarms=CauseRate(
            sum(s.outcome is CauseOutcome.FALSE_ALARM for s in quiet), len(quiet)
        ),
        false_names=CauseRate(sum(bool(s.false_names) for s in moved), len(moved)),
        proxies=CauseRate(sum(bool(s.proxies) for s in moved), len(moved)),
    )
