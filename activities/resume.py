"""The end of a pause of everything: two people sign it, and the second signature ends it."""

import secrets
from datetime import datetime, timedelta

from activities.matter_life import MatterKind, OpenedMatter
from tellfirst.contract import resume_id
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import Resume
from tellfirst.signing.rules import resume_rule
from tellfirst.store.controls import Controls
from tellfirst.store.decisions import Effect
from tellfirst.store.matters import APPROVED, EXPIRED, PENDING, MatterRecord, Matters

REMIND_AFTER = timedelta(minutes=10)
ESCALATE_AFTER = timedelta(minutes=30)
EXPIRE_AFTER = timedelta(hours=4)
"""Both sign within so long: what somebody thought yesterday says nothing about today."""


class Resumes(MatterKind):
    """Opens the end of the present pause, and says who decides it."""

    def __init__(self, *, matters: Matters, controls: Controls, environment: str) -> None:
        self._matters, self._controls, self._environment = matters, controls, environment

    def open(self, about: str, given: object, now: datetime) -> OpenedMatter:
        """Opens the end of the pause that is on; what was rejected, or that nobody signed in time, is opened anew."""
        pause = self._controls.pause()
        if pause is None or resume_id(pause.value) != about:
            return OpenedMatter(status="refused", reason="that pause is not on")
        known = self._matters.get(about)
        if known is not None and (known.status != PENDING or now > known.proposal.decide_by):
            self._matters.set_status(about, EXPIRED, at=now)
        proposal = Resume(
            environment=self._environment,
            decide_by=now + EXPIRE_AFTER,
            valid_until=now + EXPIRE_AFTER,
            nonce=secrets.token_hex(16),
            pause=pause.value,
            paused_by=pause.by,
            paused_at=pause.at,
        )
        record = self._matters.open(proposal, "", now)
        rule = self.rule(record)
        return OpenedMatter(
            status=record.status,
            question=f"what was paused as a whole on {pause.at:%d %b %Y, %H:%M} UTC goes on",
            otherwise="everything stays paused",
            how=f"{rule.needed} people run `tellfirst resume --all`",
            owner=rule.roles[0],
            roles=rule.roles,
            remind_at=record.opened_at + REMIND_AFTER,
            escalate_at=record.opened_at + ESCALATE_AFTER,
            decide_by=record.proposal.decide_by,
        )

    def rule(self, matter: MatterRecord) -> ApprovalRule:
        """Returns two people with the roles for it."""
        return resume_rule()

    def overtaken(self, matter: MatterRecord, now: datetime) -> str:
        """Returns that the pause is another one than is on now."""
        pause = self._controls.pause()
        if matter.status == APPROVED or (pause is not None and resume_id(pause.value) == matter.about):
            return ""
        return "another pause began since" if pause is not None else "nothing is paused as a whole"

    def effect(self, matter: MatterRecord, now: datetime) -> Effect:
        """Returns what ends the pause in the transaction of the second signature."""
        proposal = matter.proposal
        assert isinstance(proposal, Resume)  # noqa: S101 - by its name
        return self._controls.ending(proposal.pause, at=now)
