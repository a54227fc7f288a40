"""The first few and the rest: what became of the ones, and how the word about the others stands."""

from collections.abc import Iterator

from pydantic import AwareDatetime

from tellfirst.cli.output import counted, when
from tellfirst.cli.wiring import Installation
from tellfirst.contract import continue_id
from tellfirst.domain.base import Frozen
from tellfirst.errors import NotFoundError, RefusedError
from tellfirst.signing.kinds import Continue
from tellfirst.store.canaries import Figures
from tellfirst.store.matters import PENDING
from tellfirst.store.outreaches import OutreachRecord, RevisionRecord


class Rest(Frozen):
    """Is how those behind the first few stand; `status` is empty while the first few are not told yet."""

    few: Figures
    rest: int
    status: str
    decide_by: AwareDatetime | None

    def lines(self, reason_code: str) -> Iterator[tuple[str, str]]:
        """Yields what became of the first few, and what is waited for."""
        states = ", ".join(f"{count:,} {state}" for state, count in self.few.states.items()) or "nothing has left"
        held = f" ({self.few.held_out:,} held out)" if self.few.held_out else ""
        yield "first few", f"{counted(self.few.recipients, 'recipient')}{held}: {states}"
        if self.status:
            yield (
                "",
                f"since then {counted(self.few.opted_out, 'opt-out')}, {counted(self.few.contacts, 'contact')} "
                f"({self.few.contacts_about:,} about {reason_code})",
            )
        others = counted(self.rest, "recipient")
        if self.status == PENDING:
            yield (
                "the rest",
                f"{others} until `tellfirst continue`, by {when(self.decide_by)}; silence is not consent",
            )
        else:
            yield "the rest", f"{others}: {WORDS.get(self.status, self.status)}"


WORDS = {
    "": "wait until the first few are told and a person lets them be told too",
    "approved": "told too",
    "rejected": "not told, by decision",
    "expired": "not told: nobody let them be told in time",
    "cleared": "not told: it was over before",
    "aborted": "not told: the outreach was aborted",
}


def rest_of(here: Installation, revision: RevisionRecord) -> Rest | None:
    """Returns how the rest of a revision stands; None where all are told at once."""
    plan = revision.plan
    if not plan.canary:
        return None
    matter = here.matters.get(continue_id(revision.outreach, revision.number))
    return Rest(
        few=here.canaries.figures(
            revision.outreach,
            revision.number,
            pages=plan.canary,
            step=plan.initial.id,
            reason_code=plan.reason_code,
        ),
        rest=_behind(here, revision),
        status="" if matter is None else matter.status,
        decide_by=None if matter is None else matter.proposal.decide_by,
    )


def bound_rest(here: Installation, outreach: OutreachRecord, number: int | None) -> tuple[RevisionRecord, Continue]:
    """Returns what is to be signed about the rest of an outreach, once it is the same as what would leave.

    Raises NotFoundError when nothing waits, RefusedError when the database holds anything else than what was approved.
    """
    waiting = [
        matter.proposal
        for matter in here.matters.of_kind("continue")
        if isinstance(matter.proposal, Continue)
        and matter.proposal.outreach == outreach.id
        and (matter.status == PENDING if number is None else matter.proposal.revision == number)
    ]
    if not waiting:
        raise NotFoundError(
            "no recipients wait for a continue",
            where=outreach.id,
            remedy="look with `tellfirst show` how it stands; it is asked for once the first few were told",
        )
    asked = waiting[0]
    revision = here.outreaches.revision(outreach.id, asked.revision)
    if (
        revision is None
        or asked.environment != here.settings.environment
        or (asked.audience_root, asked.rest) != (revision.proposal.audience_root, _behind(here, revision))
    ):
        raise RefusedError(
            "what would be signed is about other people than those who wait",
            where=outreach.id,
            remedy="tell the person who runs this installation: its data was changed after planning",
        )
    return revision, asked


def _behind(here: Installation, revision: RevisionRecord) -> int:
    pages = revision.plan.page_count
    return here.recipients.rows_on(revision.outreach, revision.number, revision.proposal.canary, pages)
