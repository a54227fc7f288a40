"""The provider's own record of what it accepted: the truth that our database is held against.

It is one JSON object a line: `sid`, `to`, `body`, and where it has one `status_callback`, whose `d` names the send.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError

from tellfirst.cli.output import progress
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Rendered, SendState
from tellfirst.domain.plan import INITIAL
from tellfirst.errors import InputError
from tellfirst.signing.audience import content_digest
from tellfirst.store.audit import Audit, AuditedSend

CHANNEL = "sms"
LINES = 500
IN_DOUBT = (SendState.INTENT, SendState.UNKNOWN)


class Logged(Frozen):
    """Is one message that the provider accepted."""

    sid: str
    to: str
    body: str
    status_callback: str | None = None

    @property
    def send(self) -> str:
        """Returns our id for it, where the callback carries one."""
        values = parse_qs(urlsplit(self.status_callback or "").query).get("d", [])
        return values[0] if len(values) == 1 else ""

    @property
    def text(self) -> str:
        """Returns the digest of what it says, as the effect log keeps it."""
        return content_digest(Rendered(body=self.body))


class ProviderLog:
    """Is a provider's log held against the effect log; keeps the messages' ids in memory and nothing else of them."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._sids: set[str] = set()
        self._explained: set[str] = set()
        self.duplicate = self.unauthorised = self.claimed_twice = 0

    def read(self, path: Path) -> None:
        """Reads the whole log; raises InputError naming the line that is not a message."""
        for lines in messages(path):
            self._take(lines)

    def has(self, sid: str) -> bool:
        """Returns whether the provider accepted a message under this id."""
        return sid in self._sids

    def _take(self, lines: list[Logged]) -> None:
        again = [line for line in lines if line.sid in self._sids]
        fresh = list({line.sid: line for line in lines if line.sid not in self._sids}.values())
        self.duplicate += len(again) + (len(lines) - len(again) - len(fresh))
        self._sids.update(line.sid for line in fresh)
        owners: dict[str, list[AuditedSend]] = {}
        for send in self._audit.sends_as([line.sid for line in fresh]):
            owners.setdefault(send.provider_id, []).append(send)
        # One message cannot be two sends' message: all but one of those who claim it got none.
        self.claimed_twice += sum(len(sends) - 1 for sends in owners.values())
        strays = [line for line in fresh if line.sid not in owners]
        named = self._audit.sends([line.send for line in strays if line.send])
        to = self._audit.sends_to(CHANNEL, sorted({line.to for line in strays}))
        for line in strays:
            self._explain(line, [named[line.send]] if line.send in named else to.get(line.to, []), line.send in named)

    def _explain(self, line: Logged, sends: list[AuditedSend], is_named: bool) -> None:
        same = [send for send in sends if is_named or _may_say(send, line.text)]
        doubtful = [send for send in same if send.state in IN_DOUBT and send.id not in self._explained]
        if doubtful:
            self._explained.add(doubtful[0].id)
        elif same:
            self.duplicate += 1
        else:
            self.unauthorised += 1


def _may_say(send: AuditedSend, text: str) -> bool:
    """Says whether a send may have this text: by what was recorded of it, else by what was approved."""
    if send.body_digest:
        return send.body_digest == text
    # A process that died in flight recorded no text. Only first messages have an approved one to compare with.
    return send.approved_text == text or (send.step != INITIAL and send.state in IN_DOUBT)


def messages(path: Path) -> Iterator[list[Logged]]:
    """Yields the messages of a log in lists; raises InputError naming the line that is none."""
    try:
        size = path.stat().st_size
        with path.open(encoding="utf-8") as file, progress(f"reading {path.name}", size, unit="bytes") as step:
            number = 0
            while lines := list(islice(file, LINES)):
                read = []
                for line in lines:
                    number += 1
                    step(len(line.encode()))
                    if line.strip():
                        read.append(_read(line, path, number))
                yield read
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or 'no such file'}", where=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=str(path)) from None


def _read(line: str, path: Path, number: int) -> Logged:
    try:
        return Logged.model_validate(json.loads(line))
    except (ValidationError, ValueError):
        raise InputError(
            f"line {number} is not a message with sid, to and body", where=str(path), remedy="export the log again"
        ) from None
