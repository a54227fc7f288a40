"""The dashboard: what an ops lead looks at in the morning. It reads, and changes nothing."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from liquid import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from tellfirst.contract import STUCK
from tellfirst.domain.base import Frozen
from tellfirst.measurement.load import team_load
from tellfirst.measurement.report import report
from tellfirst.playbooks.harm import Harm
from tellfirst.playbooks.loader import parse
from tellfirst.policy.hours import Calendar
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.dashboard import Dashboard, Front
from tellfirst.store.dashboard_warnings import DAYS
from tellfirst.store.engine import Database
from tellfirst.store.load import Load
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.outreaches import Outreaches
from tellfirst.web.bodies import FORM, read_body, read_form
from tellfirst.web.dashboard.access import PATH, Access, headers_of
from tellfirst.web.dashboard.front import front_sections
from tellfirst.web.dashboard.page import sheet_of
from tellfirst.web.dashboard.sheet import Section, when
from tellfirst.web.pages import page_headers

FOLDER = Path(__file__).parent
READ = ["GET", "HEAD"]
FRESH = timedelta(seconds=5)
"""So long what was read is shown again."""


class Sheets:
    """Makes the pages; whatever is put on them is text and never markup."""

    def __init__(self, *, environment: str, clock: Callable[[], datetime]) -> None:
        self._style = Markup((FOLDER / "dashboard.css").read_text(encoding="utf-8"))  # noqa: S704
        self._templates = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=True)
        self._headers, self._environment, self._clock = page_headers(self._style), environment, clock

    def show(
        self,
        name: str,
        *,
        title: str,
        status: int = 200,
        inside: bool = True,
        at: datetime | None = None,
        **values: object,
    ) -> HTMLResponse:
        """Returns a page as of `at`, by default now; one that is not `inside` tells nothing of this installation."""
        content = self._templates.get_template(f"{name}.html").render(**values)
        at = at or self._clock()
        page = self._templates.get_template("frame.html").render(
            content=Markup(content),  # noqa: S704 - it was escaped as it was made
            title=title,
            style=self._style,
            environment=self._environment if inside else "",
            at=at.astimezone(UTC).isoformat(timespec="seconds"),
            as_of=when(at),
        )
        return HTMLResponse(page, status_code=status, headers=self._headers)


class Morning(Frozen):
    """Is the front page as of an instant."""

    at: datetime
    alarms: tuple[str, ...]
    sections: tuple[Section, ...]


class Sources:
    """Reads what the pages show.

    `at_work` says when business hours are, where people work, `rates` how fast channels go where nobody set it.
    """

    def __init__(self, database: Database, at_work: Calendar, rates: Mapping[str, float]) -> None:
        self.dashboard, self._outcomes = Dashboard(database, rates), Outcomes(database)
        self._outreaches, self._load, self._at_work = Outreaches(database), Load(database), at_work
        self._limits: dict[str, Harm] = {}
        self._seen: Morning | None = None
        self._one_at_a_time = Lock()

    def front(self, now: datetime) -> Morning:
        """Returns the front page as of `now`, or of a few seconds before: where many are told it counts long."""
        with self._one_at_a_time:
            if self._seen is None or not self._seen.at <= now < self._seen.at + FRESH:
                seen, reports = self.dashboard.front(now=now), report(self._outcomes.latest())
                load = team_load(self._load.duties(since=now - timedelta(days=DAYS)), self._at_work)
                sections = front_sections(seen, reports, load, self.limits, now)
                self._seen = Morning(at=now, alarms=tuple(_alarms(seen)), sections=sections)
            return self._seen

    def limits(self, version: str) -> Harm:
        """Returns the bounds of harm of a playbook's version, which never changes."""
        if version not in self._limits:
            text = self._outreaches.playbook_text(version)
            self._limits[version] = parse(text, "the planned playbook").playbook.harm if text else Harm()
        return self._limits[version]


def dashboard_routes(
    sources: Sources, access: Access, sheets: Sheets, *, clock: Callable[[], datetime], temporal_ui: str
) -> APIRouter:
    """Returns the pages; `temporal_ui` is where the Temporal UI shows workflows, empty where nowhere."""
    router = APIRouter(include_in_schema=False)

    def refused(request: Request) -> Response | None:
        answer = access.judge(request)
        if answer == "not_here":
            return Response(status_code=404)
        if answer == "sign_in":
            return _sign_in(sheets, request.url.path, headers=dict(headers_of(request)))
        return None

    @router.api_route(PATH, methods=READ)
    async def front(request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        seen = await run_in_threadpool(sources.front, clock())
        return sheets.show(
            "front",
            title="Today",
            at=seen.at,
            alarms=seen.alarms,
            sections=[one.model_dump() for one in seen.sections],
            stuck_link=f"{temporal_ui}?query={quote(STUCK, safe='')}" if temporal_ui else "",
        )

    @router.post(f"{PATH}/sign-in")
    async def sign_in(request: Request) -> Response:
        if access.judge(request) == "not_here":
            return Response(status_code=404)
        form = read_form(await read_body(request, FORM))
        to = form.get("to", PATH)
        if not access.knows(form.get("token", "")):
            return _sign_in(sheets, to, wrong=True)
        # Only ever back to a page of ours, whatever the form says.
        inside = to == PATH or to.startswith(f"{PATH}/")
        done = RedirectResponse(quote(to) if inside else PATH, status_code=303, headers={"Cache-Control": "no-store"})
        access.admit(done, request)
        return done

    @router.api_route(f"{PATH}/{{outreach:path}}", methods=READ)
    async def outreach(outreach: str, request: Request) -> Response:
        if (no := refused(request)) is not None:
            return no
        page = await run_in_threadpool(sources.dashboard.outreach, outreach)
        if page is None:
            return sheets.show("gone", title="Not found", status=404)
        now = clock()
        sending = await run_in_threadpool(lambda: sources.dashboard.sending(outreach, now=now))
        sheet = await run_in_threadpool(sheet_of, page, sending, now)
        link = f"{temporal_ui}/{quote(page.id, safe='')}" if temporal_ui else ""
        return sheets.show("outreach", title=sheet.heading, workflow_link=link, **sheet.model_dump())

    return router


def _sign_in(sheets: Sheets, to: str, *, wrong: bool = False, headers: dict[str, str] | None = None) -> HTMLResponse:
    page = sheets.show("sign_in", title="Sign in", status=401, inside=False, to=to, wrong=wrong)
    page.headers.update(headers or {})
    return page


def _alarms(front: Front) -> list[str]:
    names = {control.name: control.value for control in front.controls}
    alarms = ["Everything is paused: nothing leaves until two people let it go on."] if PAUSE_ALL in names else []
    halted = sorted(name.partition(":")[2] for name in names if name.startswith("channel:"))
    return [*alarms, *(f"The channel {channel} is halted: nothing leaves by it." for channel in halted)]
