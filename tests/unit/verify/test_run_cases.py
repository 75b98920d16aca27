"""Files of cases: read, run, told about, and refused when they are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from commonmode.app.cli.verify import verify
from commonmode.app.verify import (
    Case,
    Status,
    Unsupported,
    find_adaptor,
    load_cases,
    registry,
    run_case,
    run_cases,
)
from commonmode.core.errors import ConfigurationError, DataError

KUPIEC: dict[str, Any] = {
    "id": "k",
    "method": "Kupiec POF LR",
    "inputs": {"T": 250, "x": 4, "p": 0.01},
    "expected": {"LR": 0.7691383643858458},
    "tolerance": {"abs": 1e-10},
    "source": "Kupiec (1995)",
}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    application = typer.Typer()
    application.command()(verify)
    return application


def test_a_right_answer_passes_and_a_wrong_one_fails(tmp_path: Path) -> None:
    wrong = {**KUPIEC, "id": "w", "expected": {"LR": 0.77}}
    report = run_cases([write(tmp_path, "a.json", [KUPIEC, wrong])])
    assert [r.status for r in report.results] == [Status.PASS, Status.FAIL]
    assert report.exit_code == 1
    assert report.results[1].error == pytest.approx(0.77 - 0.7691383643858458)
    assert "LR" in report.results[1].message


def test_null_answers_are_computed_in_their_shape(tmp_path: Path) -> None:
    inputs = {"T": [100, 250], "x": 0, "p": 0.01}
    asked = {"LR": [None, None], "reject_5pct": [None, None]}
    question = {**KUPIEC, "inputs": inputs, "expected": asked}
    report = run_cases([write(tmp_path, "q.json", {"cases": [question]})])
    (result,) = report.results
    assert result.status is Status.COMPUTED
    assert result.value["LR"] == pytest.approx([2.0100671707, 5.0251679268])
    assert result.value["reject_5pct"] == [False, True]
    assert report.exit_code == 0
    row = json.loads(report.to_json())["cases"][0]
    assert row["status"] == "computed"
    assert row["error"] is None


def test_unknown_methods_and_reference_only_are_unsupported(tmp_path: Path) -> None:
    cases = [{**KUPIEC, "method": "Phlogiston"}, {**KUPIEC, "reference_only": True}]
    report = run_cases([write(tmp_path, "u.json", cases)])
    assert report.count(Status.UNSUPPORTED) == 2
    assert report.exit_code == 0
    assert "Phlogiston" in json.loads(report.to_json())["cases"][0]["error"]


def test_an_adaptor_that_raises_fails_its_case_only(tmp_path: Path) -> None:
    cases = [
        {**KUPIEC, "inputs": {"T": 250, "x": 4}},
        {**KUPIEC, "inputs": {"T": 1, "x": 4, "p": 0.1}},
    ]
    report = run_cases([write(tmp_path, "r.json", [*cases, KUPIEC])])
    assert [r.status for r in report.results] == [Status.FAIL, Status.FAIL, Status.PASS]
    assert "missing input 'p'" in report.results[0].message
    assert "DataError" in report.results[1].message


def test_unsupported_raised_by_an_adaptor_is_not_a_failure() -> None:
    case = Case("x", "Quantile (tick) loss mean", {"data": "another series"}, None)
    assert run_case(case).status is Status.UNSUPPORTED
    names = ("S", "K", "T", "sigma", "r", "q", "cp")
    greek = Case("y", "BSM Greek: sharpness", dict.fromkeys(names, 1), None)
    assert run_case(greek).status is Status.UNSUPPORTED
    assert issubclass(Unsupported, Exception)


def test_longest_pattern_wins_and_exact_names_do_not_spread() -> None:
    table = registry.supported_methods()
    assert find_adaptor("BSM Greek: delta") is table["BSM Greek: *"]
    assert find_adaptor("BSM with stochastic rates") is None
    assert find_adaptor("Kupiec POF LR in log space (underflow)") is table["Kupiec POF LR*"]


def test_folders_are_read_to_the_bottom_and_other_json_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    write(tmp_path / "deep" / "deeper", "b.json", [KUPIEC])
    write(tmp_path, "a.json", {"cases": [KUPIEC]})
    other = write(tmp_path, "other.json", {"Scenario": {}})
    files = load_cases([tmp_path])
    assert len(files.cases) == 2
    assert files.skipped == (other,)
    with pytest.raises(DataError, match="neither a list"):
        load_cases([other])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"id": "cut', "not valid JSON"),
        ([1], "not an object"),
        ([{"id": "a"}], "lacks method, inputs, expected"),
        ([{**KUPIEC, "inputs": [1]}], "'inputs' is list"),
        ([{**KUPIEC, "id": 7}], "'id' is int"),
        ([{**KUPIEC, "tolerance": 0.1}], "'tolerance' is float"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path: Path, content: Any, words: str) -> None:
    path = write(tmp_path, "bad.json", content)
    with pytest.raises(DataError, match=r"bad\.json") as error:
        load_cases([path])
    assert words in str(error.value)
    assert error.value.remedy


def test_binary_and_missing_files_say_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xfe\x00PAR1")
    with pytest.raises(DataError, match="UTF-8"):
        load_cases([path])
    with pytest.raises(ConfigurationError, match="no such file"):
        load_cases([tmp_path / "nowhere.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"no \*\.json"):
        load_cases([tmp_path / "empty"])


def test_command_prints_json_and_exits_by_outcome(tmp_path: Path, app: typer.Typer) -> None:
    good = write(tmp_path, "good.json", [KUPIEC])
    bad = write(tmp_path, "bad.json", [{**KUPIEC, "expected": {"LR": 1.0}}])
    outcome = CliRunner().invoke(app, [str(good), "--json"])
    assert outcome.exit_code == 0
    assert set(json.loads(outcome.stdout)["cases"][0]) == {
        "id",
        "method",
        "status",
        "value",
        "error",
    }
    outcome = CliRunner().invoke(app, [str(good), str(bad)])
    assert outcome.exit_code == 1
    assert "1 pass" in outcome.stdout
    assert "1 fail" in outcome.stdout
    assert "Kupiec (1995)" in outcome.stdout
    asked = write(tmp_path, "asked.json", [{**KUPIEC, "expected": {"LR": None}}])
    outcome = CliRunner().invoke(app, [str(asked)])
    assert 'k = {"LR": 0.769' in outcome.stdout


def test_command_explains_a_broken_file_and_exits_with_two(
    tmp_path: Path, app: typer.Typer
) -> None:
    outcome = CliRunner().invoke(app, [str(write(tmp_path, "cut.json", "[{"))])
    assert outcome.exit_code == 2
    assert "remedy" in outcome.stderr


def test_json_never_holds_nan(tmp_path: Path) -> None:
    nan = {
        **KUPIEC,
        "method": "Common-cause alpha factors",
        "inputs": {"counts": [5, 0, 0]},
        "expected": {"alpha": None},
    }
    text = run_cases([write(tmp_path, "n.json", [nan])]).to_json()
    assert json.loads(text)["cases"][0]["value"] == {"alpha": ["nan", "nan"]}
