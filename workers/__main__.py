"""`python -m workers [QUEUE]…`: runs the workers of one process, for all queues or for those, until told to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from temporalio.client import Client
from temporalio.worker import Worker

from activities.turns import Turns
from tellfirst.errors import RefusedError, TellfirstError
from tellfirst.settings import Settings, temporal_connection
from tellfirst.store.chain import Chain
from workers.pool import start_feeds, start_upkeep, workers
from workers.wiring import Application, build

SWITCH_EVERY = 0.001
"""Seconds after which a thread lets others go on, a fifth of Python's own: a decision is not behind a mass of texts."""
STOP_WITHIN = 30.0
"""Seconds for what is in work to end: longer than the time-out of a request and the grace of activities together."""


async def run(
    settings: Settings, turns: Turns, queues: Sequence[str] = (), *, assemble: Callable[..., Application] = build
) -> None:
    """Runs the workers of some queues, by default of all, until SIGINT or SIGTERM; pages in work are handed back first.

    `assemble` takes what `build` takes. Raises InputError for a queue that there is not.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    converter = settings.data_converter
    application = assemble(settings, loop=loop, turns=turns)
    # What is loaded by now stays: without a look at all of it now and then, a row of a plan takes a fifth less.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        refuse_older(application)
        client = await Client.connect(**temporal_connection(), data_converter=converter)
        running = workers(application, client, queues=queues)
        await start_feeds(application, client)
        await start_upkeep(client)
        tasks = [asyncio.create_task(worker.run()) for worker in running]
        logging.getLogger("tellfirst").info("working on %s", ", ".join(worker.task_queue for worker in running))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        rested = await come_to_rest(running, tasks, within=STOP_WITHIN)
    finally:
        await application.close()
    if not rested:
        # The SDK can wait for ever when a workflow task was under way; another worker does what is left.
        logging.getLogger("tellfirst").warning("not everything ended within %d s; leaving", STOP_WITHIN)
        leave(0)


def refuse_older(application: Application) -> None:
    """Raises RefusedError where the database has gone back in time: what it forgot would be sent again."""
    if gone := Chain(application.database).gone():
        raise RefusedError(
            f"the database is older than the anchor of its audit log, which knows {gone:,} more "
            f"{'entry' if gone == 1 else 'entries'}",
            remedy="run `tellfirst recover --since`, with the instant of the backup, before anything is sent from it",
        )


async def come_to_rest(running: Sequence[Worker], tasks: Sequence[asyncio.Task[None]], *, within: float) -> bool:
    """Stops polling, lets what is in work end, and returns whether it did; raises what made a worker stop by itself."""
    goodbye = [asyncio.create_task(worker.shutdown()) for worker in running]
    _, unfinished = await asyncio.wait([*goodbye, *tasks], timeout=within)
    for task in tasks:
        if task.done():
            task.result()
    return not unfinished


def main(queues: Sequence[str], *, assemble: Callable[..., Application] = build) -> int:
    """Returns the exit code of the process."""
    sys.setswitchinterval(SWITCH_EVERY)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "httpcore", "twilio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # they log addresses of requests
    try:
        turns = Turns()
        with asyncio.Runner(loop_factory=turns.loop) as runner:
            runner.run(run(Settings.load(), turns, queues, assemble=assemble))
    except TellfirstError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except RuntimeError as error:
        sys.stderr.write(f"the Temporal server cannot be reached: {error}; check TEMPORAL_ADDRESS\n")
        return 1
    return 0


def leave(code: int) -> None:
    """Ends the process now: the SDK's own threads can abort an interpreter that tears down around them."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
