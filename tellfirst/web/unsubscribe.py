"""One click to stop all messages: a POST acts, and what merely looks never does (RFC 8058)."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from tellfirst.policy.consent import TELEPHONE
from tellfirst.signing.links import UNSUBSCRIBE
from tellfirst.store.consents import Consents
from tellfirst.store.preferences import Told
from tellfirst.web.bodies import read_body, read_form
from tellfirst.web.opened import Doors

ONE_CLICK = b"List-Unsubscribe=One-Click"
_MULTIPART = b'name="List-Unsubscribe"'


def unsubscribe_page(consents: Consents, doors: Doors) -> APIRouter:
    """Returns the page behind `List-Unsubscribe`; no login, no cookie, and asked twice it is one opt-out."""
    router = APIRouter()

    @router.api_route(UNSUBSCRIBE + "{token}", methods=["GET", "HEAD"], include_in_schema=False)
    async def look(token: str, request: Request) -> HTMLResponse:
        # Scanners of mail open every link: to look is not to act.
        told = await doors.open(token, request)
        return told if isinstance(told, HTMLResponse) else page("unsubscribe", told, token)

    @router.post(UNSUBSCRIBE + "{token}", include_in_schema=False)
    async def stop(token: str, request: Request) -> Response:
        body = await read_body(request)
        told = await doors.open(token, request)
        if isinstance(told, HTMLResponse):
            return told
        # Mail programs may send the form in parts as well.
        clicked = body.strip() == ONE_CLICK or (_MULTIPART in body and b"One-Click" in body)
        if not clicked and read_form(body).get("stop") != "1":
            return page("unsubscribe", told, token)
        await run_in_threadpool(
            consents.opt_out, [told.customer], channel=told.channel, at=doors.clock(), source="unsubscribe"
        )
        return Response(status_code=200) if clicked else page("unsubscribed", told, token)

    def page(name: str, told: Told, token: str) -> HTMLResponse:
        locale = doors.pages.locale(*told.locales)
        texts = doors.pages.texts[locale]
        way = texts.by["sms" if told.channel in TELEPHONE else told.channel]
        scope = "everything" if consents.everything else "channel"
        done = name == "unsubscribed"
        what = texts.unsubscribe[f"done_{scope}" if done else scope].format(way=way)
        title = texts.unsubscribe["done" if done else "title"]
        return doors.pages.show(name, locale, title=title, what=what, token=token)

    return router
