"""`python -m tellfirst.web` as a process: it listens where it is told, and stops when it is told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tellfirst.store.engine import open_engine
from tellfirst.store.migrations import migrate
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


def start(folder: Path, **given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tellfirst.web"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TELLFIRST_DATA_DIR": str(folder), **given},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, name: signal.Signals) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}")
    migrate(engine)
    engine.dispose()
    port = free_port()
    with start(tmp_path, TELLFIRST_WEB_PORT=str(port)) as process:
        try:
            url, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
            while True:
                try:
                    answer = httpx.get(url + "/healthz", trust_env=False)
                    break
                except httpx.ConnectError:
                    assert time.monotonic() < until
                    assert process.poll() is None
                    time.sleep(0.05)
            assert answer.json() == {"ok": True}
            httpx.post(url + "/twilio/status?to=+14155550100", trust_env=False)
            process.send_signal(name)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
        assert process.stderr is not None
        log = process.stderr.read()
    assert "+1415" not in log
    assert "Traceback" not in log


def test_bad_settings_are_one_sentence(tmp_path: Path) -> None:
    with start(tmp_path, TELLFIRST_WEB_PORT="many") as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.startswith("TELLFIRST_WEB_PORT: ")
    assert len(said.splitlines()) == 1
