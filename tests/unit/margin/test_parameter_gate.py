"""The gate refuses what violates a property, names the book that shows it, and lets the rest be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin import Accounts, MarginMarket, MarginTable
from commonmode.margin.gate import NOTICES, parameter_gate
from commonmode.margin.gate_pm2 import pm2_checks
from commonmode.margin.gate_probes import base_books, random_books, reference_market
from commonmode.margin.gate_report import Finding, GateReport, ParameterCheck, Property, Severity
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import PM2Parameters, shipped_parameters
from linear_margin import ShareMargin, accounts_of

UNNETTED = NOTICES | {Property.HEDGED}
INVERTED, CURRENT = shipped_parameters("2025-12-08"), shipped_parameters("2026-09-24")


def gate(p: PM2Parameters, **options: float) -> GateReport:
    return parameter_gate(PM2(p), checks=pm2_checks(p), **options)  # type: ignore[arg-type]


def of(report: GateReport, which: Property) -> Finding:
    return next(f for f in report.findings if f.property is which)


def test_the_inverted_set_is_refused_with_the_reason() -> None:
    report = gate(INVERTED)
    assert not report.accepted
    first = report.refusals[0]
    assert first.property is Property.PARAMETERS
    assert first.numbers == {"long base": 1.02, "short base": 0.98}
    assert "marked up by 2 %" in first.sentence
    assert "set long base 0.98 and short base 1.02" in first.sentence
    refused = {f.property for f in report.refusals}
    assert {Property.LONG_BOX, Property.SHORT_BOX} <= refused


def test_the_inversion_shows_without_reading_a_parameter() -> None:
    box = of(parameter_gate(PM2(INVERTED), materiality=1e-3), Property.LONG_BOX)
    assert not box.passed
    assert box.severity is Severity.REFUSE
    assert box.numbers["credit"] > box.numbers["discounted payoff"]
    assert box.witness is not None
    # The witness speaks for itself: margined alone, it shows the same credit.
    market = reference_market()
    held = dict(box.witness.holdings)
    legs = [name for name in held if f"-{box.witness.name.split()[-2]}D-" in name]
    rest = {name: size for name, size in held.items() if name not in legs and "posted" not in name}
    posted = [sum(size for name, size in held.items() if "posted" in name)] * 2
    full = {name: size for name, size in held.items() if "posted" not in name}
    table = PM2(INVERTED).margin(accounts_of(market, [rest, full], coins=posted), market)
    credit = float(np.diff(table.maintenance_balance)[0])
    assert credit == pytest.approx(box.numbers["credit"], rel=1e-9)


def test_the_right_way_round_passes_what_the_inversion_fails() -> None:
    fixed = replace(INVERTED, discount=replace(INVERTED.discount, long_base=0.98, short_base=1.02))
    for report in (gate(fixed), gate(CURRENT)):
        for which in (Property.PARAMETERS, Property.LONG_BOX, Property.SHORT_BOX):
            assert of(report, which).passed
        assert of(report, Property.SPLITTING).passed


def test_the_current_set_is_refused_only_where_its_skew_charges_gains() -> None:
    strict = gate(CURRENT)
    assert [f.property for f in strict.refusals] == [Property.LONG_OPTION]
    witness = strict.refusals[0]
    assert witness.numbers["balance after"] < witness.numbers["balance before"]
    # Skew scenarios count a change of either sign as a loss; without them the property holds.
    flat = replace(
        CURRENT,
        skew=replace(
            CURRENT.skew, linear_cap=0.0, linear_slope=0.0, absolute_cap=0.0, absolute_slope=0.0
        ),
    )
    assert gate(flat).accepted
    # Below 0.1 % of notional, the smallest charge that the set makes, it is a notice.
    lenient = gate(CURRENT, materiality=CURRENT.contingency.option_initial)
    assert lenient.accepted
    assert Property.LONG_OPTION in {f.property for f in lenient.notices}
    assert not gate(INVERTED, materiality=CURRENT.contingency.option_initial).accepted


def test_initial_below_maintenance_is_never_too_small_to_matter() -> None:
    slight = ShareMargin(share=0.05, initial_factor=0.99)
    found = of(parameter_gate(slight, materiality=1e-3), Property.INITIAL_COVERS)
    assert found.numbers["share of notional"] < 1e-3
    assert found.severity is Severity.REFUSE


def test_the_jump_in_confidence_is_reported_not_refused() -> None:
    found = of(gate(CURRENT), Property.CONFIDENCE)
    assert not found.passed
    assert found.severity is Severity.NOTICE
    c = CURRENT.contingency
    assert found.numbers["confidence"] == pytest.approx(c.confidence_threshold)
    jump = (1.0 - c.confidence_threshold) * c.confidence_margin
    assert found.numbers["jump as a share of notional"] == pytest.approx(jump, rel=1e-6)
    assert of(parameter_gate(ShareMargin()), Property.CONFIDENCE).passed


def test_parameters_that_contradict_themselves() -> None:
    low = replace(CURRENT, loss=replace(CURRENT.loss, initial=0.5))
    assert {f.property for f in gate(low).refusals} >= {
        Property.PARAMETERS,
        Property.INITIAL_COVERS,
    }
    one_sided = replace(CURRENT, scenarios=tuple(s for s in CURRENT.scenarios if s.spot <= 1.0))
    assert "other side" in gate(one_sided).verdict


@dataclass(frozen=True)
class Broken(ShareMargin):
    """A method with one fault."""

    fault: str = ""

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        table = ShareMargin.margin(self, accounts, market)
        need = table.maintenance
        sizes = np.bincount(
            accounts.row, weights=np.abs(accounts.quantity), minlength=len(accounts)
        )
        if self.fault == "negative":
            need = need - 1e5 * sizes
        elif self.fault == "long":
            need = need + 1e5 * sizes
        elif self.fault == "size":
            need = np.sqrt(need)
        elif self.fault == "splitting":
            need = need**2 / 1e5
        elif self.fault == "unpriced":
            need = np.where(sizes > 5.0, np.nan, need)
        return replace(table, maintenance=need, initial=need * self.initial_factor)


@pytest.mark.parametrize(
    ("fault", "which"),
    [
        ("negative", Property.NOT_NEGATIVE),
        ("long", Property.LONG_OPTION),
        ("size", Property.SIZE),
        ("splitting", Property.SPLITTING),
        ("unpriced", Property.PRICED),
    ],
)
def test_each_fault_is_found_with_a_witness(fault: str, which: Property) -> None:
    assert parameter_gate(Broken(), notices=UNNETTED).accepted
    found = of(parameter_gate(Broken(fault=fault), notices=UNNETTED), which)
    assert not found.passed
    assert found.witness is not None
    assert found.witness.holdings
    assert found.witness.name in found.sentence


def test_initial_below_maintenance_and_no_netting() -> None:
    report = parameter_gate(ShareMargin(initial_factor=0.9))
    assert {f.property for f in report.refusals} == {Property.INITIAL_COVERS, Property.HEDGED}
    assert "refused" in report.verdict


def test_published_checks_of_a_method_are_part_of_the_report() -> None:
    class Publishing(ShareMargin):
        def parameter_checks(self) -> tuple[ParameterCheck, ...]:
            return (ParameterCheck(False, "The share is out of order.", {"share": self.share}),)

    report = parameter_gate(Publishing(), notices=UNNETTED)
    assert [f.sentence for f in report.refusals] == ["The share is out of order."]


def test_the_same_twice_and_more_with_random_books() -> None:
    first, again = gate(CURRENT), gate(CURRENT)
    assert [f.sentence for f in first.findings] == [f.sentence for f in again.findings]
    wide = parameter_gate(PM2(CURRENT), random=30, rng=np.random.default_rng(5), materiality=1e-3)
    assert wide.probes > first.probes
    assert wide.accepted
    market = reference_market()
    books = random_books(market, np.random.default_rng(5), 4)
    assert len(books) == 4
    assert np.all(np.any(books.quantity != 0, axis=1))


def test_coin_settled_market_and_a_market_without_options() -> None:
    market = reference_market(inverse=True)
    report = parameter_gate(ShareMargin(), market, notices=UNNETTED)
    assert "not probed" in of(report, Property.LONG_BOX).sentence
    one = replace(
        market,
        instruments=market.instruments.select(np.array([-1])),
        vol=market.vol[-1:],
        underlying=market.underlying[-1:],
        expiry=market.expiry[-1:],
    )
    with pytest.raises(ConfigurationError, match="generator"):
        parameter_gate(ShareMargin(), random=3)
    with pytest.raises(DataError, match="options and a perpetual"):
        base_books(one)
