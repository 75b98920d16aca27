"""The look *passports*: what each model's data can carry, and whether they look authentic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from commonmode.adapters.feeds.recorded import find_recordings
from commonmode.app.study.chain_passports import (
    ChainPassport,
    chain_findings,
    chain_passports,
    chain_table,
)
from commonmode.app.study.feed_screens import recorded_screens, stated_screens
from commonmode.app.study.look_context import LookAnswer, LookContext, inapplicable
from commonmode.app.study.passport_coverage import (
    Backtest,
    Covered,
    coverage_of,
    detectable_rate,
)
from commonmode.app.study.passport_tables import (
    backtest_table,
    coverage_table,
    limit_table,
    passport_table,
    screen_table,
    stress_table,
)
from commonmode.app.study.schema import PanelSettings
from commonmode.app.study.signals import signal_histories
from commonmode.converge.finding import Finding
from commonmode.converge.severity import Severity
from commonmode.core.errors import CommonmodeError
from commonmode.core.result import Failure, Success
from commonmode.margin.deribit.parameters import shipped_deribit
from commonmode.market.clock import utc_iso
from commonmode.market.history import History
from commonmode.market.integrity import Screen
from commonmode.panel.error_panel import ErrorPanel
from commonmode.register.cards import Card, Layer
from commonmode.register.passport import DataPassport, data_passport, risk_factors
from commonmode.stats.samples import kupiec_power, minimum_kupiec_length

__all__ = ["passports_look"]

_NAME: Final = "passports"
_MOST_POWER: Final = 0.8


def passports_look(context: LookContext) -> LookAnswer | Failure:
    """A data passport for every model of the study, on every underlying where it has a window.

    Windows end at the last bar of the study's risk panels. Stresses are the worst hour on record,
    the edge of Deribit's published scenario table, the study's own moves (``margin.moves``) and
    those of ``looks.stresses``. Coverage is that of the panels' forecasts. On the recorded market
    the other feeds are screened as well.
    """
    models = (*context.models.risk, *context.models.signal)
    if not models:
        return inapplicable(
            "the study has no risk models and no strategies, so no calibration window",
            "add [[models]] of a risk type",
        )
    notes: list[str] = []
    histories = _histories(context, notes)
    cards = {card.model: card for card in context.models.cards}
    level = next((p.level for p in context.study.panels if p.family == "risk"), 0.025)
    passports: list[DataPassport] = []
    for model in models:
        for coin, history in histories.items():
            try:
                passports.append(
                    data_passport(
                        model.id,
                        model.requires,
                        history,
                        source=_source(cards.get(model.id)),
                        level=level,
                        stresses=_stresses(context, coin, history),
                    )
                )
            except CommonmodeError as error:
                notes.append(f"{model.id} on {coin}: {error.message} ({error.remedy}).")
    if not passports:
        return inapplicable(" ".join(notes).rstrip("."), "give a longer history")
    backtests, covered = _panels(context, notes)
    chains: tuple[ChainPassport, ...] = ()
    if context.models.surface:
        try:
            chains = chain_passports(context, histories)
        except CommonmodeError as error:
            notes.append(f"Surface models: {error.message} ({error.remedy}).")
    tables, seed = context.study.market.activity, context.study.study.seed
    stated, unread = stated_screens(tables, context.folder, seed=seed)
    screens = (*_own(passports), *stated)
    notes += unread
    root = find_recordings() if context.study.market.source == "recorded" else None
    liquidations = any(table.what == "liquidations" for table in tables)
    if root is None and not tables:
        notes.append(
            "Only the study's own bars are screened: trades, quotes, open interest, liquidations "
            "and other venues are not among its data."
        )
    if root is not None:
        more, missing = recorded_screens(
            root, context.study.market.underlyings, seed=seed, liquidations=not liquidations
        )
        screens += more
        notes += missing
    findings = (
        _summary(passports, backtests, covered),
        _screened(screens),
        *_backtested(backtests),
        *chain_findings(chains),
        *_covered(covered),
        *_each(passports),
    )
    return LookAnswer(
        findings=findings,
        tables=(
            passport_table(passports),
            stress_table(passports),
            backtest_table(backtests),
            coverage_table(covered),
            limit_table(passports),
            chain_table(chains),
            screen_table(screens),
        ),
        notes=tuple(dict.fromkeys(notes)),
    )


def _histories(context: LookContext, notes: list[str]) -> dict[str, History]:
    """Bars of every underlying up to the end of the risk panels; everything before counts."""
    ends = [panel.end for panel in context.study.panels if panel.family == "risk"]
    starts = [panel.start for panel in context.study.panels if panel.family == "risk"]
    end = ends[0] if ends else None
    start = starts[0] if starts else None
    models = (*context.models.risk, *context.models.signal)
    coins = context.study.market.underlyings
    histories, missing = signal_histories(context.feed, coins, models, start, end)
    notes += missing
    return histories


def _source(card: Card | None) -> str:
    """The data layer of a model's card: where its data come from, as declared."""
    if card is None:
        return ""
    return ", ".join(use.component for use in card.components if use.layer is Layer.DATA)


