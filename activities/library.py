"""The library gate: which versions of playbooks may send, and how a version comes to be let."""

import secrets
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import ValidationError

from activities.approvals import RegistryFile
from activities.matter_life import MatterKind, OpenedMatter
from activities.matters import MatterApprovals
from tellfirst.contract import LibraryProposal, library_id
from tellfirst.errors import PlaybookError, SettingsError
from tellfirst.playbooks.addendum import adds_only_texts
from tellfirst.playbooks.change import data_changed, points
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import FOR_EVER, LibraryChange
from tellfirst.signing.rules import library_rule, may_not_propose, misstates
from tellfirst.store.decisions import Decisions
from tellfirst.store.matters import APPROVED, EXPIRED, PENDING, MatterRecord, Matters
from tellfirst.store.outreaches import Outreaches

REMIND_AFTER = timedelta(days=1)
ESCALATE_AFTER = timedelta(days=3)
EXPIRE_AFTER = timedelta(days=14)


class LibraryGate:
    """Says which versions are live: those whose signed library decisions hold now.

    `demanded` says whether only live versions may send here, `live` whether playbooks for tests may not.
    """

    def __init__(
        self,
        *,
        matters: Matters,
        decisions: Decisions,
        outreaches: Outreaches,
        approvals: MatterApprovals,
        demanded: bool,
        live: bool,
    ) -> None:
        self._matters, self._decisions, self._outreaches = matters, decisions, outreaches
        self._approvals, self._demanded, self._live = approvals, demanded, live
        self._read = lru_cache(maxsize=64)(_read)

    def refusal(self, playbook: Playbook, version: str, *, now: datetime) -> str:
        """Returns why this version may not send here and now, as a code; empty when it may.

        An addendum may while the version may that it is added to, and only where it adds nothing but texts.
        """
        if playbook.addendum is not None:
            base = self._kept(playbook.addendum.version)
            if base is None or not adds_only_texts(base.playbook, playbook):
                return "addendum_differs"
            return self.refusal(base.playbook, base.version, now=now)
        if self._live and playbook.purpose_of_use == "test":
            return "test_playbook"
        if not self._demanded:
            return ""
        code = self.holds(playbook.id, version, now=now)
        return f"playbook_not_live:{code}" if code else ""

    def holds(self, playbook: str, version: str, *, now: datetime) -> str:
        """Returns an empty text while a version is live, else the code of what is wrong."""
        about = library_id(playbook, version)
        matter = self._matters.get(about)
        if matter is None or not isinstance(matter.proposal, LibraryChange):
            return "not_approved"
        if self.misstates(matter.proposal):
            return "stale_content"
        code = self._approvals.holds(matter, library_rule(matter.proposal), now)
        return code or ("" if self._is_agreed_data(matter.proposal) else "data_not_agreed")

    def editor(self, playbook: str, version: str, *, now: datetime) -> str:
        """Returns who proposed a version that a library decision lets go live; empty without one."""
        matter = self._matters.get(library_id(playbook, version))
        if matter is None or not isinstance(matter.proposal, LibraryChange):
            return ""
        return "" if self.holds(playbook, version, now=now) else matter.proposal.proposer

    def live_version(self, playbook: str, *, now: datetime, besides: str = "") -> str:
        """Returns the version of a playbook that went live last and still is; empty when there is none."""
        approved = [
            (self._decisions.approvals(matter.about)[-1:], matter.proposal.playbook_version)
            for matter in self._matters.of_kind("library", APPROVED)
            if isinstance(matter.proposal, LibraryChange) and matter.proposal.playbook == playbook
        ]
        latest_first = sorted(((d[0].received_at, version) for d, version in approved if d), reverse=True)
        for _, version in latest_first:
            if version != besides and not self.holds(playbook, version, now=now):
                return version
        return ""

    def overtaken(self, change: LibraryChange, *, now: datetime) -> bool:
        """Returns whether a change that is not decided yet was proposed for another library than there is now."""
        live = self.live_version(change.playbook, now=now, besides=change.playbook_version)
        return live != change.replaces or self.misstates(change)

    def misstates(self, change: LibraryChange) -> bool:
        """Returns whether a change says of data or checklist anything else than the texts that are kept."""
        old = self._kept(change.replaces) if change.replaces else None
        return misstates(change, self._kept(change.playbook_version), old)

    def _is_agreed_data(self, change: LibraryChange) -> bool:
        """Returns whether a privacy owner signed for the data: with this change, or with one that it goes back to.

        That a text is kept, and has the same data, says nothing: anybody may have put it there.
        """
        seen: set[str] = set()
        todo = [change]
        while todo:
            one = todo.pop()
            if one.data_changed or not one.replaces:
                return True  # it took a privacy owner, or there is no data
            if one.replaces not in seen:
                seen.add(one.replaces)
                before = self._approvals.were_let(library_id(one.playbook, one.replaces))
                todo += [earlier for earlier in before if not self.misstates(earlier)]
        return False

    def _kept(self, version: str) -> LoadedPlaybook | None:
        text = self._outreaches.playbook_text(version)
        loaded = None if text is None else self._read(text)
        return loaded if loaded is not None and loaded.version == version else None


