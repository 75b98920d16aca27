"""The report in a real browser: pictures drawn, answers seen, no script of a user run."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from commonmode.app.report import render_html
from report_cases import full, hostile

pytestmark = pytest.mark.browser

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
    "--enable-logging=stderr",
)


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium found (install chromium to run this test)")


def open_page(browser: str, html: str, folder: Path) -> tuple[str, list[str]]:
    """The page after its scripts ran, and what it wrote to the console."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [browser, *_FLAGS, profile, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def without_scripts(dom: str) -> str:
    return re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)


def test_the_report_is_drawn(browser: str, tmp_path: Path) -> None:
    results = full()
    dom, console = open_page(browser, render_html(results), tmp_path)
    assert console == []
    shown = without_scripts(dom)
    plots = re.findall(r'data-plot="([\w-]+)"', dom)
    assert len(plots) == 8
    for plot in plots:
        drawn = re.search(rf'<div [^>]*id="{plot}"[^>]*>(.*?)</figcaption>', shown, re.DOTALL)
        assert drawn is not None, plot
        assert 'data-drawn="true"' in drawn.group(0), plot
        assert '<svg class="main-svg"' in drawn.group(1), plot
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
