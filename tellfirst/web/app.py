"""The web process: what others must reach from outside; so far delivery receipts and a health check."""

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from tellfirst.channels.receipts import judge, meaning
from tellfirst.settings import Settings
from tellfirst.store.controls import Controls
from tellfirst.store.engine import Database, DatabaseError
from tellfirst.store.inbox import Inbox
from tellfirst.store.receipts import Receipts
from tellfirst.web.inbox import InboxOrigins, inbox_routes
from tellfirst.web.receipts import twilio_receipts


def utc_now() -> datetime:
    """Returns the present instant, aware, in UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings, database: Database, *, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """Returns the application; whoever made `database` closes it."""
    app = FastAPI(title="Tellfirst", docs_url=None, redoc_url=None, openapi_url=None)
    controls = Controls(database)

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        try:
            controls.on()  # a small read of a table: the database answers, and it is migrated
        except DatabaseError:
            return JSONResponse({"ok": False, "why": "the database does not answer"}, status_code=503)
        return JSONResponse({"ok": True})

    receipts = Receipts(database, judge=judge, meaning=meaning, everything=settings.opt_out == "everything")
    token = settings.twilio_auth_token.get_secret_value()
    routers = (
        twilio_receipts(receipts, public_url=settings.public_url, auth_token=token, clock=clock),
        inbox_routes(
            Inbox(database, settings.inbox_keep),
            receipts,
            secret=settings.inbox_secret.get_secret_value(),
            clock=clock,
        ),
        # One line for each noun: a router made by its own file, with what it needs.
    )
    for router in routers:
        app.include_router(router)
    app.add_middleware(InboxOrigins, origins=settings.inbox_origins)
    return app
