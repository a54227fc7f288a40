"""The dry run: one file per message that would have been sent.

The files hold addresses and texts, so the directory is for its owner alone (0700, files 0600), and whoever keeps it
keeps personal data: delete it like any other. `tellfirst verify` and the demo read it back.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from tellfirst.channels.base import Idempotency
from tellfirst.domain.base import Outside
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import InputError, RowError, SettingsError

TOO_LATE = "too_late"
_SEND_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")


class OutboxMessage(Outside):
    """Is one message of an outbox, as its file holds it."""

    send_id: str
    channel: str
    address: str
    locale: str
    subject: str
    body: str
    not_after: AwareDatetime
    unsubscribe_url: str = ""
    preferences_url: str = ""


class Outbox:
    """Writes the messages of one channel to `directory` instead of sending them; several channels may share it.

    The send id is the name of the file, so a send id written twice is one message, and the first one stays.
    """

    name = "outbox"
    idempotency: Idempotency = "key"
    key_window = timedelta(days=3650)  # a file stays
    in_flight = 200

    def __init__(self, directory: Path, channel: str) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            raise SettingsError(
                "the outbox holds personal data but others may open its directory",
                where=str(directory),
                remedy="give it a directory of its own with mode 0700",
            )
        self._directory = directory
        self._channel = channel

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Writes the batch, synced to disk, before it answers; raises InputError for a send id it may not use."""
        # Every name is judged before the first file is written: a refused batch leaves nothing behind.
        paths = [self._path(message) for message in batch]
        return await asyncio.to_thread(self._write_batch, batch, paths, now)

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when the message's file is there."""
        return _accepted(message) if self._path(message).exists() else None

    async def status(self, provider_id: str) -> None:
        """Has no receipts: a file is written and that is all."""

    async def close(self) -> None:
        """Has nothing to close."""

    def _path(self, message: Outbound) -> Path:
        if not _SEND_ID.fullmatch(message.send_id):
            raise InputError(
                "a send id names a file, so it may hold only lower-case letters, digits and hyphens",
                where=f"channel '{self._channel}'",
            )
        if message.channel != self._channel:
            raise InputError(
                f"a message for channel '{message.channel}' was handed to the outbox of '{self._channel}'",
                where=message.send_id,
            )
        return self._directory / f"{message.send_id}.json"

    def _write_batch(self, batch: Sequence[Outbound], paths: Sequence[Path], now: datetime) -> list[Answer]:
        answers = [self._write(message, path, now) for message, path in zip(batch, paths, strict=True)]
        try:
            _sync(self._directory)
        except OSError as error:
            doubt = {"kind": AnswerKind.AMBIGUOUS, "provider_id": "", "detail": type(error).__name__}
            return [one.model_copy(update=doubt if one.kind is AnswerKind.ACCEPTED else {}) for one in answers]
        return answers

    def _write(self, message: Outbound, path: Path, now: datetime) -> Answer:
        if path.exists():
            return _accepted(message)
        if now >= message.not_after:
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail=TOO_LATE)
        content = OutboxMessage(
            send_id=message.send_id,
            channel=message.channel,
            address=message.address,
            locale=message.locale,
            subject=message.rendered.subject,
            body=message.rendered.body,
            not_after=message.not_after,
            unsubscribe_url=message.unsubscribe_url,
            preferences_url=message.preferences_url,
        )
        try:
            _write_whole(path, content.model_dump_json(indent=2, exclude_defaults=True).encode() + b"\n")
        except OSError as error:
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail=type(error).__name__)
        return _accepted(message)


def read_outbox(directory: Path) -> Iterator[OutboxMessage]:
    """Returns the messages of an outbox in the order of their send ids; a missing directory is an empty outbox.

    Raises RowError for a file that is not one of ours.
    """
    for path in sorted(directory.glob("*.json")):
        try:
            message = OutboxMessage.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise RowError("not a message of an outbox", where=str(path), remedy="move the file away") from error
        if message.send_id != path.stem:
            raise RowError("the file's name is not its message's send id", where=str(path), remedy="move the file away")
        yield message


def _accepted(message: Outbound) -> Answer:
    return Answer(send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=f"outbox-{message.send_id}")


def _sync(directory: Path) -> None:
    # A renamed file survives a power cut only once its directory is synced: once per batch is enough.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_whole(path: Path, content: bytes) -> None:
    # A reader sees the whole file or none; mkstemp makes it 0600 from the start.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
