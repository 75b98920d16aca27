"""Batteries of interventions that need no more than the models and the names of their feeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from math import inf
from typing import Any, Final

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId
from commonmode.forecast.parts import window_name
from commonmode.market.chain import OptionChain
from commonmode.market.history import History
from commonmode.panel.interventions import Intervention
from commonmode.panel.perturbations import (
    add_noise,
    delay,
    drop,
    drop_expiry,
    scale_past_moves,
    shift,
    shift_forward,
    shift_vols,
    swap_field,
    widen_spreads,
)
from commonmode.register.cards import Layer
from commonmode.register.model import Model

__all__ = [
    "chain_interventions",
    "feed_interventions",
    "memory_interventions",
    "setting_interventions",
]

_BANDS: Final = (0, 24, 168, 500, 1000, 2000)  # hourly: a day, a week, three, six, twelve weeks

_NORMAL: Final = ComponentId("normal innovations")

# Setting, its value, what it becomes, and the part that it stands for on the cards of those who
# have it.
_SWAPS: Final[tuple[tuple[str, Any, Any, Layer, str, str], ...]] = (
    ("innovations", "student", "normal", Layer.ASSUMPTION, "Student t innovations",
     "Student's innovations become normal"),
    ("asymmetric", True, False, Layer.ASSUMPTION, "leverage effect", "no leverage effect"),
    ("weighting", "vega", "spread", Layer.CALIBRATION, "vega-weighted least squares",
     "quotes weighted by their spreads instead of vega"),
    ("outlier", 4.0, inf, Layer.CALIBRATION, "huber outlier weights",
     "no outlier is weighted down"),
)  # fmt: skip


# Value of ``solver``, what it becomes, and the part on the cards that it is the search of. One part
# of a likelihood for each law of innovations: whoever has no setting for them has normal ones.
_SEARCHES: Final[tuple[tuple[str, str, Layer, str, str], ...]] = (
    ("slsqp", "trust-constr", Layer.CALIBRATION, "maximum likelihood, normal", "normal"),
    ("slsqp", "trust-constr", Layer.CALIBRATION, "maximum likelihood, student", "student"),
    ("levenberg-marquardt", "trust-region", Layer.TECHNIQUE, "levenberg-marquardt", ""),
)  # fmt: skip


def feed_interventions(
    feeds: Mapping[ComponentId, Sequence[str]],
    *,
    basis_points: float = 50.0,
    late: int = 1,
    noise: float = 0.1,
) -> tuple[Intervention[History], ...]:
    """Each feed gone, off in its last bar, late, and noisy.

    Parameters
    ----------
    feeds : mapping of component (as named on cards) to columns
        Which columns of the history a feed supplies.
    basis_points : float
        Error of the last bar.
    late : int
        Bars.
    noise : float
        Standard deviations of the columns' own changes.
    """
    found, bars = [], "bar" if late == 1 else "bars"
    for feed, columns in feeds.items():
        faults = (
            ("gone", drop(columns), 1.0, "feed"),
            (f"off {basis_points:g} bp in its last bar", shift(columns, basis_points),
             basis_points, "bp"),
            (f"{late} {bars} late", delay(columns, late), float(late), "bars"),
            (f"with noise of {noise:g} of its changes", add_noise(columns, noise), noise, "sd"),
        )  # fmt: skip
        found += [
            Intervention(
                name=f"{feed} {what}",
                layer=Layer.DATA,
                component=feed,
                size=size,
                unit=unit,
                perturb=change,
            )
            for what, change, size, unit in faults
        ]
    return tuple(found)


def memory_interventions(
    columns: Sequence[str] = ("close",),
    *,
    edges: Sequence[int] = _BANDS,
    factor: float = 2.0,
) -> tuple[Intervention[History], ...]:
    """Moves of one band of ages after another made larger: whose memory reaches how far.

    Works on black boxes; what it finds no card names, so it is not held against them. It enters the
    layer of calibration.
    """
    if len(edges) < 2:
        raise ConfigurationError(
            f"{len(edges)} edges of memory bands", remedy="give at least two ages in bars"
        )
    return tuple(
        Intervention(
            name=f"moves {low} to {high} bars ago times {factor:g}",
            layer=Layer.CALIBRATION,
            component=ComponentId(f"memory of {low} to {high} bars"),
            size=factor,
            unit="times",
            perturb=scale_past_moves(factor, youngest=low, oldest=high, columns=columns),
            on_cards=False,
        )
        for low, high in pairwise(edges)
    )


def setting_interventions(
    models: Sequence[Model], *, shorter: float = 0.8
) -> tuple[Intervention[Any], ...]:
    """What the models say of their own settings, changed: windows, tails, optimisers, engines.

    For models that are dataclasses. Each window (its component: ``500 h window``) is made
    ``shorter`` times as long and each decay forgets twice as slowly; normal innovations become
    Student's or the window's own, whichever the model knows, and Student's normal; leverage goes;
    weights become others; likelihoods are maximised and squares minimised by another optimiser; the
    numpy engine becomes the compiled one.
    """
    settings = [_settings(model) for model in models]
    windows = sorted({s["window"] for s in settings if isinstance(s.get("window"), int)})
    found: list[Intervention[Any]] = [
        Intervention(
            name=f"{window_name(was)} becomes {int(shorter * was)} h",
            layer=Layer.CALIBRATION,
            component=ComponentId(window_name(was)),
            size=was - int(shorter * was),
            unit="bars",
            swap=swap_field("window", was, int(shorter * was)),
        )
        for was in windows
        if int(shorter * was) >= 1
    ]
    found += [
        Intervention(
            name=f"decay {was:g} becomes {0.5 * (1.0 + was):g}",
            layer=Layer.CALIBRATION,
            component=ComponentId(f"fixed decay {was:g}"),
            size=0.5 * (1.0 - was),
            unit="per bar",
            swap=swap_field("decay", was, 0.5 * (1.0 + was)),
        )
        for was in sorted({s["decay"] for s in settings if isinstance(s.get("decay"), float)})
    ]
    found += [
        Intervention(
            name=what,
            layer=layer,
            component=ComponentId(part),
            size=1.0,
            unit="setting",
            swap=swap_field(name, was, becomes),
        )
        for name, was, becomes, layer, part, what in _SWAPS
        if any(s.get(name) == was for s in settings)
    ]
    if any(s.get("innovations") == "normal" for s in settings):
        found.append(
            Intervention(
                name="normal innovations become fat-tailed",
                layer=Layer.ASSUMPTION,
                component=_NORMAL,
                size=1.0,
                unit="tail",
                swap=_fatter,
            )
        )
    found += [
        Intervention(
            name=f"{part}: {becomes} instead of {was}",
            layer=layer,
            component=ComponentId(part),
            size=1.0,
            unit="optimiser",
            swap=_other_search(part, was, becomes, innovations),
            must_move=False,
        )
        for was, becomes, layer, part, innovations in _SEARCHES
        if any(_searches(s, was, innovations) for s in settings)
    ]
    if any(s.get("engine") == "numpy" for s in settings):
        found.append(
            Intervention(
                name="compiled engine instead of numpy",
                layer=Layer.CODE,
                component=ComponentId("numpy engine"),
                size=1.0,
                unit="engine",
                swap=swap_field("engine", "numpy", "numba"),
                on_cards=False,
            )
        )
    return tuple(found)


def chain_interventions(
    venue: str, *, vol_points: float = 1.0, basis_points: float = 50.0, wider: float = 2.0
) -> tuple[Intervention[OptionChain], ...]:
    """Marks and mids moved, spreads widened, forwards late, the nearest and farthest expiry gone.

    Parameters
    ----------
    venue : str
        As on the cards: ``deribit`` of ``deribit mark iv``.
    vol_points : float
    basis_points : float
        Move of the forward that a late feed misses.
    wider : float
        Factor of the spreads.
    """
    marks, mids = ComponentId(f"{venue} mark iv"), ComponentId(f"{venue} bid-ask mid")
    forwards = ComponentId(f"{venue} forwards")
    listing = ComponentId(f"{venue} listed expiries")
    sides = ("bid_iv", "ask_iv")
    faults = (
        (f"marks {vol_points:g} vol points up", marks, shift_vols(vol_points, ("mark_iv",)),
         vol_points, "vol points", True),
        (f"mids {vol_points:g} vol points up", mids, shift_vols(vol_points, sides),
         vol_points, "vol points", True),
        (f"spreads times {wider:g}", mids, widen_spreads(wider), wider, "times", True),
        (f"forwards {basis_points:g} bp behind", forwards, shift_forward(basis_points),
         basis_points, "bp", True),
        ("nearest expiry gone", listing, drop_expiry(0), 1.0, "expiry", False),
        ("farthest expiry gone", listing, drop_expiry(-1), 1.0, "expiry", False),
    )  # fmt: skip
    return tuple(
        Intervention(
            name=name,
            layer=Layer.DATA,
            component=component,
            size=size,
            unit=unit,
            perturb=change,
            on_cards=on_cards,
        )
        for name, component, change, size, unit, on_cards in faults
    )


def _settings(model: Any) -> dict[str, Any]:
    if not is_dataclass(model) or isinstance(model, type):
        return {}
    return {field.name: getattr(model, field.name) for field in fields(model)}


def _searches(settings: Mapping[str, Any], solver: str, innovations: str) -> bool:
    """Whether this is the search of this law; no law is any law."""
    law = settings.get("innovations", "normal")
    return settings.get("solver") == solver and (not innovations or law == innovations)


def _other_search(part: str, was: str, becomes: str, innovations: str) -> Callable[[Any], Any]:
    """The model with another optimiser; one whose search cannot be changed says nothing."""

    def swap(model: Any) -> Any:
        if _searches(_settings(model), was, innovations):
            return swap_field("solver", was, becomes)(model)
        if any(use.component == part for use in model.card.components):
            raise ConfigurationError(
                f"{model.id} declares {part} and has no setting for the optimiser",
                remedy=f"give it a field solver that may be {was!r} or {becomes!r}",
            )
        return model

    return swap


def _fatter(model: Any) -> Any:
    """Student's innovations where the model knows them, else the window's own."""
    try:
        return swap_field("innovations", "normal", "student")(model)
    except ConfigurationError:
        return swap_field("innovations", "normal", "empirical")(model)
