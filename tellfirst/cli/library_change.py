"""Changes of the library as the database holds them: found, compared with what is live, held against their texts."""

from pathlib import Path

from tellfirst.cli.agreement import agreement
from tellfirst.cli.wiring import Installation, find_playbook, read_library
from tellfirst.contract import library_id
from tellfirst.errors import DecisionRefusedError, InputError, NotFoundError, PlaybookError, RefusedError
from tellfirst.playbooks.change import data_changed, difference
from tellfirst.playbooks.loader import LoadedPlaybook, load_file, parse
from tellfirst.settings import Settings
from tellfirst.signing.kinds import LibraryChange
from tellfirst.signing.rules import library_rule, misstates
from tellfirst.store.decisions import DecisionRecord
from tellfirst.store.matters import APPROVED, MatterRecord


def given_playbook(source: str, settings: Settings) -> LoadedPlaybook:
    """Returns the playbook of a file, or an installed one by its id; raises PlaybookError or NotFoundError."""
    path = Path(source)
    if path.suffix == ".toml" or _is_file(path):
        return load_file(path)
    return find_playbook(read_library(settings), source)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than the name of any file
        return False


def live_version(here: Installation, playbook: str, *, besides: str = "") -> str:
    """Returns the version of a playbook that was approved last and not taken back; empty when there is none.

    Where the registry is at hand, an approval counts only while its signatures hold.
    """
    approved = [
        (decided[-1].received_at, change_of(record).playbook_version)
        for record in here.matters.of_kind("library", APPROVED)
        if change_of(record).playbook == playbook
        and is_agreed(here, record)
        and (decided := here.decisions.approvals(record.about))
    ]
    return next((version for _, version in sorted(approved, reverse=True) if version != besides), "")


def may_send(here: Installation, loaded: LoadedPlaybook) -> bool:
    """Returns whether a version may send in this installation, as far as can be told here; workers judge it again."""
    if loaded.playbook.purpose_of_use == "test" and here.settings.is_live:
        return False
    record = here.matters.get(library_id(loaded.playbook.id, loaded.version))
    return not here.settings.demands_library or (
        record is not None and record.status == APPROVED and is_agreed(here, record)
    )


def find_change(here: Installation, name: str, status: str) -> MatterRecord:
    """Returns the one change of a status that is named by its playbook or its version's start; else raises."""
    found = [
        record
        for record in here.matters.of_kind("library", status)
        if name in (change_of(record).playbook, record.about)
        or (len(name) >= 6 and change_of(record).playbook_version.startswith(name))
    ]
    if not found:
        raise NotFoundError(
            f"no version of that name is {status}", where=name, remedy="`tellfirst playbooks history` lists them"
        )
    if len(found) > 1:
        versions = ", ".join(change_of(record).playbook_version[:12] for record in found)
        raise InputError(f"several versions are {status}: {versions}", where=name, remedy="give the start of one")
    return found[0]


def change_of(record: MatterRecord) -> LibraryChange:
    """Returns what a matter of kind library proposes."""
    if not isinstance(record.proposal, LibraryChange):
        raise RefusedError("what is kept is no change of the library", where=record.about)
    return record.proposal


def bound_playbook(here: Installation, change: LibraryChange) -> LoadedPlaybook:
    """Returns the very text that a change lets go live; refuses one that says anything else than its texts."""
    new, old = _kept(here, change.playbook_version), _kept(here, change.replaces)
    live = live_version(here, change.playbook, besides=change.playbook_version)
    if new is None or misstates(change, new, old):
        raise DecisionRefusedError(
            "stale_content", "what is kept of this version is not what was proposed", remedy="propose it again"
        )
    if live != change.replaces:
        raise DecisionRefusedError(
            "stale_content", "another version went live since this one was proposed", remedy="propose it again"
        )
    return new


def difference_to(here: Installation, loaded: LoadedPlaybook, live: str) -> tuple[list[str], bool]:
    """Returns the lines in which a playbook differs from version `live`, and whether its data changed."""
    old = _kept(here, live)
    changed = data_changed(old.playbook if old else None, loaded.playbook)
    return difference(old.text if old else "", loaded.text), changed


def change_document(record: MatterRecord, change: LibraryChange, decisions: list[DecisionRecord]) -> dict[str, object]:
    """Returns a change and its decisions as plain JSON values."""
    return {
        "playbook": change.playbook,
        "version": change.playbook_version,
        "replaces": change.replaces,
        "status": record.status,
        "proposer": record.proposer,
        "opened_at": record.opened_at.isoformat(),
        "data_changed": change.data_changed,
        "checklist": list(change.checklist),
        "decisions": [
            {
                "decision": one.decision,
                "approver": one.approver,
                "accepted": one.accepted,
                "code": one.code,
                "received_at": one.received_at.isoformat(),
                "answers": _answered(one),
            }
            for one in decisions
        ],
    }


def _answered(record: DecisionRecord) -> object:
    document = (record.envelope or {}).get("document")
    return document.get("answers", []) if isinstance(document, dict) else []


def is_agreed(here: Installation, record: MatterRecord) -> bool:
    """Returns whether enough of the signatures of a change hold now, as far as the registry here tells."""
    change = change_of(record)
    rule = library_rule(change)
    return change.about == record.about and len(agreement(here, change, rule).approvers) >= rule.needed


def _kept(here: Installation, version: str) -> LoadedPlaybook | None:
    text = here.outreaches.playbook_text(version) if version else None
    if text is None:
        return None
    try:
        loaded = parse(text, f"version {version[:12]}")
    except PlaybookError:
        return None
    return loaded if loaded.version == version else None
