"""`python -m tellfirst.store migrate`: brings the application's database to the newest version."""

import sys

from tellfirst.errors import TellfirstError
from tellfirst.settings import Settings
from tellfirst.store.engine import open_engine
from tellfirst.store.migrations import migrate


def main(arguments: list[str]) -> int:
    """Runs one command and returns the exit code."""
    if arguments != ["migrate"]:
        sys.stderr.write("usage: python -m tellfirst.store migrate\n")
        return 2
    try:
        migrate(open_engine(Settings.load().database))
    except TellfirstError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
