from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.margin.auction import (
    AuctionParameters,
    asked_fraction,
    auction_quote,
    insolvent_payout,
    largest_share,
    pay_out,
    start_fee,
)

MAIN = AuctionParameters()


def test_schedule_of_the_published_parameters() -> None:
    seconds = np.array([-1.0, 0.0, 450.0, 900.0, 900.0 + 21_600.0, 44_100.0, 1e9])
    want = [np.nan, 0.95, 0.825, 0.70, 0.35, 0.0, 0.0]
    assert asked_fraction(seconds, MAIN) == pytest.approx(want, nan_ok=True, abs=1e-15)


def test_accounts_and_times_broadcast() -> None:
    mtm = np.array([[100.0], [100.0], [-5.0]])
    mm = np.array([[-50.0], [20.0], [-80.0]])
    quote = auction_quote(mtm, mm, np.array([0.0, 900.0]), MAIN)
    assert quote.largest_share.shape == (3, 2)
    # BM = -50 - 150 * 0.15 = -72.5; f = 72.5 / (72.5 + 95).
    assert quote.largest_share[0, 0] == pytest.approx(72.5 / 167.5)
    assert quote.bid[0, 0] == pytest.approx(95.0 * 72.5 / 167.5)
    assert quote.largest_share[1].tolist() == [0.0, 0.0]
    assert quote.largest_share[2].tolist() == [1.0, 1.0]
    assert quote.insolvent.tolist() == [[False, False], [False, False], [True, True]]


def test_small_accounts_may_be_sold_whole() -> None:
    assert largest_share(40.0, -10.0, 0.9, whole_below=50.0) == 1.0
    assert largest_share(60.0, -10.0, 0.9, whole_below=50.0) < 1.0


def test_nothing_is_known_of_an_account_without_a_value() -> None:
    quote = auction_quote(np.nan, -10.0, 0.0, MAIN)
    assert np.isnan(quote.largest_share)
    assert np.isnan(quote.bid)


def test_payout_rises_to_the_shortfall() -> None:
    paid = insolvent_payout(-30.0, -250.0, np.array([-1.0, 0.0, 1800.0, 3600.0]), MAIN)
    assert paid == pytest.approx([np.nan, 30.0, 140.0, 250.0], nan_ok=True)
    assert insolvent_payout(10.0, -210.0, 0.0, MAIN) == 0.0
    assert start_fee(-30.0, -250.0, MAIN) == 0.0


def test_the_fund_pays_first_and_the_rest_is_socialised() -> None:
    split = pay_out([40.0, 30.0, 50.0], 60.0)
    assert split.from_fund.tolist() == [40.0, 20.0, 0.0]
    assert split.socialised.tolist() == [0.0, 10.0, 50.0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"start": 1.2}, "start"),
        ({"cutoff": 0.99}, "cutoff"),
        ({"slow_seconds": 0.0}, "lengths"),
        ({"insolvent_seconds": float("inf")}, "lengths"),
        ({"fee": -0.1}, "fee"),
        ({"buffer": float("nan")}, "buffer"),
        ({"whole_below": -1.0}, "whole_below"),
    ],
)
def test_bounds(change: dict[str, float], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        AuctionParameters(**change)
