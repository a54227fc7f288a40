"""What a customer's link opens: the send it came with, or a page that says why it opens nothing."""

from collections.abc import Callable
from datetime import datetime

from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from tellfirst.signing.links import Links
from tellfirst.store.preferences import Preferences, Told
from tellfirst.web.pages import Pages


class Doors:
    """Opens links; the token is all that it takes, and it names neither a customer nor an address."""

    def __init__(self, links: Links, preferences: Preferences, pages: Pages, *, clock: Callable[[], datetime]) -> None:
        self._links, self._preferences, self.pages, self.clock = links, preferences, pages, clock

    async def open(self, token: str, request: Request) -> Told | HTMLResponse:
        """Returns whom a link is of; or, where it is not ours, or no good any more, what to show instead."""
        link, now = self._links.read(token), self.clock()
        told = await run_in_threadpool(self._preferences.told, link.send) if link is not None else None
        if link is None or (told is None and now < link.until):
            return self.gone("foreign", request)
        if told is None or now >= link.until:
            return self.gone("expired", request, told)
        return told

    def gone(self, why: str, request: Request, told: Told | None = None) -> HTMLResponse:
        """Returns the page that says why a link opens nothing, and how to reach a person."""
        spoken = request.headers.get("accept-language", "").split(",")
        locale = self.pages.locale(
            *(told.locales if told else ()), *(one.partition(";")[0].strip() for one in spoken[:8])
        )
        text = self.pages.texts[locale].gone
        status = 404 if why == "foreign" else 410
        return self.pages.show("gone", locale, title=text["title"], status=status, why=text[why])