class LibraryChanges(MatterKind):
    """Opens changes of the library, and says who lets them go live."""

    def __init__(
        self,
        *,
        matters: Matters,
        outreaches: Outreaches,
        gate: LibraryGate,
        registry: RegistryFile,
        environment: str,
    ) -> None:
        self._matters, self._outreaches = matters, outreaches
        self._gate, self._registry, self._environment = gate, registry, environment

    def open(self, about: str, given: object, now: datetime) -> OpenedMatter:
        """Keeps the text and opens its change."""
        try:
            proposal = LibraryProposal.model_validate(given)
            loaded = parse(proposal.text, "the proposed playbook")
        except ValidationError:
            return OpenedMatter(status="refused", reason="the proposal is malformed")
        except PlaybookError as error:
            return OpenedMatter(status="refused", reason=str(error)[:500])
        book, version = loaded.playbook, loaded.version
        if book.addendum is not None:
            return OpenedMatter(status="refused", reason="a correction is decided with its outreach")
        if about != library_id(book.id, version):
            return OpenedMatter(status="refused", reason="the workflow's id names another version than its text")
        try:
            refusal = may_not_propose(proposal.proposer, book, self._registry.current())
        except SettingsError as error:
            refusal = str(error)
        if refusal:
            return OpenedMatter(status="refused", reason=refusal[:500])
        self._outreaches.keep_playbook(version, book.id, loaded.text, now=now)
        if self._overtaken(about, now):
            self._matters.set_status(about, EXPIRED, at=now, only=(PENDING, APPROVED))
        record = self._matters.open(self._change(loaded, proposal.proposer, now), proposal.proposer, now)
        return OpenedMatter(
            status=record.status,
            question=f"version {version[:12]} of the playbook '{book.id}' may go live",
            otherwise="it stays as it is, not live",
            how="run `tellfirst playbooks diff` and then `tellfirst playbooks approve` or `tellfirst playbooks reject`",
            playbook=book.id,
            owner=book.owners.owner,
            roles=self.rule(record).roles,
            ladder=book.rungs,
            remind_at=record.opened_at + REMIND_AFTER,
            escalate_at=record.opened_at + ESCALATE_AFTER,
            decide_by=record.proposal.decide_by,
        )

    def rule(self, matter: MatterRecord) -> ApprovalRule:
        """Returns the roles of the library, one person for each."""
        return library_rule(_change_of(matter))

    def overtaken(self, matter: MatterRecord, now: datetime) -> str:
        """Returns why the change was proposed for another library than there is now."""
        if not self._gate.overtaken(_change_of(matter), now=now):
            return ""
        return "the library is no longer what this change was proposed for; propose it again"

    def _overtaken(self, about: str, now: datetime) -> bool:
        """Returns whether a change waits for what is no longer so, or was approved with keys that no longer hold."""
        known = self._matters.get(about)
        if known is None or not isinstance(known.proposal, LibraryChange):
            return False
        if known.status == PENDING:
            return now > known.proposal.decide_by or self._gate.overtaken(known.proposal, now=now)
        version = known.proposal.playbook_version
        return known.status == APPROVED and bool(self._gate.holds(known.proposal.playbook, version, now=now))

    def _change(self, loaded: LoadedPlaybook, proposer: str, now: datetime) -> LibraryChange:
        book = loaded.playbook
        replaces = self._gate.live_version(book.id, now=now, besides=loaded.version)
        text = self._outreaches.playbook_text(replaces) if replaces else None
        old = None if text is None else parse(text, "the live playbook").playbook
        return LibraryChange(
            environment=self._environment,
            decide_by=now + EXPIRE_AFTER,
            valid_until=FOR_EVER,
            nonce=secrets.token_hex(16),
            playbook=book.id,
            playbook_version=loaded.version,
            replaces=replaces,
            data_changed=data_changed(old, book),
            checklist=points(book),
            proposer=proposer,
        )


def _change_of(matter: MatterRecord) -> LibraryChange:
    assert isinstance(matter.proposal, LibraryChange)  # noqa: S101 - by its name
    return matter.proposal


def _read(text: str) -> LoadedPlaybook | None:
    try:
        return parse(text, "the kept playbook")
    except PlaybookError:
        return None
