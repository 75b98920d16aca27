"""The parameter gate: properties that any margin method must have before its parameters are used.

A property is probed numerically on declared books, and on random ones if asked. A failed probe
refutes the property and is the witness; probes that pass prove nothing beyond themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.margin.gate_confidence import confidence_finding
from commonmode.margin.gate_probes import (
    Lines,
    Probes,
    base_books,
    probe_accounts,
    random_books,
    reference_market,
)
from commonmode.margin.gate_report import (
    Finding,
    GateReport,
    ParameterCheck,
    ParameterProperties,
    Property,
    Severity,
    Witness,
)
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod, MarginTable
from commonmode.margin.solvency import gross_notional

__all__ = ["NOTICES", "parameter_gate"]

#: Properties whose failure is reported and refuses nothing, unless the caller says otherwise.
NOTICES = frozenset({Property.SPLITTING, Property.CONFIDENCE})

# A failure of these is never too small to matter.
_STRICT = frozenset({Property.NOT_NEGATIVE, Property.INITIAL_COVERS})

_ROUNDING = 1e-9


@dataclass(slots=True, eq=False)
class _Gate:
    """One examination: the method, the market, the books, and what was spent."""

    method: MarginMethod
    market: MarginMarket
    books: Probes
    notices: Collection[Property]
    materiality: float
    probes: int = 0

    def margin(self, books: Probes) -> tuple[MarginTable, FloatArray]:
        """Margin of books, and their gross notional."""
        self.probes += len(books)
        accounts = probe_accounts(books)
        gross = gross_notional(accounts, self.market)
        gross = gross + np.abs(books.coins) @ self.market.assets.price
        return self.method.margin(accounts, self.market), gross

    def finding(
        self,
        which: Property,
        books: Probes,
        lack: FloatArray,
        gross: FloatArray,
        numbers: dict[str, FloatArray],
        reason: str,
        remedy: str,
    ) -> Finding:
        """A finding from how far each probe falls short; NaN: not margined, another's matter."""
        share = np.where(np.isfinite(lack), lack, -np.inf) / np.maximum(gross, _ROUNDING)
        row = int(np.argmax(share)) if len(share) else -1
        failed = row >= 0 and bool(share[row] > _ROUNDING)
        values = {name: float(column[row]) for name, column in numbers.items() if row >= 0}
        severity = self.severity(which)
        sentence = f"{which.value}: holds on {len(books)} probes."
        witness = None
        if failed:
            count = int(np.sum(share > _ROUNDING))
            if share[row] <= self.materiality and which not in _STRICT:
                severity = Severity.NOTICE
            witness = Witness(books.names[row], books.describe(row, self.market))
            figures = ", ".join(f"{name} {value:,.2f}" for name, value in values.items())
            figures += f", {100 * share[row]:.3g} % of notional"
            values["share of notional"] = float(share[row])
            sentence = (
                f"Not so: {which.value}. {reason} On {count} of {len(books)} probes, worst: "
                f"{witness.name} ({figures}). {remedy}"
            )
        return Finding(which, not failed, severity, sentence, values, witness)

    def severity(self, which: Property) -> Severity:
        return Severity.NOTICE if which in self.notices else Severity.REFUSE

    def priced(self) -> Finding:
        table, _ = self.margin(self.books)
        bad = np.nonzero(~np.isfinite(table.maintenance_balance + table.initial_balance))[0]
        which = Property.PRICED
        if not len(bad):
            text = f"{which.value}: all {len(self.books)}."
            return Finding(which, True, self.severity(which), text, {})
        row = int(bad[0])
        why = table.failures.get(row)
        return Finding(
            which,
            False,
            self.severity(which),
            f"Not so: {which.value}. {len(bad)} of {len(self.books)} fail, the first is "
            f"{self.books.names[row]}: {why if why is not None else 'no reason given'}. Give the "
            "method what it lacks, or probe it on a market that it supports.",
            {"failed": float(len(bad))},
            Witness(self.books.names[row], self.books.describe(row, self.market)),
        )

    def requirements(self) -> list[Finding]:
        table, gross = self.margin(self.books)
        least = np.minimum(table.initial, table.maintenance)
        numbers = {"initial": table.initial, "maintenance": table.maintenance}
        return [
            self.finding(
                Property.NOT_NEGATIVE,
                self.books,
                -least,
                gross,
                numbers,
                "Margin would be a credit beyond what the book is worth.",
                "Floor the loss at zero, or raise the factor that turned negative.",
            ),
            self.finding(
                Property.INITIAL_COVERS,
                self.books,
                table.maintenance - table.initial,
                gross,
                numbers,
                "An account could be opened and liquidated at the same price.",
                "Raise the initial factors to those of maintenance or above.",
            ),
        ]

    def long_option(self) -> Finding:
        options = np.nonzero(self.market.instruments.is_option)[0]
        names = self.market.instruments.instrument
        per_coin = 1.0 / self.market.instruments.coins[options]
        n = len(self.books)
        added = np.zeros((len(options), len(names)))
        added[np.arange(len(options)), options] = per_coin
        extra = Probes(
            tuple(f"long {names[row]}" for row in options),
            added,
            np.zeros((len(options), len(self.market.assets))),
        )
        base = self.books.select(np.repeat(np.arange(n), len(options)))
        both = base.plus(extra.select(np.tile(np.arange(len(options)), n)), "{} with {}")
        before, _ = self.margin(self.books)
        after, gross = self.margin(both)
        was = np.repeat(before.maintenance_balance, len(options))
        return self.finding(
            Property.LONG_OPTION,
            both,
            was - after.maintenance_balance,
            gross,
            {"balance before": was, "balance after": after.maintenance_balance},
            "A right that costs nothing to hold lowers the balance.",
            "Let no scenario take more from an option held than it is worth.",
        )

    def boxes(self) -> list[Finding]:
        lines, market = Lines.of(self.market), self.market
        if market.instruments.inverse[market.instruments.is_option].any():
            text = ": not probed, a box of inverse options has no fixed payoff in USD."
            return [
                Finding(which, True, self.severity(which), which.value + text, {})
                for which in (Property.LONG_BOX, Property.SHORT_BOX)
            ]
        size = market.instruments.contract_size
        named, payoff, where = [], [], []
        for e in lines.expiries.tolist():
            strikes = lines.strikes(e)
            discount = np.exp(-market.expiries.rate[e] * market.instruments.years)
            for low, high in {(strikes[0], strikes[-1]), *pairwise(strikes)}:
                legs = {
                    lines.row(e, low, 1): 1.0,
                    lines.row(e, high, 1): -1.0,
                    lines.row(e, high, -1): 1.0,
                    lines.row(e, low, -1): -1.0,
                }
                date = f"{market.seconds[e] / 86_400:.0f} d"
                named.append(
                    (
                        f"box {low:.0f}/{high:.0f} {date}",
                        {row: sign / size[row] for row, sign in legs.items()},
                        0.0,
                    )
                )
                payoff.append((high - low) * discount[lines.row(e, low, 1)])
                where.append(e)
        box, worth, at = lines.books(named), np.array(payoff), np.array(where)
        # A box beside other positions of its expiry is netted with them and has no credit of its
        # own, so the books that it joins hold nothing there.
        holds = np.stack(
            [np.any(self.books.quantity[:, market.expiry == e] != 0.0, axis=1) for e in at]
        )
        which_box, which_book = np.nonzero(~holds)
        base, joined = self.books.select(which_book), box.select(which_box)
        before, _ = self.margin(self.books)
        was = before.maintenance_balance[which_book]
        found = []
        for which, sign, reason, remedy in (
            (
                Property.LONG_BOX,
                1.0,
                "A certain payment counts for more than it is worth: net-long books are marked up.",
                "Discount net-long expiries by a factor of at most 1.",
            ),
            (
                Property.SHORT_BOX,
                -1.0,
                "A certain debt counts for less than it is worth: net-short books are marked down.",
                "Mark net-short expiries up by a factor of at least 1.",
            ),
        ):
            both = base.plus(joined.times(sign), "{} with {}")
            after, gross = self.margin(both)
            credit = after.maintenance_balance - was
            fair = sign * worth[which_box]
            found.append(
                self.finding(
                    which,
                    both,
                    credit - fair,
                    gross,
                    {"credit": credit, "discounted payoff": fair},
                    reason,
                    remedy,
                )
            )
        return found

    def size(self) -> Finding:
        once, _ = self.margin(self.books)
        double = self.books.times(2.0)
        twice, gross = self.margin(double)
        lack = np.fmax(
            2.0 * once.initial - twice.initial, 2.0 * once.maintenance - twice.maintenance
        )
        return self.finding(
            Property.SIZE,
            double,
            lack,
            gross,
            {"initial of one": once.initial, "initial of two": twice.initial},
            "Margin per unit falls as the position grows.",
            "Let charges grow at least in proportion to size.",
        )

    def hedged(self) -> Finding:
        lines, coin = Lines.of(self.market), Lines.of(self.market).coin()
        size = self.market.instruments.contract_size
        named: list[tuple[str, dict[int, float], float]] = []
        legs: list[tuple[str, dict[int, float], float]] = []
        spot = float(self.market.underlyings.spot[0])
        for e in lines.expiries.tolist():
            strikes = lines.strikes(e)
            strike = float(strikes[np.argmin(np.abs(strikes - spot))])
            call, put = lines.row(e, strike, 1), lines.row(e, strike, -1)
            for side, name in ((1.0, "long"), (-1.0, "short")):
                date = f"{self.market.seconds[e] / 86_400:.0f} d"
                leg = {lines.perpetual: side * coin}
                hedge = {call: -side / size[call], put: side / size[put]}
                named.append((f"{name} perpetual against synthetic {date}", leg | hedge, 0.0))
                legs.append((f"{name} perpetual", leg, 0.0))
        both = lines.books(named)
        table, gross = self.margin(both)
        alone, _ = self.margin(lines.books(legs))
        return self.finding(
            Property.HEDGED,
            both,
            table.maintenance - alone.maintenance,
            gross,
            {"maintenance hedged": table.maintenance, "maintenance alone": alone.maintenance},
            "A hedge that leaves no more than the basis costs more margin than it saves.",
            "Lower the basis contingency, or net the legs.",
        )

    def splitting(self) -> Finding:
        pairs = np.array(list(combinations(range(len(self.books)), 2)), dtype=np.int64)
        parts, _ = self.margin(self.books)
        joint = self.books.select(pairs[:, 0]).plus(self.books.select(pairs[:, 1]))
        whole, gross = self.margin(joint)
        apart = parts.maintenance[pairs[:, 0]] + parts.maintenance[pairs[:, 1]]
        return self.finding(
            Property.SPLITTING,
            joint,
            whole.maintenance - apart,
            gross,
            {"maintenance joint": whole.maintenance, "maintenance apart": apart},
            "Two accounts need less than one that holds both: splitting is an arbitrage.",
            "Use charges that are convex in the book, or margin accounts of one owner together.",
        )


