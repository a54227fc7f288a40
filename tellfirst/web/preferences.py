"""The page where customers choose how they are reached, about what, when and in which language."""

from collections.abc import Mapping
from datetime import time

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import ImmutableMultiDict

from tellfirst.policy.consent import PURPOSES, Choice, changes, choice_of, closed_by
from tellfirst.signing.links import PREFERENCES
from tellfirst.store.consents import Consents
from tellfirst.store.customers import Customer, Customers
from tellfirst.store.preferences import Preference, Told
from tellfirst.web.bodies import FORM, read_body, read_form
from tellfirst.web.opened import Doors

SOURCE = "preference page"
_WRONG = "wrong"
_BY_NUMBER = ("sms", "whatsapp", "voice", "person")


def preference_page(customers: Customers, consents: Consents, doors: Doors) -> APIRouter:
    """Returns the page that a customer's signed link opens; what is saved is shown again as it is kept."""
    router = APIRouter()

    @router.api_route(PREFERENCES + "{token}", methods=["GET", "HEAD"], include_in_schema=False)
    async def look(token: str, request: Request) -> HTMLResponse:
        told = await doors.open(token, request)
        return told if isinstance(told, HTMLResponse) else await run_in_threadpool(show, told, request)

    @router.post(PREFERENCES + "{token}", include_in_schema=False)
    async def choose(token: str, request: Request) -> HTMLResponse:
        form = read_form(await read_body(request, FORM))
        told = await doors.open(token, request)
        return told if isinstance(told, HTMLResponse) else await run_in_threadpool(save, told, form, request)

    def save(told: Told, form: ImmutableMultiDict[str, str], request: Request) -> HTMLResponse:
        customer = customers.resolve([told.customer]).get(told.customer)
        if customer is None or not customer.addresses:
            return doors.gone("forgotten", request, told)
        if form.get("nothing") == "1":
            everything = closed_by("", everything=True)
            consents.choose(told.customer, everything, at=doors.clock(), source=SOURCE)
            return show(told, request, said="saved")
        if form.get("save") != "1":
            return show(told, request)
        wanted = _choice(form, customer, "")
        chosen = _preference(form, customer, doors.pages.texts)
        if chosen is None:
            return show(told, request, said=_WRONG, given=form)
        said = changes(_choice(form, customer, "shown_"), wanted)
        consents.choose(told.customer, said, preference=chosen, at=doors.clock(), source=SOURCE)
        return show(told, request, said="saved")

    def show(
        told: Told, request: Request, *, said: str = "", given: ImmutableMultiDict[str, str] | None = None
    ) -> HTMLResponse:
        customer = customers.resolve([told.customer]).get(told.customer)
        if customer is None or not customer.addresses:
            return doors.gone("forgotten", request, told)
        kept, liked = choice_of(customer.consents, customer.addresses), customer.preference
        wanted = _choice(given, customer, "") if given is not None else kept
        begins, ends = (_clock(minute) for minute in liked.quiet or (None, None))
        if given is not None:
            begins, ends = given.get("quiet_from", ""), given.get("quiet_to", "")
        locale = doors.pages.locale(liked.locale, *told.locales)
        texts = doors.pages.texts
        return doors.pages.show(
            "preferences",
            locale,
            title=texts[locale].preferences["title"],
            status=422 if said == _WRONG else 200,
            said=said,
            stopped=not kept.channels,
            channels=[
                {
                    "id": channel,
                    "name": name,
                    "address": masked(channel, customer.addresses[channel].address),
                    "shown": channel in kept.channels,
                    "chosen": channel in wanted.channels,
                }
                for channel, name in texts[locale].channels.items()
                if channel in customer.addresses
            ],
            purposes=[
                {"id": one, "name": name, "shown": one in kept.purposes, "chosen": one in wanted.purposes}
                for one, name in texts[locale].purposes.items()
            ],
            preferred=given.get("preferred", "") if given is not None else liked.channel or "",
            quiet_from=begins,
            quiet_to=ends,
            language=given.get("locale", locale) if given is not None else locale,
            languages=[{"id": id_, "name": text.name} for id_, text in texts.items()],
        )

    return router


def masked(channel: str, address: str) -> str:
    """Returns as much of an address as its owner knows it by; nothing of one that no person reads."""
    if channel in _BY_NUMBER:
        return f"•••••• {address[-2:]}"
    if channel == "email":
        name, _, domain = address.rpartition("@")
        return f"{name[:1]}•••@{domain}"
    return ""


def _choice(form: ImmutableMultiDict[str, str], customer: Customer, prefix: str) -> Choice:
    return Choice(
        channels=frozenset(form.getlist(f"{prefix}channel")) & customer.addresses.keys(),
        purposes=frozenset(form.getlist(f"{prefix}purpose")) & frozenset(PURPOSES),
    )


def _preference(form: Mapping[str, str], customer: Customer, locales: Mapping[str, object]) -> Preference | None:
    """Returns what the form says beside consent, or None where its hours make no sense."""
    channel, locale = form.get("preferred", ""), form.get("locale", "")
    begins, ends = form.get("quiet_from", ""), form.get("quiet_to", "")
    try:
        quiet = (_minute(begins), _minute(ends)) if begins or ends else None
    except ValueError:
        return None
    if quiet is not None and quiet[0] == quiet[1]:
        return None
    return Preference(
        channel=channel if channel in customer.addresses else None,
        locale=locale if locale in locales and locale != form.get("shown_locale") else customer.preference.locale,
        timezone=customer.preference.timezone,
        quiet=quiet,
    )


def _minute(text: str) -> int:
    at = time.fromisoformat(text)
    return at.hour * 60 + at.minute


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"
