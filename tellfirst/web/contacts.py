"""Support contacts as a helpdesk posts them: what customers asked about, when, and how far all of it is known."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, HTTPException, Request
from pydantic import AfterValidator, Field, StringConstraints, model_validator
from starlette.concurrency import run_in_threadpool

from tellfirst.domain.base import Outside
from tellfirst.store.contacts import LONGEST, OURS, Contact, Contacts, Saved
from tellfirst.web.openapi import PLAIN_OR_EVENT, described
from tellfirst.web.postings import Moment, Opaque, checked, opaque, read_posted
from tellfirst.web.signatures import ANSWERS, TOLERANCE, Verifier

PATH = "/contacts"

Plain = StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f]*$")


class PostedContact(Outside):
    """Is one contact; `id` is the helpdesk's own, and `reason_code` what it was about, in its own words.

    What is left out says nothing. `withdrawn` takes a contact back, and false says that it stands after all.
    """

    id: Opaque
    customer: Opaque
    reason_code: Annotated[str, Plain, AfterValidator(opaque)] = ""
    occurred_at: Moment
    channel: Annotated[str, Plain] = ""
    handle_seconds: Annotated[int, Field(ge=0, le=LONGEST)] | None = None
    resolved_at: Moment | None = None
    withdrawn: bool | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.resolved_at is not None and self.resolved_at < self.occurred_at:
            raise ValueError("resolved_at is before occurred_at")
        return self


class PostedContacts(Outside):
    """Is what a helpdesk posts: contacts, and the instant `through` which all of this `source` have been posted."""

    source: Opaque
    contacts: tuple[PostedContact, ...] = Field(default=(), max_length=1_000)
    through: Moment | None = None


def contact_routes(contacts: Contacts, verifier: Verifier, *, clock: Callable[[], datetime]) -> APIRouter:
    """Returns the route to which helpdesks post."""
    router = APIRouter()

    @router.post(PATH, responses=ANSWERS, openapi_extra=described(PostedContacts, *PLAIN_OR_EVENT))
    async def post_contacts(request: Request) -> Saved:
        signed = await verifier.read(request, *PLAIN_OR_EVENT)
        _, value = read_posted(request, signed.body)
        posted, now = checked(PostedContacts, value), clock()
        if posted.through is not None and posted.through > now + TOLERANCE:
            raise HTTPException(422, "through: it has not come yet, and windows would close too early")
        if posted.source in OURS:
            raise HTTPException(422, "source: it is what our own contacts are kept under; use another name")
        made = [Contact.model_validate(one.model_dump()) for one in posted.contacts]
        return await run_in_threadpool(contacts.save, made, source=posted.source, through=posted.through, now=now)

    return router
