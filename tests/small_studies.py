"""Texts of studies on the laboratory's market, small enough for a test, put together from parts.

Every part is a section of TOML; :func:`study_of` joins them with an empty line between.
"""

from __future__ import annotations

__all__ = [
    "HALF_A_DAY",
    "SHORT_STRANGLE",
    "book_of",
    "laboratory",
    "margin_books",
    "margin_laboratory",
    "margin_models",
    "model_of",
    "panel_of",
    "study_head",
    "study_of",
]

SHORT_STRANGLE = '"BTC-2024-03-29-34000-C" = -30, "BTC-2024-03-29-30000-P" = -30'
"""Positions of a book that sells both sides."""

HALF_A_DAY = "start = 2024-01-02T00:00:00Z\nend = 2024-01-02T12:00:00Z"
"""Keys of a panel of surfaces on a market of three days."""


def study_of(*parts: str) -> str:
    """The text of a study."""
    return "\n\n".join(part.strip() for part in parts) + "\n"


def study_head(name: str, title: str = "A small study", *, seed: int = 3) -> str:
    """What the study is called and what it draws from."""
    return f'[study]\nname = "{name}"\ntitle = "{title}"\nseed = {seed}'


def laboratory(hours: int, *, coins: str = '"BTC"', start: str = "2024-01-01T00:00:00Z") -> str:
    """A simulated market of so many hours."""
    return (
        f'[market]\nsource = "laboratory"\nunderlyings = [{coins}]\nstart = {start}\n'
        f"hours = {hours}"
    )


def model_of(name: str, kind: str, options: str = "") -> str:
    """A model with the options that are not its own."""
    given = f"\noptions = {{ {options} }}" if options else ""
    return f'[[models]]\nid = "{name}"\ntype = "{kind}"{given}'


def panel_of(name: str, family: str, more: str = "") -> str:
    """A panel and its further keys."""
    return f'[[panels]]\nname = "{name}"\nfamily = "{family}"\n{more}'.strip()


def book_of(name: str, kind: str, *, surface: str, risk: str, capital: str, positions: str) -> str:
    """A book of stated positions."""
    return (
        f'[[books]]\nid = "{name}"\nkind = "{kind}"\nsurface_model = "{surface}"\n'
        f'risk_model = "{risk}"\ncapital_usd = {capital}\npositions = {{ {positions} }}'
    )


def margin_laboratory(coins: str = '"BTC", "ETH"') -> str:
    """The market on which margin is asked for, at ``2024-02-10``."""
    return laboratory(2500, coins=coins, start="2023-11-01T00:00:00Z")


def margin_models(svi: str = "svi", risk_options: str = "") -> str:
    """Two surface models that may value margin, and a risk model."""
    return study_of(
        model_of(svi, "svi"), model_of("flat", "flat-black"),
        model_of("hs", "historical-simulation", risk_options),
    )  # fmt: skip


def margin_books(squeeth: str = "squeeth") -> str:
    """One book that every method margins, and one of perpetuals that only ours does."""
    strangle = '"BTC-2024-03-29-36000-C" = -2.0, "BTC-2024-03-29-34000-P" = -2.0'
    novel = '"BTC-POWER-2" = -0.2, "BTC-PERPETUAL" = 400'
    models = {"surface": "flat", "risk": "hs"}
    return study_of(
        book_of("strangle", "desk", capital="30e3", positions=strangle, **models),
        book_of(squeeth, "vault", capital="60e3", positions=novel, **models),
    )
