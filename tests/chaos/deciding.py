"""People who decide: fresh approvers in the registry's file, keys that are revoked in it, decisions of all kinds."""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from tellfirst.client import OutreachClient
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Condition, Subject
from tellfirst.errors import NotFoundError, UnreachableError
from tellfirst.signing.documents import Choice
from tellfirst.store.outreaches import RevisionRecord
from tests.chaos.place import Place, Told, number_of
from tests.faults.installation import until
from tests.signing.make import Signer, ed25519, envelope

T = TypeVar("T")
CLOSED = "closed"
"""The code of a decision about what has ended already."""


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Does all of it at once and returns what came of each; where one part fails, nothing goes on behind its back."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


class Approver:
    """Is a person with one key, who stands in the registry's file once `join` was called."""

    def __init__(self, file: Path) -> None:
        self.name, self.signer = f"person-{uuid4().hex[:8]}", ed25519()
        self._file = file

    def join(self) -> "Approver":
        """Adds the person to the file."""
        rewrite(self._file, self._file.read_text() + self._entry())
        return self

    def revoke(self) -> None:
        """Revokes the person's key in the file, from now on."""
        revoked = f'{self._entry()}revoked = "{datetime.now(UTC).isoformat()}"\n'
        rewrite(self._file, self._file.read_text().replace(self._entry(), revoked))

    def decides(self, revision: RevisionRecord, decision: Choice = "approve", *, prior: str = "") -> DecisionEnvelope:
        """Returns what the person signs about a revision."""
        return signed(self.signer, self.name, revision, decision, prior=prior)

    def _entry(self) -> str:
        return (
            f'[[people]]\nprincipal = "{self.name}"\nteam = "support"\ninternal = true\nroles = ["Service lead"]\n'
            f'[[people.keys]]\nkey = "{self.signer.line}"\n'
        )


def join(place: Place, count: int) -> list[Approver]:
    """Adds so many people to the registry."""
    return [Approver(place.approvers).join() for _ in range(count)]


def rewrite(file: Path, text: str) -> None:
    """Replaces a file as a deployment does: whoever reads it meanwhile reads one or the other."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)  # noqa: PTH105 - as said


def signed(
    signer: Signer, name: str, revision: RevisionRecord, decision: Choice = "approve", prior: str = "", **other: object
) -> DecisionEnvelope:
    """Returns a decision about a revision, no two alike; `other` are fields of the document that say something else."""
    document = revision.proposal.decide(decision, name, datetime.now(UTC), uuid4().hex, prior).document()
    return envelope(signer, {**document, **other})


async def submit(place: Place, about: str, given: DecisionEnvelope) -> DecisionAnswer:
    """Submits a decision until somebody answers, and says `closed` where nothing is there to be decided any more."""
    while True:
        try:
            return await OutreachClient(place.client).submit(about, given)
        except UnreachableError:
            continue  # as its message says: the same submission counts once
        except NotFoundError:
            return DecisionAnswer(accepted=False, code=CLOSED)


class Case(Frozen):
    """Is an outreach that waits for its decision."""

    told: Told
    revision: RevisionRecord

    @property
    def id(self) -> str:
        """Returns the outreach."""
        return self.told.outreach


async def case(place: Place, people: int = 1, *, trigger: str = "late_delivery", proposer: str = "") -> Case:
    """Starts an outreach to strangers from a condition that names them, and waits until it can be decided."""
    first = place.strangers(people)
    condition = Condition(
        trigger=trigger,
        key=f"case-{first}",
        detected_at=datetime.now(UTC),
        subjects=tuple(subject(n) for n in range(first, first + people)),
        proposer=proposer,
    )
    outreach = (await OutreachClient(place.client).start(condition)).outreach
    return Case(
        told=Told(outreach=outreach, first=first, count=people), revision=await planned(place, outreach, number=1)
    )


def subject(customer: int, key: str = "order") -> Subject:
    """Returns a late parcel of a customer."""
    facts = {"order_id": f"o-{customer}", "promised_at": "2026-11-20"}
    return Subject(key=f"{key}-{customer}", customer=f"c-{customer}", facts=facts)


async def planned(place: Place, outreach: str, *, number: int, within: float = 120) -> RevisionRecord:
    """Waits for a revision and returns it."""
    await until(lambda: place.outreaches.revision(outreach, number) is not None, within)
    record = place.outreaches.revision(outreach, number)
    assert record is not None
    return record


def told_of(place: Place, cases: Sequence[Case]) -> dict[str, int]:
    """Returns how many texts each customer of outreaches got, by number."""
    texts = place.texts()
    numbers = (number_of(n) for one in cases for n in range(one.told.first, one.told.first + one.told.count))
    return {number: texts[number] for number in numbers}
