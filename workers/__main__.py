"""`python -m workers`: runs the workers of one process until it is told to stop."""

import asyncio
import logging
import signal
import sys

from temporalio.client import Client

from tellfirst.contract import DATA_CONVERTER
from tellfirst.errors import TellfirstError
from tellfirst.settings import Settings, temporal_connection
from workers.wiring import build, workers


async def run(settings: Settings) -> None:
    """Runs until SIGINT or SIGTERM; pages in work are handed back first."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    application = build(settings, loop=loop)
    try:
        client = await Client.connect(**temporal_connection(), data_converter=DATA_CONVERTER)
        running = workers(application, client)
        tasks = [asyncio.create_task(worker.run()) for worker in running]
        logging.getLogger("tellfirst").info("working on %s", ", ".join(worker.task_queue for worker in running))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        await asyncio.gather(*(worker.shutdown() for worker in running))
        await asyncio.gather(*tasks)
    finally:
        await application.close()


def main() -> int:
    """Returns the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "httpcore", "twilio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # they log addresses of requests
    try:
        asyncio.run(run(Settings.load()))
    except TellfirstError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except RuntimeError as error:
        sys.stderr.write(f"the Temporal server cannot be reached: {error}; check TEMPORAL_ADDRESS\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
