"""`playbooks owners`: who answers for what, held against the registry of people."""

from collections.abc import Iterator
from typing import Annotated

from tellfirst.cli.output import Json, note, print_json, print_table
from tellfirst.cli.wiring import read_library
from tellfirst.errors import RefusedError
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings
from tellfirst.signing.registry import Registry
from tellfirst.signing.rules import UNKNOWN_PROPOSER


def owners(as_json: Annotated[bool, Json] = False) -> None:
    """List who stands behind each playbook.

    Who owns it, proposes, approves, answers for it and carries it out. What nobody in the registry of approvers is
    or has is named, and the command then fails.
    """
    settings = Settings.load()
    books = [loaded.playbook for _, loaded in sorted(read_library(settings).items())]
    registry = registered(settings)
    gaps = {book.id: list(unheld(book, registry)) for book in books}
    if as_json:
        print_json([_document(book, registry, gaps[book.id]) for book in books])
    else:
        print_table(
            (
                "playbook",
                "owner",
                "proposed by",
                "approved by",
                "who may approve",
                "permitted by",
                "accountable",
                "carried out by",
            ),
            [
                (
                    book.id,
                    book.owners.owner,
                    ", ".join(book.owners.proposers),
                    ", ".join(book.owners.approvers),
                    ", ".join(_approvers(book, registry)) or "-",
                    ", ".join(_permitting(book)) or "-",
                    book.owners.accountable,
                    _team(book.owners.team, registry),
                )
                for book in books
            ],
        )
    if registry is None:
        note(f"{settings.approvers}: there is no registry of approvers to compare with")
    found = [f"{name}: {gap}" for name, told in gaps.items() for gap in told]
    for gap in found:
        note(gap)
    if found:
        raise RefusedError("not every playbook has its people", remedy="name them in the registry or in the playbook")


def registered(settings: Settings) -> Registry | None:
    """Returns the registry of approvers, or None where there is none on this machine; raises SettingsError."""
    return Registry.load(settings.approvers) if settings.approvers.exists() else None


def known_person(name: str, settings: Settings) -> None:
    """Refuses a name under which somebody acts that the registry lacks, where there is one on this machine."""
    registry = registered(settings) if name else None
    if registry is not None and all(person.principal != name for person in registry.people):
        remedy = "give a name of it with --as; `tellfirst keys list` has them"
        raise RefusedError(UNKNOWN_PROPOSER.format(name=name), remedy=remedy)


def unheld(book: Playbook, registry: Registry | None) -> Iterator[str]:
    """Yields in sentences whom a playbook names that nobody in the registry is or has.

    Approvers are roles; the others are a role, a team or a person.
    """
    if registry is None:
        return
    roles = {role for person in registry.people for role in person.roles}
    known = roles | {name for person in registry.people for name in (person.team, person.principal)}
    for role in book.owners.approvers:
        if role not in roles:
            yield f"nobody has the role '{role}' of its approvers"
    for role in _permitting(book):
        if role not in roles:
            yield f"nobody has the role '{role}' of those who permit it in advance"
    named = {
        "owner": (book.owners.owner,),
        "proposers": book.owners.proposers,
        "accountable": (book.owners.accountable,),
        "team": (book.owners.team,),
        "ladder": tuple(level.to for level in book.ladder),
    }
    for what, names in named.items():
        for name in names:
            if name not in known:
                yield f"nobody is '{name}' ({what})"


def _approvers(book: Playbook, registry: Registry | None) -> list[str]:
    return [] if registry is None else [p.principal for p in registry.people if p.may(book.owners.approvers)]


def _permitting(book: Playbook) -> tuple[str, ...]:
    """Returns the roles that permit its outreaches in advance; none where nobody can."""
    return book.approval.standing.approvers if book.approval.standing else ()


def _team(team: str, registry: Registry | None) -> str:
    outside = registry is not None and any(p.team == team and not p.internal for p in registry.people)
    return f"{team} (outsourced)" if outside else team


def _document(book: Playbook, registry: Registry | None, gaps: list[str]) -> dict[str, object]:
    return {
        "playbook": book.id,
        **book.owners.model_dump(mode="json"),
        "may_approve": _approvers(book, registry),
        "permitted_by": list(_permitting(book)),
        "unheld": gaps,
    }
