"""The documents say what the program does: keys, defaults, options, columns, examples, links."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from commonmode.adapters.store.cards import cards_from_toml
from commonmode.adapters.store.panels import PANEL_COLUMNS
from commonmode.app.discovery import discover_models
from commonmode.app.report.published import schema_text
from commonmode.app.study.schema import StudyFile, load_study
from commonmode.app.verify import (
    Status,
    adaptors_margin,
    load_cases,
    margin_files,
    run_cases,
    shipped_figures,
)
from commonmode.core.result import FailureReason
from commonmode.panel.error_panel import PanelKind
from commonmode.register.cards import Layer

DOCS = Path(__file__).resolve().parents[3] / "docs"


def text_of(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def tables(text: str) -> list[list[list[str]]]:
    """Rows of every table, without heading and rule; cells are split at unescaped bars."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
        for table in found
    ]


def section(text: str, heading: str) -> str:
    start = text.index(f"## {heading}\n")
    following = re.search(r"\n## ", text[start + 1 :])
    return text[start : start + 1 + following.start()] if following else text[start:]


def inner_model(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if inspect.isclass(part) and issubclass(part, BaseModel):
            return part
    return None


def study_sections() -> dict[str, type[BaseModel]]:
    """Heading of every section of a study file, with the model behind it."""
    found = {}

    def visit(prefix: str, model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            inner = inner_model(field.annotation)
            if inner is None:
                continue
            many = "tuple" in str(field.annotation)
            path = f"{prefix}{name}"
            found[f"[[{path}]]" if many else f"[{path}]"] = inner
            visit(f"{path}.", inner)

    visit("", StudyFile)
    return found


def as_written(default: Any, required: bool) -> str:
    if required:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, BaseModel):
        return "below"
    if isinstance(default, (bool, str)):
        return f"`{json.dumps(default)}`"
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return f"`{default if not isinstance(default, Enum) else default.value}`"


@pytest.mark.parametrize("heading", study_sections())
def test_every_key_of_a_study_is_described_with_its_default(heading: str) -> None:
    model = study_sections()[heading]
    rows = tables(section(text_of("study"), heading))[0]
    wanted = {}
    for name, field in model.model_fields.items():
        default = field.default
        if default is PydanticUndefined and field.default_factory is not None:
            default = field.default_factory()  # type: ignore[call-arg]
        wanted[f"`{name}`"] = as_written(default, field.is_required())
    assert {row[0]: row[1] for row in rows} == wanted
    assert [row[0] for row in rows] == list(wanted)
    assert all(row[2] for row in rows)


def test_study_document_names_no_other_section() -> None:
    headings = re.findall(r"^## (\[.*\])$", text_of("study"), re.MULTILINE)
    assert sorted(headings) == sorted(study_sections())


def test_the_smallest_study_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", text_of("study"), re.DOTALL)
    path = tmp_path / "study.toml"
    path.write_text(blocks[0], encoding="utf-8")
    assert load_study(path).study.name == "mine"
    for block in blocks[1:]:
        tomllib.loads(block)


def test_every_type_and_option_of_a_model_is_described() -> None:
    text = text_of("models")
    found = discover_models()
    described = {row[0].strip("`"): row[1] for table in tables(text)[:3] for row in table}
    builtin = {name for name, source in found.sources.items() if source == "built in"}
    assert set(described) == builtin
    everywhere = {"id", "owner", "purpose", "data", "refit_every", "quotes", "min_quotes", "venue"}
    everywhere |= {"vol_decay"}
    for name in builtin - {"black-box"}:
        parameters = inspect.signature(found.constructors[name]).parameters
        own = set(parameters) - everywhere
        said = described[name]
        if name == "gjr-garch":
            said += described["garch"]
        named = set(re.findall(r"`(\w+)`", said)) - {"garch"}
        assert named - everywhere == own, name
    for shared in everywhere - {"id", "owner", "purpose"}:
        assert f"`{shared}`" in text


def test_columns_kinds_and_layers_of_a_panel_file() -> None:
    text = text_of("panel")
    columns, _, kinds = tables(text)[:3]
    assert tuple(row[0].strip("`") for row in columns) == PANEL_COLUMNS
    assert [row[0].strip("`") for row in kinds] == [kind.value for kind in PanelKind]
    for layer in Layer:
        assert f"`{layer.value}`" in text
    cards = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = cards_from_toml(cards[0])
    assert file.exposure_usd == {"var-a": 120e6}


def test_results_document_has_the_schema_s_keys() -> None:
    schema = json.loads(schema_text())
    text = text_of("results")
    top, panel = tables(text)[:2]
    named = [name for row in top for name in re.findall(r"`(\w+)`", row[0])]
    assert set(named) == set(schema["required"])
    named = [name for row in panel for name in re.findall(r"`(\w+)`", row[0])]
    assert set(named) == set(schema["$defs"]["panel"]["properties"])
    contrast = [name for row in tables(text)[2] for name in re.findall(r"`(\w+)`", row[0])]
    assert set(contrast) <= set(schema["$defs"]["contrast"]["properties"])
    for reason in FailureReason:
        assert f"`{reason.value}`" in section(text, "Reasons")


def test_the_case_of_the_verify_document_passes(tmp_path: Path) -> None:
    case = re.findall(r"```json\n(.*?)```", text_of("verify"), re.DOTALL)[0]
    (tmp_path / "cases.json").write_text(f"[{case}]", encoding="utf-8")
    report = run_cases([tmp_path / "cases.json"])
    assert [result.status for result in report.results] == [Status.PASS]


def test_verify_document_names_every_shape_of_margin_file() -> None:
    rows = tables(section(text_of("verify"), "Published margin cases"))[0]
    assert {row[2].strip("`") for row in rows} == set(adaptors_margin.ADAPTORS)
    for shape in re.findall(r"{[^}]*}", margin_files.SHAPES):
        assert any(shape in row[0] for row in rows), shape
    written = dict(zip((row[2].strip("`") for row in rows), (row[3] for row in rows), strict=True))
    for method, stated in written.items():
        found = re.match(r"`({.*})`", stated)
        if found:
            assert margin_files.TOLERANCES[method] == json.loads(found[1]), method
    assert "`{" not in written["Deribit portfolio margin"]


def test_readme_counts_the_shipped_figures() -> None:
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(r"(\d+) figures come with it", text)
    assert found
    assert int(found[1]) == len(load_cases([shipped_figures()]).cases)


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
