"""The composition of the command line: settings in, store and clients out, each opened where a command needs it."""

import asyncio
import contextlib
import getpass
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError

from tellfirst.channels import receipts
from tellfirst.client import OutreachClient
from tellfirst.errors import NotFoundError, SourceError, UnreachableError
from tellfirst.playbooks.loader import LIBRARY, LoadedPlaybook, load_library
from tellfirst.policy.prices import Prices
from tellfirst.settings import Settings, temporal_connection
from tellfirst.store.account_events import AccountEvents
from tellfirst.store.accounts import Accounts
from tellfirst.store.admissions import Admissions
from tellfirst.store.audit import Audit
from tellfirst.store.backup import Backups
from tellfirst.store.beside import Besides
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.canaries import Canaries
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contacts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import Customers
from tellfirst.store.dashboard import Dashboard
from tellfirst.store.decisions import Decisions
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.erasure import Erasure
from tellfirst.store.escalations import Escalations
from tellfirst.store.exceptions import Exceptions
from tellfirst.store.feed import Feed
from tellfirst.store.harm import Harm
from tellfirst.store.histories import Histories
from tellfirst.store.load import Load
from tellfirst.store.matters import Matters
from tellfirst.store.migrations import prepare
from tellfirst.store.notices import Notices
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.outreaches import Outreaches, OutreachRecord, RevisionRecord
from tellfirst.store.permits import Permits
from tellfirst.store.rates import Rates
from tellfirst.store.reason_codes import ReasonCodes
from tellfirst.store.receipts import Receipts
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Recipients
from tellfirst.store.recovery import Recovery
from tellfirst.store.replies import Replies
from tellfirst.store.restarts import Restarts
from tellfirst.store.sends import Sends
from tellfirst.store.sources import Sources
from tellfirst.store.survey_answers import SurveyAnswers
from tellfirst.store.surveys import Surveys
from tellfirst.store.weeks import Weeks
from tellfirst.store.windows import Windows

T = TypeVar("T")


@dataclass(frozen=True)
class Installation:
    """Is this installation as its commands see it."""

    settings: Settings
    account_events: AccountEvents
    accounts: Accounts
    admissions: Admissions
    audit: Audit
    backups: Backups
    besides: Besides
    call_tasks: CallTasks
    canaries: Canaries
    chain: Chain
    consents: Consents
    contacts: Contacts
    controls: Controls
    customers: Customers
    dashboard: Dashboard
    decisions: Decisions
    matters: Matters
    exceptions: Exceptions
    erasure: Erasure
    escalations: Escalations
    feed: Feed
    harm: Harm
    histories: Histories
    load: Load
    notices: Notices
    outcomes: Outcomes
    outreaches: Outreaches
    permits: Permits
    rates: Rates
    reason_codes: ReasonCodes
    receipts: Receipts
    receivers: Receivers
    recipients: Recipients
    recovery: Recovery
    replies: Replies
    restarts: Restarts
    sends: Sends
    questions: Surveys
    surveys: SurveyAnswers
    weeks: Weeks
    windows: Windows
    sources: Sources

    def outreach(self, name: str) -> OutreachRecord:
        """Returns an outreach; raises NotFoundError when there is none of that name."""
        found = self.outreaches.get(name)
        if found is None:
            raise NotFoundError(
                "there is no outreach of that name",
                where=name,
                remedy="see `tellfirst pending`; one just started is there once a worker has planned it, "
                "one that was refused only in the Temporal UI",
            )
        return found

    def revision(self, outreach: OutreachRecord, number: int | None) -> RevisionRecord | None:
        """Returns a revision, by default the one that waits for a decision, else the latest; None before the first.

        Raises NotFoundError for a number that does not exist.
        """
        if number is None:
            waiting = self.outreaches.pending(outreach.id)
            return waiting[0] if waiting else self.outreaches.revision(outreach.id, self._latest(outreach))
        found = self.outreaches.revision(outreach.id, number)
        if found is None:
            latest = self._latest(outreach)
            raise NotFoundError(
                f"there is no revision {number}", where=outreach.id, remedy=f"the latest is revision {latest}"
            )
        return found

    def _latest(self, outreach: OutreachRecord) -> int:
        return self.outreaches.latest_revision(outreach.id)


