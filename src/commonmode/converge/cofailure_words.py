"""C3 and the split of joint failures in words."""

from __future__ import annotations

import math

from commonmode.converge.cofailure_result import CoFailureResult
from commonmode.converge.finding import Finding, between, percent
from commonmode.converge.severity import SMALL_SHARE, Severity, severity_of

__all__ = ["cofailure_findings"]


def cofailure_findings(name: str, c3: CoFailureResult) -> list[Finding]:
    """The ratio, and whose doing joint failures are.

    Parameters
    ----------
    name : str
        Of the panel.
    c3 : CoFailureResult
    """
    numbers = {
        "ratio": c3.ratio,
        "low": c3.interval[0],
        "high": c3.interval[1],
        "p_value": c3.p_value,
        "raw_ratio": c3.raw_ratio,
        "minimum_detectable_ratio": c3.minimum_detectable_ratio,
    }
    if math.isnan(c3.ratio):
        sentence = (
            f"Models fail together {c3.raw_ratio:.1f} times as often as by chance (market + shared "
            "design; without benchmarks the two cannot be told apart, so there is no interval and "
            "no detectable effect). What to do: give benchmark_a and benchmark_b."
        )
        return [Finding("C3", name, Severity.UNKNOWN, sentence, {"raw_ratio": c3.raw_ratio})]
    # The market makes most joint failures, so the ratio is near one whatever the models share:
    # the size is the design's part of those that the market does not make.
    size = c3.ratio - 1.0
    if c3.split is not None and c3.split.market.value < 1.0:
        size = c3.split.shared_design.value / (1.0 - c3.split.market.value)
    severity = severity_of(c3.rejects, size, SMALL_SHARE)
    needed = c3.minimum_detectable_ratio
    detectable = (
        f"a ratio of {needed:.2f} would have been found with 80 % probability"
        if math.isfinite(needed)
        else "so few blocks would have found nothing"
    )
    todo = {
        Severity.ALERT: "do not add up their limits as if they failed apart, and take apart what "
        "the remedy names",
        Severity.NOTE: "nothing yet; it is less than a tenth of what the market does not make",
    }.get(severity, "nothing; a ratio below the one named would not have been seen")
    found = (
        f"Given the market's own surprise, models fail together {c3.ratio:.2f} times as often as "
        f"independent ones would (95 % interval {c3.interval[0]:.2f} to {c3.interval[1]:.2f}, "
        f"p = {c3.p_value:.2g}; {detectable}). Raw, market and design together: "
        f"{c3.raw_ratio:.1f}. What to do: {todo}."
    )
    findings = [Finding("C3", name, severity, found, numbers)]
    if c3.split is None:
        return findings
    market, design, alone = c3.split.market, c3.split.shared_design, c3.split.individual
    sentence = (
        f"Of {c3.pair_failures:,} joint failures (pairs of models), {percent(market.value)} are "
        f"the market's doing ({between(market.low, market.high, '.0f', 100)} %), "
        f"{percent(design.value)} shared design ({between(design.low, design.high, '.0f', 100)} %) "
        f"and {percent(alone.value)} individual chance "
        f"({between(alone.low, alone.high, '.0f', 100)} %); what would have been found is C3's. "
        "What to do: hold capital for the market's part, which all models meet at once; taking "
        "models apart changes the design's part alone."
    )
    split = {
        "market": market.value,
        "shared_design": design.value,
        "individual": alone.value,
    }
    worth = severity if c3.rejects else Severity.NOTE
    return [*findings, Finding("split", name, worth, sentence, split)]
