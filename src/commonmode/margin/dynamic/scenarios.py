"""Joint moves of several risk factors over one liquidation horizon, with weights and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray, freeze_arrays
from commonmode.core.errors import ConfigurationError, DataError

__all__ = ["JointScenarios", "ScenarioKind", "mixture"]

# Weights are probabilities; their sum may be off by accumulated rounding, no more.
_WEIGHT_TOLERANCE = 1e-9


class ScenarioKind(IntEnum):
    """Where a scenario comes from."""

    HISTORICAL = 0
    FILTERED = 1
    STRESSED = 2
    INDEPENDENT = 3
    COMONOTONE = 4
    HYPOTHETICAL = 5


@dataclass(frozen=True, slots=True, eq=False)
class JointScenarios:
    """S joint scenarios of U risk factors; a row is one state of the world.

    Attributes
    ----------
    factors : tuple of str, length U
        For example ``("BTC", "ETH", "SOL", "USDC", "LST-ETH")``; the last is the price of the
        liquid staking token in ether, so its basis is a factor of its own.
    log_returns : float64, shape (S, U)
        ``ln(price after / price before)`` of each factor. Finite: a price of zero has no logarithm,
        a total loss is stated as a small remaining fraction.
    vol_moves : float64, shape (S, U)
        Relative move of the factor's implied volatility, ``after / before - 1``, above -1. Zero
        for factors without options.
    weights : float64, shape (S,)
        Probabilities, non-negative, summing to 1.
    kinds : int64, shape (S,)
        Codes of :class:`ScenarioKind`.
    labels : str, shape (S,)
        End of the window in UTC, or the name of a hypothetical move.
    horizon_minutes : float
        Time over which the moves happen; 0 where a hypothetical move states none.
    left_out : int
        Rows of the history that could not be used because a factor was missing in them.
    proxies : mapping of str to str
        Factors whose history is another factor's, and whose.
    """

    factors: tuple[str, ...]
    log_returns: FloatArray
    vol_moves: FloatArray
    weights: FloatArray
    kinds: IntArray
    labels: StringArray
    horizon_minutes: float
    left_out: int = 0
    proxies: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and values once; the arrays become read-only."""
        shape = (len(self.weights), len(self.factors))
        if self.log_returns.shape != shape or self.vol_moves.shape != shape:
            raise DataError(
                f"scenarios of shapes {self.log_returns.shape} and {self.vol_moves.shape} for "
                f"{shape[0]} weights and {shape[1]} factors",
                remedy="returns and volatility moves are (scenarios, factors)",
            )
        if shape[0] == 0 or self.kinds.shape != shape[:1] or self.labels.shape != shape[:1]:
            raise DataError(
                f"{shape[0]} scenarios with {len(self.kinds)} kinds and {len(self.labels)} labels",
                remedy="give at least one scenario, and a kind and a label for each",
            )
        if len(set(self.factors)) != len(self.factors):
            raise DataError(f"factors {self.factors} repeat", remedy="name each factor once")
        if not np.all(np.isfinite(self.log_returns)):
            raise DataError(
                "a scenario holds a return that is not finite",
                remedy="leave incomplete rows out; state a total loss as a small fraction left",
            )
        if not np.all(np.isfinite(self.vol_moves)) or not np.all(self.vol_moves > -1.0):
            raise DataError(
                "a scenario holds a volatility move that is not finite or not above -1",
                remedy="volatility moves are relative: -0.3 is a fall by 30 percent",
            )
        total = float(self.weights.sum())
        if np.any(self.weights < 0.0) or not abs(total - 1.0) <= _WEIGHT_TOLERANCE:
            raise DataError(
                f"scenario weights must be non-negative and sum to 1, they sum to {total}",
                remedy="divide the weights by their sum",
            )
        freeze_arrays(self)
        object.__setattr__(self, "proxies", MappingProxyType(dict(self.proxies)))

    @classmethod
    def of(
        cls,
        factors: Sequence[str],
        log_returns: ArrayLike,
        *,
        kind: ScenarioKind,
        labels: Sequence[str] | StringArray,
        horizon_minutes: float,
        vol_moves: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        left_out: int = 0,
        proxies: Mapping[str, str] | None = None,
    ) -> JointScenarios:
        """Scenarios of one kind; equal weights and no volatility moves unless given.

        Parameters are the attributes; ``weights`` are divided by their sum.
        """
        moves = np.array(log_returns, dtype=np.float64, ndmin=2)
        n = len(moves)
        w = np.ones(n) if weights is None else np.array(weights, dtype=np.float64)
        total = float(w.sum())
        if n and not total > 0.0:
            raise DataError(
                f"scenario weights sum to {total}", remedy="give at least one positive weight"
            )
        return cls(
            factors=tuple(factors),
            log_returns=moves,
            vol_moves=(
                np.zeros_like(moves)
                if vol_moves is None
                else np.array(vol_moves, dtype=np.float64, ndmin=2)
            ),
            weights=w / total if n else w,
            kinds=np.full(n, int(kind), dtype=np.int64),
            labels=np.asarray(labels, dtype=np.str_),
            horizon_minutes=horizon_minutes,
            left_out=left_out,
            proxies=proxies or {},
        )

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def price_factors(self) -> FloatArray:
        """Price after over price before, shape (S, U)."""
        return np.exp(self.log_returns)

    @property
    def vol_factors(self) -> FloatArray:
        """Implied volatility after over before, shape (S, U)."""
        return 1.0 + self.vol_moves

    @property
    def equally_weighted(self) -> bool:
        """Whether every scenario has the same weight."""
        return bool(np.all(self.weights == self.weights[0]))

    @property
    def effective_count(self) -> float:
        """``1 / sum w^2``: as many equally weighted scenarios carry as much (Kish 1965)."""
        return float(1.0 / np.sum(self.weights**2))

    def column(self, factor: str) -> int:
        """Column of a factor.

        Raises
        ------
        DataError
            If there is none of that name.
        """
        if factor not in self.factors:
            raise DataError(
                f"no risk factor {factor!r} among {', '.join(self.factors)}",
                remedy="add its history, or state a proxy for it",
            )
        return self.factors.index(factor)

    def select(self, rows: BoolArray | IntArray | slice) -> JointScenarios:
        """The scenarios in ``rows``, weights renormalised."""
        w = self.weights[rows]
        total = float(w.sum())
        if not total > 0.0:
            raise DataError(
                "the selected scenarios carry no weight", remedy="select other scenarios"
            )
        return replace(
            self,
            log_returns=self.log_returns[rows],
            vol_moves=self.vol_moves[rows],
            weights=w / total,
            kinds=self.kinds[rows],
            labels=self.labels[rows],
        )

    def with_still(self, names: Sequence[str]) -> JointScenarios:
        """The same scenarios with further factors, which none of them moves."""
        new = [name for name in names if name not in self.factors]
        still = np.zeros((len(self), len(new)))
        return replace(
            self,
            factors=(*self.factors, *new),
            log_returns=np.hstack([self.log_returns, still]),
            vol_moves=np.hstack([self.vol_moves, still]),
        )

    def over(self, minutes: float, *, exponent: float = 0.5) -> JointScenarios:
        """The same scenarios stretched to another horizon.

        Log returns and the logarithms of the volatility factors are multiplied by
        ``(minutes / horizon_minutes) ** exponent``: one half for independent increments; one is the
        cautious reading, a move that goes on. Neither is a measurement at the shorter horizon:
        histories in bars of an hour say nothing of the path inside the hour.

        Parameters
        ----------
        minutes : float
            Positive.
        exponent : float
            In [0, 1].
        """
        if not minutes > 0.0 or not 0.0 <= exponent <= 1.0 or not self.horizon_minutes > 0.0:
            raise ConfigurationError(
                f"cannot stretch scenarios over {self.horizon_minutes} minutes to {minutes} with "
                f"exponent {exponent}",
                remedy="both horizons are positive and the exponent lies in [0, 1]",
            )
        scale = (minutes / self.horizon_minutes) ** exponent
        return replace(
            self,
            log_returns=self.log_returns * scale,
            vol_moves=np.expm1(np.log1p(self.vol_moves) * scale),
            horizon_minutes=float(minutes),
        )


