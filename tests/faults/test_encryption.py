"""What Temporal keeps of a life with personal data everywhere: nothing that can be read, failures too, keys in turn."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from tellfirst.client import OutreachClient
from tellfirst.contract import DATA_CONVERTER, PAUSE, Ending, Pause, Result
from tellfirst.domain.condition import Condition, Subject
from tellfirst.encryption import encrypting, key_id
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.settings import Settings
from tellfirst.store.contacts import Contacts
from tellfirst.store.customers import CustomerRecord, Customers
from tests.faults.installation import ROOT, Installation, until
from tests.figures import Figure
from tests.world import FAR, OPEN_HOURS, FakeProvider
from workers.__main__ import come_to_rest
from workers.pool import workers
from workers.wiring import build, read_library
from workflows.outreach import OutreachWorkflow

FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))
PLAIN, SWITCHED, SEALED = "zebulonplain", "zebulonswitched", "zebulonsealed"
FIELDS = ("subject", "customer", "order", "since", "proposer", "event", "presser", "note")


class FailsOnce(dict[str, LoadedPlaybook]):
    """Is a library whose first reading of all fails; of what others raise its kind and place are told."""

    failing: type[Exception] | None = None

    def get(self, key: str, default: Any = None) -> Any:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing("+14155550123")
        return super().get(key, default)


@asynccontextmanager
async def working(
    place: Installation, keys: Sequence[bytes], failing: type[Exception] | None = None
) -> AsyncIterator[FakeProvider]:
    """Works with these keys, the newest first, and then rests."""
    settings = Settings.load(
        environment="test",
        data_dir=place.folder,
        library=False,
        playbooks=(place.folder / "playbooks",),
        approvers=place.approvers,
        hours=OPEN_HOURS,
        reconcile_seconds=1,
        _env_file=None,
    )
    library, sms = FailsOnce(read_library(settings)), FakeProvider("sms")
    library.failing = failing
    adapters: dict[str, Any] = {"sms": sms}
    application = build(settings, loop=asyncio.get_running_loop(), adapters=adapters, library=library)
    converter = encrypting(keys) if keys else DATA_CONVERTER
    place.client = await Client.connect(f"127.0.0.1:{place.port}", data_converter=converter)
    running = workers(application, place.client)
    tasks = [asyncio.create_task(worker.run()) for worker in running]
    try:
        yield sms
    finally:
        assert await come_to_rest(running, tasks, within=30)
        await application.close()


async def begin(place: Installation, word: str) -> WorkflowHandle[Any, Any]:
    """Starts an outreach that says `word` wherever words may stand, and waits until it can be decided."""
    condition = Condition(
        trigger="late_delivery",
        key=f"sweep-{len(word)}",
        detected_at=datetime.now(UTC),
        facts={"since": f"{word}-since"},
        subjects=(
            Subject(
                key=f"{word}-subject",
                customer=f"{word}-customer",
                facts={"order_id": f"{word}-order", "promised_at": "2026-11-20"},
            ),
        ),
        proposer=f"{word}-proposer",
    )
    person = CustomerRecord(id=f"{word}-customer", first_name=word, addresses={"sms": f"+1415555{len(word):04d}"})
    Customers(place.database).save([person], now=datetime.now(UTC), source="test")
    client = OutreachClient(place.client)
    handle = place.client.get_workflow_handle((await client.start(condition)).outreach, result_type=Result)
    await handle.signal(PAUSE, Pause(event_id=f"{word}-event", by=f"{word}-presser", note=f"{word}-note"))
    await until(lambda: place.outreaches.revision(handle.id, 1) is not None, 30)
    await client.pause(handle.id, paused=False, by=f"{word}-presser")
    return handle


async def end(place: Installation, handle: WorkflowHandle[Any, Any]) -> None:
    """Approves an outreach and waits for its outcome."""
    handle = place.client.get_workflow_handle(handle.id, result_type=Result)
    await place.approve(handle)
    await until(lambda: place.sends.tally(handle.id).accepted == 1, 30)
    await OutreachClient(place.client).tell(handle.id, "condition_cleared")
    assert (await handle.result()).ending is Ending.MEASURED


@pytest.mark.slow
async def test_nothing_that_was_said_can_be_read_in_temporals_database(
    tmp_path: Path, figure: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    async with Installation(tmp_path) as place:
        Contacts(place.database).save([], source="helpdesk", through=FAR, now=datetime.now(UTC))
        async with working(place, [], failing=LookupError):
            plain = await begin(place, PLAIN)
            await end(place, plain)
            switched = await begin(place, SWITCHED)
        async with working(place, [FIRST], failing=ArithmeticError):
            sealed = await begin(place, SEALED)
        async with working(place, [SECOND, FIRST]) as sms:
            await asyncio.gather(end(place, sealed), end(place, switched))
            assert len({message.address for message in sms.sent}) == 2
        history = await place.client.get_workflow_handle(sealed.id).fetch_history()
        text = history.to_json()
        sizes = [sum(event.ByteSize() for event in one.events) for one in (await plain.fetch_history(), history)]

        described = await place.client.get_workflow_handle(sealed.id).describe()
        shown = f"{described.id} {described.typed_search_attributes} {await described.memo()}"
        assert "zebulon" not in shown
        assert "late_delivery" in shown

        for keys, refusal in (([SECOND, FIRST], ""), ([SECOND], key_id(FIRST)), ([], "no keys are given")):
            converter = encrypting(keys) if keys else DATA_CONVERTER
            caplog.clear()
            replayer = Replayer(workflows=[OutreachWorkflow], data_converter=converter)
            replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            assert (replayed.replay_failure is not None) == bool(refusal), keys
            assert refusal in caplog.text, "whoever runs the worker reads why"

    stored = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("temporal.db*")))
    found = {word: {part: stored.count(f"{word}-{part}".encode()) for part in FIELDS} for word in (PLAIN, SEALED)}
    figure(
        f"canaries in Temporal's database: plain {json.dumps(found[PLAIN])}, encrypted {stored.count(SEALED.encode())}"
    )
    figure(f"histories of the two lives: plain {sizes[0]:,} bytes, encrypted {sizes[1]:,}")
    assert all(found[PLAIN].values()), "the control: what is not encrypted stands there"
    assert stored.count(SEALED.encode()) == 0
    assert b"LookupError in " in stored, "the control: of what failed at first the text is kept"
    assert b"ArithmeticError in " not in stored
    assert text.count("encryption-key-id") > 20
    used = {name for name in (key_id(FIRST), key_id(SECOND)) if name.encode() in stored}
    assert used == {key_id(FIRST), key_id(SECOND)}


async def test_whoever_has_no_usable_keys_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("not a key\n")
    environment = {"PYTHONPATH": str(ROOT), "TELLFIRST_PAYLOAD_KEYS": str(tmp_path / "keys"), "TELLFIRST_WEB_PORT": "0"}

    async def run(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=tmp_path, env=environment, stderr=asyncio.subprocess.PIPE
        )
        try:
            _, said = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            raise
        return process.returncode, said.decode()

    command = "from tellfirst.cli import main; main()"
    ended = await asyncio.gather(run("-m", "workers"), run("-m", "tellfirst.web"), run("-c", command, "stuck"))
    for code, said in ended:
        assert code == 2
        assert "line 1 is no 32 bytes in base64" in said
        assert "not a key" not in said