def _stresses(context: LookContext, coin: str, history: History) -> dict[str, tuple[float, float]]:
    """Log return and log range of one bar, by name; a bar spans at least what it moves."""
    factors = risk_factors(history)
    found: dict[str, tuple[float, float]] = {}
    if np.isfinite(factors).all(axis=1).any():
        worst = int(np.nanargmin(np.where(np.isfinite(factors[:, 1]), factors[:, 0], np.nan)))
        when = utc_iso(int(history.times_ms[worst]))
        found[f"worst hour on record ({when})"] = (
            float(factors[worst, 0]),
            float(factors[worst, 1]),
        )
    pair = shipped_deribit().pairs.get(coin)
    if pair is not None:
        fall = float(np.log1p(-pair.price_range))
        found[f"Deribit's scenario edge in an hour (-{100 * pair.price_range:g} %)"] = (fall, -fall)
    for move in () if context.study.margin is None else context.study.margin.moves:
        if coin in move.returns:
            moved = float(np.log1p(move.returns[coin]))
            found[f"{move.label} in an hour"] = (moved, abs(moved))
    return found | dict(context.study.looks.stresses)


def _panels(context: LookContext, notes: list[str]) -> tuple[list[Backtest], list[Covered]]:
    """Length and coverage of every risk panel that was built."""
    backtests: list[Backtest] = []
    scored: list[tuple[PanelSettings, ErrorPanel]] = []
    for built in context.panels:
        if built.settings.family != "risk":
            continue
        if not isinstance(built.panel, Success):
            notes.append(f"{built.settings.name}: {built.panel.message}.")
            continue
        panel = built.panel.value
        scored.append((built.settings, panel))
        # Outcomes that overlap say the same thing several times.
        step = 1 if built.settings.non_overlapping else built.settings.horizon_hours
        outcomes = int(np.isfinite(panel.outcome).all(axis=1).sum()) // step
        level = panel.level
        backtests.append(
            Backtest(
                panel=panel.name,
                level=level,
                outcomes=outcomes,
                needed=minimum_kupiec_length(level, 2.0 * level),
                power=float(kupiec_power(outcomes, level, 2.0 * level)) if outcomes else 0.0,
                rate=detectable_rate(outcomes, level, power=_MOST_POWER),
            )
        )
    pairs = sum(len(panel.models) * len(panel.targets) for _, panel in scored)
    covered: list[Covered] = []
    for settings, panel in scored:
        step = 1 if settings.non_overlapping else settings.horizon_hours
        made, why = coverage_of(panel, step=step, comparisons=pairs)
        covered += made
        notes += why
    return backtests, covered


def _own(passports: Sequence[DataPassport]) -> tuple[Screen, ...]:
    """Screens of the bars that the models read: of the longest window, once for each instrument."""
    longest: dict[str, DataPassport] = {}
    for one in sorted(passports, key=lambda passport: passport.window):
        longest[one.instrument] = one
    return tuple(screen for one in longest.values() for screen in one.screens)


def _summary(
    passports: Sequence[DataPassport],
    backtests: Sequence[Backtest],
    covered: Sequence[Covered],
) -> Finding:
    """The study's data in one sentence."""
    least = min(passports, key=lambda one: one.effective_size)
    crash = sum(one.regimes.crash_in_window for one in passports)
    far = sum(any(stress.outside for stress in one.stresses) for one in passports)
    few = sum(one.tail.clusters < 10 for one in passports)
    drifting = sum(one.held.drifts for one in covered)
    worst = max((one.rate for one in backtests), default=float("nan"))
    found = (
        f" A breach rate of {100 * worst:.2g} % or more would have been told from the stated one "
        "in every panel."
        if np.isfinite(worst)
        else ""
    )
    kept = (
        f" {drifting} of {len(covered)} forecasts, put right on the first half of their panel, "
        "miss another share in the second than that promises."
        if covered
        else " No panel was built, so nothing is said of coverage."
    )
    said = (
        "do not use those models for stressed margins without an add-on, and give windows that "
        "hold a crash"
        if crash < len(passports)
        else "read the limits of use below before a model is put to another use"
    )
    low, high = least.effective_interval
    sentence = (
        f"{len(passports)} passports ({len({one.model for one in passports})} models): the least "
        f"window, {least.model}'s of {least.window:,} bars of {least.instrument}, is worth "
        f"{least.effective_size:,.0f} independent observations for a volatility (95 % {low:,.0f} "
        f"to {high:,.0f}); {crash} windows hold a crash, {few} hold fewer than 10 independent tail "
        f"events, and for {far} a stress lies outside.{found}{kept} What to do: {said}."
    )
    numbers = {
        "passports": float(len(passports)),
        "least_effective_size": least.effective_size,
        "low": low,
        "high": high,
        "with_a_crash": float(crash),
        "few_tail_events": float(few),
        "stress_outside": float(far),
        "drifting": float(drifting),
        "forecasts": float(len(covered)),
        "detectable_breach_rate": worst,
    }
    short = crash < len(passports) or few or far
    return Finding(_NAME, "study", Severity.NOTE if short else Severity.FINE, sentence, numbers)


