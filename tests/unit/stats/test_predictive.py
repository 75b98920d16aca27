"""Conditional predictive ability."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from commonmode.core.errors import DataError
from commonmode.stats.predictive import giacomini_white


def test_it_is_rows_times_the_share_that_the_products_explain_of_one() -> None:
    rng = np.random.default_rng(0)
    d, h = rng.standard_normal(200), np.column_stack([np.ones(200), rng.standard_normal(200)])
    z = h * d[:, None]
    fitted = z @ np.linalg.lstsq(z, np.ones(200), rcond=None)[0]
    found = giacomini_white(d, h)
    assert found.statistic == pytest.approx(float(fitted @ fitted))
    assert found.freedom == 2


def test_its_size_is_nominal_and_it_sees_what_the_state_foretells() -> None:
    rng = np.random.default_rng(1)
    p = []
    for _ in range(500):
        h = np.column_stack([np.ones(300), rng.standard_normal(300)])
        p.append(giacomini_white(rng.standard_t(5, 300), h).p_value)
    assert stats.binomtest(int(np.sum(np.array(p) <= 0.05)), 500, 0.05).pvalue > 0.001
    state = rng.standard_normal(300)
    d = 0.4 * state + rng.standard_normal(300)
    assert giacomini_white(d, np.column_stack([np.ones(300), state])).p_value < 1e-4
    assert giacomini_white(d, np.ones((300, 1))).p_value > 0.01


def test_bad_instruments_are_refused() -> None:
    for d, h in (
        (np.ones(10), np.ones((9, 1))),
        (np.ones(3), np.ones((3, 2))),
        (np.arange(20.0), np.ones((20, 2))),
    ):
        with pytest.raises(DataError):
            giacomini_white(d, h)
