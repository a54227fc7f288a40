"""Runs scripts/up with the real Temporal server and stand-ins for the application's processes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

# The worker counts as polling at the third question. The web process writes down that it was interrupted.
STAND_IN = """#!/bin/bash
case "$*" in
  "-m tellfirst.store migrate") echo "migrated" ;;
  "-m workers") echo $$ >worker.pid; {worker} ;;
  scripts/temporal/worker_polls.py) echo asked >>asked.txt; [[ $(wc -l <asked.txt) -ge 3 ]] ;;
  "-m tellfirst.web") echo $$ >web.pid; exec {python} -c '
import os, pathlib, signal, socket, time
signal.signal(signal.SIGINT, lambda *_: pathlib.Path("interrupted.txt").touch())
with socket.create_server(("127.0.0.1", int(os.environ["TELLFIRST_WEB_PORT"]))):
    time.sleep(300)' ;;
  *) PYTHONPATH={root} exec {python} "$@" ;;
esac
"""
STAYS = "exec sleep 300"
SOURCE = {"TELLFIRST_SOURCE_URL": "sqlite:///orders.db"}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/up", tmp_path / "scripts/up")
    shutil.copytree(ROOT / "scripts/temporal", tmp_path / "scripts/temporal")
    (tmp_path / "scripts/_venv").write_text("#!/bin/sh\n")
    (tmp_path / "scripts/_venv").chmod(0o755)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/temporal").symlink_to(BIN / "temporal")
    return tmp_path


class Up:
    """Is scripts/up on its way, as the leader of a process group, as a terminal would start it."""

    def __init__(self, checkout: Path, worker: str = STAYS, **more: str) -> None:
        python = checkout / ".venv/bin/python"
        python.write_text(STAND_IN.format(worker=worker, root=ROOT, python=sys.executable))
        python.chmod(0o755)
        self.ports = {f"TELLFIRST_{name}_PORT": str(free_port()) for name in ("TEMPORAL", "UI", "WEB")} | more
        self.checkout = checkout
        self.process = subprocess.Popen(
            [checkout / "scripts/up"],
            env={"PATH": os.environ["PATH"], "HOME": str(checkout), **self.ports},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            # A shell cannot trap what was ignored when it began, as SIGINT is in the background and SIGHUP under nohup.
            preexec_fn=lambda: [signal.signal(sign, signal.SIG_DFL) for sign in (signal.SIGINT, signal.SIGHUP)],
        )

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if words in line:
                return text
        raise AssertionError(f"ended without saying '{words}':\n{text}")

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Signals the whole group, as a terminal does, reads what is still said, and returns the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, sign)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self.process.stdout.read()
            self.process.stdout.close()
        return self.process.wait(timeout=120)

    def schedules(self) -> list[str]:
        address = f"127.0.0.1:{self.ports['TELLFIRST_TEMPORAL_PORT']}"
        command = [str(BIN / "temporal"), "schedule", "list", "--address", address, "-o", "json"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        return sorted(found["scheduleId"] for found in json.loads(listed.stdout or "[]"))

    def pid(self, name: str) -> int:
        return int((self.checkout / f"{name}.pid").read_text())


@pytest.fixture
def started() -> Iterator[list[Up]]:
    every: list[Up] = []
    yield every
    for up in every:
        up.end()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(checkout: Path, started: list[Up], sign: signal.Signals) -> None:
    up = Up(checkout)
    started.append(up)
    text = up.read_until("Ctrl-C stops everything")
    assert "migrated" in text
    pids = [up.pid("worker"), up.pid("web")]
    assert all(alive(pid) for pid in pids)
    assert up.end(sign) == 0
    assert not any(alive(pid) for pid in pids)
    assert (checkout / ".data/temporal.db").is_file()
    # A terminal's Ctrl-C goes to a whole group, and only scripts/up may be in it: it knows who goes first.
    assert not (checkout / "interrupted.txt").exists()


def test_it_says_ready_when_the_worker_polls_and_the_web_answers(checkout: Path, started: list[Up]) -> None:
    up = Up(checkout)
    started.append(up)
    text = up.read_until("Ready")
    assert (checkout / "asked.txt").read_text().count("asked") == 3
    web = f"http://127.0.0.1:{up.ports['TELLFIRST_WEB_PORT']}"
    socket.create_connection(("127.0.0.1", int(up.ports["TELLFIRST_WEB_PORT"]))).close()
    assert f"{web}/openapi.json" in text
    assert f"{web}/ " not in text
    assert "?query=ExecutionStatus%3D%27Running%27%20AND%20OutreachStage%20IN" in text


@pytest.mark.parametrize(
    ("settings", "schedules", "says"),
    [
        ({}, [], "nothing, until TELLFIRST_SOURCE_URL is set"),
        (SOURCE, ["detect-late_delivery"], "late_delivery, every 15 minutes"),
        (
            SOURCE | {"TELLFIRST_DETECT": "late_delivery payment_failed"},
            ["detect-late_delivery", "detect-payment_failed"],
            "late_delivery payment_failed, every 15 minutes",
        ),
        (SOURCE | {"TELLFIRST_DETECT": ""}, [], "nothing: TELLFIRST_DETECT is empty"),
    ],
)
def test_it_sweeps_where_there_is_a_source(
    checkout: Path, started: list[Up], settings: dict[str, str], schedules: list[str], says: str
) -> None:
    up = Up(checkout, **settings)
    started.append(up)
    text = up.read_until("Ready")
    assert f"swept            {says}\n" in text
    assert up.schedules() == schedules


def test_the_source_may_stand_in_the_settings_file(checkout: Path, started: list[Up]) -> None:
    (checkout / ".env").write_text("TELLFIRST_SOURCE_URL=postgresql://reader:hush@db/shop\nTELLFIRST_DATA_DIR=kept\n")
    up = Up(checkout)
    started.append(up)
    text = up.read_until("Ready")
    assert up.schedules() == ["detect-late_delivery"]
    assert "hush" not in text
    assert (checkout / "kept/temporal.db").is_file()


def test_a_setting_that_is_wrong_is_named(checkout: Path, started: list[Up]) -> None:
    up = Up(checkout, TELLFIRST_CAP_DAYS="none")
    started.append(up)
    text = up.read_until("TELLFIRST_CAP_DAYS")
    assert "Traceback" not in text
    assert up.process.wait(timeout=60) == 1


def test_one_process_that_ends_takes_the_others_with_it(checkout: Path, started: list[Up]) -> None:
    up = Up(checkout, "until [[ -e end ]]; do sleep 0.1; done")
    started.append(up)
    up.read_until("Ready")
    (checkout / "end").touch()
    up.read_until("the worker has ended, so the others are stopped too")
    assert up.process.wait(timeout=120) == 1
    assert not alive(up.pid("web"))


def test_it_is_never_ready_when_the_worker_cannot_begin(checkout: Path, started: list[Up]) -> None:
    up = Up(checkout, "exit 3")
    started.append(up)
    assert "Ready" not in up.read_until("the worker has ended, so the others are stopped too")
    assert up.process.wait(timeout=120) == 1


def test_a_port_in_use_is_named(checkout: Path, started: list[Up]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        before = time.monotonic()
        up = Up(checkout, TELLFIRST_TEMPORAL_PORT=port)
        started.append(up)
        assert f"port {port} is in use" in up.read_until("is in use")
        assert up.process.wait(timeout=60) == 1
        assert time.monotonic() - before < 60
