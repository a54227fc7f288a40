"""`python -m tellfirst.web`: serves until it is told to stop."""

import logging
import signal
import sys

import uvicorn

from tellfirst.errors import TellfirstError
from tellfirst.settings import Settings
from tellfirst.store.engine import Database, open_engine
from tellfirst.web.app import create_app


def main() -> int:
    """Returns the exit code of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.load()
        database = Database(open_engine(settings.database), anchor=settings.anchor)
        app = create_app(settings, database)
    except TellfirstError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    # The server stops on these and then raises them once more, for whoever listened before it.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    # No access log: a request line holds whatever anybody on the internet puts there.
    config = uvicorn.Config(
        app,
        host=settings.web_host,
        port=settings.web_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    try:
        uvicorn.Server(config).run()
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
