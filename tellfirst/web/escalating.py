"""Replies that need a person: told to their outreach, or to its owner when it has ended."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from starlette.concurrency import run_in_threadpool

from tellfirst.channels.notices import Notifiers
from tellfirst.client import OutreachClient
from tellfirst.errors import NotFoundError
from tellfirst.store.notices import Notice, Notices
from tellfirst.store.outreaches import Outreaches

_WORDS = {"doubt": "may be an opt-out", "person": "asks for a person", "anger": "is angry"}


class ReplyEscalations:
    """Tells people of replies; told twice, one is told once."""

    def __init__(
        self, outreaches: Outreaches, notices: Notices, notifiers: Notifiers, *, clock: Callable[[], datetime]
    ) -> None:
        self._outreaches, self._notices, self._notifiers, self._clock = outreaches, notices, notifiers, clock

    async def tell(self, body: Mapping[str, Any], client: OutreachClient) -> None:
        """Raises UnreachableError, to be tried again, when Temporal does not answer."""
        outreach, reply, need = str(body["outreach"]), str(body["reply"]), str(body["need"])
        note = f"a customer's reply {_WORDS[need]} ({reply}): tellfirst replies {outreach} --text"
        kind: Literal["negative_reply", "raised"] = "negative_reply" if need == "anger" else "raised"
        try:
            await client.escalate(outreach, kind, note=note, event_id=reply, by="replies")
        except NotFoundError:
            # Nobody's ladder climbs any more: whoever owns the playbook is told once.
            notice = await run_in_threadpool(self._keep, outreach, f"{outreach}:{reply}", kind, note)
            await client.tell_people(notice)

    def _keep(self, outreach: str, id_: str, kind: str, note: str) -> str:
        revision = self._outreaches.revision(outreach, self._outreaches.latest_revision(outreach))
        owner = revision.plan.owner if revision is not None else ""
        notice = Notice(id=id_, outreach=outreach, kind=kind, to=owner, text=note, at=self._clock())
        self._notices.keep(notice, self._notifiers.ways_to([owner]))
        return id_
