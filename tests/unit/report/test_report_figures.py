"""Pictures: valid Plotly, in a fixed order, with what they are meant to show."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.app.report.dependency_figures import dependency_graph, who_depends
from commonmode.app.report.dots import index_dots, index_rows
from commonmode.app.report.figures import correlation_map, failure_split
from commonmode.app.report.ordering import LAYERS, by_cluster, two_columns
from report_cases import full
from report_results import laboratory_results

# Every name that the page's style sheet gives a colour to and a figure uses.
STYLES = (files("commonmode.app.report") / "templates" / "report.css").read_text("utf-8")
COLOURS = re.findall(r"--([a-z-]+):", STYLES)


@pytest.fixture(scope="module")
def panel() -> dict[str, Any]:
    entry: dict[str, Any] = laboratory_results()["panels"][0]
    return entry


def _figures() -> dict[str, Any]:
    results = full()
    first = results["panels"][0]
    return {
        "dots": index_dots(index_rows(first)),
        "graph": dependency_graph(first, results["cards"]),
        "map": correlation_map(first),
        "split": failure_split(first["c3"]),
        "who": who_depends(results["population"]),
    }


@pytest.mark.parametrize("name", ["dots", "graph", "map", "split", "who"])
def test_plotly_knows_every_property(name: str) -> None:
    text = json.dumps(_figures()[name])
    for colour in COLOURS:
        text = text.replace(f"var(--{colour})", "#123456")
    assert "var(--" not in text
    figure = json.loads(text)
    # graph_objects raises on an unknown property or a value out of its domain.
    assert len(go.Figure(figure).data) == len(figure["data"])


def test_the_split_shows_the_shares_unrounded(panel: dict[str, Any]) -> None:
    figure = failure_split(panel["c3"])
    assert figure is not None
    split = panel["c3"]["split"]
    assert [bar["x"][0] for bar in figure["data"]] == [
        split[key]["value"] for key in ("market", "shared_design", "individual")
    ]


def test_the_map_keeps_every_pair(panel: dict[str, Any]) -> None:
    figure = correlation_map(panel)
    assert figure is not None
    heat, axis = figure["data"][0], figure["layout"]["xaxis"]
    models = [m["id"] for m in panel["models"]]
    rows = [models.index(name) for name in axis["ticktext"]]
    assert sorted(rows) == list(range(len(models)))
    for a, i in enumerate(rows):
        for b, j in enumerate(rows):
            assert heat["z"][a][b] == (None if i == j else panel["c2"]["correlation"][i][j])
    assert len(figure["layout"]["shapes"]) == len(panel["c2"]["clusters"])


def test_the_graph_draws_every_declared_use_of_a_shared_part(panel: dict[str, Any]) -> None:
    figure = dependency_graph(panel, laboratory_results()["cards"])
    assert figure is not None
    shared = [p for p in panel["c1"]["components"] if len(p["models"]) >= 2]
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    nodes = [trace for trace in figure["data"] if trace["mode"] != "lines"]
    assert len(lines) == sum(len(p["models"]) for p in shared)
    assert sum(len(trace["x"]) for trace in nodes) == len(panel["models"]) + len(shared)


def test_without_a_shared_part_there_is_no_graph(panel: dict[str, Any]) -> None:
    alone = deepcopy(panel)
    for part in alone["c1"]["components"]:
        part["models"] = part["models"][:1]
    assert dependency_graph(alone, []) is None


def test_every_index_shows_what_it_would_have_found(panel: dict[str, Any]) -> None:
    rows = index_rows(panel)
    assert [row.name[-3:-1] for row in rows] == ["C2", "C3", "C1", "C6", "C6", "C6"]
    assert all(row.detectable for row in rows)
    assert rows[1].blind_to == panel["c3"]["minimum_detectable_ratio"]


_names = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


@given(_names, st.data())
def test_the_layout_is_a_permutation_with_layers_together(
    models: list[str], data: st.DataObject
) -> None:
    parts = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "component": st.text(max_size=3),
                    "layer": st.sampled_from(LAYERS),
                    "models": st.lists(st.sampled_from(models), min_size=1, unique=True),
                }
            ),
            max_size=10,
        )
    )
    left, right = two_columns(models, parts)
    assert sorted(left) == sorted(models)
    places = [LAYERS.index(p["layer"]) for p in right]
    assert places == sorted(places)
    assert len(right) == len(parts)
    assert (left, right) == two_columns(models, parts)


@given(_names, st.data())
def test_cluster_order_is_a_permutation(models: list[str], data: st.DataObject) -> None:
    first = data.draw(st.lists(st.sampled_from(models), unique=True))
    order = by_cluster(models, [{"models": first}])
    assert sorted(order) == list(range(len(models)))
    assert [models[i] for i in order[: len(first)]] == first
