"""The command line as a person or a script runs it: words in, an exit code and two streams out."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from tellfirst import client as client_module
from tellfirst.cli.app import app
from tellfirst.contract import Stage
from tellfirst.errors import NotFoundError
from tellfirst.settings import Settings
from tellfirst.store.engine import Database, open_engine
from tests.empty import place_database
from tests.world import World

NOWHERE = "127.0.0.1:1"
"""An address at which no Temporal server listens."""

PATIENCE = timedelta(seconds=90)
"""How long a test waits for what has to happen: on a busy machine far longer than a person would be let wait."""


@dataclass(frozen=True)
class Done:
    """Is what a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Returns the one JSON document on stdout."""
        return json.loads(self.out)


class Shell:
    """Runs commands in an installation of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            "TELLFIRST_DATA_DIR": str(folder),
            "TELLFIRST_APPROVERS": str(folder / "approvers.toml"),
            "TELLFIRST_ENVIRONMENT": "test",
            "TEMPORAL_ADDRESS": NOWHERE,
            **environment,
        }

    def __call__(self, *words: str | Path, stdin: str = "") -> Done:
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin, env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(code=result.exit_code, out=result.stdout, err=result.stderr)

    async def run(self, *words: str | Path, stdin: str = "") -> Done:
        """Runs a command beside the workers of this process."""
        return await asyncio.to_thread(self, *words, stdin=stdin)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @property
    def settings(self) -> Settings:
        return Settings.load(data_dir=self.folder, environment="test", _env_file=None)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Is a shell in an installation without a Temporal server."""
    return Shell(tmp_path)


@pytest.fixture
def database(shell: Shell) -> Iterator[Database]:
    """Is the database of that installation."""
    place_database(shell.folder / "tellfirst.db")
    engine = open_engine(shell.settings.database)
    made = Database(engine)
    yield made
    made.close()


@dataclass(frozen=True)
class Approver:
    """Is a person with a key file, as ssh-keygen makes it."""

    principal: str
    key: Path

    @property
    def line(self) -> str:
        return self.key.with_suffix(".pub").read_text().strip()


def make_approver(folder: Path, principal: str) -> Approver:
    key = folder / f"key-{principal}"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", key],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return Approver(principal, key)


def register(path: Path, *people: Approver, roles: str = '"Service lead"') -> None:
    """Writes the registry of approvers."""
    path.write_text(
        "".join(
            f'[[people]]\nprincipal = "{one.principal}"\nteam = "support"\ninternal = true\nroles = [{roles}]\n'
            f'[[people.keys]]\nkey = "{one.line}"\n'
            for one in people
        )
    )


@dataclass(frozen=True)
class Office:
    """Is a running installation, the shell of the people who work with it, and one approver."""

    world: World
    shell: Shell
    eve: Approver

    async def run(self, *words: str | Path, stdin: str = "") -> Done:
        return await self.shell.run(*words, stdin=stdin)

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something holds."""
        await self.world.until(condition, PATIENCE.total_seconds())

    async def planned(self, outreach: str, revision: int = 1) -> None:
        """Waits until a revision can be decided."""
        await self.until(lambda: self.world.outreaches.revision(outreach, revision) is not None)

    async def approve(self, outreach: str, *more: str) -> Done:
        await self.planned(outreach)
        return await self.run("approve", outreach, "--key", self.eve.key, "--yes", *more)


@pytest_asyncio.fixture(loop_scope="session")
async def office(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """Is a running installation with workers and a Temporal server."""
    monkeypatch.setattr(client_module, "ANSWER_WITHIN", PATIENCE)
    for waiting in (
        "resume_all.OPENED_WITHIN",
        "library.OPENED_WITHIN",
        "permits.OPENED_WITHIN",
        "exceptions.CLAIMED_WITHIN",
    ):
        monkeypatch.setattr(f"tellfirst.cli.{waiting}", PATIENCE.total_seconds())
    eve = make_approver(world.folder, "eve")
    register(world.registry, eve)
    address = world.env.client.service_client.config.target_host
    yield Office(world, Shell(world.folder, TEMPORAL_ADDRESS=address), eve)
    # Workers that are stopped while an outreach moves sometimes never end: it comes to rest first.
    async with asyncio.timeout(PATIENCE.total_seconds()):
        for outreach in world.outreaches.all(open_only=True):
            with suppress(NotFoundError):
                while (await world.client.view(outreach.id)).stage in (Stage.PLANNING, Stage.SENDING):
                    await asyncio.sleep(0.05)