@contextlib.contextmanager
def opened(settings: Settings | None = None) -> Iterator[Installation]:
    """Yields the installation of this environment and closes its connections after.

    Raises SettingsError for configuration that cannot work, SourceError when the database cannot be used.
    """
    settings = settings or Settings.load()
    try:
        engine = open_engine(settings.database)
    except OSError as error:
        raise SourceError(
            f"the folder of the database cannot be used ({type(error).__name__})",
            remedy="check TELLFIRST_DATA_DIR and TELLFIRST_DATABASE_URL",
        ) from None
    database = Database(engine, anchor=settings.anchor)
    try:
        prepare(engine)
        yield Installation(
            settings=settings,
            account_events=AccountEvents(database),
            accounts=Accounts(database),
            admissions=Admissions(database),
            audit=Audit(database),
            backups=Backups(database),
            besides=Besides(
                database,
                engagements=receipts.ENGAGEMENTS,
                prices=Prices.load(settings.prices) if settings.prices else None,
            ),
            call_tasks=CallTasks(database),
            canaries=Canaries(database),
            chain=Chain(database),
            consents=Consents(database, everything=settings.opt_out == "everything"),
            contacts=Contacts(database),
            controls=Controls(database),
            customers=Customers(database),
            dashboard=Dashboard(database, settings.rates),
            decisions=Decisions(database),
            matters=Matters(database),
            exceptions=Exceptions(database),
            erasure=Erasure(database),
            escalations=Escalations(database),
            feed=Feed(database),
            harm=Harm(database),
            histories=Histories(database),
            load=Load(database),
            notices=Notices(database),
            outcomes=Outcomes(database),
            outreaches=Outreaches(database),
            permits=Permits(database),
            rates=Rates(database, settings.rates),
            reason_codes=ReasonCodes(database),
            receipts=Receipts(
                database, judge=receipts.judge, meaning=receipts.meaning, everything=settings.opt_out == "everything"
            ),
            receivers=Receivers(database),
            recipients=Recipients(database),
            replies=Replies(database, everything=settings.opt_out == "everything"),
            recovery=Recovery(database, providers=settings.providers),
            restarts=Restarts(database),
            sends=Sends(database),
            questions=Surveys(database),
            surveys=SurveyAnswers(database),
            weeks=Weeks(database),
            windows=Windows(database),
            sources=Sources(database),
        )
    finally:
        database.close()


def read_library(settings: Settings) -> dict[str, LoadedPlaybook]:
    """Returns the playbooks of this installation by id; raises PlaybookError."""
    return load_library([*([LIBRARY] if settings.library else []), *settings.playbooks])


def find_playbook(library: dict[str, LoadedPlaybook], name: str) -> LoadedPlaybook:
    """Returns the playbook of a trigger; raises NotFoundError naming the known ones."""
    if name not in library:
        raise NotFoundError(f"there is no playbook '{name}'", remedy=f"the known ones: {', '.join(sorted(library))}")
    return library[name]


def on_temporal(work: Callable[[Client], Awaitable[T]]) -> T:
    """Runs `work` with a connected Temporal client; raises UnreachableError when the server does not answer."""
    converter = Settings.load().data_converter

    async def connected() -> T:
        _hear_interrupts()
        try:
            # The SDK tells of its retries on standard output, where the answer of a command stands alone.
            silent = Runtime(telemetry=TelemetryConfig(logging=None))
            client = await Client.connect(**temporal_connection(), data_converter=converter, runtime=silent)
        except RuntimeError:
            raise _unreachable() from None
        try:
            return await work(client)
        except RPCError as error:
            raise _unreachable(error.status.name.lower()) from None

    return asyncio.run(connected())


def _hear_interrupts() -> None:
    """Lets Ctrl-C wake the loop: one that comes while it falls asleep is else heard when something else wakes it."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is threading.main_thread() and callable(handler):
        with contextlib.suppress(NotImplementedError):  # Windows wakes it by itself
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, handler, signal.SIGINT, None)


def with_outreaches(work: Callable[[OutreachClient], Awaitable[T]]) -> T:
    """Runs `work` with a client of outreaches; raises as `on_temporal` does."""
    return on_temporal(lambda client: work(OutreachClient(client)))


def whoever(given: str, settings: Settings) -> str:
    """Returns the name under which a person acts: the given one, the configured one, or that of the login."""
    return given or settings.principal or getpass.getuser()


def _unreachable(status: str = "") -> UnreachableError:
    if status == "not_found":
        return UnreachableError(
            "the Temporal server does not have this namespace", remedy="check TEMPORAL_NAMESPACE, or create it"
        )
    return UnreachableError(
        f"the Temporal server cannot be reached{f' ({status})' if status else ''}",
        remedy="check TEMPORAL_ADDRESS and that the server runs",
    )
