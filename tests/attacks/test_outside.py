"""What data becomes outside of us: names of files, headers of requests, cells of tables."""

import ast
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from tellfirst.channels import feed_file, notify_file
from tellfirst.channels.http import HttpOnce
from tellfirst.channels.webhook import NO_NAME, HookFile, signed_headers
from tellfirst.domain.condition import Word
from tests.cli.conftest import Shell, database, shell

__all__ = ["database", "shell"]

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATHS = [
    "../x", "../../../../etc/passwd", "/tmp/tellfirst-nobody/x", "a/b", "a\\b", ".", "..", "...", "", "~", "~root/x",
    "x\0", "x\n", "x.json", "%2e%2e%2fx", "..%c0%afx", "-rf", "CON:", "file:///etc/passwd", "\u2024\u2024/x", "x" * 300,
]  # fmt: skip
SPLIT = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\rX-Evil: 1",
    "a\0X-Evil: 1",
    "a\r\n\r\nGET /evil HTTP/1.1\r\n",
    "\u560a\u560dX-Evil: 1",
]


@pytest.mark.parametrize("evil", PATHS)
async def test_no_id_of_a_message_leads_out_of_its_folder(tmp_path: Path, evil: str) -> None:
    hook = HookFile(tmp_path / "grants")
    answer = await hook.deliver(evil, b"{}", now=NOON)
    assert (answer.acknowledged, answer.detail) == (False, NO_NAME)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", [Word, feed_file.Name, notify_file.Name], ids=["playbook", "endpoint", "way"])
def test_no_name_is_a_path(name: object) -> None:
    taken = []
    for evil in PATHS:
        try:
            TypeAdapter(name).validate_python(evil)
            taken.append(evil)
        except ValidationError:
            continue
    assert taken == []


COMMANDS = ["playbooks show", "playbooks diff", "show", "permits show", "exceptions show", "calls show"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_reads_a_file_by_a_name(shell: Shell, database: object, command: str) -> None:
    for evil in ("../../../../etc/passwd", "x" * 300):
        done = shell(*command.split(), "--", evil)
        assert done.code in (1, 2), evil
        assert "root:" not in done.out + done.err
    left = {path.name for path in shell.folder.iterdir()}
    assert left <= {"tellfirst.db", "tellfirst.db-wal", "tellfirst.db-shm", "audit.anchor"}


class Lines(socketserver.StreamRequestHandler):
    """Keeps what was sent to it, byte for byte."""

    seen: list[bytes]

    def handle(self) -> None:
        self.request.settimeout(0.3)
        try:
            self.seen.append(self.request.recv(65_536))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        except OSError:
            return


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    seen: list[bytes] = []
    handler = type("Kept", (Lines,), {"seen": seen})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("evil", SPLIT, ids=ascii)
async def test_no_word_becomes_a_header_of_a_request(evil: str) -> None:
    """By both clients that we call others with, in a header and in what is asked for."""
    with listening() as (url, seen):
        ours, plain = HttpOnce(timeout=3.0, connections=2), httpx.AsyncClient(trust_env=False)
        for headers in ({"Idempotency-Key": evil}, {"webhook-id": evil}):
            for call in (
                ours.request("POST", url, headers=headers, json={}),
                plain.post(url, headers=headers, json={}),
            ):
                with pytest.raises((httpx.HTTPError, ValueError)):
                    await call
        await ours.request("GET", url + "m", params={"To": evil})
        await plain.post(url, json={"subject": evil}, headers=signed_headers("r-1", b"{}", b"k" * 24, now=NOON))
        await ours.close()
        await plain.aclose()
    arrived = [one for one in seen if one]
    assert len(arrived) == 2, "the control: what is no header arrives"
    assert b"X-Evil" not in b"".join(one.partition(b"\r\n\r\n")[0].partition(b"\r\n")[2] for one in arrived)
    assert not any(b"\nGET /evil" in one for one in arrived)


def writers(source: str) -> list[str]:
    """Returns what a module writes tables with."""
    called = (ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [name for name in called if name.split(".")[-1] in ("writer", "DictWriter", "to_csv", "to_excel")]


def test_every_table_is_written_where_no_text_is_a_formula() -> None:
    sources = [
        path for name in ("tellfirst", "activities", "workflows", "workers") for path in (ROOT / name).rglob("*.py")
    ]
    found = {path.name: writers(path.read_text()) for path in sources}
    assert {name: what for name, what in found.items() if what} == {"report_rows.py": ["csv.writer"]}
