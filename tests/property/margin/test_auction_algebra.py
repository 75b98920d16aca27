from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.margin.auction import (
    AuctionParameters,
    asked_fraction,
    buffer_margin,
    largest_share,
    pay_out,
    sell,
)

MAIN = AuctionParameters()
usd = st.floats(0.01, 1e6)


@given(mtm=usd, requirement=usd, seconds=st.floats(0.0, 40_000.0), paid=st.floats(0.0, 0.9))
def test_the_largest_share_restores_the_buffer(
    mtm: float, requirement: float, seconds: float, paid: float
) -> None:
    mm, cash = mtm - requirement, paid * mtm
    margin = buffer_margin(mtm, mm, MAIN.buffer)
    d = asked_fraction(seconds, MAIN)
    share = largest_share(mtm, margin, d, cash)
    assert 0.0 <= share <= 1.0
    after = sell(mtm, mm, d, share, cash)
    left = buffer_margin(after.mtm, after.maintenance, MAIN.buffer)
    scale = mtm + requirement
    assert left >= -1e-9 * scale
    if margin < 0.0:
        assert left == pytest.approx(0.0, abs=1e-9 * scale)


@given(mtm=usd, requirement=usd, one=st.floats(0.0, 0.9), two=st.floats(0.0, 0.9))
def test_two_sales_at_one_price_are_one(
    mtm: float, requirement: float, one: float, two: float
) -> None:
    mm, d = mtm - requirement, 0.8
    first = sell(mtm, mm, d, one)
    second = sell(first.mtm, first.maintenance, d, two, first.paid_in)
    both = sell(mtm, mm, d, one + two - one * two)
    scale = mtm + requirement
    assert second.mtm == pytest.approx(both.mtm, abs=1e-9 * scale)
    assert second.maintenance == pytest.approx(both.maintenance, abs=1e-9 * scale)
    assert second.paid_in == pytest.approx(both.paid_in, abs=1e-9 * scale)


@given(st.lists(st.floats(0.0, 1e5), max_size=2).map(sorted))
def test_the_fraction_never_rises(seconds: list[float]) -> None:
    fraction = asked_fraction(np.array(seconds), MAIN)
    assert np.all(np.diff(fraction) <= 0.0)
    assert np.all((fraction >= 0.0) & (fraction <= MAIN.start))


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=6), st.floats(0.0, 1e6))
def test_payouts_are_conserved(payouts: list[float], fund: float) -> None:
    split = pay_out(payouts, fund)
    total = sum(payouts)
    assert split.from_fund.sum() == pytest.approx(min(fund, total), abs=1e-6)
    assert (split.from_fund + split.socialised).sum() == pytest.approx(total, abs=1e-6)
