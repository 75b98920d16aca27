"""What is drawn for a world of known causes: plain numbers, so that a world can be told in words.

:mod:`commonmode.lab.causes_prior` draws a design, :mod:`commonmode.lab.causes` plays it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from commonmode.register.cards import Layer

__all__ = [
    "LAYER_MECHANISMS",
    "BenchmarkDesign",
    "CardDesign",
    "CardMistake",
    "CauseDesign",
    "CauseWorldDesign",
    "CommonFactorDesign",
    "CrowdDesign",
    "FactorKind",
    "MarketDesign",
    "Mechanism",
    "Memory",
    "MissingDesign",
    "NearDecoy",
    "ProcessDesign",
    "WorldKind",
]


class WorldKind(Enum):
    """How many shared components really move the crowd together."""

    NONE = "none"
    ONE = "one"
    TWO = "two"


class Mechanism(Enum):
    """How a shared component moves the deviations of those who use it."""

    SOURCE_ERROR = "source error"
    SOURCE_DELAY = "source delay"
    STALE_SOURCE = "stale source"
    THIN_TAILS = "thin tails"
    MEAN_REVERSION = "mean reversion"
    OPTIMISER = "optimiser"
    SMOOTHER = "smoother"
    WINDOW = "calibration window"
    RECALIBRATION = "recalibration clock"
    VENDOR_NOISE = "vendor noise"
    VENDOR_REVISION = "vendor revisions"
    FLOOR = "floor"
    CAP = "cap"
    CALENDAR = "calendar defect"


#: The mechanisms by which a component of each layer acts.
LAYER_MECHANISMS: Final[dict[Layer, tuple[Mechanism, ...]]] = {
    Layer.DATA: (Mechanism.SOURCE_ERROR, Mechanism.SOURCE_DELAY, Mechanism.STALE_SOURCE),
    Layer.ASSUMPTION: (Mechanism.THIN_TAILS, Mechanism.MEAN_REVERSION),
    Layer.TECHNIQUE: (Mechanism.OPTIMISER, Mechanism.SMOOTHER),
    Layer.CALIBRATION: (Mechanism.WINDOW, Mechanism.RECALIBRATION),
    Layer.VENDOR: (Mechanism.VENDOR_NOISE, Mechanism.VENDOR_REVISION),
    Layer.CODE: (Mechanism.FLOOR, Mechanism.CAP, Mechanism.CALENDAR),
}


class Memory(Enum):
    """The memory of a process."""

    AR = "autoregression"
    LONG = "long memory"
    REGIME = "regime switching"


class FactorKind(Enum):
    """What the unlisted factor is: a process of its own, or everybody's lag behind volatility."""

    PROCESS = "process"
    LAG = "lag"


class NearDecoy(Enum):
    """A component that causes nothing and whose users overlap those of the cause."""

    SUBSET = "subset"
    SUPERSET = "superset"
    HALF = "half"


class CardMistake(Enum):
    """What the cards get wrong about the cause."""

    MISSING_USER = "missing user"
    FALSE_USER = "false user"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True)
class ProcessDesign:
    """Law of a stationary process; innovations are scaled, jumped, then filtered.

    Attributes
    ----------
    memory : Memory
    phi : float
        AR(1) coefficient; under ``REGIME`` that of the part around the switching level.
    d : float
        Order of fractional integration under ``LONG``.
    duration : float
        Mean stay in a state under ``REGIME``, in times.
    degrees_of_freedom : float
        Of Student-t innovations; ``inf`` is Gaussian.
    garch : tuple of float
        (alpha, beta) of GARCH(1,1) innovations; (0, 0) is none.
    jump_rate, jump_size : float
        Jumps per time and their size in standard deviations of an innovation; rate 0 is none.
    """

    memory: Memory
    phi: float
    d: float
    duration: float
    degrees_of_freedom: float
    garch: tuple[float, float]
    jump_rate: float
    jump_size: float


