"""Keys pressed in a call: say it again, reach a person, or opt out."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tellfirst.channels import twiml
from tellfirst.errors import TellfirstError
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.promises import next_promise
from tellfirst.playbooks.render import compile_step
from tellfirst.playbooks.spoken import Spoken, spoken
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.calls import Call, Calls
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.replies import ESCALATION, Incoming, Replies
from tellfirst.web.signatures import ANSWERS
from tellfirst.web.twilio_forms import FORMS, TwilioForms

PATH = "/twilio/voice"
FALLBACK = "en"
"""The language of a call of which nothing is known any more."""
_ASKED = {
    twiml.HUMAN: Reading(kind=Kind.REPLY, tone="neutral", need="person"),
    twiml.STOP: Reading(kind=Kind.OPT_OUT),
}
_REACHED = frozenset({"completed", "answered"})


def voice_keys(
    calls: Calls,
    outreaches: Outreaches,
    replies: Replies,
    forms: TwilioForms,
    *,
    human: str,
    caller: str,
    clock: Callable[[], datetime],
    wake: Callable[[str], None],
) -> APIRouter:
    """Returns the route that hears keys; `human` is the number that key 0 reaches, shown `caller`."""
    router = APIRouter()

    def answer(send: str, form: dict[str, str]) -> str:
        call, key = calls.of(send), form.get("Digits", "")
        says = _language(call)
        if over := form.get("DialCallStatus", ""):
            return twiml.farewell("" if over in _REACHED else says.unanswered, says)
        if (reading := _ASKED.get(key)) is not None:
            # Pressed twice, or told twice, it is one wish: the id is that of the call and its key.
            wish = Incoming(
                id=f"twilio:{form.get('CallSid', '')}:{key}",
                channel="voice",
                address=form.get("To", "")[:100],
                refers=tuple(filter(None, (send, form.get("CallSid", "")))),
            )
            replies.take(wish, reading, now=clock())
        here = forms.address(PATH, f"d={send}")
        if key == twiml.STOP:
            return twiml.farewell(says.stopped, says)
        if key == twiml.HUMAN:
            return twiml.connect(says, number=human, caller=caller, action=here)
        text = (_text(call, outreaches) or says.gone) if key == twiml.REPEAT else ""
        return twiml.message(text, says, action=here)

    @router.post(PATH, response_class=Response, responses=ANSWERS, openapi_extra=FORMS)
    async def post_twilio_voice(request: Request) -> Response:
        form = await forms.read(request, PATH)
        send = request.query_params.get("d", "")[:64]
        markup = await run_in_threadpool(answer, send, dict(form.items()))
        wake(ESCALATION)
        return Response(markup, media_type="text/xml")

    return router


def _language(call: Call | None) -> Spoken:
    says = spoken(call.recipient.locale) if call is not None else None
    return says or spoken(FALLBACK)  # type: ignore[return-value]  # it is there


def _text(call: Call | None, outreaches: Outreaches) -> str:
    """Returns what the call said, made again from what is kept; empty when that is gone."""
    revision = outreaches.revision(call.outreach, call.revision) if call is not None else None
    if call is None or revision is None:
        return ""
    row = call.recipient
    try:
        playbook = parse(revision.playbook_text, "the planned playbook").playbook
        template = compile_step(playbook, call.step, row.channel, row.locale)
        promise = next_promise(revision.plan.steps, call.step, row.promises)
        zone = row.timezone or playbook.timezone
        return template.render(row.facts, promise=promise, zone=zone, others=row.others).body
    except TellfirstError:
        return ""
