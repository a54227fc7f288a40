"""The web process: what providers, other systems and customers must reach from outside."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from temporalio.client import Client

from tellfirst.channels.notify_file import read_notifiers
from tellfirst.channels.reach import Reach
from tellfirst.channels.receipts import judge, meaning
from tellfirst.client import OutreachClient
from tellfirst.policy.optout import Wording
from tellfirst.policy.quiet import HoursTable
from tellfirst.policy.replies import Replies as ReplyReader
from tellfirst.policy.tone import LearnedReader
from tellfirst.settings import Settings, temporal_connection
from tellfirst.signing.links import Links, MailNames
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.calls import Calls
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contacts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import Customers
from tellfirst.store.engine import Database, DatabaseError
from tellfirst.store.events import Events
from tellfirst.store.inbox import Inbox
from tellfirst.store.notices import Notices
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.preferences import Preferences
from tellfirst.store.receipts import Receipts
from tellfirst.store.replies import ESCALATION, Replies
from tellfirst.store.survey_answers import SurveyAnswers
from tellfirst.web import conditions, sendgrid
from tellfirst.web.contacts import contact_routes
from tellfirst.web.dashboard import Sheets, Sources, dashboard_routes
from tellfirst.web.dashboard.access import Access
from tellfirst.web.escalating import ReplyEscalations
from tellfirst.web.events import event_routes
from tellfirst.web.fcm import push_receipts
from tellfirst.web.gathering import Gathering
from tellfirst.web.inbound import twilio_replies
from tellfirst.web.inbox import InboxOrigins, inbox_routes
from tellfirst.web.openapi import Api
from tellfirst.web.opened import Doors
from tellfirst.web.pages import Pages
from tellfirst.web.preferences import preference_page
from tellfirst.web.receipts import ReceiptDoor, twilio_receipts
from tellfirst.web.replies import reply_routes
from tellfirst.web.resend import resend_events
from tellfirst.web.signatures import Verifier
from tellfirst.web.survey import survey_page
from tellfirst.web.twilio_forms import TwilioForms
from tellfirst.web.unsubscribe import unsubscribe_page
from tellfirst.web.voice import voice_keys
from tellfirst.web.work import Handler, Work, finished

log = logging.getLogger("tellfirst.web")


def utc_now() -> datetime:
    """Returns the present instant, aware, in UTC."""
    return datetime.now(UTC)


def connecting(settings: Settings) -> Callable[[], Awaitable[OutreachClient]]:
    """Returns what makes a client that connects when it is first used: opt-outs are taken without Temporal."""
    converter = settings.data_converter

    async def connect() -> OutreachClient:
        return OutreachClient(await Client.connect(**temporal_connection(), data_converter=converter, lazy=True))

    return connect


def create_app(
    settings: Settings,
    database: Database,
    *,
    clock: Callable[[], datetime] = utc_now,
    connect: Callable[[], Awaitable[OutreachClient]] | None = None,
) -> FastAPI:
    """Returns the application; whoever made `database` closes it."""
    connect = connect or connecting(settings)
    receipts = Receipts(database, judge=judge, meaning=meaning, everything=settings.opt_out == "everything")
    arrivals = Arrivals(database)
    replies = Replies(database, everything=settings.opt_out == "everything")
    consents = Consents(database, everything=settings.opt_out == "everything")
    links = Links(settings.digest_key(), base_url=settings.public_url, lifetime=timedelta(days=settings.link_days))
    doors = Doors(links, Preferences(database), Pages(human=settings.human), clock=clock)
    reader = ReplyReader(Wording.load(), LearnedReader.load())

    async def take_sendgrid(body: Mapping[str, Any], _: OutreachClient) -> None:
        await finished(sendgrid.take_events, body, receipts, now=clock())

    # What waits behind its acknowledgement, by who posted it; done again it must change nothing.
    escalations = ReplyEscalations(
        Outreaches(database),
        Notices(database),
        read_notifiers(settings.notify, Reach(settings.inside_hosts)),
        clock=clock,
    )
    handlers: dict[str, Handler] = {
        conditions.SOURCE: conditions.tell_temporal,
        sendgrid.PROVIDER: take_sendgrid,
        ESCALATION: escalations.tell,
    }
    work = Work(arrivals, handlers, clock=clock)

    @contextlib.asynccontextmanager
    async def working(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(work.run(await connect()))
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def verifier(name: str, secrets: tuple[SecretStr, ...], headers: str = "webhook") -> Verifier:
        return Verifier(secrets, setting=f"TELLFIRST_{name}_SECRETS", clock=clock, headers=headers)

    app = Api(title="Tellfirst", docs_url=None, redoc_url=None, lifespan=working)
    app.state.work = work
    controls = Controls(database)

    @app.exception_handler(DatabaseError)
    def unanswered(_: Request, error: DatabaseError) -> JSONResponse:
        # Its text may hold a row's values; whoever posted comes again.
        log.warning("the database does not answer (%s)", type(error.orig or error).__name__)
        return JSONResponse({"detail": "the database does not answer"}, status_code=503)

    @app.get("/healthz", responses={503: {"description": "The database does not answer."}})
    def healthz() -> JSONResponse:
        try:
            controls.on()  # a small read of a table: the database answers, and it is migrated
        except DatabaseError:
            return JSONResponse({"ok": False, "why": "the database does not answer"}, status_code=503)
        return JSONResponse({"ok": True})

    forms = TwilioForms(settings.public_url, settings.twilio_auth_token.get_secret_value())
    gathering = Gathering(receipts, clock=clock)
    routers = (
        twilio_receipts(gathering, forms),
        inbox_routes(
            Inbox(database, settings.inbox_keep),
            receipts,
            secret=settings.inbox_secret.get_secret_value(),
            clock=clock,
        ),
        sendgrid.sendgrid_events(arrivals, keys=settings.sendgrid_keys, clock=clock, wake=work.wake),
        resend_events(receipts, verifier("RESEND", settings.resend_secrets, "svix"), clock=clock),
        push_receipts(receipts, verifier("PUSH", settings.push_secrets), clock=clock),
        contact_routes(Contacts(database), verifier("CONTACTS", settings.contacts_secrets), clock=clock),
        event_routes(Events(database), verifier("EVENTS", settings.events_secrets), clock=clock),
        conditions.condition_routes(
            arrivals, verifier("CONDITIONS", settings.conditions_secrets), clock=clock, wake=work.wake
        ),
        twilio_replies(replies, reader, forms, clock=clock, wake=work.wake),
        reply_routes(
            replies,
            reader,
            verifier("REPLIES", settings.replies_secrets),
            MailNames(settings.digest_key()),
            clock=clock,
            wake=work.wake,
        ),
        unsubscribe_page(consents, doors),
        preference_page(Customers(database), consents, doors),
        survey_page(SurveyAnswers(database), doors),
        voice_keys(
            Calls(database),
            Outreaches(database),
            replies,
            forms,
            human=settings.voice_human,
            caller=settings.voice_sender,
            clock=clock,
            wake=work.wake,
        ),
        dashboard_routes(
            Sources(database, HoursTable.load(settings.hours).at_work(settings.default_zone or "UTC"), settings.rates),
            Access(settings.dashboard_token.get_secret_value(), public_url=settings.public_url, clock=clock),
            Sheets(environment=settings.environment, clock=clock),
            clock=clock,
            temporal_ui=settings.temporal_ui.rstrip("/"),
        ),
        # One line for each noun: a router made by its own file, with what it needs.
    )
    for router in routers:
        app.include_router(router)
    app.add_middleware(InboxOrigins, origins=settings.inbox_origins)
    app.add_middleware(ReceiptDoor, gathering=gathering, forms=forms)
    return app
