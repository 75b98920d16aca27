"""How sure C5's shares are: block bootstrap of spillover tables, of every order of the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri, stdtrit

from commonmode.converge.propagation_result import NetSender, Split
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId
from commonmode.stats.crosslags import MomentSystem, solve_moments, spillover_tables

__all__ = [
    "Spread",
    "block_weights",
    "draw_spread",
    "is_swamped",
    "net_senders",
    "splits_of",
    "total_of",
]

_CELLS: Final = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Bootstrap draws of one order.

    Attributes
    ----------
    total, lagged : float64, shape (D, H)
        Totals, and the parts passed on; D is 0 where the benchmarks' noise swamps the deviations.
    net : float64, shape (D, N)
        At the longest horizon.
    blocks : int
    """

    total: FloatArray
    lagged: FloatArray
    net: FloatArray
    blocks: int


def block_weights(blocks: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """How often each block is drawn, shape (D, B): the same for every order of a grid."""
    drawn = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws)
    return drawn.astype(np.float64)


def draw_spread(
    moments: FloatArray,
    series: int,
    weights: FloatArray,
    horizons: tuple[int, ...],
    *,
    swamped: bool,
) -> Spread:
    """Tables of resampled moments.

    Parameters
    ----------
    moments : float64, shape (B, (p + 1) N, (p + 1) N)
        Of the order that is asked for.
    series : int
        N.
    weights : float64, shape (D, B)
    horizons : tuple of int
    swamped : bool
        Nothing is drawn: there are no shares to be sure of.
    """
    step = max(1, _CELLS // (series * series * max(horizons)))
    totals, lagged, nets = [], [], []
    for low in range(0, 0 if swamped else len(weights), step):
        drawn = np.tensordot(weights[low : low + step], moments, axes=1)
        system = solve_moments(drawn, series)
        a = spillover_tables(system.coefficients, system.covariance, horizons)
        b = spillover_tables(system.own, system.own_covariance, horizons)
        totals.append(total_of(a))
        lagged.append(total_of(a) - total_of(b))
        nets.append(_net(a[:, -1] - b[:, -1]))
    none = np.zeros((0, len(horizons)))
    return Spread(
        np.concatenate([none, *totals]),
        np.concatenate([none, *lagged]),
        np.concatenate([np.zeros((0, series)), *nets]),
        len(moments),
    )


def splits_of(
    table: FloatArray, shared: FloatArray, spread: Spread, horizons: tuple[int, ...], *, told: bool
) -> tuple[Split, ...]:
    """Totals with intervals, one per horizon.

    Parameters
    ----------
    table, shared : float64, shape (H, N, N)
    spread : Spread
    horizons : tuple of int
    told : bool
        The test rejects: the part passed on has an interval.
    """
    nothing = float("nan")
    splits = []
    for h, horizon in enumerate(horizons):
        if not len(spread.total):
            splits.append(Split(horizon, nothing, nothing, nothing, (nothing, nothing), None))
            continue
        here, apart = float(total_of(table)[h]), float(total_of(shared)[h])
        errors = [float(draws[:, h].std(ddof=1)) for draws in (spread.total, spread.lagged)]
        reach = _reach(spread.blocks)
        splits.append(
            Split(
                horizon=horizon,
                total=here,
                contemporaneous=apart,
                lagged=here - apart,
                total_interval=_interval(here, errors[0], reach),
                lagged_interval=_interval(here - apart, errors[1], reach) if told else None,
            )
        )
    return tuple(splits)


def net_senders(
    table: FloatArray,
    shared: FloatArray,
    spread: Spread,
    models: tuple[ModelId, ...],
    *,
    told: bool,
) -> tuple[NetSender, ...]:
    """What each model passes on less what it takes over, largest first.

    Parameters
    ----------
    table, shared : float64, shape (H, N, N)
    spread : Spread
    models : tuple of ModelId
    told : bool
        The test rejects: there are intervals, for all models at once.
    """
    nothing = float("nan")
    if not len(spread.net):
        return tuple(NetSender(model, nothing, nothing, nothing) for model in models)
    centre, error = _net(table[-1] - shared[-1]), spread.net.std(axis=0, ddof=1)
    apart = np.abs(spread.net - spread.net.mean(axis=0)) / np.where(error > 0, error, 1.0)
    joint = float(np.quantile(np.max(apart, axis=1), 0.95))
    wide = joint * _reach(spread.blocks) / float(ndtri(0.975))
    half = wide * error if told else np.full(len(models), np.nan)
    senders = [
        NetSender(models[i], float(v), float(v - half[i]), float(v + half[i]))
        for i, v in enumerate(centre)
    ]
    return tuple(sorted(senders, key=lambda s: -s.net))


def is_swamped(system: MomentSystem) -> bool:
    """The benchmarks' noise swamps the deviations: an innovation variance came out negative."""
    values = np.linalg.eigvalsh(system.own_covariance[0])
    indefinite = bool(values[0] < -1e-6 * max(float(values[-1]), 0.0))
    return bool(system.clipped[0]) or indefinite


def total_of(tables: FloatArray) -> FloatArray:
    """Mean over models of what comes from others, of tables (..., N, N)."""
    return np.asarray(1.0 - np.einsum("...ii->...i", tables).mean(axis=-1))


def _net(tables: FloatArray) -> FloatArray:
    return np.asarray(tables.sum(axis=-2) - tables.sum(axis=-1))


def _reach(blocks: int) -> float:
    """As many degrees of freedom as blocks; percentiles of so few cover much less."""
    return float(stdtrit(blocks - 1, 0.975))


def _interval(estimate: float, error: float, reach: float) -> tuple[float, float]:
    return max(estimate - reach * error, 0.0), min(estimate + reach * error, 1.0)
