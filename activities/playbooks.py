"""The playbooks that plans were made from, read once per version."""

from functools import lru_cache

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.schema import Playbook
from tellfirst.store.outreaches import RevisionRecord


class PlannedPlaybooks:
    """Reads the exact playbook of a revision; reading and checking one takes tens of milliseconds, a page few."""

    def __init__(self) -> None:
        self._read = lru_cache(maxsize=64)(_read)

    def of(self, revision: RevisionRecord) -> Playbook:
        """Returns the playbook as it was when the revision was planned."""
        return self._read(revision.playbook_text).playbook

    def is_signed(self, revision: RevisionRecord) -> bool:
        """Returns whether the text that is kept is what the revision's proposal binds, and the same addendum."""
        proposal = revision.proposal
        try:
            loaded = self._read(revision.playbook_text)
        except PlaybookError:
            return False
        return (loaded.version, loaded.playbook.adds) == (proposal.playbook_version, proposal.addendum)


def _read(text: str) -> LoadedPlaybook:
    return parse(text, "the planned playbook")
