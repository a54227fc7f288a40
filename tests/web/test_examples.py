"""The examples of docs/channels.md, run as they are printed against a real web process."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import select
from temporalio.testing import WorkflowEnvironment

from tellfirst.store.arrivals import Arrivals
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tellfirst.store.tables import ContactRow, ReceiptRow
from tellfirst.store.tables_arrivals import ArrivalRow, EventRow
from tests.ports import free_port
from tests.web.test_process import start

PAGE = (Path(__file__).parents[2] / "docs/channels.md").read_text()
SECTION = PAGE[PAGE.index("\n## Webhooks") : PAGE.index("\n## Replies")]
COMMANDS = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
ANSWERS = "".join(re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}")
    migrate(engine)
    made = Database(engine)
    yield made
    made.close()


def shell(text: str, folder: Path, **more: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False


def patiently(process: subprocess.Popen[str], condition: object) -> None:
    until = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_examples_answer_as_printed(tmp_path: Path, database: Database, env: WorkflowEnvironment) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/up").write_text("#!/bin/sh\n")
    (tmp_path / "scripts/up").chmod(0o755)
    shell(COMMANDS[0], tmp_path)
    port, nowhere = free_port(), f"127.0.0.1:{free_port()}"
    with start(tmp_path, TELLFIRST_WEB_PORT=str(port), TEMPORAL_ADDRESS=nowhere) as process:
        try:
            patiently(process, lambda: answers(port))
            printed = shell("\n".join(COMMANDS[1:]), tmp_path, TELLFIRST_WEB_PORT=str(port))
        finally:
            process.kill()  # in the middle of whatever it was at
    assert printed == ANSWERS
    with database.read() as session:
        assert [row.id for row in session.exec(select(ContactRow))] == ["t-1"]
        assert sorted(row.event_id for row in session.exec(select(EventRow))) == ["e-1", "e-2"]
        waiting = session.exec(select(ArrivalRow).where(ArrivalRow.source == "conditions")).all()
    assert len(waiting) == 2
    assert all(row.done_at is None for row in waiting)

    # Started again, and with a Temporal that answers, it works off what was acknowledged before it was killed.
    with database.write() as session:
        for row in session.exec(select(ArrivalRow)):
            row.next_at = row.received_at
            session.add(row)
    address = env.client.service_client.config.target_host
    with start(tmp_path, TELLFIRST_WEB_PORT=str(port), TEMPORAL_ADDRESS=address) as process:
        try:
            patiently(process, lambda: Arrivals(database).waiting() == 0)
        finally:
            process.kill()
    with database.read() as session:
        assert {row.error for row in session.exec(select(ArrivalRow))} == {""}
        providers = sorted(row.provider for row in session.exec(select(ReceiptRow)))
    assert providers == ["fcm", "resend", "sendgrid", "twilio"]
