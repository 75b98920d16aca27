"""The report in a real browser: pictures drawn, answers seen, no script of a user run."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from browser_pages import assert_drawn, open_page, without_scripts
from commonmode.app.report import render_html
from report_cases import full, hostile

pytestmark = pytest.mark.browser


def test_the_report_is_drawn(browser: str, tmp_path: Path) -> None:
    results = full()
    dom, console = open_page(browser, render_html(results), tmp_path)
    assert console == []
    shown = without_scripts(dom)
    plots = re.findall(r'data-plot="([\w-]+)"', dom)
    assert len(plots) == 8
    assert_drawn(plots, dom)
    assert shown.count('class="sankey-node"') >= len(results["population"]["participants"])
    assert "could not be drawn" not in shown
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).replace("\xa0", " ").split())
    for answer in results["answers"]:
        assert answer["question"] in words
        assert answer["answer"] in words


def test_a_hostile_name_runs_nothing(browser: str, tmp_path: Path) -> None:
    dom, console = open_page(browser, render_html(hostile()), tmp_path)
    assert console == []  # neither an error nor a refusal by the content policy
    shown = without_scripts(dom)
    assert 'data-drawn="false"' not in shown
    assert not re.search(r"<img\b", shown)
