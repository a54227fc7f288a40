"""A worker that was thought dead: it sends a page beside everybody else, and stands still where it is told to."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlmodel import Session
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.pages import PageRequest
from tests.world import World
from workers.wiring import Application, build


class Stray:
    """Is one attempt at a page in an installation of its own, as another process has it.

    It stands still before it begins its transaction number `stand_at`, as if it were stopped there, until `go`.
    """

    def __init__(self, world: World, request: PageRequest, *, at: datetime, stand_at: int) -> None:
        self._loop, self._stand_at = world.loop, stand_at
        self._on, self._stands = threading.Event(), threading.Event()
        self._app: Application = build(
            world.settings,
            loop=world.loop,
            adapters={"sms": world.sms, "email": world.email, "in_app": world.in_app},  # type: ignore[dict-item]
            library=world.library,
        )
        self._transactions = 0
        self._write = self._app.database.write
        self._app.database.write = self._begins  # type: ignore[method-assign]
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, started_time=at)
        self._done: Future[Any] = Future()
        threading.Thread(target=self._run, args=(environment, request), daemon=True).start()
        self._stands.wait(5)

    def _run(self, environment: ActivityEnvironment, request: PageRequest) -> None:
        try:
            with suppress(ApplicationError):  # somebody else has the page
                environment.run(self._app.dispatch.dispatch, request)
        except BaseException as error:
            self._done.set_exception(error)
        else:
            self._done.set_result(None)
        finally:
            self._stands.set()

    @contextmanager
    def _begins(self) -> Iterator[Session]:
        self._transactions += 1
        if self._transactions == self._stand_at:
            self._stands.set()
            self._on.wait(30)
        with self._write() as session:
            yield session

    def go(self) -> None:
        """Lets it go on, and waits for its end; what it broke it raises."""
        self._on.set()
        self._done.result(30)
        asyncio.run_coroutine_threadsafe(self._app.close(), self._loop).result(30)
