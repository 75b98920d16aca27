"""The reference implementation of PM2 against the published answers, number by number."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from mpmath import mpf
from pm2_by_hand import pm2, volatility

RELATIVE = 1e-9
NOISE = 2e-11
"""The published answers are 18-digit fixed point: a box's zero comes out as 1e-12."""

pytestmark = pytest.mark.oracles

MONEY = (
    "IM",
    "MM",
    "OptionMTM",
    "CollateralMTM",
    "PerpMTM",
    "PortfolioMTM",
    "ForwardContingency",
    "MMPerpCont",
    "IMPerpCont",
    "MMOptionCont",
    "IMOptionCont",
    "MMBaseCont",
    "IMBaseCont",
    "OracleCont",
    "IMLossFactor",
    "MMLossFactor",
)
DIRECTIONS = {"Up": 1, "None": 0, "Down": -1}


@pytest.fixture(scope="module")
def cases(oracles: Path) -> dict[str, dict[str, Any]]:
    """Every published case by its name."""
    found = {p.stem: json.loads(p.read_text()) for p in sorted((oracles / "pm2").glob("*.json"))}
    assert len(found) == 69
    return found


def _same(mine: Any, published: Any, what: str) -> None:
    mine, published = mpf(mine), mpf(published)
    assert abs(mine - published) <= NOISE + RELATIVE * abs(published), what


def test_every_number_of_every_published_case(cases: dict[str, dict[str, Any]]) -> None:
    for name, case in cases.items():
        answer, published = pm2(case["Scenario"], case["Parameters"]), case["Result"]
        for key in MONEY:
            _same(answer[key], published[key], f"{name} {key}")
        for key in ("reg_losses", "tail_losses"):
            for row, (move, direction, loss) in zip(answer[key], published[key], strict=True):
                what = f"{name} {key} {move} {direction}"
                assert abs(mpf(row[0]) - 1 - mpf(move)) < 1e-12, what
                assert DIRECTIONS[row[1]] == direction, what
                _same(row[2], loss, what)
        for row, (kind, loss) in zip(answer["skew_losses"], published["skew_losses"], strict=True):
            assert row[0] == kind
            _same(row[1], loss, f"{name} {kind}")
        for mine, theirs in zip(
            answer["OptionMTMPerExpiry"], published["OptionMTMPerExpiry"], strict=True
        ):
            _same(mine, theirs, f"{name} expiry")


def test_the_smile_gives_the_published_marks(cases: dict[str, dict[str, Any]]) -> None:
    for name, case in cases.items():
        feeds = {feed["FeedExpiry"]: feed for feed in case["Scenario"]["OptionFeeds"]}
        for option in case["Scenario"]["Options"]:
            if option["MarkVol"] > 100:  # two stated with a total variance of 20, a call is F
                continue
            mine = volatility(feeds[option["Expiry"]], option["Strike"])
            _same(mine, option["MarkVol"], f"{name} {option['Strike']}")


def test_an_option_without_a_feed_is_refused(cases: dict[str, dict[str, Any]]) -> None:
    case = copy.deepcopy(cases["test_60_settlement_near_expiry"])
    case["Scenario"]["Options"][0]["Expiry"] = 99
    with pytest.raises(ValueError, match="no feed"):
        pm2(case["Scenario"], case["Parameters"])
