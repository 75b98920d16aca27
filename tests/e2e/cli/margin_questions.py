"""What the tests of ``commonmode margin`` ask, of whom, and how the answer is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_studies import margin_laboratory, margin_models, panel_of, study_head, study_of

__all__ = ["CALL", "GOOD", "LATER", "METHODS", "PUT", "asked", "by_name", "margin_study"]

METHODS = ("pm2", "standard", "deribit", "dynamic")
CALL, PUT = "BTC-2024-03-29-36000-C", "BTC-2024-03-29-34000-P"
LATER = "BTC-2024-06-28-38000-C"
GOOD = f"""
[[accounts]]
id = "strangle"
cash = 30000.0
positions = {{ "{CALL}" = -2.0, "{PUT}" = -2.0, "BTC-PERPETUAL" = 5000 }}

[[accounts]]
id = "covered"
cash = 1000.0
collateral = {{ BTC = 2.0 }}
positions = {{ "{CALL}" = -1.5 }}

[[assets]]
name = "USDX"
price = 1.0
"""


def margin_study(market: str | None = None) -> str:
    """The study; on the laboratory's market if no other is given."""
    return study_of(
        study_head("margin", "Margin <img src=x onerror=alert(1)>"),
        market or margin_laboratory(),
        margin_models(risk_options="window = 200"),
        panel_of("world", "world", "world = { times = 300 }"),
        "[population]\nsnapshot = 2024-02-10T00:00:00Z\ndesk = 2",
        '[margin]\nparameters = { pm2 = "2025-12-08-exchanged" }',
    )


def asked(cli: Any, study: Path, accounts: str, *words: object) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a question about these accounts."""
    path = study.parent / "accounts.toml"
    path.write_text(accounts, encoding="utf-8")
    ran = cli("margin", study, "--accounts", path, "--json", *words)
    assert ran.err == ""
    return ran.code, ran.json


def by_name(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results of every method, by account."""
    return {account["account"]: account["methods"] for account in value["accounts"]}
