"""Make `.venv` and install the pinned requirements and the project into it.

Usage: ``python scripts/bootstrap.py runtime|dev``. Standard library only. uv is used when it can
be had (itself pinned, `requirements/bootstrap.txt`), plain pip when not or when
``COMMONMODE_NO_UV`` is set. Every file is checked against its pinned hash, and only wheels are
installed, so that nothing unpinned is fetched to build something. pip's own configuration says
where packages come from; uv does not read it, so it is handed over.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
WHEELS_ONLY = ["--require-hashes", "--only-binary", ":all:"]
PROJECT = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def key(kind: str) -> str:
    """Changes when anything that decides what is installed, and where, changes."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for path in (
        REQUIREMENTS / f"{kind}.txt",
        REQUIREMENTS / "build.txt",
        ROOT / "pyproject.toml",
        Path(__file__),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def is_current(kind: str) -> bool:
    path = stamp(kind)
    return path.is_file() and PYTHON.exists() and path.read_text() == key(kind)


def pip_command() -> list[str]:
    """Make the environment if need be; the pip that installs into it."""
    own = [str(PYTHON), "-m", "pip"]
    if PYTHON.exists() and subprocess.run([*own, "--version"], capture_output=True).returncode == 0:
        return own
    if importlib.util.find_spec("ensurepip"):
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        return own
    # Some distributions package Python without ensurepip; the system's pip can do its work.
    if importlib.util.find_spec("pip"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True)
        return [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    sys.exit(
        f"setup: {sys.executable} has neither ensurepip nor pip. Install your distribution's venv "
        "package for it (Debian: python3-venv) and run this command again."
    )


def pip_settings(pip: list[str]) -> dict[str, str]:
    """pip's settings for `install`, as pip itself reads them from files and environment."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True)
    rank = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section not in rank or rank[section] < found.get(option, (0, ""))[0]:
            continue
        found[option] = (rank[section], str(ast.literal_eval(value)))
    return {option: value for option, (_, value) in found.items()}


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment that tells uv what pip's settings say; the user's own UV_* come first."""
    told = {
        "UV_DEFAULT_INDEX": settings.get("index-url"),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout"),
        "SSL_CERT_FILE": settings.get("cert"),
        "SSL_CLIENT_CERT": settings.get("client-cert"),
        "ALL_PROXY": settings.get("proxy"),
        # As pip does: any index may hold the pinned version. The hashes make that safe.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    return {name: value for name, value in told.items() if value} | dict(os.environ)


def install_with_uv(pip: list[str], files: list[str]) -> bool:
    if os.environ.get("COMMONMODE_NO_UV"):
        return False
    uv = shutil.which("uv", path=str(PYTHON.parent)) or shutil.which("uv")
    if uv is None:
        say("fetching uv")
        requirements = ["-r", str(REQUIREMENTS / "bootstrap.txt")]
        if subprocess.run([*pip, "install", "--quiet", *WHEELS_ONLY, *requirements]).returncode:
            say("uv cannot be had here")
            return False
        uv = str(PYTHON.parent / "uv")
    settings = pip_settings(pip)
    install = [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
    if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        install.append("--no-index")
    say("installing with uv")
    for what in ([*WHEELS_ONLY, *files], PROJECT):
        if subprocess.run([*install, *what], env=uv_environment(settings)).returncode:
            say("uv failed")
            return False
    return True


def install_with_pip(pip: list[str], files: list[str]) -> None:
    say("installing with pip")
    environment = os.environ | {"PIP_USER": "0"}
    for what in ([*WHEELS_ONLY, *files], PROJECT):
        if subprocess.run([*pip, "install", "--quiet", *what], env=environment).returncode:
            sys.exit("setup: the installation failed; pip's message above says why.")


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (started by hand with an older Python)
        sys.exit(f"setup: Python 3.11 or newer is needed; {sys.executable} is {sys.version}")
    if len(sys.argv) != 2 or sys.argv[1] not in {"runtime", "dev"}:
        sys.exit("usage: python scripts/bootstrap.py runtime|dev")
    kind = sys.argv[1]
    if is_current(kind) or is_current("dev"):  # dev.txt holds runtime.txt
        return
    say(f"{kind} requirements into {VENV}")
    pip = pip_command()
    files = []
    for name in ("build", kind):
        files += ["-r", str(REQUIREMENTS / f"{name}.txt")]
    if not install_with_uv(pip, files):
        install_with_pip(pip, files)
    stamp(kind).write_text(key(kind))


if __name__ == "__main__":
    main()
