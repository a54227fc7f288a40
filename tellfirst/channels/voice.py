"""Calls through Twilio's official SDK: a voice reads the message, and keys repeat it, reach a human or opt out."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from twilio.rest.api.v2010.account.call import CallInstance

from tellfirst.channels.base import Idempotency
from tellfirst.channels.twilio_account import LOOK_UP_LIMIT, SKEW, Callback, TwilioAccount, word
from tellfirst.channels.twiml import message as twiml
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError
from tellfirst.playbooks.spoken import spoken

MAX_TWIML = 4_000
"""The longest call in characters of markup that the provider takes with a request."""
RING = 30
"""Seconds that a telephone rings: five or six times."""
EVENTS = ["initiated", "ringing", "answered", "completed"]

_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_DEAD = frozenset({"failed", "canceled", "busy", "no-answer"})


class TwilioVoice:
    """Calls through Twilio, whose Call resource takes no idempotency key: after doubt it can only be asked.

    `sender` is a number of ours. `action` makes the address to which a pressed key is reported, `status_callback` the
    one for what becomes of the call.
    """

    name = "twilio"
    idempotency: Idempotency = "lookup"
    key_window = timedelta(0)

    def __init__(self, account: TwilioAccount, sender: str, *, action: Callback, status_callback: Callback) -> None:
        if not sender or sender.startswith("MG"):
            raise SettingsError("calls need a number of yours", remedy="give the number that calls come from")
        self.in_flight = account.in_flight
        self._account, self._sender = account, sender
        self._action, self._status_callback = action, status_callback

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Starts the calls of the batch, one request each; what callbacks raise is raised before the first one."""
        requests = [partial(self._create, message, self._form(message)) for message in batch]
        return await self._account.send(batch, requests, now=now)

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when exactly one call from our number to this one was made since then.

        The provider keeps no words of a call, so two calls to one number are not told apart: then it cannot say.
        """
        try:
            listed = await self._account.client.calls.list_async(
                to=message.address, from_=self._sender, limit=LOOK_UP_LIMIT
            )
            found = [one for one in listed if self._matches(one, message, since - SKEW)]
        except Exception:
            return None  # whatever went wrong, the answer is the same: it cannot say
        if len(found) != 1:
            return None
        return Answer(
            send_id=message.send_id, kind=AnswerKind.ACCEPTED, provider_id=found[0].sid, detail=word(found[0].status)
        )

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns the status of a call, which has no error code; `None` whatever goes wrong."""
        try:
            call = await self._account.client.calls(provider_id).fetch_async()
        except Exception:
            return None
        status = word(call.status)
        return (status, "") if status else None

    async def close(self) -> None:
        """Closes connections."""
        await self._account.close()

    def _form(self, message: Outbound) -> dict[str, object] | Answer:
        says = spoken(message.locale)
        if says is None:
            language = message.locale[:2]
            detail = f"no sentences for the keys in {language}"
            return Answer(send_id=message.send_id, kind=AnswerKind.CONFIGURATION, detail=detail)
        call = twiml(message.rendered.body, says, action=self._action(message.send_id))
        if len(call) > MAX_TWIML:
            return Answer(send_id=message.send_id, kind=AnswerKind.POLICY_BLOCK, detail="too long for a call")
        return {
            "to": message.address,
            "from_": self._sender,
            "twiml": call,
            "timeout": RING,
            "status_callback": self._status_callback(message.send_id),
            "status_callback_event": EVENTS,
            "status_callback_method": "POST",
        }

    async def _create(self, message: Outbound, form: dict[str, object] | Answer, left: int) -> Answer:
        if isinstance(form, Answer):
            return form
        if left < RING:  # it would still ring when it may not any more
            return Answer(send_id=message.send_id, kind=AnswerKind.NOT_SENT, detail="too_late")
        return _read(message.send_id, await self._account.client.calls.create_async(**form))

    def _matches(self, one: CallInstance, message: Outbound, since: datetime) -> bool:
        return bool(
            one.direction == "outbound-api"
            and one.to == message.address
            and one._from == self._sender  # so the SDK names it
            and one.date_created is not None
            and one.date_created >= since
            and _SID.fullmatch(one.sid or "")
        )


def _read(send_id: str, created: CallInstance) -> Answer:
    sid, status = created.sid, word(created.status)
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        return Answer(send_id=send_id, kind=AnswerKind.AMBIGUOUS, detail="no call id")
    kind = AnswerKind.UNREACHED if status in _DEAD else AnswerKind.ACCEPTED
    return Answer(send_id=send_id, kind=kind, provider_id=sid, detail=status)