def mixture(parts: Sequence[JointScenarios], shares: Sequence[float]) -> JointScenarios:
    """One set whose parts have the given total probabilities.

    Parameters
    ----------
    parts : sequence of JointScenarios
        Over the same factors in the same order and the same horizon.
    shares : sequence of float
        Non-negative, one per part; divided by their sum.

    Raises
    ------
    DataError
        If factors or horizons differ, or no share is positive.
    """
    share = np.array(shares, dtype=np.float64)
    if not parts or share.shape != (len(parts),) or np.any(share < 0.0) or not share.sum() > 0.0:
        raise DataError(
            f"{len(parts)} scenario sets with shares {list(shares)}",
            remedy="one non-negative share per set, at least one positive",
        )
    first = parts[0]
    for part in parts[1:]:
        if part.factors != first.factors or part.horizon_minutes != first.horizon_minutes:
            raise DataError(
                f"scenario sets over {part.factors} in {part.horizon_minutes} minutes and over "
                f"{first.factors} in {first.horizon_minutes} minutes cannot be mixed",
                remedy="build them over the same factors and stretch them to one horizon",
            )
    share = share / share.sum()
    proxies: dict[str, str] = {}
    for part in parts:
        proxies.update(part.proxies)
    return JointScenarios(
        factors=first.factors,
        log_returns=np.concatenate([part.log_returns for part in parts]),
        vol_moves=np.concatenate([part.vol_moves for part in parts]),
        weights=np.concatenate([s * part.weights for s, part in zip(share, parts, strict=True)]),
        kinds=np.concatenate([part.kinds for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        horizon_minutes=first.horizon_minutes,
        left_out=sum(part.left_out for part in parts),
        proxies=proxies,
    )
