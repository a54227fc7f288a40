"""Support contacts as a helpdesk posts them: what customers asked about, when, and how far all of it is known."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Frozen, Outside
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.web.openapi import PLAIN_OR_EVENT, described
from tellfirst.web.postings import Moment, Opaque, checked, read_posted
from tellfirst.web.signatures import ANSWERS, TOLERANCE, Verifier

PATH = "/contacts"


class PostedContact(Outside):
    """Is one contact; `id` is the helpdesk's own, and `reason_code` what it was about."""

    id: Opaque
    customer: Opaque
    reason_code: Opaque = Field(max_length=100)
    occurred_at: Moment
    channel: str = Field(default="", max_length=100, pattern=r"^[^\x00-\x1f]*$")


class PostedContacts(Outside):
    """Is what a helpdesk posts: new contacts, and the instant `through` which all of this `source` have been posted."""

    source: Opaque
    contacts: tuple[PostedContact, ...] = Field(default=(), max_length=1_000)
    through: Moment | None = None


class Kept(Frozen):
    """Counts what was new; what was known by its id stays as it is."""

    new: int


def contact_routes(contacts: Contacts, verifier: Verifier, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which helpdesks post."""
    router = APIRouter()

    @router.post(PATH, responses=ANSWERS, openapi_extra=described(PostedContacts, *PLAIN_OR_EVENT))
    async def post_contacts(request: Request) -> Kept:
        signed = await verifier.read(request, *PLAIN_OR_EVENT)
        _, value = read_posted(request, signed.body)
        posted, now = checked(PostedContacts, value), clock()
        if posted.through is not None and posted.through > now + TOLERANCE:
            raise HTTPException(422, "through: it has not come yet, and windows would close too early")
        made = [Contact.model_validate(one.model_dump()) for one in posted.contacts]
        saved = await run_in_threadpool(contacts.save, made, source=posted.source, through=posted.through, now=now)
        return Kept(new=saved.new)

    return router
