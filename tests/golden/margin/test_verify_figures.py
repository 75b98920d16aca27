"""The margin figures that come with `commonmode verify` are what their generator makes."""

from __future__ import annotations

import json

import generate_verify_figures as generator

from commonmode.app.verify import Status, run_cases, shipped_figures


def test_the_generator_makes_the_file_as_it_is() -> None:
    stored = generator.OUTPUT.read_text(encoding="utf-8")
    assert json.loads(stored)["sha256"] == generator.sha256()
    assert stored == generator.text(generator.figures()) + "\n"
    assert generator.OUTPUT.parent.resolve() == shipped_figures().resolve()


def test_they_pass_and_every_scenario_is_in_them() -> None:
    report = run_cases([generator.OUTPUT])
    assert [result.status for result in report.results] == [Status.PASS] * len(generator.CHOSEN)
    for result in report.results:
        answer = result.case.expected
        assert [len(answer[f"{kind}_losses"]) for kind in ("reg", "tail", "skew")] == [23, 8, 2]
