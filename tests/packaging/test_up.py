"""Runs scripts/up with the real Temporal server and stand-ins for the application's processes."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

STAND_IN = """#!/bin/bash
case "$*" in
  "-m tellfirst.store migrate") echo "migrated" ;;
  "-m workers") echo $$ >worker.pid; {worker} ;;
  "-m tellfirst.web") echo $$ >web.pid; exec sleep 300 ;;
  *) PYTHONPATH={root} exec {python} "$@" ;;
esac
"""


def free_port() -> int:
    """Returns a port that listens to nobody, from below the range in which other programs are given theirs."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


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
    (tmp_path / "scripts/_venv").write_text("#!/bin/sh\n")
    (tmp_path / "scripts/_venv").chmod(0o755)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/temporal").symlink_to(BIN / "temporal")
    return tmp_path


def start(checkout: Path, worker: str, **more: str) -> subprocess.Popen[str]:
    python = checkout / ".venv/bin/python"
    python.write_text(STAND_IN.format(worker=worker, root=ROOT, python=sys.executable))
    python.chmod(0o755)
    ports = {f"TELLFIRST_{name}_PORT": str(free_port()) for name in ("TEMPORAL", "UI", "WEB")}
    return subprocess.Popen(
        [checkout / "scripts/up"],
        env={"PATH": os.environ["PATH"], "HOME": str(checkout), **ports, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell cannot trap what was ignored when it began, as SIGINT is in whatever runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(f"ended without saying '{words}':\n{text}")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(checkout: Path, ended: list[subprocess.Popen[str]], sign: signal.Signals) -> None:
    process = start(checkout, "exec sleep 300")
    ended.append(process)
    text = read_until(process, "Ctrl-C stops everything")
    assert "migrated" in text
    assert "?query=ExecutionStatus%3D%27Running%27%20AND%20OutreachStage%20IN" in text
    pids = [int((checkout / name).read_text()) for name in ("worker.pid", "web.pid")]
    assert all(alive(pid) for pid in pids)
    process.send_signal(sign)
    assert process.wait(timeout=30) == 0
    assert not any(alive(pid) for pid in pids)
    assert (checkout / ".data/temporal.db").is_file()


def test_one_process_that_ends_takes_the_others_with_it(checkout: Path, ended: list[subprocess.Popen[str]]) -> None:
    process = start(checkout, "exec sleep 2")
    ended.append(process)
    text = read_until(process, "the worker has ended, so the others are stopped too")
    assert process.wait(timeout=30) == 1, text
    assert not alive(int((checkout / "web.pid").read_text()))


def test_a_port_in_use_is_named(checkout: Path, ended: list[subprocess.Popen[str]]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        before = time.monotonic()
        process = start(checkout, "exec sleep 300", TELLFIRST_TEMPORAL_PORT=port)
        ended.append(process)
        assert f"port {port} is in use" in read_until(process, "is in use")
        assert process.wait(timeout=10) == 1
        assert time.monotonic() - before < 10
