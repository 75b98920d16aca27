"""Published margin cases in their publishers' own files, as cases of ours.

======================================  ======================================================
content of the file                     cases
======================================  ======================================================
``{Scenario, Parameters, Result}``      one of Derive's PM2, named after the file
``{name: {Scenario, Result}}``          Derive's standard manager, amounts times 1e18
``{name: {InitialPortfolio, Actions}}`` Derive's auctions, amounts times 1e18
``{name: {pair, ccy, positions}}``      answers of Deribit's margin simulation, in coin
======================================  ======================================================

Only what the package computes is expected; a file without ``Result`` is a question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from commonmode.core.errors import DataError

__all__ = ["SHAPES", "TOLERANCES", "margin_rows"]

Given = Mapping[str, Any]

#: What a file may hold besides cases, in words.
SHAPES: Final = (
    "{Scenario, Parameters, Result}, or an object of {Scenario, Result}, "
    "{InitialPortfolio, Actions} or {pair, ccy, positions}"
)
_WAD: Final = 1e18

_PM2_ANSWERS: Final = (
    "IM",
    "MM",
    "PortfolioMTM",
    "OptionMTM",
    "OptionMTMPerExpiry",
    "OptionMTMPerExpiryDiscounted",
    "CollateralMTM",
    "reg_losses",
    "tail_losses",
    "skew_losses",
    "worst_reg_loss",
    "worst_tail_loss",
    "worst_skew_loss",
    "ForwardContingency",
    "IMLossFactor",
    "MMLossFactor",
    "MMPerpCont",
    "IMPerpCont",
    "IMPerpContNormal",
    "MMBaseCont",
    "IMBaseCont",
    "IMBaseContNormal",
    "MMOptionCont",
    "IMOptionCont",
    "IMOptionContNormal",
    "OracleCont",
    "discount_factors",
    "VolShockUpMultiplier",
    "VolShockDownMultiplier",
    "VolShockUpEvaluated",
    "VolShockDownEvaluated",
)
_OLD_MOST_VARIANCE: Final = 20.0
# The answers are 18-digit fixed point, where the loss of a box is 1e-12 USD instead of 0.
_PM2_TOLERANCE: Final[Given] = MappingProxyType({"rel": 1e-9, "abs": 2e-11})

# Without the cases' `Bounded` amounts: inside the last half hour, and where no settlement loses,
# they are not those that their own totals are made of.
_STANDARD_ANSWERS: Final = (
    "realIM",
    "realMM",
    *(
        f"{coin}Option{rule}{kind}"
        for coin in ("ETH", "BTC")
        for rule in ("", "Isolated")
        for kind in ("IM", "MM")
    ),
    "PortfolioMtM",
    "PerpMargin",
    "OracleConts",
    "DepegIMs",
    "BaseMargin",
)
# The publisher's own tolerance; below it an amount that is 0 in fixed point.
_STANDARD_TOLERANCE: Final[Given] = MappingProxyType({"rel": 1e-3, "abs": 1e-9})

_AUCTION_ANSWERS: Final = (
    "PreBM",
    "PreFMax",
    "fLiquidatedOfOriginal",
    "ExpectedBidPrice",
    "PostMtM",
    "PostMM",
    "PostBM",
    "PostFMax",
)
# A buffer that a sale has just restored is 0 in fixed point and rounding of 100 USD here.
_AUCTION_TOLERANCE: Final[Given] = MappingProxyType({"rel": 1e-9, "abs": 1e-9})
#: Terms with which the publisher made the cases; the files do not state them.
_AUCTION_TERMS: Final[Given] = MappingProxyType(
    {
        "start": 0.98,
        "cutoff": 0.80,
        "fast_seconds": 100.0,
        "slow_seconds": 14_400.0,
        "insolvent_seconds": 600.0,
        "fee": 0.02,
        "buffer": 0.20,
    }
)

_DERIBIT_ANSWERS: Final = (
    "initial",
    "aggregated_standard",
    "aggregated_extended",
    "worst_case",
    "roll_shock",
    "delta_shock",
    "risk_matrix_margin",
    "initial_margin",
    "maintenance_margin",
)
# Tables are shown to the last digits of a double; sums are shown, and in part formed, from amounts
# rounded to nine decimals of a coin.
_DERIBIT_TOLERANCE: Final[Given] = MappingProxyType(
    {
        "rel": 1e-12,
        "abs": 1e-17,
        "delta_shock": "exact",
        "risk_matrix_margin": 5e-10,
        "initial_margin": 1e-9,
        "maintenance_margin": 4e-10,
    }
)
#: By method.
TOLERANCES: Final[Mapping[str, Given]] = MappingProxyType(
    {
        "Derive PM2 margin": _PM2_TOLERANCE,
        "Derive standard margin": _STANDARD_TOLERANCE,
        "Derive liquidation auction": _AUCTION_TOLERANCE,
        "Deribit portfolio margin": _DERIBIT_TOLERANCE,
    }
)
_PAIR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "price_range": "price_range",
        "vol_up": "volatility_range_up",
        "vol_down": "volatility_range_down",
        "least_vol_up": "min_volatility_for_shock_up",
        "short_power": "short_term_vega_power",
        "long_power": "long_term_vega_power",
        "extended_factor": "extended_table_factor",
        "delta_threshold_usd": "delta_total_liq_shock_threshold",
        "delta_slope": "m_inc",
        "delta_most": "max_delta_shock",
    }
)
_CURRENCY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "annualised_move": "annualised_move_risk",
        "least_move": "min_annualised_move",
        "dampener_usd": "extended_dampener",
        "pnl_offset": "pnl_offset",
        "offset_limit_usd": "max_offsetable_pnl",
        "haircut": "haircut",
    }
)
_ORDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "correlation": "correlation_contingency",
        "open_orders": "open_orders_margin",
        "spot": "spot_margin",
        "market_maker_protection": "mmp_margin",
    }
)


def margin_rows(content: Any, file: Path) -> list[dict[str, Any]] | None:
    """Rows of cases from what a file holds, None if it is none of the shapes above.

    Parameters
    ----------
    content : JSON value
    file : Path
        Where it was read; names the cases.

    Raises
    ------
    DataError
        The file has one of the shapes but lacks a part of it.
    """
    if not isinstance(content, dict):
        return None
    if {"Scenario", "Parameters"} <= set(content):
        return [_read(_pm2, file.stem, content, file)]
    entries = {key: entry for key, entry in content.items() if isinstance(entry, dict)}
    for keys, build in _BY_NAME.items():
        if any(set(keys) <= set(entry) for entry in entries.values()):
            return [
                _read(build, f"{file.stem}/{key}", entry, file) for key, entry in entries.items()
            ]
    return None


def _read(
    build: Callable[[Given], dict[str, Any]], name: str, given: Given, file: Path
) -> dict[str, Any]:
    try:
        row = build(given)
        return {"id": name, "topic": "margin", "tolerance": dict(TOLERANCES[row["method"]]), **row}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise DataError(
            f"{file}: {name} {what}", remedy=f"a file of margin cases is {SHAPES}"
        ) from error


def _number(value: Any) -> Any:
    """Numbers that are written as texts become numbers; anything else stays."""
    if isinstance(value, list):
        return [_number(entry) for entry in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _expected(result: Given | None, names: tuple[str, ...], needed: int) -> Any:
    """The answers among ``names`` that are given; the first ``needed`` must be."""
    if result is None:
        return None
    return {
        name: _number(result[name])
        for at, name in enumerate(names)
        if at < needed or name in result
    }


def _unscaled(value: Any) -> Any:
    """An amount without its factor of 1e18."""
    return None if value is None else value / _WAD


def _pm2(given: Given) -> dict[str, Any]:
    expected = _expected(given.get("Result"), _PM2_ANSWERS, needed=2) or {}
    feeds = {feed["FeedExpiry"]: feed for feed in given["Scenario"]["OptionFeeds"]}
    if any(seconds <= 0 for seconds in feeds):
        # Of an expired option the answers state factors of 1 and 1 instead of those that the margin
        # applies; none of them has the long position that would tell.
        expected.pop("discount_factors", None)
    if any(_capped(option, feeds.get(option["Expiry"])) for option in given["Scenario"]["Options"]):
        for name in ("VolShockUpEvaluated", "VolShockDownEvaluated"):
            expected.pop(name, None)
    return {
        "method": "Derive PM2 margin",
        "inputs": {"Scenario": given["Scenario"], "Parameters": given["Parameters"]},
        "expected": expected or None,
        "source": "Derive, risk cases of its PM2 contracts",
    }


def _capped(option: Given, feed: Given | None) -> bool:
    """Whether the case's feed held this option's total variance at 20; now it does so at 144."""
    if feed is None:
        return False
    variance = float(option.get("MarkVol", 0.0)) ** 2 * float(feed["SVIparam"][-1])
    return abs(variance / _OLD_MOST_VARIANCE - 1.0) < 1e-9


def _standard(given: Given) -> dict[str, Any]:
    result = given.get("Result")
    if result is not None:
        result = {name: _unscaled(result[name]) for name in _STANDARD_ANSWERS if name in result}
    return {
        "method": "Derive standard margin",
        "inputs": given["Scenario"],
        "expected": _expected(result, _STANDARD_ANSWERS, needed=2),
        "source": "Derive, cases of its standard manager",
    }


def _auction(given: Given) -> dict[str, Any]:
    actions = [
        {
            "seconds": action["Time"],
            "share": action["Liquidator"]["PercentWant"] / _WAD,
            "PreMtM": action["Results"]["PreMtM"] / _WAD,
            "PreMM": action["Results"]["PreMM"] / _WAD,
        }
        for action in given["Actions"]
    ]
    answers = [
        {name: _unscaled(action["Results"][name]) for name in _AUCTION_ANSWERS}
        for action in given["Actions"]
    ]
    inputs: dict[str, Any] = {"parameters": dict(_AUCTION_TERMS), "actions": actions}
    expected: dict[str, Any] = {"actions": answers}
    fee = given["LiquidationFee"]
    if fee and actions[0]["seconds"] == 0:
        # Paid in cash just before the first action; later, the market has moved in between.
        inputs["before_fee"] = [actions[0]["PreMtM"] + fee, actions[0]["PreMM"] + fee]
        expected["LiquidationFee"] = fee
    return {
        "method": "Derive liquidation auction",
        "inputs": inputs,
        "expected": expected,
        "source": "Derive, cases of its liquidation auctions",
    }


def _deribit(given: Given) -> dict[str, Any]:
    return {
        "method": "Deribit portfolio margin",
        "inputs": {
            "pair": {ours: given["pair"][theirs] for ours, theirs in _PAIR.items()},
            "currency": {ours: given["ccy"][theirs] for ours, theirs in _CURRENCY.items()},
            "orders": {ours: given[theirs] for ours, theirs in _ORDERS.items()},
            "positions": given["positions"],
            "index": given["index"],
            "time_ms": given["timestamp_ms"],
            "maintenance": given["mm_factor"],
        },
        "expected": _expected(given, _DERIBIT_ANSWERS, needed=len(_DERIBIT_ANSWERS)),
        "source": "Deribit, private/pme/simulate",
    }


_BY_NAME: Final[Mapping[tuple[str, ...], Callable[[Given], dict[str, Any]]]] = MappingProxyType(
    {
        ("Scenario", "Result"): _standard,
        ("InitialPortfolio", "Actions"): _auction,
        ("pair", "ccy", "positions"): _deribit,
    }
)
