"""Look ``strategies``: do trading strategies act as one, and do risk models cut when they sell?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from commonmode.app.study.look_context import LookAnswer, LookContext, LookTable, inapplicable
from commonmode.app.study.panels import BuiltPanel, with_exposure
from commonmode.app.study.signals import signal_histories
from commonmode.converge.analysis import IndexOptions, PanelAnalysis, analyse_panel
from commonmode.converge.findings import Finding, Severity, panel_findings
from commonmode.converge.severity import SMALL_CORRELATION, severity_of
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.converge.strategies_result import StrategyRiskResult
from commonmode.converge.strategy_words import strategy_findings
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.signals import build_signal_panel

__all__ = ["look_at_strategies"]

_CONVERGENCE = ("remedy", "C4", "C1", "C2")
_FEWEST = 3  # strategies between which contrasts can be made


def look_at_strategies(context: LookContext) -> LookAnswer | Failure:
    """Strategies beside one another, and beside the risk models of one panel."""
    study, settings = context.study, context.study.looks.strategies
    models = context.models.signal
    if not models:
        return inapplicable(
            "the study names no trading strategy",
            'add [[models]] of such types, e.g. type = "trend" (docs/models.md lists them)',
        )
    strange = sorted(set(settings.exposure_usd) - {model.id for model in models})
    if strange:
        raise ConfigurationError(
            f"looks.strategies.exposure_usd names {', '.join(strange)}",
            remedy=f"the study's strategies are: {', '.join(m.id for m in models)}",
        )
    risk = _risk_panel(context)
    if isinstance(risk, Failure):
        return risk
    panel, notes = _signals(context, risk)
    behind = np.array([settings.exposure_usd.get(model, 0.0) for model in panel.models])
    panel = with_exposure(panel, behind)
    analysis = analyse_panel(
        panel,
        context.models.cards,
        IndexOptions(
            alpha=study.indices.alpha,
            flips=study.indices.flips,
            draws=study.indices.draws,
            seed=study.study.seed,
        ),
    )
    notes += _unanswered(panel)
    notes += tuple(f"{one.model}: {one.failure.message}" for one in analysis.left_out)
    panel = analysis.panel
    if not panel.models:
        return inapplicable(
            "no strategy has a position: " + "; ".join(notes), "look at the columns they read"
        )
    ran = risk.panel
    assert isinstance(ran, Success), "only a panel that was built is chosen"
    coupling = (
        StrategyRiskCoupling(
            alpha=study.indices.alpha,
            lags=settings.lags,
            flips=study.indices.flips,
            rng=study.study.seed,
        )
        .fit(panel, ran.value)
        .result_
    )
    if len(panel.models) < _FEWEST:
        notes += (f"{len(panel.models)} strategies: groups are told apart among {_FEWEST} or more",)
    findings = (
        Finding("strategies", panel.name, _severity(coupling), coupling.sentence, _sums(coupling)),
        *sorted(
            (*_convergence(analysis), *strategy_findings(coupling)),
            key=lambda one: one.severity is not Severity.ALERT,
        ),
    )
    tables = (_couplings(coupling), *_positions(panel, analysis))
    return LookAnswer(findings, tables, notes)


def _risk_panel(context: LookContext) -> BuiltPanel | Failure:
    """The panel named, or the first of quantiles one bar ahead; its bars are those looked at."""
    wanted = context.study.looks.strategies.risk_panel
    families = {panel.name: panel.family for panel in context.study.panels}
    if wanted and families.get(wanted) != "risk":
        raise ConfigurationError(
            f"looks.strategies.risk_panel: {wanted!r} is no risk panel of the study",
            remedy="name one, or leave it out for the first that forecasts one bar ahead",
        )
    failed = ""
    for built in context.panels:
        if built.settings.family != "risk" or (wanted and built.settings.name != wanted):
            continue
        if isinstance(built.panel, Failure):
            failed = failed or built.panel.message
            continue
        panel = built.panel.value
        steps = np.diff(panel.times_ms)
        if wanted or (len(steps) and int(steps.min()) == panel.horizon_ms):
            return built
    if failed:
        return inapplicable(
            f"the risk panel that strategies are held against was not built: {failed}",
            "mend what the study's failures say of it",
        )
    return inapplicable(
        "the study has no risk panel that forecasts one bar ahead",
        "strategies are held against one: add a panel of family risk with horizon_hours = 1",
    )


def _signals(context: LookContext, risk: BuiltPanel) -> tuple[ErrorPanel, tuple[str, ...]]:
    """The study's own panel of strategies on the same bars, or one made for the look."""
    settings = risk.settings
    horizon = settings.horizon_hours
    for built in context.panels:
        if built.settings.family == "signal" and isinstance(built.panel, Success):
            mine = built.settings
            if (mine.start, mine.end, mine.horizon_hours) == (
                settings.start,
                settings.end,
                horizon,
            ):
                return built.panel.value, built.notes
    histories, notes = signal_histories(
        context.feed,
        context.study.market.underlyings,
        context.models.signal,
        settings.start,
        settings.end,
    )
    window = max(model.requires.window for model in context.models.signal)
    panel = build_signal_panel(
        histories,
        context.models.signal,
        train=max(settings.train, window),
        horizon=horizon,
        name="strategies",
        executor=context.executor,
    )
    return panel, notes


