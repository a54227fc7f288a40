"""Runs scripts/_venv with stand-ins for Python: what it asks of it, and what it says when it cannot go on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Answers like Python 3.11, makes an environment of itself, and writes down what it is asked to install.
STAND_IN = """#!/bin/bash
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *"-m pip"*) echo "$*" >>asked.txt ;;
  *ensurepip*) exit {without_venv} ;;
  *version_info*) exit {too_old} ;;
  --version) echo "Python 3.11.0" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/_venv", tmp_path / "scripts/_venv")
    (tmp_path / "requirements.lock").write_text("one==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def run(checkout: Path, *, too_old: int = 0, without_venv: int = 0) -> subprocess.CompletedProcess[str]:
    python = checkout / "python-stand-in"
    python.write_text(STAND_IN.format(too_old=too_old, without_venv=without_venv))
    python.chmod(0o755)
    return subprocess.run(
        [checkout / "scripts/_venv"],
        env={"PATH": os.environ["PATH"], "TELLFIRST_PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def asked(checkout: Path) -> list[str]:
    return (checkout / "asked.txt").read_text().splitlines()


def test_it_installs_by_hash_and_only_when_something_changed(checkout: Path) -> None:
    assert run(checkout).returncode == 0
    first, second = asked(checkout)
    assert "--require-hashes -r requirements.lock" in first
    assert "--no-deps --no-build-isolation --editable ." in second
    assert run(checkout).returncode == 0
    assert len(asked(checkout)) == 2
    for name in ("requirements.lock", "pyproject.toml"):
        with (checkout / name).open("a") as changed:
            changed.write("# changed\n")
        before = len(asked(checkout))
        assert run(checkout).returncode == 0
        assert len(asked(checkout)) == before + 2


def test_an_installation_that_broke_off_is_tried_again(checkout: Path) -> None:
    assert run(checkout).returncode == 0
    (checkout / ".venv/bin/python").write_text("#!/bin/sh\n[ $# = 2 ]\n")
    (checkout / "requirements.lock").write_text("two==2\n")
    assert run(checkout).returncode != 0
    assert not (checkout / ".venv/.stamp").exists()


def test_a_python_that_is_too_old_is_named(checkout: Path) -> None:
    refused = run(checkout, too_old=1)
    assert refused.returncode == 1
    assert "needs Python 3.11 or later" in refused.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_says_what_to_install(checkout: Path) -> None:
    refused = run(checkout, without_venv=1)
    assert refused.returncode == 1
    assert "cannot make virtual environments" in refused.stderr
    assert "python3-venv" in refused.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", ["scripts/_venv", "scripts/test", "scripts/check", "scripts/up", ".ci/run"])
def test_a_script_can_be_run(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail\n" in path.read_text()
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
