"""Tables of trades, open interest and liquidations that a study names, screened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.app.study.feed_screens import stated_screens
from commonmode.app.study.run import run_study
from commonmode.app.study.schema import ActivitySettings
from commonmode.market.integrity import Verdict
from small_studies import laboratory, model_of, study_head, study_of

START = 1_704_067_200_000


def liquidation_times() -> np.ndarray:
    """A cascade: an hour in which two liquidations are due every second."""
    rng = np.random.default_rng(17)
    return START + np.sort(rng.integers(0, 3_600_000, 7200))


def capped(times: np.ndarray) -> np.ndarray:
    """The last of each second, as venues push them."""
    second = times // 1000
    return times[np.append(np.diff(second) > 0, True)]


def table(folder: Path, name: str, **columns: np.ndarray) -> str:
    pl.DataFrame(columns).write_csv(folder / name)
    return name


def stated(what: str, path: str, **columns: str) -> ActivitySettings:
    names = {"time": "t", **columns}
    return ActivitySettings.model_validate(
        {"what": what, "subject": f"my {what}", "path": path, "columns": names}
    )


def test_under_reported_liquidations_are_flagged_and_whole_ones_are_not(tmp_path: Path) -> None:
    times = liquidation_times()
    shuffled = np.random.default_rng(18).permutation(capped(times))
    few = stated("liquidations", table(tmp_path, "few.csv", t=shuffled))
    whole = stated("liquidations", table(tmp_path, "whole.csv", t=times))
    (cut, all_of_them), missing = stated_screens((few, whole), tmp_path)
    assert missing == ()
    assert cut.verdict is Verdict.FLAGGED
    assert "are not reported" in cut.sentence
    assert all_of_them.verdict is Verdict.PASSED


def test_open_interest_and_trades_are_screened(tmp_path: Path) -> None:
    rng = np.random.default_rng(19)
    hours = START + 3_600_000 * np.arange(400)
    volume = rng.uniform(50.0, 100.0, 400)
    honest = 1e5 + np.cumsum(rng.uniform(-1.0, 1.0, 400) * volume)
    wild = 1e5 + np.cumsum(rng.choice([-1e4, 1e4], 400))
    names = {"open_interest": "oi", "volume": "v"}
    files = [
        stated("open-interest", table(tmp_path, f"{i}.csv", t=hours, oi=oi, v=volume), **names)
        for i, oi in enumerate((honest, wild))
    ]
    size, sign = np.exp(rng.standard_normal(3000)), rng.choice([-1, 1], 3000)
    tape = table(tmp_path, "tape.csv", t=START + np.arange(3000), q=size, s=sign)
    files.append(stated("trades", tape, quantity="q", sign="s"))
    screens, missing = stated_screens(files, tmp_path)
    assert missing == ()
    assert [one.verdict for one in screens[:2]] == [Verdict.PASSED, Verdict.FLAGGED]
    assert len(screens) == 6
    assert {one.subject for one in screens[2:]} == {"my trades"}


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    lost = stated("liquidations", "nowhere.csv")
    poor = stated("trades", table(tmp_path, "tape.csv", t=np.arange(5)))
    screens, missing = stated_screens((lost, poor), tmp_path)
    assert screens == ()
    assert len(missing) == 2
    assert "quantity" in missing[1]


@pytest.mark.parametrize("given", [True, False])
def test_a_study_has_them_in_its_passports(tmp_path: Path, given: bool) -> None:
    table(tmp_path, "few.csv", t=capped(liquidation_times()))
    activity = (
        '[[market.activity]]\nwhat = "liquidations"\nsubject = "BTC liquidations"\n'
        'path = "few.csv"\ncolumns = { time = "t" }'
    )
    text = study_of(
        study_head("screened"),
        laboratory(900),
        *((activity,) if given else ()),
        model_of("hs", "historical-simulation", "window = 200"),
        '[[panels]]\nname = "risk-1h"\nfamily = "risk"\ntrain = 600',
    )
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    results = run_study(path, looks=("passports",), only_looks=True).results
    (look,) = results["looks"]
    assert ("few.csv" in results["study"]["inputs"]) is given
    cells = [str(cell) for one in look["tables"] for row in one["rows"] for cell in row]
    assert any("BTC liquidations" in cell for cell in cells) is given
    assert any("Only the study's own bars" in note for note in look["notes"]) is not given
