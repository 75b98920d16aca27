"""Scoring functions, worst cases and the published series."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats import robust
from commonmode.stats.ambiguity import krogh_vedelsby
from commonmode.stats.losses import fz0_loss, pinball_loss
from commonmode.stats.reference_series import lcg_uniforms, one_factor_panel, series_d1


def test_the_true_quantile_and_shortfall_score_best() -> None:
    rng = np.random.default_rng(11)
    y = rng.standard_normal(200_000)
    v, e = -1.959963984540054, -2.337803
    pinball = [pinball_loss(y, np.asarray(q), 0.025).mean() for q in (v - 0.3, v, v + 0.3)]
    joint = [fz0_loss(y, np.asarray(v), np.asarray(s), 0.025).mean() for s in (e - 0.4, e, e + 0.3)]
    assert np.argmin(pinball) == 1
    assert np.argmin(joint) == 1


def test_fz0_refuses_positive_shortfalls() -> None:
    with pytest.raises(DataError, match="negative"):
        fz0_loss(np.zeros(2), np.zeros(2), np.array([-1.0, 0.0]), 0.05)


def test_published_generator_starts_as_published() -> None:
    expected = [0.020402685855515, 0.016547848354094, 0.54315579461399]
    np.testing.assert_allclose(lcg_uniforms(12345, 3), expected, atol=1e-14)


def test_published_series_have_their_checksums() -> None:
    d1 = series_d1()
    assert d1.returns.sum() == pytest.approx(2.48173960662, abs=1e-10)
    assert d1.quantile.sum() == pytest.approx(-2858.35122627, abs=1e-7)
    assert d1.shortfall.sum() == pytest.approx(-3409.37972869, abs=1e-7)
    assert int((d1.returns < d1.quantile).sum()) == 49
    failures = (one_factor_panel() < -1.2815515655446004).sum(axis=1)
    assert np.bincount(failures, minlength=7).tolist() == [232, 117, 36, 12, 2, 1, 0]


def test_dual_agrees_with_the_normal_closed_form() -> None:
    closed, tilt = robust.kl_worst_case_normal(1.5, 3.0, 0.2)
    worst, found = robust.kl_worst_case(lambda t: 1.5 * t + 4.5 * t * t, 0.2, scale=3.0)
    assert worst == pytest.approx(float(closed), rel=1e-10)
    assert found == pytest.approx(float(tilt), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_dual_does_not_depend_on_the_unit_nor_much_on_the_start(scale: float) -> None:
    worst, _ = robust.kl_worst_case(lambda t: 0.5 * (scale * t) ** 2, 0.5)
    assert worst == pytest.approx(scale, rel=1e-9)


def test_sample_worst_case_stays_below_the_maximum_and_reaches_it() -> None:
    x = np.arange(10.0)
    small, _ = robust.kl_worst_case_sample(x, 0.1)
    assert x.mean() < small < 9.0
    assert robust.kl_worst_case_sample(x, np.log(10.0))[0] == 9.0
    assert robust.kl_worst_case_sample(np.full(4, 2.0), 0.3) == (2.0, 0.0)


def test_disagreement_figures_by_hand() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert robust.risk_ratio(values) == 5.0
    assert robust.interquartile_dispersion(values) == pytest.approx(2.0 / 6.0)
    assert robust.valuation_range(values) == 4.0
    fits = np.array([False, True, True, False, False])
    assert robust.valuation_range(values, fits) == 1.0
    assert np.isnan(robust.valuation_range(values, np.zeros(5, dtype=bool)))


def test_bad_radii_and_signs_are_refused() -> None:
    with pytest.raises(DataError, match="radius"):
        robust.kl_worst_case(lambda t: t, 0.0)
    with pytest.raises(DataError, match="radius"):
        robust.kl_worst_case_normal(0.0, 1.0, -0.1)
    with pytest.raises(DataError, match="positive"):
        robust.risk_ratio(np.array([1.0, -2.0]))


def test_ambiguity_over_time_and_its_share() -> None:
    f = np.array([[1.0, 3.0], [2.0, 2.0]])
    split = krogh_vedelsby(f, np.array([2.0, 1.0]))
    assert (split.average_error, split.ambiguity, split.ensemble_error) == (1.0, 0.5, 0.5)
    assert split.share == 0.5
    assert np.isnan(krogh_vedelsby(np.array([1.0, 1.0]), 1.0).share)
    with pytest.raises(DataError, match="weights"):
        krogh_vedelsby(f, 0.0, np.array([1.0, 1.0]))
