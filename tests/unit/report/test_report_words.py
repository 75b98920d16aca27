"""Numbers as the report writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.app.report import words


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.number(-0.001), "0.00"),
        (words.number(-1234.5, 1), "-1,234.5"),
        (words.number(None), "unknown"),
        (words.percent(0.154), "15 %"),
        (words.p_value(0.0004), "< 0.001"),
        (words.p_value(0.0123), "0.012"),
        (words.p_value(0.5), "0.50"),
        (words.p_value(None), "unknown"),
        (words.interval((1.0, None)), ""),
        (words.estimate(2.6, (2.4, 2.9), 1), "2.6 (2.4 to 2.9)"),
        (words.estimate(2.6, None, 1), "2.6"),
        (words.shares({"value": 0.08, "low": -0.001, "high": 0.1}), "8 % (0 to 10)"),
        (words.usd(None), "unknown"),
        (words.usd(1.2e9), "$1.2bn"),
        (words.duration(3_600_000), "1 hour"),
        (words.duration(5_400_000), "90 minutes"),
        (words.moment(0), "1970-01-01 00:00 UTC"),
        (words.period(0, 1_000), "1970-01-01 00:00 UTC to 1970-01-01 00:00 UTC"),
        (words.period(0, 864_000_000), "1970-01-01 to 1970-01-11"),
        (words.joined("abcd", 2), "a, b and 2 more"),
    ],
)
def test_words(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.text())
def test_cleaned_text_is_printable_and_keeps_its_length(text: str) -> None:
    shown = words.clean(text)
    assert len(shown) == len(text)
    assert shown.isprintable()


@given(st.floats(-1e12, 1e12), st.integers(0, 4))
def test_a_number_reads_back_within_its_rounding(value: float, digits: int) -> None:
    shown = float(words.number(value, digits).replace(",", ""))
    assert abs(shown - value) <= 0.5 * 10.0**-digits * (1 + 1e-9) + 1e-15 * abs(value)
