"""What commands say is theirs alone, also while the Temporal server goes away under them."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tellfirst.cli.wiring import on_temporal
from tellfirst.errors import UnreachableError


class Relay:
    """Passes connections on to a server until it is cut."""

    def __init__(self, to: str) -> None:
        self._host, _, self._port = to.partition(":")
        self._ends: list[asyncio.StreamWriter] = []
        self._loop = asyncio.get_running_loop()

    async def listen(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, int(self._port))
        self._ends += [writer, back]
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    def cut(self) -> None:
        """Refuses and ends connections from now on, whichever thread says so."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self._server.close()
        for end in self._ends:
            end.close()


async def test_the_sdk_says_nothing_where_a_command_answers(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    relay = Relay(env.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_ADDRESS", await relay.listen())

    async def work(client: Client) -> None:
        relay.cut()
        await client.get_workflow_handle("nobody").signal("nothing", rpc_timeout=timedelta(seconds=4))

    capfd.readouterr()
    with pytest.raises(UnreachableError):
        await asyncio.to_thread(on_temporal, work)
    assert capfd.readouterr().out == "", "standard output holds one JSON document and nothing else"