def _parameter_findings(checks: Iterable[ParameterCheck], severity: Severity) -> list[Finding]:
    return [
        Finding(Property.PARAMETERS, check.passed, severity, check.sentence, dict(check.numbers))
        for check in checks
    ]


def parameter_gate(
    method: MarginMethod,
    market: MarginMarket | None = None,
    *,
    checks: Iterable[ParameterCheck] = (),
    random: int = 0,
    rng: np.random.Generator | None = None,
    notices: Collection[Property] = NOTICES,
    materiality: float = 0.0,
) -> GateReport:
    """Examine a method with its parameters before it is used.

    Parameters
    ----------
    method : MarginMethod
        If it satisfies :class:`~commonmode.margin.gate_report.ParameterProperties`, its own checks
        are part of the report.
    market : MarginMarket, optional
        One underlying with options and a perpetual, full confidence;
        :func:`~commonmode.margin.gate_probes.reference_market` if left out.
    checks : iterable of ParameterCheck
        Further checks of parameters.
    random : int
        Random books to probe with besides the declared ones; they need ``rng``.
    rng : Generator, optional
    notices : collection of Property
        What is reported but refuses nothing. Splitting and confidence by default; a method that
        nets nothing by design will want ``HEDGED`` here too.
    materiality : float
        Share of the gross notional of a probe up to which a failure is a notice. Zero is strict:
        nothing beyond rounding is forgiven. A negative requirement, or an initial one below that
        of maintenance, is never forgiven.

    Returns
    -------
    GateReport
        The same for the same arguments; a failure has its reason, its remedy and its witness.

    Raises
    ------
    ConfigurationError, DataError
        Random books without a generator; a market without options or a perpetual.
    """
    market = market or reference_market()
    books = base_books(market)
    if random and rng is None:
        raise ConfigurationError(
            f"{random} random books without a generator", remedy="pass rng, or random=0"
        )
    if rng is not None and random:
        books = books.join(random_books(market, rng, random))
    gate = _Gate(method, market, books, notices, materiality)
    own = method.parameter_checks() if isinstance(method, ParameterProperties) else ()
    findings = _parameter_findings((*own, *checks), gate.severity(Property.PARAMETERS))
    findings += [gate.priced(), *gate.requirements(), gate.long_option(), *gate.boxes()]
    findings += [gate.size(), gate.hedged(), gate.splitting()]
    jump, spent = confidence_finding(
        method, market, books, gate.severity(Property.CONFIDENCE), _ROUNDING
    )
    return GateReport(method.id, (*findings, jump), gate.probes + spent)
