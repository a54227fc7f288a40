"""Two files brought together by customer without holding either in memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple

PARTS = 64
"""Files in which customers are spread: one at a time is in memory."""

_RECORD = Struct("<8sdI")
"""A digest of the customer (no reference of a person is written to disk), a second, and a name by its number."""


class Life(NamedTuple):
    """Is what happened to one customer: events and contacts as (second, name)."""

    events: list[tuple[float, str]]
    contacts: list[tuple[float, str]]


class Spill:
    """Keeps what happened on disk, spread by customer, until it is read once; the files are gone at the end."""

    def __enter__(self) -> "Spill":
        """Makes the files."""
        self._open = ExitStack()
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix="tellfirst-")))
        self._parts = [self._open.enter_context((folder / f"{n}").open("w+b")) for n in range(PARTS)]
        self._numbers: dict[tuple[str, bool], int] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes the files."""
        self._open.close()

    def add(self, customer: str, second: float, name: str, *, is_event: bool) -> None:
        """Keeps one event or contact."""
        digest = blake2b(customer.encode(), digest_size=8).digest()
        number = self._numbers.setdefault((name, is_event), len(self._numbers))
        self._parts[digest[0] % PARTS].write(_RECORD.pack(digest, second, number))

    def each(self, step: Callable[[int], None]) -> Iterator[Life]:
        """Yields customer by customer; `step` hears of each part that is done."""
        names = list(self._numbers)
        for part in self._parts:
            part.seek(0)
            for _, records in groupby(sorted(_RECORD.iter_unpack(part.read())), key=lambda record: record[0]):
                life = Life([], [])
                for _, second, number in records:
                    name, is_event = names[number]
                    (life.events if is_event else life.contacts).append((second, name))
                yield life
            step(1)
