"""A population drawn to be consistent with recorded open interest; who owns what is assumed.

Open interest is published per instrument, without owner and without side. Every draw therefore
keeps the one identity that is known (for each instrument the longs add up to the open interest, and
so do the shorts) and assumes everything else, by kind of participant, in :class:`Style`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import BookId, ModelId, ParticipantId
from commonmode.core.random import stream
from commonmode.market.chain import OptionChain
from commonmode.market.instruments import Payoff, Settlement, parse_deribit_name
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book
from commonmode.register.population import Participant, ParticipantKind, Population

__all__ = ["DEFAULT_STYLES", "DrawnPopulation", "ModelChoice", "Style", "draw_population"]

_LOTS: Final = (1.0, 0.1, 0.01, 0.001)
_DAYS_PER_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model a participant picks, by probability.

    The same uniform draw is used whatever the weights, so two rules compared under one seed differ
    by the rule alone.

    Attributes
    ----------
    models : tuple of ModelId
    weights : tuple of float
        Not negative, not all zero; equal when left out.
    """

    models: tuple[ModelId, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = self.weights or (1.0,) * len(self.models)
        if (
            not self.models
            or len(weights) != len(self.models)
            or min(weights) < 0
            or not 0 < sum(weights) < math.inf
        ):
            raise ConfigurationError(
                f"a choice among {len(self.models)} models with weights {self.weights}",
                remedy="name at least one model and give each a weight >= 0, not all zero",
            )

    def pick(self, uniform: float) -> ModelId:
        """The model at quantile ``uniform`` in [0, 1) of the cumulative weights."""
        cumulative = np.cumsum(self.weights or (1.0,) * len(self.models))
        row = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
        return self.models[min(row, len(self.models) - 1)]


@dataclass(frozen=True, slots=True)
class Style:
    """What kind of book a kind of participant holds; every number is an assumption.

    Attributes
    ----------
    size : float
        Relative size of the book, > 0.
    long_call, long_put : float
        Probability of being long an out-of-the-money call, put; in the money the probability is
        one half.
    in_the_money : float
        Weight of in-the-money options against out-of-the-money ones, > 0.
    horizon_days : float
        Interest in an expiry falls as ``exp(-days / horizon_days)``.
    hedge_ratio : float
        Part of the option delta hedged in the perpetual, in [0, 1].
    perpetual_share : float
        Weight in taking the other side of the hedgers' perpetuals, >= 0.
    capital_ratio : float
        Capital in USD per USD of gross exposure, > 0.
    """

    size: float
    long_call: float
    long_put: float
    in_the_money: float
    horizon_days: float
    hedge_ratio: float
    perpetual_share: float
    capital_ratio: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        positive = (self.size, self.in_the_money, self.horizon_days, self.capital_ratio)
        unit = (self.long_call, self.long_put, self.hedge_ratio)
        if min(positive) <= 0 or min(unit) < 0 or max(unit) > 1 or self.perpetual_share < 0:
            raise ConfigurationError(
                f"{self} is out of range",
                remedy="size, in_the_money, horizon_days and capital_ratio are positive; "
                "long_call, long_put and hedge_ratio lie in [0, 1]",
            )


DEFAULT_STYLES: Final[Mapping[ParticipantKind, Style]] = MappingProxyType(
    {
        # Two-sided, any expiry, hedges its delta.
        ParticipantKind.DESK: Style(1.0, 0.5, 0.5, 1.0, 365.0, 1.0, 0.0, 0.10),
        # Sells short-dated options out of the money against full collateral, does not hedge.
        ParticipantKind.VAULT: Style(0.5, 0.02, 0.05, 0.1, 30.0, 0.0, 0.0, 1.0),
        # The venue's own market maker: two-sided, mostly hedged, other side of the perpetual.
        ParticipantKind.EXCHANGE: Style(0.7, 0.5, 0.5, 1.0, 180.0, 0.8, 1.0, 0.25),
        # Buys puts against its collateral, sells calls on it, holds leverage in the perpetual.
        ParticipantKind.PROTOCOL: Style(0.4, 0.15, 0.9, 0.3, 90.0, 0.0, 1.0, 0.50),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPopulation:
    """One population that is consistent with what is observed.

    Attributes
    ----------
    population : Population
    books : tuple of Book
        One per participant, in the same order.
    seed : int
    perpetual_interest : mapping of instrument to float
        Contracts of the perpetuals that the hedges imply; not recorded, hence not reconciled.
    skipped : tuple of str
        Options whose recorded open interest is missing or negative.
    """

    population: Population
    books: tuple[Book, ...]
    seed: int
    perpetual_interest: Mapping[str, float]
    skipped: tuple[str, ...]


def _lot(open_interest: FloatArray) -> float:
    """The largest lot of which every open interest is a whole number."""
    for lot in _LOTS:
        lots = open_interest / lot
        if np.allclose(lots, np.rint(lots), rtol=0.0, atol=1e-6):
            return lot
    raise DataError(
        "open interest is not a whole number of lots of 0.001 contracts",
        remedy="give open interest in contracts as the venue publishes it",
    )


def _apportion(total: IntArray, weight: FloatArray) -> IntArray:
    """Split ``total`` (n,) over the rows of ``weight`` (P, n) by largest remainder, exactly."""
    mass = weight.sum(axis=0)
    ideal = weight * (total / np.where(mass > 0, mass, 1.0))
    share = np.floor(ideal).astype(np.int64)
    rank = np.argsort(np.argsort(-(ideal - share), axis=0, kind="stable"), axis=0, kind="stable")
    return np.asarray(share + (rank < (total - share.sum(axis=0))), dtype=np.int64)


def _black_delta(chain: OptionChain) -> FloatArray:
    """Black delta at the venue's mark IV, shape (n,); the step function where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = chain.mark_iv * np.sqrt(np.maximum(chain.years, 0.0))
        d1 = -chain.log_moneyness / total + total / 2
    d1 = np.where(np.isfinite(d1), d1, np.where(chain.strike < chain.forward, np.inf, -np.inf))
    return np.asarray(ndtr(d1) - (chain.sign < 0))


def _draw_options(
    chain: OptionChain,
    who: Sequence[tuple[str, ParticipantKind]],
    styles: Mapping[ParticipantKind, Style],
    seed: int,
) -> FloatArray:
    """Contracts of each option per participant, signed, shape (P, n)."""
    lot = _lot(chain.open_interest)
    lots = np.rint(chain.open_interest / lot).astype(np.int64)
    days = np.maximum(chain.years, 0.0) * _DAYS_PER_YEAR
    otm = chain.sign * chain.log_moneyness >= 0
    margin = np.empty((len(who), len(chain)))
    weight = np.empty_like(margin)
    for p, (name, kind) in enumerate(who):
        style = styles[kind]
        draws = stream(seed, "population", name, str(chain.underlying))
        size = style.size * draws.lognormal(0.0, 0.5)
        long = np.where(chain.sign > 0, style.long_call, style.long_put)
        margin[p] = np.where(otm, long, 0.5) - draws.random(len(chain))
        interest = np.where(otm, 1.0, style.in_the_money) * np.exp(-days / style.horizon_days)
        # Holdings of one series are concentrated in few hands: Gamma(1/2) shares.
        weight[p] = size * interest * draws.gamma(0.5, size=len(chain)) + 1e-200
    is_long = margin > 0
    columns = np.arange(len(chain))
    # Every series has somebody on each side: the least unwilling one steps over.
    nobody = ~is_long.any(axis=0)
    is_long[margin.argmax(axis=0)[nobody], columns[nobody]] = True
    everybody = is_long.all(axis=0)
    is_long[margin.argmin(axis=0)[everybody], columns[everybody]] = False
    longs = _apportion(lots, np.where(is_long, weight, 0.0))
    shorts = _apportion(lots, np.where(is_long, 0.0, weight))
    return np.asarray((longs - shorts) * lot, dtype=np.float64)


def _draw_perpetuals(
    delta_coins: FloatArray,
    contract_coins: float,
    who: Sequence[tuple[str, ParticipantKind]],
    styles: Mapping[ParticipantKind, Style],
) -> IntArray:
    """Contracts of the perpetual per participant, signed, adding up to zero, shape (P,)."""
    ratio = np.array([styles[kind].hedge_ratio for _, kind in who])
    share = np.array([styles[kind].perpetual_share * styles[kind].size for _, kind in who])
    if not share.any():
        share = np.ones(len(who))
    hedge = np.rint(-ratio * delta_coins / contract_coins).astype(np.int64)
    excess = int(hedge.sum())
    other = _apportion(np.array([abs(excess)]), share[:, None])[:, 0]
    return np.asarray(hedge - int(np.sign(excess)) * other, dtype=np.int64)


def _rule(
    rule: ModelChoice | Mapping[ParticipantKind, ModelChoice], kind: ParticipantKind
) -> ModelChoice:
    if isinstance(rule, ModelChoice):
        return rule
    if kind not in rule:
        raise ConfigurationError(
            f"no model is assigned to participants of kind {kind.value}",
            remedy="give a choice of models for every kind in the population",
        )
    return rule[kind]


def draw_population(
    market: Snapshot,
    kinds: Mapping[ParticipantKind, int],
    *,
    surface_models: ModelChoice | Mapping[ParticipantKind, ModelChoice],
    risk_models: ModelChoice | Mapping[ParticipantKind, ModelChoice],
    seed: int,
    styles: Mapping[ParticipantKind, Style] = DEFAULT_STYLES,
    capital_floor_usd: float = 1e5,
    jurisdictions: Sequence[str] = ("",),
) -> DrawnPopulation:
    """Draw who holds the recorded open interest and which models they run.

    For every option, longs and shorts each add up to the open interest exactly, in whole lots of
    the venue, and nobody is on both sides. Hedgers trade their option delta (Black at the mark IV)
    in the perpetual of the coin; participants with a ``perpetual_share`` take the other side, so
    perpetuals add up to zero too. Capital is ``capital_ratio`` of the kind times the gross
    exposure, at least ``capital_floor_usd``.

    Parameters
    ----------
    market : Snapshot
        Chains with their open interest.
    kinds : mapping of ParticipantKind to int
        How many of each; at least two in all.
    surface_models, risk_models : ModelChoice, or one per kind
    seed : int
        Each participant has its own stream: adding one leaves the others' draws as they were.
    styles : mapping of ParticipantKind to Style
    capital_floor_usd : float
    jurisdictions : sequence of str
        Given out in turn.

    Returns
    -------
    DrawnPopulation
    """
    who = [(f"{kind.value}-{n + 1}", kind) for kind in kinds for n in range(kinds[kind])]
    if len(who) < 2:
        raise ConfigurationError(
            f"a population of {len(who)}", remedy="somebody has to be long and somebody short"
        )
    trades: list[list[tuple[str, float]]] = [[] for _ in who]
    gross = np.zeros(len(who))
    implied: dict[str, float] = {}
    skipped: list[str] = []
    for coin in sorted(market.chains):
        listed = market.chains[coin]
        sound = np.isfinite(listed.open_interest) & (listed.open_interest >= 0)
        sound &= (listed.forward > 0) & (listed.index > 0)
        skipped += [str(name) for name in listed.names[~sound]]
        chain = listed.select(sound)
        if not len(chain):
            continue
        held = _draw_options(chain, who, styles, seed)
        inverse = chain.settlement is Settlement.COIN
        perpetual = parse_deribit_name(f"{coin}{'' if inverse else '_USDC'}-PERPETUAL")
        index = float(np.median(chain.index))
        # A linear perpetual trades in thousandths of its one-coin contract.
        lot = 1.0 if perpetual.payoff is Payoff.INVERSE else _LOTS[-1]
        size = perpetual.contract_size / (index if inverse else 1.0)
        hedges = lot * _draw_perpetuals(held @ _black_delta(chain), lot * size, who, styles)
        implied[perpetual.id] = float(hedges[hedges > 0].sum())
        gross += np.abs(held) @ chain.index + np.abs(hedges) * size * index
        for p, mine in enumerate(trades):
            rows = np.flatnonzero(held[p])
            mine += [(str(chain.names[r]), float(held[p, r])) for r in rows]
            mine.append((str(perpetual.id), float(hedges[p])))
    participants = []
    for p, (name, kind) in enumerate(who):
        uniform = stream(seed, "population", name, "models").random(2)
        participants.append(
            Participant(
                id=ParticipantId(name),
                kind=kind,
                book=BookId(name),
                surface_model=_rule(surface_models, kind).pick(float(uniform[0])),
                risk_model=_rule(risk_models, kind).pick(float(uniform[1])),
                capital_usd=max(capital_floor_usd, styles[kind].capital_ratio * float(gross[p])),
                gross_usd=float(gross[p]),
                jurisdiction=jurisdictions[p % len(jurisdictions)],
            )
        )
    ownership = (
        "Ownership is assumed: venues publish open interest per instrument without owner or side; "
        f"who is long, who is short and who hedges is drawn (seed {seed}) so that every "
        "instrument adds up to its recorded open interest."
    )
    return DrawnPopulation(
        population=Population(tuple(participants), ownership),
        books=tuple(Book.of(name, mine) for (name, _), mine in zip(who, trades, strict=True)),
        seed=seed,
        perpetual_interest=MappingProxyType(implied),
        skipped=tuple(skipped),
    )
