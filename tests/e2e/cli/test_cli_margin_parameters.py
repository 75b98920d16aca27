"""Parameters of ``commonmode margin``: the gate, files of one's own, what a fitted set covers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from margin_questions import GOOD, asked, by_name

from commonmode.margin.parameter_files import shipped_file


def test_a_refused_set_needs_a_word(cli, study: Path) -> None:
    words = ("--parameters", "pm2=2025-12-08", "--no-thresholds")
    code, value = asked(cli, study, GOOD, *words)
    assert code == 1
    (failure,) = value["failures"]
    assert failure["method"] == "pm2"
    assert "long base 1.02 and short base 0.98" in failure["message"]
    assert "Witness: " in failure["message"]
    assert "--ungated" in failure["remedy"]
    assert not value["gates"]["pm2"]["accepted"]
    assert value["gates"]["pm2"]["refusals"][1]["witness"]
    # The other methods are as they are without it.
    _, plain = asked(cli, study, GOOD, "--no-thresholds")
    for name, cells in by_name(plain).items():
        others = {method: cell for method, cell in cells.items() if method != "pm2"}
        assert by_name(value)[name] == others
    screen = cli("margin", study, *words, "--ungated", "--method", "pm2")
    assert screen.code == 0
    assert "WARNING: pm2 uses parameters that the parameter gate refuses" in screen.out


def test_own_parameters(cli, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = shipped_file("pm2", "2025-12-08-exchanged")
    own = study.parent / "elsewhere"
    own.mkdir()
    (own / "mine.toml").write_text(text.replace("up = 0.5\n", "up = 0.6\n"))
    monkeypatch.chdir(own)
    words = ("--no-thresholds", "--method", "pm2")
    _, mine = asked(cli, study, GOOD, *words, "--parameters", "pm2=mine.toml")
    _, theirs = asked(cli, study, GOOD, *words)
    strangle = by_name(mine)["strangle"]["pm2"]["initial"]
    assert strangle > by_name(theirs)["strangle"]["pm2"]["initial"]
    (own / "mine.toml").write_text(text.replace("up = 0.5\n", "up = -0.5\n"))
    wrong = cli("margin", study, "--parameters", "pm2=mine.toml")
    assert wrong.code == 2
    assert "vol_shock.up" in wrong.err


def test_the_fitted_parameters_are_the_default(cli, study: Path) -> None:
    words = ("--method", "dynamic", "--no-thresholds")
    _, default = asked(cli, study, GOOD, *words)
    _, named = asked(cli, study, GOOD, *words, "--parameters", "dynamic=2022-01-01")
    _, other = asked(cli, study, GOOD, *words, "--parameters", "dynamic=conventional")
    assert default == named
    (source,) = [one["parameters"] for one in default["methods"]]
    assert "Fitted on training period 2022-01-01: half-life 72 h" in source
    assert "multiplier 0." in source
    assert "for the floor" in source
    (source,) = [one["parameters"] for one in other["methods"]]
    assert "nothing fitted" in source
    # Maintenance is four fifths of the shortfall that the initial margin covers.
    for cells in by_name(default).values():
        first, second = (cells["dynamic"][k] for k in ("components", "maintenance_components"))
        np.testing.assert_allclose(second["loss"], 0.8 * first["loss"], rtol=1e-9)
    wrong = cli("margin", study, "--parameters", "dynamic=1999")
    assert wrong.code == 2
    assert "2022-01-01" in wrong.err


def test_own_parameters_of_our_method_and_the_control_on_the_command_line(cli, study: Path) -> None:
    """A speed limit of one holds the shortfall at what it was, a buffer raises it."""
    text, _ = shipped_file("dynamic", "2022-01-01")
    words = ("--method", "dynamic", "--no-thresholds")

    def losses(old: str, new: str) -> tuple[dict[str, float], str]:
        assert old in text
        (study.parent / "mine.toml").write_text(text.replace(old, new))
        path = study.parent / "mine.toml"
        _, value = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={path}")
        cells = {name: cell["dynamic"] for name, cell in by_name(value).items()}
        said = value["methods"][0]["parameters"]
        return {name: cell["components"]["loss"] for name, cell in cells.items()}, said

    as_shipped, _ = losses("floor = 1.0", "floor = 1.0")
    bare, _ = losses("floor = 1.0", "floor = 0.0")
    higher, _ = losses("floor = 1.0", "floor = 2.0")
    limited, said = losses("daily_limit = inf", "daily_limit = 1.0")
    assert "control replayed over 30 days" in said
    for name, loss in as_shipped.items():
        assert bare[name] <= loss < higher[name]
        assert limited[name] <= loss
    assert limited != as_shipped
    (study.parent / "mine.toml").write_text(text.replace("floor = 1.0", "floor = -1.0"))
    words = ("--parameters", f"dynamic={study.parent / 'mine.toml'}")
    wrong = cli("margin", study, *words)
    assert wrong.code == 2
    assert "floor" in wrong.err


def test_what_the_fitted_method_covers_stands_with_its_figures(cli, study: Path) -> None:
    words = ("--no-thresholds", "--method", "dynamic")
    _, value = asked(cli, study, GOOD, *words, "--method", "pm2")
    said = {one["method"]: one["covers"] for one in value["methods"]}
    assert said == {"dynamic": "99 % of the losses over 1 h, and no crash", "pm2": ""}
    accounts = study.parent / "accounts.toml"
    page = study.parent / "page.html"
    shown = cli("margin", study, "--accounts", accounts, *words, "--html", page)
    sentence = "dynamic is meant to cover 99 % of the losses over 1 h, and no crash"
    # Under the table of figures, before anything else is said.
    assert shown.out.index(sentence) < shown.out.index("dynamic: Fitted")
    assert "--parameters dynamic=conventional" in shown.out
    assert sentence in page.read_text(encoding="utf-8")
    _, plain = asked(cli, study, GOOD, *words, "--parameters", "dynamic=conventional")
    assert [one["covers"] for one in plain["methods"]] == [""]
    file = study.parent / "moves.toml"
    text = shipped_file("dynamic", "2022-01-01")[0]
    file.write_text(text.replace("coin_move = 0.0", "coin_move = 0.3"), encoding="utf-8")
    _, moved = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={file}")
    (covers,) = [one["covers"] for one in moved["methods"]]
    assert covers.endswith("25 % of the loss in the worst stated move")
    # The monthly fit is of the shipped windows: with others it is the file's that counts.
    file.write_text(text.replace("window_hours = 2160", "window_hours = 1440"), encoding="utf-8")
    _, other = asked(cli, study, GOOD, *words, "--parameters", f"dynamic={file}")
    (source,) = [one["parameters"] for one in other["methods"]]
    assert "as in the file: it is fitted monthly for a horizon of 1 h" in source


def test_a_file_under_which_a_bought_option_hurts_is_refused(cli, study: Path) -> None:
    file = study.parent / "own.toml"
    text = shipped_file("dynamic", "2022-01-01")[0]
    file.write_text(text.replace("floor = 1.0", "floor = 9.0"), encoding="utf-8")
    words = ("--no-thresholds", "--method", "dynamic", "--parameters", f"dynamic={file}")
    code, value = asked(cli, study, GOOD, *words)
    assert code == 1
    (failure,) = value["failures"]
    assert "floor 9" in failure["message"]
    assert "--ungated" in failure["remedy"]
    assert value["gates"]["dynamic"]["used"] is False
    code, value = asked(cli, study, GOOD, *words, "--ungated")
    assert code == 0
    assert value["gates"]["dynamic"] | {"refusals": []} == {
        "accepted": False,
        "used": True,
        "probes": 0,
        "refusals": [],
        "notices": [],
    }
