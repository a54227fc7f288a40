"""The whole: every command has help, errors are one sentence with an exit code, and the exit code survives."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tellfirst.cli.app import app
from tests.cli.conftest import NOWHERE, Shell

COMMANDS = {
    "abort", "accounts import", "ack", "approve", "backup", "calls done", "calls show", "channels list",
    "channels rate", "channels resume", "channels when", "contacts import", "contacts map", "contacts sources",
    "contacts unmapped", "continue", "correct", "customers forget", "customers import", "customers merge", "detect",
    "escalate", "estimate", "events", "exceptions approve", "exceptions deny", "exceptions list",
    "exceptions request", "exceptions show", "holds end", "keys add", "keys check", "keys list", "keys revoke",
    "keys whoami", "load", "pause", "pending", "permits approve", "permits list", "permits propose", "permits reject",
    "permits revoke", "permits show", "playbooks approve", "playbooks check", "playbooks diff",
    "playbooks disclosure", "playbooks history", "playbooks list", "playbooks owners", "playbooks propose",
    "playbooks reject", "playbooks show", "playbooks templates", "playbooks withdraw", "reasons", "recover", "reject",
    "replies", "report", "request-changes", "restart", "resume", "show", "start", "stuck", "update", "verify", "who",
}  # fmt: skip


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join([*path, name]), command


ALL = dict(commands(typer.main.get_command(app)))


def test_every_command_of_this_version_is_there() -> None:
    assert set(ALL) == COMMANDS


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_and_option_has_help(shell: Shell, name: str) -> None:
    done = shell(*name.split(), "--help")
    assert done.code == 0
    assert ALL[name].help
    assert [p.name for p in ALL[name].params if not getattr(p, "help", None)] == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        *(
            [group]
            for group in (
                "customers",
                "contacts",
                "playbooks",
                "permits",
                "exceptions",
                "keys",
                "channels",
                "calls",
                "holds",
            )
        ),
    ],
)
def test_a_list_of_commands_is_not_cut_short(shell: Shell, words: list[str]) -> None:
    done = shell(*words, "--help")
    assert done.code == 0
    assert "..." not in done.out.partition("Commands:")[2]


def run_alone(shell: Shell, *words: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """Runs a command in a process of its own, whose streams have an encoding of their own."""
    return subprocess.run(
        [sys.executable, "-c", "from tellfirst.cli import main; main()", *words],
        env={**os.environ, **shell.environment, **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_that_lacks_letters_ends_no_answer(shell: Shell, encoding: str) -> None:
    shown = run_alone(shell, "playbooks", "show", "late_delivery", PYTHONIOENCODING=encoding)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert ("versp\\xe4tet" if encoding == "ascii" else "verspätet") in shown.stdout.decode(encoding)
    told = run_alone(shell, "playbooks", "show", "late_delivery", "--json", PYTHONIOENCODING=encoding)
    assert any("verspätet" in sample["body"] for sample in json.loads(told.stdout)["samples"])


def test_no_words_show_the_help(shell: Shell) -> None:
    done = shell()
    assert "Tell customers first" in done.out + done.err


@pytest.mark.parametrize("words", [["nonsense"], ["show"], ["report", "--nonsense"], ["contacts", "import", "x.csv"]])
def test_a_usage_error_exits_2(shell: Shell, words: list[str]) -> None:
    done = shell(*words)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


def test_settings_that_cannot_work_are_one_sentence(shell: Shell) -> None:
    shell.environment["TELLFIRST_PAGE_SIZE"] = "none"
    done = shell("pending")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("TELLFIRST_PAGE_SIZE: ")


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("mysql://x/y", 2, "the database must be a SQLite file or PostgreSQL"),
        ("postgresql://nobody:secret-word@127.0.0.1:1/none", 1, "the database cannot be used (OperationalError)"),
        ("sqlite:////proc/none/x.db", 1, "the folder of the database cannot be used (FileNotFoundError)"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence(shell: Shell, url: str, code: int, says: str) -> None:
    shell.environment["TELLFIRST_DATABASE_URL"] = url
    done = shell("pending")
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert "secret-word" not in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_is_no_database_is_one_sentence(shell: Shell) -> None:
    path = shell.file("x.db", b"this is text and no database, " * 200)
    shell.environment["TELLFIRST_DATABASE_URL"] = f"sqlite:///{path}"
    done = shell("pending")
    assert done.code == 1
    assert "the database cannot be used (DatabaseError)" in done.err


@pytest.mark.parametrize(("words", "code"), [(["stuck"], 1), (["pending", "--json"], 0), (["show"], 2)])
def test_the_process_ends_with_the_exit_code_whatever_its_threads_do(shell: Shell, words: list[str], code: int) -> None:
    done = subprocess.run(
        # Whatever is left behind aborts the interpreter on its way down, as threads of the Temporal client may.
        [
            sys.executable,
            "-c",
            "import atexit, os; atexit.register(os.abort); from tellfirst.cli import main; main()",
            *words,
        ],
        env={**os.environ, **shell.environment, "TEMPORAL_ADDRESS": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert "Fatal Python error" not in done.stderr
    if "--json" in words:
        assert json.loads(done.stdout) == []


def test_the_command_line_loads_no_provider_and_no_web_server() -> None:
    script = (
        "import sys, tellfirst.cli.app;"
        "print([n for n in ('twilio', 'fastapi', 'uvicorn', 'activities', 'workflows') if n in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
