"""Backtests of a quantile forecast, scoring functions, the Basel traffic light, sample limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.app.verify.cases import Case
from commonmode.app.verify.registry import Adaptor, Unsupported
from commonmode.register.graph import blast_radius, jaccard
from commonmode.stats.conformal import split_conformal_coverage
from commonmode.stats.coverage import (
    Transitions,
    basel_cumulative,
    basel_plus_factor_1996,
    basel_type_two_error,
    basel_zones_text,
    christoffersen,
    independence_test,
    kupiec,
    kupiec_region,
)
from commonmode.stats.losses import fz0_loss, pinball_loss
from commonmode.stats.reference_series import TailSeries, series_d1
from commonmode.stats.samples import (
    condition_number,
    expected_maximum_sharpe,
    minimum_sharpe_backtest,
    minimum_track_record,
    population_stability_index,
    psi_critical,
)

__all__ = ["ADAPTORS"]


def tail_series(case: Case) -> TailSeries:
    """The series a case names (D1) or brings along (``returns``, ``quantile``, ``shortfall``)."""
    given, level = case.inputs, float(case.inputs.get("alpha", 0.025))
    if str(given.get("data", "")).startswith("D1"):
        return series_d1(level=level)
    if "returns" in given and "quantile" in given:
        returns, quantile = (np.asarray(given[n], np.float64) for n in ("returns", "quantile"))
        missing = np.full(returns.size, np.nan)
        shortfall = np.asarray(given.get("shortfall", missing), np.float64)
        return TailSeries(returns, missing, quantile, shortfall, level)
    raise Unsupported("the case neither names series D1 nor gives returns and quantile")


def _kupiec(case: Case) -> Any:
    test = kupiec(np.asarray(case.inputs["x"]), np.asarray(case.inputs["T"]), case.inputs["p"])
    return {"LR": test.statistic, "p_value": test.p_value, "reject_5pct": test.rejects(0.05)}


def _kupiec_region(case: Case) -> Any:
    lengths, levels = np.atleast_1d(case.inputs["T"]), np.atleast_1d(case.inputs["p"])
    return {str(p): [kupiec_region(int(t), float(p)) for t in lengths] for p in levels.tolist()}


def _var_test(case: Case) -> Any:
    series = tail_series(case)
    test = christoffersen(series.returns < series.quantile, series.level)
    return {
        "uc_LR": test.unconditional.statistic,
        "uc_p": test.unconditional.p_value,
        "cc_LR": test.conditional.statistic,
        "cc_p": test.conditional.p_value,
        "ind_LR": test.independence.statistic,
        "exceed": test.exceptions,
    }


def _independence(case: Case) -> Any:
    counts = Transitions(*(int(case.inputs[name]) for name in ("n00", "n01", "n10", "n11")))
    test = independence_test(counts)
    return {"LR_ind": test.statistic, "p_value": test.p_value}


def _pinball(case: Case) -> Any:
    series = tail_series(case)
    return {"mean_loss": pinball_loss(series.returns, series.quantile, series.level).mean()}


def _fz0(case: Case) -> Any:
    s = tail_series(case)
    return {"mean_loss": fz0_loss(s.returns, s.quantile, s.shortfall, s.level).mean()}


def _basel_table(case: Case) -> Any:
    k, length, level = np.asarray(case.inputs["k"]), int(case.inputs["T"]), float(case.inputs["p"])
    return {
        "cum_pct": 100.0 * basel_cumulative(k, length, level),
        "zones": basel_zones_text(length, level),
        "plus_factor_1996": basel_plus_factor_1996(k),
    }


def _basel_type_two(case: Case) -> Any:
    i = case.inputs
    return {"pct": 100.0 * basel_type_two_error(np.asarray(i["true_p"]), i["T"], i["reject_from"])}


def _conformal(case: Case) -> Any:
    law = split_conformal_coverage(int(case.inputs["n"]), float(case.inputs["alpha"]))
    return {"mean": law.mean, "q05": law.quantile(0.05), "q95": law.quantile(0.95)}


def _stability_index(case: Case) -> Any:
    i = case.inputs
    reference, new = (np.asarray(i[name], np.float64) for name in ("ref", "new"))
    return {
        "PSI": population_stability_index(reference, new),
        "crit95": psi_critical(len(reference), float(i["n"]), float(i["m"])),
    }


def _backtest_length(case: Case) -> Any:
    trials = np.atleast_1d(case.inputs["N"])
    years = minimum_sharpe_backtest(trials, float(case.inputs.get("target", 1.0)))
    largest = expected_maximum_sharpe(trials)
    return {
        **{f"Emax_{n}": value for n, value in zip(trials, largest, strict=True)},
        **{f"MinBTL_{n}_years": value for n, value in zip(trials, years, strict=True)},
    }


def _track_record(case: Case) -> Any:
    """Each entry of ``freq`` is e.g. ``monthly12 skew=-0.72 kurt=5.78``; Sharpe ratios are annual.

    Which ratios and which confidence is in the method's name.
    """
    named = re.search(r"SR ([\d.]+) vs ([\d.]+) annual, ([\d.]+)%", case.method)
    if named is None:
        raise Unsupported("the method's name does not say 'SR a vs b annual, c%'")
    sharpe, benchmark, percent = (float(number) for number in named.groups())
    years = []
    for entry in case.inputs["freq"]:
        first, *shape = str(entry).split()
        per_year = float(re.sub(r"\D", "", first))
        moments = {name: float(value) for name, _, value in (s.partition("=") for s in shape)}
        length = minimum_track_record(
            sharpe / np.sqrt(per_year),
            benchmark / np.sqrt(per_year),
            skewness=moments.get("skew", 0.0),
            kurtosis=moments.get("kurt", 3.0),
            confidence=percent / 100.0,
        )
        years.append(float(length) / per_year)
    return {"years": years}


def _hilbert(case: Case) -> Any:
    index = np.arange(float(case.inputs["n"]))
    return {"cond2": condition_number(np.asarray(1.0 / (index[:, None] + index + 1.0), np.float64))}


def _graph(case: Case) -> Any:
    use = np.asarray(case.inputs["W_models_x_components"], np.float64)
    similarity = jaccard(use, np.asarray(case.inputs["component_weights"], np.float64))
    pairs = list(zip(*np.triu_indices(len(use), 1), strict=True))
    return {
        **{f"J_{i + 1}{j + 1}": similarity[i, j] for i, j in pairs},
        "mean_J": np.mean([similarity[i, j] for i, j in pairs]),
        "blast_radius": blast_radius(use, np.asarray(case.inputs["exposure"], np.float64)),
    }


ADAPTORS: Final[Mapping[str, Adaptor]] = MappingProxyType(
    {
        "Kupiec POF LR*": _kupiec,
        "Kupiec 95% non-rejection region*": _kupiec_region,
        "VaRTest uc / cc*": _var_test,
        "Christoffersen independence LR*": _independence,
        "Quantile (tick) loss mean": _pinball,
        "Fissler-Ziegel FZ0 joint VaR-ES loss*": _fz0,
        "Basel traffic light*": _basel_table,
        "Basel type-II error*": _basel_type_two,
        "Shared-dependency similarity*": _graph,
        "Split conformal coverage law*": _conformal,
        "Population stability index*": _stability_index,
        "E[max_N] and minimum backtest length": _backtest_length,
        "Minimum track record length*": _track_record,
        "Condition number of Hilbert*": _hilbert,
    }
)
