"""Runs pytest again and again in forks of a process that has imported what our own code is built on.

Run by its path and not as a module, so that nothing of ours is imported before the fork: each line of its input is a
folder and the arguments, each line of its output how that run ended.
"""

import importlib
import json
import os
import sys
import warnings

BUILT_ON = ("temporalio.testing", "temporalio.worker", "sqlmodel", "alembic", "twilio.rest", "phonenumbers", "fastapi")


def run(folder: str, arguments: list[str]) -> int:
    """Returns the exit code of pytest in a folder; what it says stands in `said` there."""
    if (child := os.fork()) == 0:
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder
        sys.path.insert(0, folder)
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (0, 1, 2):
            os.dup2(said, stream)
        os.setpgid(0, 0)
        code = 3
        try:
            import pytest

            # It would say of what was imported before that it cannot look into it: nothing of that is ours.
            code = pytest.main(["-W", "ignore::pytest.PytestAssertRewriteWarning", *arguments])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    with warnings.catch_warnings():
        for name in BUILT_ON:
            importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(f"{run(*json.loads(line))}\n")
        sys.stdout.flush()
