"""What can be read off the parameters of our own method before anything is margined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.settings import CONVENTIONAL, shipped_dynamic
from commonmode.margin.gate_dynamic import dynamic_checks, dynamic_report
from commonmode.margin.gate_report import Property


@pytest.mark.parametrize("version", ["2022-01-01", CONVENTIONAL])
def test_both_sets_pass(version: str) -> None:
    report = dynamic_report(shipped_dynamic(version).parameters)
    assert report.accepted
    assert (report.method, report.probes) == ("dynamic", 0)
    assert [f.property for f in report.findings] == [Property.PARAMETERS]


WRONG = {
    "multiplier 5": {"multiplier": 5.0},
    "floor 3": {"multiplier": 0.5, "floor": 3.0},
    "hypothetical_share 2": {"mix": MarginMix(hypothetical_share=2.0)},
}


@pytest.mark.parametrize("said", list(WRONG))
def test_a_set_that_asks_more_for_a_bought_option_than_it_can_lose_is_refused(said: str) -> None:
    (check,) = dynamic_checks(DynamicParameters(**WRONG[said]))  # type: ignore[arg-type]
    assert not check.passed
    assert said.split()[0] in check.sentence
    assert max(check.numbers.values()) > 1.0
    report = dynamic_report(DynamicParameters(**WRONG[said]))  # type: ignore[arg-type]
    assert [f.sentence for f in report.refusals] == [check.sentence]


def test_it_is_the_product_that_counts() -> None:
    wide = DynamicParameters(multiplier=1.25, maintenance_share=0.8)
    assert dynamic_report(wide).accepted
    assert not dynamic_report(replace(wide, maintenance_share=0.81)).accepted
