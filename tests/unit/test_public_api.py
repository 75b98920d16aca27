"""The public names: which there are, that they are documented and cheap to reach."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import commonmode

PUBLIC = [
    "Card",
    "CommonmodeError",
    "ComponentUse",
    "ConditionalCoFailure",
    "Disagreement",
    "EffectiveNumber",
    "ErrorPanel",
    "IndexOptions",
    "Layer",
    "ModelFamily",
    "PanelAnalysis",
    "PanelKind",
    "WorldConfig",
    "__version__",
    "analyse_panel",
    "common_cause_graph",
    "panel_findings",
    "panel_of_world",
    "read_cards",
    "read_panel",
    "run_study",
    "simulate_world",
    "write_cards",
    "write_panel",
]

HEAVY = ("numpy", "scipy", "polars", "arch", "pydantic", "plotly")

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(commonmode.__path__, "commonmode.")
    if not any(part.startswith("_") for part in info.name.split("."))
)


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by name (isort's order)."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


def loaded(name: str) -> ModuleType:
    return importlib.import_module(name)


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert commonmode.__all__ == PUBLIC
    assert sorted(commonmode._EXPORTS) == [name for name in PUBLIC if name != "__version__"]
    assert dir(commonmode) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(commonmode, name)
    if name != "__version__":
        assert value is getattr(loaded(commonmode._EXPORTS[name]), name)
        assert inspect.getdoc(value)


def test_types_are_declared_for_every_lazy_name() -> None:
    """What mypy sees (imports under TYPE_CHECKING) is what is looked up."""
    source = inspect.getsource(commonmode)
    for name, module in commonmode._EXPORTS.items():
        lines = [line for line in source.splitlines() if f"from {module} import" in line]
        assert any(name in line.split("import")[1].replace(",", " ").split() for line in lines)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'effective_numbr'"):
        commonmode.effective_numbr  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_every_public_module_says_what_is_public(name: str) -> None:
    module = loaded(name)
    assert inspect.getdoc(module), f"{name} has no docstring"
    is_package = hasattr(module, "__path__")
    public = getattr(module, "__all__", None)
    if public is None:
        assert is_package, f"{name} has no __all__"
        return
    assert list(public) == sorted(public, key=order)
    for entry in public:
        value = getattr(module, entry)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{entry} has no docstring"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['commonmode', '--help']\n"
        "from commonmode.app.cli.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run_python(code).splitlines()[-1] == "[]"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import commonmode, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run_python(code) == "[]"
