"""A local stand-in for SendGrid that takes every mail and counts, as a process: `python -m tests.sendgrid_server`.

It prints `ready PORT` once it listens; `GET /counts` tells requests, mails, and mails to who had one before.
"""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

from tests.http_connection import Connection


class Mails:
    """Runs the stand-in as a process."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.sendgrid_server"],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.base_url = f"http://127.0.0.1:{int(self.process.stdout.readline().split()[1])}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def counts(self) -> dict[str, int]:
        """Returns requests, mails and duplicates."""
        with urllib.request.urlopen(f"{self.base_url}/counts", timeout=30) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


async def serve() -> None:
    """Serves until the process is ended."""
    counts, seen = {"requests": 0, "mails": 0, "duplicates": 0}, set[str]()

    def handle(on: Connection, method: str, target: str, headers: dict[str, str], body: str) -> None:
        if method == "GET":
            return on.answer(200, json.dumps(counts))
        mails = [one["to"][0]["email"] for one in json.loads(body)["personalizations"]]
        counts["requests"] += 1
        counts["mails"] += len(mails)
        counts["duplicates"] += len(mails) - len(set(mails) - seen)
        seen.update(mails)
        return on.answer(202, "", headers={"X-Message-Id": f"m{counts['requests']}"})

    listening = await asyncio.get_running_loop().create_server(lambda: Connection(handle), "127.0.0.1", 0)
    print("ready", listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
