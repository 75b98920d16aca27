"""C6: how far models disagree, on panels whose answer can be written down."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.dispersion import Disagreement, model_losses
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.panel.error_panel import ErrorPanel, PanelKind

T = 200


def panel(kind: PanelKind, forecast: np.ndarray, **more: object) -> ErrorPanel:
    rng = np.random.default_rng(3)
    outcome = rng.standard_normal((T, 1)) * 0.01
    if kind is PanelKind.VOL:
        outcome = np.exp(outcome)
    values: dict[str, object] = {
        "name": "p",
        "kind": kind,
        "level": 0.025 if kind is PanelKind.QUANTILE else 0.0,
        "horizon_ms": 1,
        "times_ms": np.arange(T, dtype=np.int64),
        "models": tuple(ModelId(f"m{i}") for i in range(forecast.shape[2])),
        "targets": (TargetId("X"),),
        "forecast": forecast,
        "outcome": outcome,
        "scale": np.full((T, 1), 0.01),
    }
    return ErrorPanel(**(values | more))  # type: ignore[arg-type]


def constant(*levels: float) -> np.ndarray:
    return np.broadcast_to(np.array(levels), (T, 1, len(levels))).copy()


def test_ratio_and_dispersion_of_constant_forecasts() -> None:
    c6 = Disagreement(draws=199).fit(panel(PanelKind.QUANTILE, constant(-0.01, -0.02))).result_
    assert c6.risk_ratio.value == pytest.approx(2.0)
    assert (c6.risk_ratio.low, c6.risk_ratio.high) == pytest.approx((2.0, 2.0))
    # Quartiles .0125 and .0175 by linear interpolation.
    assert c6.interquartile_dispersion.value == pytest.approx(0.005 / 0.03)


def test_range_is_over_the_equally_good_only() -> None:
    """Two good models a little apart and one that is far off and pays for it."""
    made = panel(PanelKind.QUANTILE, constant(-0.0196, -0.0200, -0.5))
    c6 = Disagreement(draws=199).fit(made).result_
    assert c6.equally_good == ("m0", "m1")
    assert c6.cont_range.value == pytest.approx(0.0004 / 0.0200)  # of the models' median
    assert c6.mean_loss[2] > c6.mean_loss[:2].max()
    half = np.full((T, 1), -0.04)
    against = Disagreement(draws=199).fit(replace(made, benchmark_a=half, benchmark_b=half))
    assert against.result_.cont_range.value == pytest.approx(0.01)


def test_worst_case_grows_with_the_radius() -> None:
    c6 = Disagreement(draws=199).fit(panel(PanelKind.QUANTILE, constant(-0.01, -0.02))).result_
    etas = [eta for eta, _ in c6.worst_case_loss]
    multiples = [multiple for _, multiple in c6.worst_case_loss]
    assert etas == [0.01, 0.05, 0.1]
    assert 1.0 < multiples[0] < multiples[1] < multiples[2]


@pytest.mark.parametrize("kind", [PanelKind.VALUE, PanelKind.SIGNAL])
def test_figures_that_change_sign_have_no_ratio(kind: PanelKind) -> None:
    forecast = np.random.default_rng(1).standard_normal((T, 1, 4))
    forecast[::7] = 0.0
    c6 = Disagreement(draws=199).fit(panel(kind, forecast)).result_
    assert np.isnan(c6.risk_ratio.value)
    assert np.isnan(c6.interquartile_dispersion.value)
    spread = (forecast.max(axis=2) - forecast.min(axis=2)).mean() / 0.01
    good = [int(name[1:]) for name in c6.equally_good]
    if len(good) == 4:
        assert c6.cont_range.value == pytest.approx(spread)
    assert np.isfinite(c6.cont_range.value)


def test_prices_have_a_ratio() -> None:
    c6 = Disagreement(draws=199).fit(panel(PanelKind.VALUE, constant(1.0, 3.0))).result_
    assert c6.risk_ratio.value == pytest.approx(3.0)


def test_losses_by_kind() -> None:
    vol = panel(PanelKind.VOL, constant(0.5, 1.0))
    assert model_losses(vol) == pytest.approx(np.log(vol.forecast / vol.outcome[:, :, None]) ** 2)
    value = panel(PanelKind.VALUE, constant(0.5, 1.0))
    error = (value.forecast - value.outcome[:, :, None]) / 0.01
    assert model_losses(value) == pytest.approx(error**2)
    quantile = panel(PanelKind.QUANTILE, constant(-0.01, -0.02))
    loss = model_losses(quantile)
    assert (loss >= 0).all()
    breach = quantile.outcome[:, 0] < -0.02
    expected = (1 - 0.025) * (-0.02 - quantile.outcome[breach, 0]) / 0.01
    assert loss[breach, 0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("bad", [0.0, np.nan, -1.0])
def test_rows_without_a_scale_do_not_count(bad: float) -> None:
    made = panel(PanelKind.QUANTILE, constant(-0.01, -0.02))
    scale = made.scale.copy()
    scale[:50] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c6 = Disagreement(draws=199).fit(replace(made, scale=scale)).result_
        assert np.isfinite(c6.mean_loss).all()
        assert np.isfinite(c6.crowd_loss)
        nothing = replace(made, scale=np.full_like(scale, bad))
        with pytest.raises(PanelError, match="only 0 forecasts can be scored") as caught:
            Disagreement(draws=199).fit(nothing)
    assert "scale above zero" in caught.value.remedy


def test_volatilities_against_outcomes_of_zero() -> None:
    made = panel(PanelKind.VOL, constant(0.5, 1.0))
    outcome = made.outcome.copy()
    outcome[::2] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c6 = Disagreement(draws=199).fit(replace(made, outcome=outcome)).result_
    assert np.isfinite(c6.mean_loss).all()


def test_intervals_are_students_over_blocks() -> None:
    forecast = -np.exp(np.random.default_rng(2).standard_normal((T, 1, 3)))
    found = Disagreement(draws=199).fit(panel(PanelKind.QUANTILE, forecast)).result_.risk_ratio
    depth = -forecast[:, 0]
    ratio = depth.max(axis=1) / depth.min(axis=1)
    assert found.value == pytest.approx(ratio.mean())
    # Nothing lasts here, so blocks tell what single times tell.
    half = 1.96 * ratio.std() / np.sqrt(T)
    assert found.high - found.value == pytest.approx(half, rel=0.35)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_equally_good_models_are_rarely_called_worse() -> None:
    """Against the best one alone, the luckiest, some model would be in most of the worlds."""
    apart = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        forecast = -0.0067 * np.exp(0.2 * rng.standard_normal((T, 1, 8)))
        outcome = 0.01 * rng.standard_normal((T, 1))
        made = panel(PanelKind.QUANTILE, forecast, outcome=outcome, level=0.25)
        apart += len(Disagreement(draws=199).fit(made).result_.equally_good) < 8
    assert apart <= 6  # 2 expected; more than 6 with probability .003


def test_one_seed_one_answer() -> None:
    made = panel(PanelKind.QUANTILE, constant(-0.0196, -0.0205, -0.05))
    one, two, other = (Disagreement(draws=199, rng=r).fit(made).result_ for r in (1, 1, 2))
    assert one.risk_ratio == two.risk_ratio == other.risk_ratio
    assert one.equally_good == two.equally_good
