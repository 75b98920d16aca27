"""report.html: self-contained, whole, and safe whatever users call their models."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest

from commonmode.app.report import render_html
from report_cases import HOSTILE, everything_failed, full, hostile
from report_results import laboratory_results


class Page(HTMLParser):
    """What a browser's parser sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id" and v]
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.text += data

    @property
    def plots(self) -> dict[str, Any]:
        """Every figure by its id."""
        sources = [a for t, a in self.tags if t == "script"]
        return {
            str(a["data-plot"]): json.loads(body)
            for a, body in zip(sources, self.scripts, strict=True)
            if "data-plot" in a
        }


def test_nothing_is_fetched() -> None:
    page = Page(render_html(full()))
    for tag, attributes in page.tags:
        for name in ("src", "href", "data", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, value)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_section_and_picture_is_there() -> None:
    page = Page(render_html(full()))
    assert set(page.plots) == {
        *(f"{kind}-{i}" for kind in ("dots", "graph", "map") for i in (1, 2)),
        "split-1",
        "who-depends",
    }
    assert len(page.ids) == len(set(page.ids)), "an id is used twice"
    assert set(page.plots) | {"answers", "dependence", "greeks", "limits", "data"} <= set(page.ids)
    words = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    results = full()
    assert results["study"]["data_line"] in words
    assert results["reproduce"] in words
    for answer in results["answers"]:
        assert answer["question"] in words
        assert answer["answer"] in words
    for panel in results["panels"]:
        for finding in panel["findings"]:
            assert finding["sentence"] in words
    assert "Ownership is assumed." in words
    assert "The benchmarks must be at least as good" in words
    assert "rho at its bound" in words
    assert "signs differ" in words
    assert "Blind spot of the benchmark" in words


def test_the_same_results_give_the_same_page() -> None:
    assert render_html(laboratory_results()) == render_html(deepcopy(laboratory_results()))


def test_a_name_cannot_break_out() -> None:
    plain, page = Page(render_html(full())), Page(render_html(hostile()))
    # Exactly the elements that harmless names give: nothing a user wrote became one.
    assert [t for t, _ in page.tags] == [t for t, _ in plain.tags]
    assert set(page.plots) == set(plain.plots)
    assert "alert('x')" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\x1b" not in page.text
    for body in page.plots.values():
        # Plotly reads a subset of HTML: only our own tags may be left.
        tags = set(re.findall(r"<(\w+)", json.dumps(body)))
        assert tags <= {"b", "i", "br", "span", "extra"}
    assert HOSTILE not in page.text


def test_results_with_nothing_computed_still_make_a_page() -> None:
    page = Page(render_html(everything_failed()))
    assert page.plots == {}
    assert page.text.count("was not computed") == 4
    assert "give a longer panel" in page.text


@pytest.mark.parametrize(
    "change", [{"ratio": None, "interval": [None, None], "split": None}, {"split": None}]
)
def test_a_panel_without_benchmarks_is_shown(change: dict[str, Any]) -> None:
    results = deepcopy(laboratory_results())
    panel = results["panels"][0]
    panel["c3"] |= change
    panel["c2"] |= {
        "benchmarked": False,
        "effective_number": None,
        "interval": None,
        "single_benchmark_number": None,
        "minimum_detectable_common": None,
    }
    panel["benchmark"] = None
    page = Page(render_html(results))
    assert "split-1" not in page.plots
    assert "dots-1" in page.plots
    assert "cannot say how many models are independent" in page.text
