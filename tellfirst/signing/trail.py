"""The audit trail: entries chained by their hashes, and what anchors kept elsewhere say about them."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, AwareDatetime, Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import personal_pattern
from tellfirst.errors import DecisionRefusedError
from tellfirst.signing.documents import digest

FORMAT = "audit.v1@tellfirst"
BEGINNING = "0" * 64
"""Is what the first entry has for a previous hash."""

Actor = Annotated[str, Field(max_length=200), AfterValidator(lambda name: "" if personal_pattern(name) else name)]
"""The name somebody acts under; an address in its place is left out."""

Fact = str | int | bool | None
Stage = Literal["next", "head"]

_LINE = re.compile(r"([1-9][0-9]{0,18}) ([0-9a-f]{64}) (\S+) (next|head)")


class Entry(Frozen):
    """Is something that was done, by whom and about what: opaque ids, codes, counts and digests, nothing personal."""

    kind: str = Field(min_length=1, max_length=50)
    about: str = Field(max_length=500)
    actor: Actor
    at: AwareDatetime
    facts: dict[str, Fact] = Field(default_factory=dict)
    document: str = ""


class Link(Entry):
    """Is an entry in its place; `hash` is the SHA-256 of all the rest as canonical JSON (RFC 8785)."""

    sequence: int
    previous: str
    hash: str

    @property
    def holds(self) -> bool:
        """Says whether the hash is that of the content."""
        return self.hash == _hash(self)


class Anchor(Frozen):
    """Is one line kept outside the database: an entry about to be the head (`next`), or one that became it (`head`)."""

    sequence: int = Field(ge=1)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: str
    stage: Stage

    @property
    def line(self) -> str:
        """Returns the anchor as a line of its file."""
        return f"{self.sequence} {self.hash} {self.at} {self.stage}\n"


class Anchors(Frozen):
    """Is what the anchor files said before and after the entries were read.

    An entry is announced before it is committed and confirmed after: so whatever was confirmed before the reading has
    to be found, and whatever is found was announced by the time it ended.
    """

    confirmed: tuple[Anchor, ...]
    named: tuple[Anchor, ...]


def link(entry: Entry, last: Link | None) -> Link:
    """Returns `entry` in its place after `last`."""
    made = Link(
        **entry.model_dump(),
        sequence=last.sequence + 1 if last else 1,
        previous=last.hash if last else BEGINNING,
        hash="",
    )
    return made.model_copy(update={"hash": _hash(made)})


def anchor(link: Link, stage: Stage) -> Anchor:
    """Returns the line to keep of an entry."""
    return Anchor(sequence=link.sequence, hash=link.hash, at=_text(link.at), stage=stage)


def read_anchors(text: str) -> tuple[Anchor, ...]:
    """Returns the anchors of a file; a line that a power cut left half written, or that is none, says nothing."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return tuple(Anchor(sequence=int(m[1]), hash=m[2], at=m[3], stage=cast(Stage, m[4])) for m in found if m)


def faults(links: Iterable[Link], anchors: Anchors | None = None) -> list[str]:
    """Returns a sentence for each way in which the trail was tampered with, none when it is as it was written.

    Without anchors a rebuilt trail and a cut end go unseen: nothing inside a database can tell them.
    """
    changed: list[int] = []
    misplaced: list[int] = []
    unknown: list[int] = []
    named = {(a.sequence, a.hash) for a in anchors.named} if anchors else set()
    gone = {(a.sequence, a.hash) for a in anchors.confirmed} if anchors else set()
    last: Link | None = None
    for here in links:
        place = (last.sequence + 1, last.hash) if last else (1, BEGINNING)
        if not here.holds:
            changed.append(here.sequence)
        if (here.sequence, here.previous) != place:
            misplaced.append(here.sequence)
        if anchors and (here.sequence, here.hash) not in named:
            unknown.append(here.sequence)
        gone.discard((here.sequence, here.hash))
        last = here
    return [
        *_sentence(changed, "is not as it was written", "are not as they were written"),
        *_sentence(misplaced, "does not follow the one before it", "do not follow the ones before them"),
        *_sentence(unknown, "stands in no anchor", "stand in no anchor"),
        *_sentence(sorted(n for n, _ in gone), "that was anchored is gone", "that were anchored are gone"),
    ]


def envelope_digest(envelope: object) -> str:
    """Returns the SHA-256 of document and signature as they came; empty where nothing was kept."""
    if not isinstance(envelope, dict):
        return ""
    try:
        return digest(envelope)
    except DecisionRefusedError:
        # A refused one may hold what canonical JSON has no spelling for; nobody can have signed it.
        return digest({"unspeakable": repr(envelope)})


def _hash(here: Link) -> str:
    return digest(
        {
            "format": FORMAT,
            "sequence": here.sequence,
            "at": _text(here.at),
            "kind": here.kind,
            "about": here.about,
            "actor": here.actor,
            "facts": dict(here.facts),
            "document": here.document,
            "previous": here.previous,
        }
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _sentence(sequences: Sequence[int], one: str, many: str) -> list[str]:
    if not sequences:
        return []
    if len(sequences) == 1:
        return [f"audit log: entry {sequences[0]} {one}"]
    return [f"audit log: {len(sequences):,} entries {many}, the first is {sequences[0]}"]
