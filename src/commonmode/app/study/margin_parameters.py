"""The settings chosen on the training period as a parameter file of our own method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from commonmode.adapters.feeds.recorded import require_recordings
from commonmode.app.study.margin_backtest import choose_settings
from commonmode.app.study.margin_family import LEVEL, PERIODS, recorded_market
from commonmode.core.errors import DataError
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.core.result import Failure
from commonmode.margin.backtest.bootstrap import Interval
from commonmode.margin.backtest.market_path import MarketPath
from commonmode.margin.backtest.ours import Recipe
from commonmode.margin.backtest.refit import calibration_portfolios, multiplier_at
from commonmode.margin.backtest.select import Candidate
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.market.clock import utc_ms

__all__ = ["COMMAND", "fitted_parameters", "parameters_to_toml"]

COMMAND: Final = "commonmode margin-backtest --write-parameters FILE"
_CHOSEN: Final = "bounded"
_DRAWS: Final = 300
# What the calibration does not set. Maintenance as in both published methods: four fifths.
_MAINTENANCE_SHARE: Final = 0.8
# The bound of the default recipe: without it a jump is stretched by the volatility it caused.
_HIGHEST_SCALING: Final = 4.0
_VOL_HALF_LIFE: Final = float(np.round(np.log(0.5) / np.log(0.995), 1))
_HEAD: Final = """\
# Settings of our own margin method, chosen on recorded history by a rule stated beforehand
# (commonmode.margin.backtest.select), and what the calibration leaves to convention.
# Written by: {command}
"""


def fitted_parameters(root: Path | None = None, *, progress: Progress | None = None) -> str:
    """Choose the settings on the training period, and write them as a parameter file.

    Parameters
    ----------
    root : Path, optional
        Folder of the recordings; found by itself if left out.
    progress : Progress, optional

    Raises
    ------
    DataError
        If the recordings are not here.
    """
    path, _, hashes = recorded_market(root or require_recordings())
    chosen = choose_settings(path, progress or SilentProgress())[3][_CHOSEN]
    inputs = {coin: hashes[coin] for coin in path.coins}
    return parameters_to_toml(chosen, fitted_multiplier(path, chosen), inputs)


def fitted_multiplier(path: MarketPath, chosen: Candidate) -> Interval:
    """As it stands at the end of the training period, with its interval.

    Raises
    ------
    DataError
        If the history is too short.
    """
    found = multiplier_at(
        path,
        calibration_portfolios(path.coins),
        chosen.settings,
        breach_rate=LEVEL,
        highest_scaling=_HIGHEST_SCALING,
        draws=_DRAWS,
        until_ms=utc_ms(PERIODS["training"][1]),
    )
    if isinstance(found, Failure):
        raise DataError(found.message, remedy=found.remedy)
    return found.value[1]


def parameters_to_toml(chosen: Candidate, multiplier: Interval, inputs: Mapping[str, str]) -> str:
    """The text of a parameter file.

    Parameters
    ----------
    chosen : Candidate
    multiplier : Interval
    inputs : mapping of coin to str
        Content hashes.

    Raises
    ------
    DataError
        The filter has several memories, which the method's scenarios do not.
    """
    s, d, recipe = chosen.settings, DynamicParameters(), Recipe()
    if len(s.half_lives) != 1:
        raise DataError(
            f"a filter of {len(s.half_lives)} half-lives is no filter of the method",
            remedy="leave mixed filters out of the candidates",
        )
    first, last = PERIODS["training"]
    rule = (
        f"{_CHOSEN}: least mean margin at equal coverage among settings whose coverage is not "
        "rejected and whose margin in USD travels no further than PM2's; the multiplier as of "
        f"{last}"
    )
    tables: dict[str, dict[str, Any]] = {
        "calibration": {
            "first": _Bare(first),
            "last": _Bare(last),
            "rule": rule,
            "portfolios": f"{len(calibration_portfolios(tuple(inputs)))} linear ones on "
            f"{', '.join(inputs)} (commonmode.margin.backtest.portfolios)",
            "command": COMMAND,
        },
        "calibration.inputs": dict(inputs),
        "loss": {
            "level": s.level,
            "stressed_weight": s.stressed_weight,
            "correlation_stress": s.correlation_stress,
        },
        "multiplier": {
            "value": multiplier.value,
            "low": multiplier.low,
            "high": multiplier.high,
            "window_days": s.window_days,
            "breach_rate": LEVEL,
        },
        "control": {"floor": s.floor, "buffer": s.buffer, "daily_limit": s.daily_limit},
        "scenarios": {
            "horizon_hours": 1,
            "window_hours": recipe.window,
            "stressed_hours": recipe.stressed_window,
            "least_hours": recipe.least_window + recipe.burn_in,
            "half_life_hours": s.half_lives[0],
            "vol_half_life_hours": _VOL_HALF_LIFE,
            "highest_scaling": _HIGHEST_SCALING,
        },
        "conventions": {
            "maintenance_level": s.level,
            "maintenance_share": _MAINTENANCE_SHARE,
            "hypothetical_share": d.mix.hypothetical_share,
            "maintenance_hypothetical": d.maintenance_hypothetical,
            "coin_move": 0.0,
            "posted_move": 0.1,
            "participation": d.participation,
            "reaction_minutes": d.reaction_minutes,
            "horizon_exponent": d.horizon_exponent,
            "open_interest_share": d.open_interest_share,
            "disagreement_quantile": d.disagreement_quantile,
            "disagreement_weight": d.disagreement_weight,
            "confidence_floor": d.confidence_floor,
            "confidence_rate": d.confidence_rate,
        },
    }
    lines = [
        _HEAD.format(command=COMMAND).rstrip("\n"),
        'name = "Fitted on training period"',
        f'version = "{last}"',
        f"underlyings = [{', '.join(_value(coin) for coin in inputs)}]",
        f"valid_from = {last}",
        f"source = {_value(f'{s.label}; chosen on {first} to {last}, {_CHOSEN} by travel')}",
    ]
    for name, table in tables.items():
        lines += ["", *_NOTES.get(name, ()), f"[{name}]"]
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


_NOTES: Final[Mapping[str, tuple[str, ...]]] = {
    "loss": ("# Chosen: level and weights of the expected shortfall.",),
    "multiplier": (
        "# Fitted anew at the start of every month where the history is long enough; otherwise",
        "# this value. low and high: 95 % block bootstrap.",
    ),
    "control": ("# Chosen: shares of the long-history margin and of the margin.",),
    "scenarios": (
        "# Chosen: half_life_hours. The windows are those of the backtest, the others conventions:",
        "# the bound on scaling is not in the backtest, and changes its breach rates by less than",
        "# 0.01 percent.",
    ),
    "conventions": (
        "# Not fitted. Coins have their history and no hypothetical move of their own (coin_move);",
        "# what is posted besides them has none, and loses posted_move in a hypothetical one.",
    ),
}


class _Bare(str):
    """Text that is written without quotes."""


def _value(value: Any) -> str:
    if isinstance(value, _Bare):
        return str(value)
    if isinstance(value, str):
        return f'"{value}"'
    return repr(float(value)) if isinstance(value, float) else str(value)
