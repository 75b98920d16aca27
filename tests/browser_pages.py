"""Pages in a headless browser: what they became, what they wrote to the console, what is drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

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


def find_browser() -> str | None:
    """Path of a Chromium, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def open_page(browser: str, html: str, folder: Path, *, width: int = 1280) -> tuple[str, list[str]]:
    """The page after its scripts ran, and what it wrote to the console."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [browser, *_FLAGS, f"--window-size={width},900", profile, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def without_scripts(dom: str) -> str:
    return re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)


def assert_drawn(plots: Iterable[str], dom: str) -> None:
    """Every one of these is on the page, and Plotly has drawn it."""
    shown = without_scripts(dom)
    there = set(re.findall(r'data-plot="([\w-]+)"', dom))
    for plot in plots:
        assert plot in there, plot
        figure = re.search(rf'<div [^>]*id="{plot}"[^>]*>(.*?)</figcaption>', shown, re.DOTALL)
        assert figure is not None, plot
        assert 'data-drawn="true"' in figure.group(0), plot
        assert '<svg class="main-svg"' in figure.group(1), plot


_MEASURE = """<script>
window.addEventListener("load", () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const page = document.documentElement;
  const wide = [...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1)
    .map((one) => `${one.scrollWidth}: ${one.textContent.trim().slice(0, 60)}`);
  if (page.scrollWidth > page.clientWidth) wide.push(`the page: ${page.scrollWidth}`);
  const said = document.createElement("pre");
  said.id = "too-wide";
  said.textContent = wide.join("|");
  document.body.appendChild(said);
});
</script></body>"""


def too_wide(browser: str, html: str, folder: Path, *, width: int = 1280) -> list[str]:
    """What does not fit into a window of this width, every fold opened."""
    dom, _ = open_page(browser, html.replace("</body>", _MEASURE), folder, width=width)
    found = re.search(r'<pre id="too-wide">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None
    return [line for line in found.group(1).split("|") if line]