def _unanswered(panel: ErrorPanel) -> tuple[str, ...]:
    """Bars without an answer, a line for each strategy and coin."""
    bars: dict[tuple[str, str], int] = {}
    for one in panel.failures:
        key = (str(one.model), str(one.target))
        bars[key] = bars.get(key, 0) + one.count
    return tuple(
        f"{model} on {target}: no answer in {count:,} of {len(panel.times_ms):,} bars"
        for (model, target), count in bars.items()
    )


def _severity(result: StrategyRiskResult) -> Severity:
    largest = max((one.given_move for one in result.found), default=0.0)
    through = Severity.NOTE if result.through_the_move else Severity.FINE
    return severity_of(True, largest, SMALL_CORRELATION) if result.found else through


def _sums(result: StrategyRiskResult) -> dict[str, float]:
    return {
        "pairs": float(len(result.couplings)),
        "beyond_the_move": float(len(result.found)),
        "through_the_move": float(len(result.through_the_move)),
        "rows": float(result.rows),
        "blocks": float(result.blocks),
    }


def _convergence(analysis: PanelAnalysis) -> list[Finding]:
    """What the indices say of the strategies as models; no tail claim is made of positions."""
    return [one for one in panel_findings(analysis) if one.index in _CONVERGENCE]


def _couplings(result: StrategyRiskResult) -> LookTable:
    return LookTable(
        "couplings",
        "Selling of each strategy with the rise of each risk model's quantile, in the same bar "
        "(together) and given the market's own moves at the lag at which it is surest. Cut: rise "
        "of the quantile in the 5 % of bars with the strongest selling, on average.",
        (
            "strategy",
            "risk_model",
            "together",
            "p_together",
            "given_move",
            "low",
            "high",
            "lag",
            "p_given_move",
            "detectable",
            "selling_bars",
            "cut_share",
            "cut_given_move_share",
            *(("sold_usd", "cut_usd") if result.priced else ()),
        ),
        [
            (
                str(one.strategy),
                str(one.risk_model),
                one.together,
                one.p_together,
                one.given_move,
                *one.interval,
                one.lag,
                one.p_adjusted,
                one.detectable,
                one.selling_bars,
                one.cut,
                one.cut_given_move,
                *((one.sold_usd, one.cut_usd) if result.priced else ()),
            )
            for one in result.couplings
        ],
    )


def _positions(panel: ErrorPanel, analysis: PanelAnalysis) -> Sequence[LookTable]:
    """Correlation of positions, and the groups that contrasts were made of."""
    rows = panel.forecast.reshape(-1, len(panel.models))
    rows = rows[np.isfinite(rows).all(axis=1)]
    moving = rows.std(axis=0) > 0.0 if len(rows) else np.zeros(len(panel.models), np.bool_)
    names = [str(model) for model in panel.models]
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.atleast_2d(np.corrcoef(rows.T)) if moving.any() else np.zeros((0, 0))
    tables = []
    if matrix.size:
        tables.append(
            LookTable(
                "positions",
                f"Correlation of the positions that strategies want, over {len(rows):,} bars of "
                "all coins at which every one of them has an answer. A description: what they "
                "read off one price moves them all.",
                ("strategy", *names),
                [(name, *matrix[i].tolist()) for i, name in enumerate(names)],
            )
        )
    told = analysis.c2.value.components if isinstance(analysis.c2, Success) else ()
    told = tuple(one for one in told if one.identified)
    if told:
        tables.append(
            LookTable(
                "shared",
                "Do the strategies that share a declared part move together more than each of "
                "them does with the rest?",
                ("part", "strategies", "excess", "standard_error", "p_adjusted"),
                [
                    (
                        one.group.name,
                        ", ".join(one.group.members),
                        one.estimate,
                        one.standard_error,
                        one.p_adjusted,
                    )
                    for one in told
                ],
            )
        )
    return tables
