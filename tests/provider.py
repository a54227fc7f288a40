"""A local stand-in for Twilio, in a process of its own: `python -m tests.provider --port 0 --log F`.

Every message it accepts is one JSON line in the log, written before the answer leaves: the log is the only truth about
what a customer would have received, whatever happened to the caller. `/control` sets faults and reads counts.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.twilio_server import ACCOUNT_SID, AUTH_TOKEN, SERVICE_SID, Json, serve


class Provider:
    """Runs the provider as a process and steers it; every call is synchronous."""

    account_sid, auth_token, service_sid = ACCOUNT_SID, AUTH_TOKEN, SERVICE_SID

    def __init__(self, log: Path, *, port: int = 0, delay_ms: int = 0, seed: int = 1) -> None:
        self.log = log
        command = ["--port", str(port), "--log", str(log), "--delay", str(delay_ms), "--seed", str(seed)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.provider", *command],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        word, _, number = self._process.stdout.readline().partition(" ")
        if word != "ready":
            self._process.wait()
            raise RuntimeError("the local provider did not start")
        self.port = int(number)
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._client = httpx.Client(base_url=self.base_url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process; the log stays, and a provider started on it remembers its messages."""
        self._client.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def accepted(self, to: str | None = None) -> list[Json]:
        """Returns what the provider accepted, in order: sid, to, body (or markup), at, status_callback, form."""
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be half written
        records = [json.loads(line) for line in whole.splitlines()]
        return [record for record in records if to in (None, record["to"])]

    def content(self, sid: str, words: str) -> None:
        """Registers words with places such as {{1}} by their ContentSid."""
        self._control("content", **{sid: words})

    def tell(self, base: str, *, lines: int = 400, sent_after: float = 0.2, delivered_after: float = 1.0) -> None:
        """Lets the status callbacks of every message accepted from now on be posted to `base`; see `Callbacks`."""
        self._control("callbacks", base=base, lines=lines, sent_after=sent_after, delivered_after=delivered_after)

    def fault(self, mode: str, **options: object) -> None:
        """Adds a fault of MODES; options: times, probability, to_suffix, and what the mode names.

        The first fault that fits a request applies to it.
        """
        self._control("fault", mode=mode, **options)

    def clear(self) -> None:
        """Removes every fault; held requests stay held."""
        self._control("clear")

    def release(self) -> None:
        """Answers the held requests."""
        self._control("release")

    def reset(self) -> None:
        """Forgets messages, faults and counts, and empties the log."""
        self._control("reset")

    def stats(self) -> dict[str, int]:
        """Returns requests, accepted, lookups, in_flight, max_in_flight, held, told, refused, and faults by mode."""
        return self._control("stats")

    def wait(self, **least: int) -> dict[str, int]:
        """Returns the counts once each named one has reached its value, as in `wait(held=8)`."""
        return self._control("wait", **least)

    def _control(self, what: str, **wish: object) -> dict[str, int]:
        answer = self._client.post(f"/control/{what}", json=wish).raise_for_status()
        counts: dict[str, int] = answer.json()
        return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", type=Path, required=True, help="one JSON line per accepted message")
    parser.add_argument("--delay", type=float, default=0, metavar="MS", help="time from accepting to answering")
    parser.add_argument("--seed", type=int, default=1, help="of the faults with a probability")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.log, given.delay / 1000, given.seed))
