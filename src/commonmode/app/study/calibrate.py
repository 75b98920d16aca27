"""Calibration of a study's surface models on one snapshot: smiles, residuals, arbitrage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from commonmode.app.study.market import open_feed, snapshot_at
from commonmode.app.study.models import build_models
from commonmode.app.study.results import failure_to_json, plain
from commonmode.app.study.schema import StudyFile, find_study, load_study
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.exposure.surfaces import calibrate_surface
from commonmode.market.chain import OptionChain
from commonmode.market.clock import utc_iso
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.density import durrleman_on_grid
from commonmode.register.model import FittedSurface, SurfaceModel

__all__ = ["calibrate_study"]

_NODES: Final = 121
_LEAST_QUOTES: Final = 3


def calibrate_study(
    path: Path,
    *,
    at: str | None = None,
    underlying: str | None = None,
    models: Sequence[str] = (),
) -> dict[str, Any]:
    """Calibrate the study's surface models on one chain and judge the fits.

    Parameters
    ----------
    path : Path
        Study.
    at : str, optional
        Time of the snapshot (UTC); the population's, or the first surface panel's, by default.
    underlying : str, optional
        The study's first by default.
    models : sequence of str
        Ids; all surface models by default.

    Returns
    -------
    dict
        ``expiries`` (quotes of each), ``models`` (per expiry: parameters, rmse against the mark and
        share fitted inside bid-ask over quotes out of the money, smallest g, curve, residuals) and
        failures with reasons.

    Raises
    ------
    ConfigurationError, DataError
        No such model, underlying or snapshot.
    """
    file = find_study(path)
    study = load_study(file)
    surface = build_models(study.models, file.parent).surface
    unknown = sorted(set(models) - {m.id for m in surface})
    if unknown or not surface:
        raise ConfigurationError(
            f"the study has no surface model {', '.join(unknown)}".rstrip(),
            remedy=f"its surface models: {', '.join(m.id for m in surface) or 'none'}",
        )
    coin = underlying or study.market.underlyings[0]
    snapshot = _snapshot(study, open_feed(study, file.parent), at, coin)
    chain = snapshot.chain(coin)
    grids = _grids(chain)
    value: dict[str, Any] = plain(
        {
            "study": study.study.name,
            "title": study.study.title,
            "underlying": coin,
            "venue": chain.venue,
            "snapshot": utc_iso(snapshot.time_ms),
            "expiries": [_quotes(chain, rows, expiry) for expiry, (rows, _) in grids.items()],
            "models": [
                _judge(model, calibrate_surface(model, chain), chain, grids)
                for model in surface
                if not models or model.id in models
            ],
        }
    )
    return value


def _snapshot(study: StudyFile, feed: Feed, at: str | None, coin: str) -> Snapshot:
    when: Any = at
    if when is None and study.population is not None:
        when = study.population.snapshot
    if when is None:
        when = next((p.start for p in study.panels if p.family == "surface"), None)
    if when is None:
        raise ConfigurationError(
            f"study {study.study.name} names no snapshot", remedy="say which one with --at"
        )
    return snapshot_at(feed, when, (coin,))


def _grids(chain: OptionChain) -> dict[int, tuple[BoolArray, FloatArray]]:
    """Usable quotes of each expiry and an even grid of log-moneyness over them."""
    grids = {}
    for expiry in np.unique(chain.expiry_ms[chain.usable]).tolist():
        rows = chain.usable & (chain.expiry_ms == expiry)
        k = chain.log_moneyness[rows]
        if rows.sum() >= _LEAST_QUOTES and k.max() > k.min():
            grids[int(expiry)] = (rows, np.linspace(k.min(), k.max(), _NODES))
    return grids


def _quotes(chain: OptionChain, rows: BoolArray, expiry: int) -> dict[str, Any]:
    order = np.argsort(chain.log_moneyness[rows], kind="stable")
    # The cheaper side of each strike is the one that is quoted with care.
    otm = chain.sign[rows] * chain.log_moneyness[rows] >= 0
    return {
        "expiry": utc_iso(expiry),
        "years": float(np.median(chain.years[rows])),
        "k": chain.log_moneyness[rows][order],
        "bid_iv": chain.bid_iv[rows][order],
        "ask_iv": chain.ask_iv[rows][order],
        "mark_iv": chain.mark_iv[rows][order],
        "out_of_the_money": otm[order],
    }


def _judge(
    model: SurfaceModel,
    fitted: Success[FittedSurface] | Failure,
    chain: OptionChain,
    grids: dict[int, tuple[BoolArray, FloatArray]],
) -> dict[str, Any]:
    if isinstance(fitted, Failure):
        return {"id": model.id, "status": "failed", **failure_to_json(fitted)}
    surface = fitted.value
    slices = []
    variances: list[tuple[FloatArray, FloatArray]] = []
    for expiry, (rows, grid) in grids.items():
        entry, variance = _slice(surface, chain, expiry, rows, grid)
        slices.append(entry)
        if variance is not None:
            variances.append((grid, variance))
    inside = [s["inside"] for s in slices if s["status"] == "ok" and s["two_sided"]]
    weight = [s["two_sided"] for s in slices if s["status"] == "ok" and s["two_sided"]]
    return {
        "id": model.id,
        "status": "ok",
        "slices": slices,
        "inside": float(np.average(inside, weights=weight)) if weight else None,
        "butterfly_violations": sum(bool((s.get("min_g") or 0.0) < 0) for s in slices),
        "calendar_violations": _calendar(variances),
    }


def _slice(
    surface: FittedSurface, chain: OptionChain, expiry: int, rows: BoolArray, grid: FloatArray
) -> tuple[dict[str, Any], FloatArray | None]:
    forward, years = float(np.median(chain.forward[rows])), float(np.median(chain.years[rows]))
    at = np.full(len(grid), expiry, dtype=np.int64)
    curve = surface.implied_vol(
        forward * np.exp(grid), np.full(len(grid), years), np.full(len(grid), forward), at
    )
    fit = surface.implied_vol(
        chain.strike[rows], chain.years[rows], chain.forward[rows], chain.expiry_ms[rows]
    )
    if not np.isfinite(curve).any():
        failures = getattr(surface, "slice_failures", {})
        said = failures.get(expiry)
        reason = failure_to_json(said) if said else {"message": "not fitted on this expiry"}
        return {"expiry": utc_iso(expiry), "status": "failed", **reason}, None
    # In the money the volatility of a quote is the volatility of its rounding.
    otm = chain.sign[rows] * chain.log_moneyness[rows] >= 0
    both = chain.two_sided[rows] & otm
    inside = (fit >= chain.bid_iv[rows]) & (fit <= chain.ask_iv[rows])
    g = durrleman_on_grid(grid, curve**2 * years)
    residual = fit - chain.mark_iv[rows]
    order = np.flatnonzero(otm)[np.argsort(chain.log_moneyness[rows][otm], kind="stable")]
    known = getattr(surface, "parameters", {})
    expiries = np.asarray(getattr(surface, "expiry_ms", np.empty(0)))
    row = np.flatnonzero(expiries == expiry)
    entry = {
        "expiry": utc_iso(expiry),
        "status": "ok",
        "parameters": {
            name: float(values[row[0]] if len(values) == len(expiries) else values[0])
            for name, values in known.items()
            if len(values) and (len(row) or len(values) != len(expiries))
        },
        "rmse": float(np.sqrt(np.nanmean(residual[otm] ** 2))) if otm.any() else None,
        "two_sided": int(both.sum()),
        "inside": float(inside[both].mean()) if both.any() else None,
        "min_g": float(np.nanmin(g[1:-1])),
        "k": grid,
        "vol": curve,
        "g": g,
        "residual_k": chain.log_moneyness[rows][order],
        "residual": residual[order],
    }
    return entry, curve**2 * years


def _calendar(variances: Sequence[tuple[FloatArray, FloatArray]]) -> int:
    """Neighbouring expiries whose total variance falls somewhere on their common strikes."""
    crossed = 0
    for (k_near, near), (k_far, far) in pairwise(variances):
        low, high = max(k_near[0], k_far[0]), min(k_near[-1], k_far[-1])
        if high <= low:
            continue
        grid = np.linspace(low, high, _NODES)
        gap = np.interp(grid, k_far, far) - np.interp(grid, k_near, near)
        crossed += bool(np.any(gap < -1e-10))
    return crossed
