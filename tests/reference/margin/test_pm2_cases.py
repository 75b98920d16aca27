"""PM2 on the exchange's own portfolios and on ours, against answers that it did not compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commonmode.app.verify.margin_pm2 import accounts_of, market_of, parameters_of
from commonmode.margin.pm2 import PM2, profile
from commonmode.pricing.kernels import Engine

PORTFOLIOS = Path(__file__).resolve().parents[2] / "golden" / "margin" / "pm2_portfolios.json"
# Dollars. A loss that is nothing is the difference of equal values: 1e-12 in the answers' 18-digit
# fixed point, some units in the last place of 100 000 here.
FLOOR = 1e-10


def gap(value: float, answer: float) -> float:
    """Error relative to the answer."""
    error = abs(value - answer)
    return 0.0 if error < FLOOR else error / abs(answer)


def largest_gap(case: dict[str, Any], engine: Engine) -> float:
    """Over initial and maintenance balance, option value, every scenario and the basis."""
    scenario, result = case["scenario"], case["result"]
    market, accounts = market_of(scenario), accounts_of(scenario)
    method = PM2(parameters_of(scenario, case["parameters"]), engine=engine)
    table = method.margin(accounts, market)
    assert not table.failures
    grid = method.revalue(market)
    options = grid.kind[accounts.instrument, 0] < len(market.expiries)
    rows = grid.rows[accounts.instrument[options]]
    profits = profile(grid, accounts)
    stated = [row[-1] for kind in ("reg", "tail", "skew") for row in result[f"{kind}_losses"]]
    assert len(stated) == grid.count == profits.pnl.shape[1]
    pairs = [
        (table.initial_balance[0], result["IM"]),
        (table.maintenance_balance[0], result["MM"]),
        (accounts.quantity[options] @ rows[:, grid.count + 2], result["OptionMTM"]),
        (profits.basis[0], result["ForwardContingency"]),
        *zip(profits.pnl[0], stated, strict=True),
    ]
    return max(gap(float(value), float(answer)) for value, answer in pairs)


@pytest.mark.oracles
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_published_portfolios(oracles: Path, engine: Engine) -> None:
    """All 69, within 1e-9 relative."""
    gaps = {}
    for path in sorted((oracles / "pm2").glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        gaps[path.stem] = largest_gap({key.lower(): value for key, value in case.items()}, engine)
    assert len(gaps) == 69
    assert max(gaps.values()) < 1e-9, sorted(gaps.items(), key=lambda item: -item[1])[:5]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_own_portfolios(engine: Engine) -> None:
    """Answers of the implementation by hand, which shares no code with the product."""
    stored = json.loads(PORTFOLIOS.read_text(encoding="utf-8"))
    gaps = {case["name"]: largest_gap(case, engine) for case in stored["cases"]}
    assert len(gaps) >= 10
    assert max(gaps.values()) < 1e-9, gaps
