"""The command line `tellfirst`: one file per group of commands."""

import os
import sys


def main() -> None:
    """Runs the command line and ends this process with its exit code."""
    from tellfirst.cli.app import app
    from tellfirst.cli.output import speak_any_encoding

    speak_any_encoding()
    try:
        app(prog_name="tellfirst")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the Temporal client may outlive its event loop and abort an interpreter that is being taken down
    # (temporalio/sdk-python, issue 300): the exit code would be lost. Everything of ours is closed by now.
    os._exit(code)