@dataclass(frozen=True, slots=True)
class MarketDesign:
    """Returns ``exp(log vol) x t``; stress raises the volatility and thickens the tails.

    Attributes
    ----------
    log_vol_sd, log_vol_phi : float
        Of the AR(1) part of log volatility.
    target_correlation : float
        Of the log volatilities, and of the surprises, of two targets.
    stress_share, stress_duration, stress_rise : float
        Part of the time in stress, mean length of an episode in times, rise of log volatility.
    calm_dof, stress_dof : float
        Degrees of freedom of the surprises.
    """

    log_vol_sd: float
    log_vol_phi: float
    target_correlation: float
    stress_share: float
    stress_duration: float
    stress_rise: float
    calm_dof: float
    stress_dof: float


@dataclass(frozen=True, slots=True)
class CauseDesign:
    """A shared component and how it acts.

    Attributes
    ----------
    layer : Layer
    mechanism : Mechanism
    users : tuple of int
        Models that really use it, ascending.
    shares : tuple of float
        Part of each user's deviation variance it is given.
    lags : tuple of int
        How many times later it reaches each user.
    stress_only : bool
    span : float
        The mechanism's time scale in times (delay, window, outage, period).
    edge : float
        Quantile of log volatility at which a floor or a cap stands.
    process : ProcessDesign
        Of source errors and vendor noise.
    """

    layer: Layer
    mechanism: Mechanism
    users: tuple[int, ...]
    shares: tuple[float, ...]
    lags: tuple[int, ...]
    stress_only: bool
    span: float
    edge: float
    process: ProcessDesign


@dataclass(frozen=True, slots=True)
class CommonFactorDesign:
    """The unlisted factor in all models' deviations; ``shares`` are signed parts of the variance
    that the causes leave over."""

    kind: FactorKind
    shares: tuple[float, ...]
    stress_only: bool
    span: float
    process: ProcessDesign


@dataclass(frozen=True, slots=True)
class CrowdDesign:
    """The models' own parts.

    Attributes
    ----------
    sd, bias : tuple of float
        Of each model's log deviation.
    own : tuple of ProcessDesign
        Law of each model's own deviation.
    target_correlation : float
        Of a model's own deviations on two targets.
    windows : tuple of int
        Length of each model's own look-back, all different; empty when none has one.
    window_share : float
        Part of the own variance that is a function of past returns through that window.
    """

    sd: tuple[float, ...]
    bias: tuple[float, ...]
    own: tuple[ProcessDesign, ...]
    target_correlation: float
    windows: tuple[int, ...]
    window_share: float


@dataclass(frozen=True, slots=True)
class BenchmarkDesign:
    """Errors of the two benchmarks: ``noise`` in units of the models' median deviation, of which
    ``persistent_share`` is an AR(1); ``blind_spot`` is an error common to both, in units of the
    noise."""

    noise: float
    persistent_share: float
    phi: float
    blind_spot: float


@dataclass(frozen=True, slots=True)
class MissingDesign:
    """Cells without a forecast; ``start`` and ``end`` are fractions of the times per model."""

    gap_share: float
    gap_length: float
    outages: bool
    start: tuple[float, ...]
    end: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CardDesign:
    """What the cards say.

    Attributes
    ----------
    components, everybody, single : int
        Number in all, of those that everybody uses, of those with one user.
    near : tuple of NearDecoy
    twin : bool
        A decoy declared by the very users of the cause, with the same weights.
    mistake : CardMistake or None
    houses : tuple of int
        House of each model; components spread mostly inside a house. Empty: no houses.
    informative_weights : bool
        Weights of the cause follow its loadings.
    """

    components: int
    everybody: int
    single: int
    near: tuple[NearDecoy, ...]
    twin: bool
    mistake: CardMistake | None
    houses: tuple[int, ...]
    informative_weights: bool


@dataclass(frozen=True, slots=True)
class CauseWorldDesign:
    """Everything that is drawn before the first series; ``causes[0]`` is idle in a ``NONE`` world.

    ``version`` is that of the prior, ``seed`` names the world.
    """

    version: str
    seed: int
    kind: WorldKind
    models: int
    times: int
    targets: int
    level: float
    market: MarketDesign
    crowd: CrowdDesign
    factor: CommonFactorDesign | None
    benchmarks: BenchmarkDesign
    missing: MissingDesign
    cards: CardDesign
    causes: tuple[CauseDesign, ...]

    @property
    def acting(self) -> tuple[CauseDesign, ...]:
        """The causes that act; none in a ``NONE`` world."""
        return () if self.kind is WorldKind.NONE else self.causes
