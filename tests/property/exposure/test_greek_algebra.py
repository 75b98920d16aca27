"""What must hold of totals and disagreement whatever the book, the market and the models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Success
from commonmode.exposure import Greek, GreekTable, ResolvedBook, disagreement, greek_table, totals
from curved_smiles import Parabola, surfaces

rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),  # book
        st.sampled_from(["BTC", "ETH"]),
        st.sampled_from([1, -1, 0]),  # call, put, future
        st.integers(1, 4),  # expiry
        st.floats(0.5, 2.0),  # moneyness
        st.integers(-50, 50).filter(bool),
        st.booleans(),  # inverse
    ),
    min_size=1,
    max_size=25,
)


def positions(drawn: list[tuple], scale: float = 1.0) -> ResolvedBook:
    book, coin, sign, expiry, moneyness, quantity, inverse = (
        np.array(column) for column in zip(*drawn, strict=True)
    )
    index = np.where(coin == "BTC", 30_000.0, 1900.0)
    names = [f"{c}|{s}|{e}|{m}|{i}" for _, c, s, e, m, _, i in drawn]
    return ResolvedBook(
        time_ms=0,
        book=book,
        instrument=np.array(names),
        underlying=coin,
        kind=np.where(sign == 0, "future", "option"),
        expiry_ms=expiry.astype(np.int64),
        strike=np.where(sign == 0, np.nan, index * moneyness),
        sign=sign.astype(np.int64),
        inverse=inverse,
        coin_settled=inverse,
        contract_size=np.where((sign == 0) & inverse, 10.0, 1.0),
        quantity=quantity * scale,
        forward=index * (1 + 0.01 * expiry),
        index=index,
        years=expiry / 12.0,
    )


def table(drawn: list[tuple], models: list[Parabola], scale: float = 1.0) -> GreekTable:
    fits = {ModelId(f"m{i}"): Success(m) for i, m in enumerate(models)}
    return greek_table(
        positions(drawn, scale), {CurrencyCode(coin): fits for coin in ("BTC", "ETH")}
    )


@given(rows, st.lists(surfaces, min_size=1, max_size=3))
def test_totals_are_additive(drawn: list[tuple], models: list[Parabola]) -> None:
    greeks = table(drawn, models)
    fine = totals(greeks)
    scale = np.abs(greeks.usd).sum(axis=0)
    np.testing.assert_array_less(
        np.abs(fine.usd.sum(axis=0) - totals(greeks, by=()).usd[0]), 1e-12 * scale + 1e-9
    )
    for by, key in (("book", "book"), ("underlying", "underlying"), ("expiry", "expiry")):
        coarse = totals(greeks, by=(by,))
        assert coarse.positions.sum() == fine.positions.sum() == len(drawn)
        for g, name in enumerate(coarse.keys[key]):
            parts = fine.usd[fine.keys[key] == name].sum(axis=0)
            np.testing.assert_array_less(np.abs(parts - coarse.usd[g]), 1e-12 * scale + 1e-9)


@given(rows, st.lists(surfaces, min_size=1, max_size=2), st.floats(-100, 100))
def test_greeks_are_linear_in_quantity(
    drawn: list[tuple], models: list[Parabola], scale: float
) -> None:
    once, scaled = table(drawn, models), table(drawn, models, scale)
    np.testing.assert_allclose(scaled.usd, scale * once.usd, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(scaled.coin, scale * once.coin, rtol=1e-12, atol=1e-12)


@given(rows, surfaces, st.permutations(range(25)))
def test_order_of_positions_is_irrelevant(
    drawn: list[tuple], model: Parabola, order: list[int]
) -> None:
    shuffled = [drawn[i] for i in order if i < len(drawn)]
    first, second = (totals(table(r, [model])) for r in (drawn, shuffled))
    for name in first.by:
        np.testing.assert_array_equal(first.keys[name], second.keys[name])
    np.testing.assert_allclose(first.usd, second.usd, rtol=1e-9, atol=1e-6)


@given(rows, surfaces)
def test_put_call_parity_of_totals(drawn: list[tuple], model: Parabola) -> None:
    """Long calls, short the same puts and short the same forwards: only the carry is left."""
    linear = [(b, c, 1, e, m, q, False) for b, c, _, e, m, q, _ in drawn]
    legs = (
        linear
        + [(b, c, -1, e, m, -q, i) for b, c, _, e, m, q, i in linear]
        + [(b, c, 0, e, m, -q, i) for b, c, _, e, m, q, i in linear]
    )
    greeks = table(legs, [model])
    summed = totals(greeks, by=()).usd[0, 0]
    scale = np.abs(greeks.usd[:, 0]).sum(axis=0) + 1.0
    # C - P = F - K and the future is worth nothing; nothing else may be left of any order.
    book = positions(linear)
    assert summed[Greek.PRICE] == pytest.approx(
        float(np.sum(book.quantity * (book.forward - book.strike))), abs=1e-9 * scale[0]
    )
    for greek in (Greek.DELTA, Greek.GAMMA, Greek.VEGA, Greek.THETA):
        assert abs(summed[greek]) <= 1e-9 * scale[greek], greek
    # rho: T (F - (F - K)) - T F = -T (F - K).
    assert summed[Greek.RHO] == pytest.approx(
        -0.01 * float(np.sum(book.quantity * book.years * (book.forward - book.strike))),
        abs=1e-9 * scale[Greek.RHO],
    )


@given(rows, surfaces, st.integers(2, 5))
def test_identical_models_do_not_disagree(drawn: list[tuple], model: Parabola, n: int) -> None:
    found = disagreement(totals(table(drawn, [model] * n)).usd)
    assert (found.models == n).all()
    assert (found.range == 0).all()
    assert (found.dispersion == 0).all()
    assert (found.ratio == 1).all()


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=9), st.floats(0.01, 100))
def test_dispersion_is_free_of_units_and_bounded(values: list[float], unit: float) -> None:
    one, other = (disagreement(np.array([values]) * u) for u in (1.0, unit))
    assert 0 <= one.dispersion[0] <= 1
    assert one.ratio[0] >= 1
    np.testing.assert_allclose(one.dispersion, other.dispersion, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.range * unit, other.range, rtol=1e-9, atol=1e-9)
