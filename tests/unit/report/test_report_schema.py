"""results.json has the published shape, and departures from it are seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonschema
import pytest

from commonmode.app.report import schema_text
from commonmode.app.report.attribution import cause_table
from commonmode.app.report.words import percent
from report_results import laboratory_results


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_schema_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


def test_real_results_have_the_published_shape(
    validator: jsonschema.Draft202012Validator,
) -> None:
    # Through JSON and back: what a reader of the file sees.
    written = json.loads(json.dumps(laboratory_results(), allow_nan=False))
    assert [error.message for error in validator.iter_errors(written)] == []


def _drop_study(r: dict[str, Any]) -> None:
    del r["study"]["data_line"]


def _drop_index_value(r: dict[str, Any]) -> None:
    del r["panels"][0]["c2"]["effective_number"]


def _bad_severity(r: dict[str, Any]) -> None:
    r["panels"][0]["findings"][0]["severity"] = "terrible"


def _bad_probability(r: dict[str, Any]) -> None:
    r["panels"][0]["c2"]["p_value"] = 1.5


def _four_answers(r: dict[str, Any]) -> None:
    r["answers"].pop()


def _failure_without_remedy(r: dict[str, Any]) -> None:
    r["panels"][0]["c3"] = {"status": "failed", "reason": "missing_data", "message": "none"}


def _unknown_reason(r: dict[str, Any]) -> None:
    r["failures"] = [{"where": "x", "reason": "bad luck", "message": "", "remedy": ""}]


@pytest.mark.parametrize(
    "spoil",
    [
        _drop_study,
        _drop_index_value,
        _bad_severity,
        _bad_probability,
        _four_answers,
        _failure_without_remedy,
        _unknown_reason,
    ],
)
def test_departures_are_seen(
    validator: jsonschema.Draft202012Validator, spoil: Callable[[dict[str, Any]], None]
) -> None:
    results = deepcopy(laboratory_results())
    spoil(results)
    assert not validator.is_valid(results)


def test_a_failed_index_has_the_published_shape(
    validator: jsonschema.Draft202012Validator,
) -> None:
    results = deepcopy(laboratory_results())
    failed = {"status": "failed", "reason": "not_applicable", "message": "short", "remedy": ""}
    for index in ("c1", "c2", "c3", "c6"):
        results["panels"][0][index] = failed
    assert validator.is_valid(results)


def test_how_sure_a_cause_is_is_published_and_shown() -> None:
    results = laboratory_results()
    (first, *_) = results["panels"][0]["c4"]["components"]
    assert 0.0 <= first["ahead_share"] <= 1.0
    table = cause_table(results["panels"][0]["c4"])
    assert table is not None
    place = table.columns.index("Ahead in")
    assert table.rows[0][place] == percent(first["ahead_share"])
