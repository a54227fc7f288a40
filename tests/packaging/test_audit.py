"""The look-up of known vulnerabilities: it fails for one, and never passes over that it could not look."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/_audit"
FOUND = "Found 2 known vulnerabilities in 1 package\nName Version ID\nx    1.0     CVE-1"


def audited(tmp_path: Path, tool: str | None) -> tuple[int, str]:
    """Returns code and words of a look-up whose tool is a line of shell, or not there."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts/_audit")
    if tool is not None:
        made = tmp_path / ".venv/bin/pip-audit"
        made.parent.mkdir(parents=True)
        made.write_text(f"#!/bin/sh\n{tool}\n")
        made.chmod(0o755)
    done = subprocess.run([tmp_path / "scripts/_audit"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("tool", "code", "says"),
    [
        ("echo 'No known vulnerabilities found'", 0, "No known vulnerabilities found\n"),
        (f"echo '{FOUND}' >&2; exit 1", 1, f"{FOUND}\n"),
        (None, 0, "scripts/check: known vulnerabilities were NOT looked up: pip-audit is not installed\n"),
        (
            "echo Traceback >&2; echo 'ConnectionError: no route' >&2; exit 1",
            0,
            "scripts/check: known vulnerabilities were NOT looked up: "
            "the service gave no answer (ConnectionError: no route)\n",
        ),
        (
            "echo 'No known vulnerabilities were looked up' >&2; exit 2",
            0,
            "scripts/check: known vulnerabilities were NOT looked up: "
            "the service gave no answer (No known vulnerabilities were looked up)\n",
        ),
    ],
    ids=["none", "some", "no tool", "no service", "odd words"],
)
def test_it_fails_for_one_and_says_when_it_did_not_look(tmp_path: Path, tool: str | None, code: int, says: str) -> None:
    assert audited(tmp_path, tool) == (code, says)
