"""``commonmode converge`` on panel files, good and bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode import read_panel, write_panel
from commonmode.adapters.store.packed import pack_panel

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "panel"
CSV = FOLDER / "panel.csv"
CARDS = FOLDER / "cards.toml"


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.read_csv(CSV)


def test_one_panel_in_three_formats_gives_the_same_indices(cli, tmp_path: Path) -> None:
    panel = read_panel(CSV)
    write_panel(panel, tmp_path / "panel.parquet")
    pack_panel(panel, tmp_path / "panel.panel")
    found = []
    for path in (CSV, tmp_path / "panel.parquet", tmp_path / "panel.panel"):
        ran = cli("converge", "--panel", path, "--cards", CARDS, "--json")
        assert ran.code == 0
        found.append(ran.json["panels"])
    assert found[0] == found[1] == found[2]
    assert found[0][0]["c2"]["rejects"] is True
    assert [m["exposure_usd"] for m in found[0][0]["models"]] == [120e6, 80e6, 45e6, 20e6, 10e6]


def test_results_match_the_published_schema(cli) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    ran = cli("converge", "--panel", CSV, "--cards", CARDS, "--json")
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(ran.json)


def test_without_cards_there_is_no_graph_and_nothing_failed(cli) -> None:
    ran = cli("converge", "--panel", CSV, "--json")
    assert ran.code == 0
    panel = ran.json["panels"][0]
    assert panel["c1"]["reason"] == "not_applicable"
    assert panel["c2"]["components"] == []
    assert panel["c2"]["found"]
    assert ran.json["failures"] == []


def test_screen_and_report(cli, tmp_path: Path) -> None:
    ran = cli("converge", "--panel", CSV, "--cards", CARDS, "--out", tmp_path / "out")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "panel file panel.csv"
    assert "vendor X volatility feed" in ran.out
    assert "$150m of them" in ran.out
    assert (tmp_path / "out" / "results.json").is_file()
    assert "vendor X volatility feed" in (tmp_path / "out" / "report.html").read_text()


def test_a_stricter_level_is_used_throughout(cli) -> None:
    """At a level that nothing reaches, nothing is found and nothing is recommended."""
    ran = cli("converge", "--panel", CSV, "--cards", CARDS, "--alpha", 0.001, "--json")
    panel = ran.json["panels"][0]
    usual = cli("converge", "--panel", CSV, "--cards", CARDS, "--json").json["panels"][0]
    assert panel["c2"]["alpha"] == 0.001
    lowest = min(c["p_adjusted"] for c in usual["c2"]["components"])
    assert panel["c2"]["rejects"] == (usual["c2"]["p_value"] <= 0.001)
    assert bool(panel["c2"]["remedies"]) == (lowest <= 0.001)


def test_seed_changes_the_draws_and_is_named(cli) -> None:
    ran = cli("converge", "--panel", CSV, "--seed", 5, "--json")
    assert ran.json["study"]["seed"] == 5
    assert ran.json["reproduce"].endswith("--seed 5")


def test_cut_in_half(cli, tmp_path: Path) -> None:
    panel = read_panel(CSV)
    write_panel(panel, tmp_path / "whole.parquet")
    pack_panel(panel, tmp_path / "whole.panel")
    for name in ("whole.parquet", "whole.panel"):
        data = (tmp_path / name).read_bytes()
        half = tmp_path / f"half{Path(name).suffix}"
        half.write_bytes(data[: len(data) // 2])
        ran = cli("converge", "--panel", half)
        assert ran.code == 2
        assert half.name in ran.err
        assert "remedy:" in ran.err
        assert "again" in ran.err
        assert "Traceback" not in ran.err


def said_of(cli, frame: pl.DataFrame, folder: Path, *more: object) -> str:
    path = folder / "bad.csv"
    frame.write_csv(path)
    ran = cli("converge", "--panel", path, *more)
    assert ran.code == 2
    assert ran.out == ""
    assert "remedy:" in ran.err
    return ran.err


def test_wrong_columns(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    said = said_of(cli, table.rename({"forecast": "forcast"}), tmp_path)
    assert "'forecast'" in said
    assert "'forcast'" in said
    assert "a panel file has the columns time, model" in said


def test_wrong_kind(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    said = said_of(cli, table.with_columns(kind=pl.lit("quantil")), tmp_path)
    assert "did you mean 'quantile'" in said


def test_losses_with_the_wrong_sign(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    said = said_of(cli, table.with_columns(forecast=-pl.col("forecast")), tmp_path)
    assert "turn the sign of losses" in said


def test_one_benchmark_without_the_other(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    assert "disjoint data" in said_of(cli, table.drop("benchmark_b"), tmp_path)


def test_doubled_rows(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    said = said_of(cli, pl.concat([table, table.head(3)]), tmp_path)
    assert "3 cells have several rows" in said


def test_several_panels_in_one_file(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    two = pl.concat([table, table.with_columns(level=pl.lit(0.05))])
    assert "--select level=0.025" in said_of(cli, two, tmp_path)
    assert "is not column=value" in said_of(cli, two, tmp_path, "--select", "level")
    assert "no such column" in said_of(cli, two, tmp_path, "--select", "levl=0.05")
    assert "it has [0.025, 0.05]" in said_of(cli, two, tmp_path, "--select", "level=0.5")
    assert "it has [0.025, 0.05]" in said_of(cli, two, tmp_path, "--select", "level=low")
    chosen = cli(
        "converge", "--panel", tmp_path / "bad.csv", "--select", "level=0.05", "--json"
    ).json
    assert chosen["panels"][0]["level"] == 0.05
    assert "--select level=0.05" in chosen["reproduce"]
    alone = cli("converge", "--panel", CSV, "--json").json
    assert chosen["panels"][0]["c2"] == alone["panels"][0]["c2"]


def test_two_kinds_in_one_file(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    signals = table.with_columns(kind=pl.lit("signal"), level=pl.lit(0.0))
    pl.concat([table, signals]).write_csv(tmp_path / "two.csv")
    ran = cli("converge", "--panel", tmp_path / "two.csv")
    assert ran.code == 2
    assert "kind is 'quantile', 'signal'" in ran.err
    chosen = cli("converge", "--panel", tmp_path / "two.csv", "--select", "kind=signal", "--json")
    assert chosen.code == 0
    assert chosen.json["panels"][0]["c3"]["reason"] == "not_applicable"


def test_files_that_are_not_there(cli, tmp_path: Path) -> None:
    assert "no file" in cli("converge", "--panel", tmp_path / "no.csv").err
    assert "no packed panel" in cli("converge", "--panel", tmp_path / "no.panel").err
    ran = cli("converge", "--panel", CSV, "--cards", tmp_path / "no.toml")
    assert ran.code == 2
    assert "cannot read the cards file" in ran.err


def test_typo_in_the_cards(cli, tmp_path: Path) -> None:
    cards = tmp_path / "cards.toml"
    cards.write_text(CARDS.read_text().replace("materiality", "materialty"))
    ran = cli("converge", "--panel", CSV, "--cards", cards)
    assert ran.code == 2
    assert "'materiality'" in ran.err


def test_a_model_without_forecasts_is_left_out_and_marked(
    cli, table: pl.DataFrame, tmp_path: Path
) -> None:
    """The others' numbers are what they are without it, to the last digit."""
    gone = table.with_columns(
        forecast=pl.when(pl.col("model") == "var-b").then(None).otherwise(pl.col("forecast"))
    )
    gone.write_csv(tmp_path / "gone.csv")
    table.filter(pl.col("model") != "var-b").write_csv(tmp_path / "without.csv")
    failed = cli("converge", "--panel", tmp_path / "gone.csv", "--cards", CARDS, "--json")
    assert failed.code == 1
    assert [failure["where"] for failure in failed.json["failures"]] == ["gone var-b"]
    assert "left out of the indices" in failed.json["failures"][0]["message"]
    without = cli("converge", "--panel", tmp_path / "without.csv", "--cards", CARDS, "--json")
    assert without.code == 0
    marked, plain = failed.json["panels"][0], without.json["panels"][0]
    for index in ("c1", "c2", "c3", "c6", "models", "benchmark"):
        assert marked[index] == plain[index]
    assert plain["failed_cells"] == []
    cells = marked["failed_cells"]
    assert [(cell["model"], cell["count"]) for cell in cells] == [("var-b", 500)]


def test_few_gaps_cost_their_times_only(cli, table: pl.DataFrame, tmp_path: Path) -> None:
    holes = np.zeros(len(table), dtype=bool)
    holes[7] = True
    gap = table.with_columns(
        forecast=pl.when(pl.Series(holes)).then(None).otherwise(pl.col("forecast"))
    )
    gap.write_csv(tmp_path / "gap.csv")
    ran = cli("converge", "--panel", tmp_path / "gap.csv", "--json")
    assert ran.code == 0
    panel = ran.json["panels"][0]
    assert panel["c2"]["models"] == 5
    assert panel["c2"]["rows"] == 499
    assert len(panel["failed_cells"]) == 1
