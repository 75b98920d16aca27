from __future__ import annotations

import math

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import BookId, ModelId, ParticipantId
from commonmode.register.book import Book
from commonmode.register.population import Participant, ParticipantKind, Population


def participant(name: str, surface: str, risk: str, gross: float = 10.0) -> Participant:
    return Participant(
        ParticipantId(name),
        ParticipantKind.DESK,
        BookId(f"{name}-book"),
        ModelId(surface),
        ModelId(risk),
        capital_usd=1.0,
        gross_usd=gross,
    )


def test_exposure_is_the_gross_of_everybody_who_depends_on_the_model() -> None:
    population = Population(
        (participant("a", "svi", "ewma", 10), participant("b", "svi", "garch", 5))
    )
    assert population.models == ("svi", "ewma", "garch")
    np.testing.assert_array_equal(population.exposure_usd(), [15, 10, 5])
    np.testing.assert_array_equal(
        population.exposure_usd([ModelId("garch"), ModelId("nobody's")]), [5, 0]
    )
    assert [p.id for p in population.dependents("garch")] == ["b"]
    assert population.gross_usd == 15


def test_a_model_that_prices_and_margins_one_book_counts_once() -> None:
    population = Population((participant("a", "svi", "svi", 10),))
    assert population.models == ("svi",)
    np.testing.assert_array_equal(population.exposure_usd(), [10])


def test_dependence_tells_pricing_from_margining() -> None:
    both = Population((participant("a", "svi", "ewma"), participant("b", "sabr", "ewma")))
    table = both.dependence([ModelId("svi"), ModelId("sabr"), ModelId("ewma")])
    np.testing.assert_array_equal(table.prices, [[True, False, False], [False, True, False]])
    np.testing.assert_array_equal(table.margins, [[False, False, True], [False, False, True]])


def test_names_are_unique_and_amounts_make_sense() -> None:
    with pytest.raises(ConfigurationError, match="participant more than once"):
        Population((participant("a", "m", "r"), participant("a", "m", "r")))
    with pytest.raises(ConfigurationError, match="not positive"):
        Participant(
            ParticipantId("x"),
            ParticipantKind.VAULT,
            BookId("x"),
            ModelId("m"),
            ModelId("r"),
            capital_usd=math.nan,
        )
    with pytest.raises(ConfigurationError, match="gross exposure"):
        participant("a", "m", "r", -1.0)
    with pytest.raises(ConfigurationError, match="no participant 'z'"):
        Population((participant("a", "m", "r"),)).participant("z")


def test_book_nets_trades_and_refuses_duplicates() -> None:
    book = Book.of("b", [("X", 1.5), ("Y", 2.0), ("X", -0.5), ("Y", -2.0)])
    assert [(p.instrument, p.quantity) for p in book.positions] == [("X", 1.0)]
    with pytest.raises(ConfigurationError, match="more than once"):
        Book(BookId("b"), book.positions * 2)
