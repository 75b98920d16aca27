"""A browser for the tests of reports, or the reason why there is none."""

from __future__ import annotations

import pytest

from browser_pages import find_browser


@pytest.fixture(scope="session")
def browser() -> str:
    found = find_browser()
    if found is None:
        pytest.skip("no Chromium found (install chromium to run this test)")
    return found
