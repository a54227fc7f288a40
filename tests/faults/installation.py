"""An installation of real processes for fault tests: Temporal with a database file, a provider, killable workers."""

import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from temporalio.client import Client, WorkflowHandle

from tellfirst import contract
from tellfirst.client import OutreachClient
from tellfirst.contract import DecisionAnswer, DecisionEnvelope, Result
from tellfirst.detectors.finding import Finding
from tellfirst.domain.condition import ADMITTED, Audience, Condition
from tellfirst.errors import UnreachableError
from tellfirst.playbooks.loader import LIBRARY
from tellfirst.settings import Settings
from tellfirst.signing.documents import digest
from tellfirst.signing.kinds import decide
from tellfirst.store.admissions import Admissions
from tellfirst.store.contacts import Contacts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.decisions import Decisions
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.matters import PENDING, Matters
from tellfirst.store.migrations import migrate
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.sends import Sends
from tests.ports import free_port, listens
from tests.provider import Provider
from tests.signing.make import ed25519, envelope
from tests.world import FAR, OPEN_HOURS

ROOT = Path(__file__).parent.parent.parent
TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
SHORT = {"holdout = 0.1": "holdout = 0", 'window = "P7D"': 'window = "PT2S"'}


class Installation:
    """Starts and kills real processes by their id."""

    def __init__(
        self,
        folder: Path,
        *,
        delay_ms: int = 0,
        database_url: str = "",
        in_flight: int = 8,
        replace: dict[str, str] | None = None,
        also: dict[str, dict[str, str]] | None = None,
    ) -> None:
        """Lays out the files; `also` are further playbooks of the same text, each with what is replaced in it."""
        self.folder = folder
        self.temporal_file, self.logs = folder / "temporal.db", folder / "workers.log"
        playbooks = folder / "playbooks"
        playbooks.mkdir()
        shipped = (LIBRARY / "retail" / "late_delivery.toml").read_text()
        for name, changes in {"late_delivery": {}, **(also or {})}.items():
            text = shipped.replace('id = "late_delivery"', f'id = "{name}"')
            for old, new in (SHORT | (replace or {}) | changes).items():
                assert old in text
                text = text.replace(old, new)
            (playbooks / f"{name}.toml").write_text(text)
        self.ana, self.ben = ed25519(), ed25519()
        self.approvers = folder / "approvers.toml"
        self.approvers.write_text(
            "".join(
                f'[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["Service lead"]\n'
                f'[[people.keys]]\nkey = "{signer.line}"\n'
                for name, signer in (("ana", self.ana), ("ben", self.ben))
            )
        )
        self.provider = Provider(folder / "provider.jsonl", delay_ms=delay_ms)
        self.port, self.ui_port = free_port(), free_port()
        self.environment = {
            "TELLFIRST_ENVIRONMENT": "test",
            "TELLFIRST_DATA_DIR": str(folder),
            "TELLFIRST_DATABASE_URL": database_url,
            "TELLFIRST_LIBRARY": "false",
            "TELLFIRST_PLAYBOOKS": str(playbooks),
            "TELLFIRST_APPROVERS": str(self.approvers),
            "TELLFIRST_HOURS": str(OPEN_HOURS),
            "TELLFIRST_SMS": "twilio",
            "TELLFIRST_SMS_SENDER": self.provider.service_sid,
            "TELLFIRST_PROVIDER_TIMEOUT": "4",
            "TELLFIRST_PROVIDER_IN_FLIGHT": str(in_flight),
            "TELLFIRST_LEASE_SECONDS": "8",
            "TELLFIRST_RECONCILE_SECONDS": "1",
            "TELLFIRST_TWILIO_API_BASE": self.provider.base_url,
            "TWILIO_ACCOUNT_SID": self.provider.account_sid,
            "TWILIO_AUTH_TOKEN": self.provider.auth_token,
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self.port}",
        }
        self.settings = Settings.load(
            environment="test", data_dir=folder, approvers=self.approvers, database_url=database_url, _env_file=None
        )
        engine = open_engine(self.settings.database)
        migrate(engine)
        self.database = Database(engine)
        self.outreaches, self.sends = Outreaches(self.database), Sends(self.database)
        self.controls, self.matters = Controls(self.database), Matters(self.database)
        self.decisions = Decisions(self.database)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server_flags: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        await self.start_temporal()
        return self

    async def start_temporal(self) -> None:
        """Starts the Temporal server on its file and waits until it answers."""
        self._server = self._run(
            *(str(TEMPORAL), "server", "start-dev", "--port", str(self.port), "--log-level", "error"),
            *("--ui-port", str(self.ui_port)),
            *("--db-filename", str(self.temporal_file)),
            *(p for flag in self.server_flags for p in ("--dynamic-config-value", flag)),
            *(p for key in contract.SEARCH_ATTRIBUTES for p in ("--search-attribute", _typed(key))),
            log=self.folder / "server.log",
        )
        end = time.monotonic() + 120
        while True:
            try:
                self.client = await Client.connect(f"127.0.0.1:{self.port}", data_converter=contract.DATA_CONVERTER)
                return
            except RuntimeError:
                if self._server.poll() is not None or time.monotonic() >= end:
                    raise
                await asyncio.sleep(0.1)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for process in self.processes:
            self.kill(process)
        self.provider.stop()
        self.database.close()

    def worker(self) -> subprocess.Popen[bytes]:
        """Starts a worker process."""
        return self._run(sys.executable, "-m", "workers", log=self.logs)

    async def web(self, **environment: str) -> subprocess.Popen[bytes]:
        """Starts the web process, waits until it answers, and lets the provider post its callbacks there."""
        self.environment["TELLFIRST_WEB_PORT"] = str(port := free_port())
        process = self._run(sys.executable, "-m", "tellfirst.web", log=self.folder / "web.log", **environment)
        await until(lambda: listens(port), 120)
        self.provider.tell(f"http://127.0.0.1:{port}")
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kills a process as a power cut would, and waits for its end."""
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()

    def _run(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, **self.environment, **environment}
        with log.open("ab") as out:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    # -- doing

    def people(self, count: int, *, timezone: str | None = None) -> None:
        """Adds customers with all that could leak, and a contact watermark far ahead."""
        now = datetime.now(UTC)
        for first in range(0, count, 2_000):
            Customers(self.database).save(
                [
                    CustomerRecord(
                        id=f"c-{n}",
                        first_name=f"Zebulon{n}",
                        timezone=timezone,
                        addresses={"sms": f"+1415{n:07d}", "email": f"zebulon{n}@example.org"},
                    )
                    for n in range(first, min(first + 2_000, count))
                ],
                now=now,
                source="test",
            )
        Contacts(self.database).save([], source="helpdesk", through=FAR, now=now)

    async def start(self, count: int, key: str = "mass", *, first: int = 0) -> WorkflowHandle[Any, Any]:
        """Admits `count` late parcels of the customers from `first` on as one condition and starts its outreach."""
        now = datetime.now(UTC).replace(microsecond=0)
        findings = [
            Finding(
                subject_key=f"{key}-{n}",
                customer_ref=f"c-{n}",
                since=now - timedelta(days=1),
                facts={"order_id": f"o-{n}", "promised_at": "2026-11-20"},
            )
            for n in range(first, first + count)
        ]
        ledger = Admissions(self.database)
        ledger.admit("late_delivery", {key: findings}, at=now, facts={}, parameters={})
        condition = Condition(trigger="late_delivery", key=key, detected_at=now, audience=Audience(query=ADMITTED))
        started = await OutreachClient(self.client).start(condition)
        return self.client.get_workflow_handle(started.outreach, result_type=Result)

    async def approve(self, handle: WorkflowHandle[Any, Any], *, within: float = 60) -> None:
        """Waits for the plan and approves it, by two people where so many are to be told."""
        await until(lambda: self.outreaches.revision(handle.id, 1) is not None, within)
        record = self.outreaches.revision(handle.id, 1)
        assert record is not None
        prior = ""
        for name, signer in (("ana", self.ana), ("ben", self.ben)):
            document = record.proposal.decide("approve", name, datetime.now(UTC), prior=prior)
            answer = await self._submit(handle.id, envelope(signer, document))
            assert answer.accepted, answer
            if answer.approvals == answer.needed:
                return
            prior = digest(document.document())

    async def _submit(self, about: str, signed: DecisionEnvelope) -> DecisionAnswer:
        while True:
            try:
                return await OutreachClient(self.client).submit(about, signed)
            except UnreachableError:
                continue  # as its message says: the same submission counts once

    async def resume_all(self, name: str) -> None:
        """Signs in the name of `ana` or `ben` that what is paused as a whole goes on."""
        pause = self.controls.pause()
        assert pause is not None
        client = OutreachClient(self.client)
        about = await client.resume_all(pause.value)
        await until(lambda: (one := self.matters.get(about)) is not None and one.status == PENDING, 30)
        record = self.matters.get(about)
        assert record is not None
        first = self.decisions.approvals(about)
        prior = digest(first[0].envelope["document"]) if first and first[0].envelope else ""  # type: ignore[arg-type]
        document = decide(record.proposal, "approve", name, datetime.now(UTC), prior=prior)
        answer = await client.submit(about, envelope(getattr(self, name), document.document()))
        assert answer.accepted, answer


async def until(holds: Any, within: float) -> None:
    """Waits until something holds; fails when it does not in time."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


def _typed(key: Any) -> str:
    name = key.indexed_value_type.name
    return f"{key.name}={ {'KEYWORD': 'Keyword', 'DATETIME': 'Datetime', 'INT': 'Int'}[name] }".replace(" ", "")