def _screened(screens: Sequence[Screen]) -> Finding:
    """How many screens flagged what, and how many would have by chance."""
    flagged = [screen for screen in screens if screen.flagged]
    asked = [screen for screen in screens if screen.verdict.value != "not applicable"]
    tested = sum(np.isfinite(screen.p_value) for screen in asked)
    kinds = ", ".join(
        f"{name} ({sum(screen.name == name for screen in flagged)})"
        for name in dict.fromkeys(screen.name for screen in flagged)
    )
    sentence = (
        f"{len(asked)} screens of {len({screen.name for screen in screens})} kinds looked at the "
        f"data, {len(screens) - len(asked)} could not; {len(flagged)} flag something"
        f"{': ' + kinds if kinds else ''} (a count: no interval). {tested} are tests at 1 % or "
        f"less each, so about {0.01 * tested:.1f} would flag by chance; the others hold an "
        "identity or a stated bound, and have no smallest effect. What to do: "
        + (
            "ask the venue before a model is moved to a flagged feed; a flag is no proof."
            if flagged
            else "nothing."
        )
    )
    numbers = {
        "screens": float(len(asked)),
        "flagged": float(len(flagged)),
        "not_applicable": float(len(screens) - len(asked)),
        "expected_by_chance": 0.01 * tested,
    }
    severity = Severity.NOTE if flagged else Severity.FINE
    return Finding(_NAME, "screens", severity, sentence, numbers)


def _backtested(backtests: Sequence[Backtest]) -> list[Finding]:
    found = []
    for one in backtests:
        short = one.outcomes < one.needed
        sentence = (
            f"{one.panel}: {one.outcomes:,} outcomes that do not overlap; to tell twice the stated "
            f"{100 * one.level:g} % with 80 % power a backtest needs {one.needed:,}. These tell "
            f"it with {100 * one.power:.0f} %, and a rate of {100 * one.rate:.2g} % or more with "
            "80 %. What to do: "
            + ("collect more before a model is passed." if short else "nothing; it is long enough.")
        )
        numbers = {
            "outcomes": float(one.outcomes),
            "needed": float(one.needed),
            "power": one.power,
            "detectable_breach_rate": one.rate,
        }
        severity = Severity.ALERT if short else Severity.FINE
        found.append(Finding(_NAME, one.panel, severity, sentence, numbers))
    return found


def _covered(covered: Sequence[Covered]) -> list[Finding]:
    """Forecasts that drift, the farthest first."""
    found = []
    drifting = [one for one in covered if one.held.drifts]
    for one in sorted(drifting, key=lambda c: -abs(c.held.found - c.level)):
        low, high = one.held.promised
        more = one.held.found > high
        sentence = (
            f"{one.panel}: {one.model} on {one.target}, multiplied by {one.held.factor:.2f} to "
            f"cover on the first half, misses {100 * one.held.found:.2g} % in the second; "
            f"{100 * low:.2g} to {100 * high:.2g} % was promised (95 % over all {len(covered)} "
            f"looked at). What to do: "
            + (
                "recalibrate, or let its level adapt."
                if more
                else "it costs more capital than its level asks for; recalibrate."
            )
        )
        numbers = {
            "factor": one.held.factor,
            "missed": one.held.found,
            "low": low,
            "high": high,
            "adaptive": one.adaptive,
        }
        severity = Severity.ALERT if more else Severity.NOTE
        found.append(Finding(_NAME, one.panel, severity, sentence, numbers))
    return found


def _each(passports: Sequence[DataPassport]) -> list[Finding]:
    """A sentence for every window; models that rest on the same bars share it."""
    shared: dict[tuple[str, int, tuple[str, ...]], list[DataPassport]] = {}
    for one in passports:
        shared.setdefault((one.instrument, one.window, one.limits), []).append(one)
    return [_one(group[0], [one.model for one in group]) for group in shared.values()]


def _one(passport: DataPassport, models: Sequence[str]) -> Finding:
    """A passport's own sentence, and its weightiest limit."""
    todo = f"heed its limits; the first: {passport.limits[0]}" if passport.limits else "nothing."
    numbers = {
        "effective_size": passport.effective_size,
        "low": passport.effective_interval[0],
        "high": passport.effective_interval[1],
        "tail_events": passport.tail.clusters,
        "limits": float(len(passport.limits)),
    }
    severity = Severity.NOTE if passport.limits else Severity.FINE
    said = passport.sentence
    if len(models) > 1:
        said = said.replace(f"{passport.model} rests", f"{', '.join(models)} rest", 1)
    return Finding(_NAME, ", ".join(models), severity, f"{said} What to do: {todo}", numbers)
