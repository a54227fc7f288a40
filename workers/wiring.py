"""The composition root: settings in, a runnable application out; the only place where parts meet their dependencies."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from activities.addenda import AddendumActivities, ToldBefore
from activities.affected import Affected
from activities.answers import Answers
from activities.approvals import Approvals, RegistryFile
from activities.asking import AskingActivities
from activities.audience import Audience
from activities.canary import CanaryActivities, ContinueGate
from activities.costs import Costs
from activities.decisions import DecisionActivities
from activities.detection import DetectionActivities
from activities.dispatch import DispatchActivities
from activities.escalations import EscalationActivities
from activities.exception_answers import ExceptionAnswerActivities
from activities.exception_claims import ExceptionClaims
from activities.exception_grants import GrantReader
from activities.exceptions import ExceptionActivities
from activities.fallback import FallbackActivities
from activities.feed import FeedActivities
from activities.harm import HarmActivities
from activities.library import LibraryChanges, LibraryGate
from activities.matter_life import MatterActivities
from activities.matters import MatterApprovals
from activities.measuring import Measuring
from activities.outreach import OutreachActivities
from activities.pacing import Pace
from activities.permits import PermitKind, StandingPermits
from activities.planning import PlanningActivities
from activities.playbooks import PlannedPlaybooks
from activities.reconciliation import ReconciliationActivities
from activities.resume import Resumes
from activities.sources import Sources
from activities.surveys import SurveyActivities
from activities.turns import Turns
from activities.upkeep import UpkeepActivities
from tellfirst.channels import receipts
from tellfirst.channels.base import Adapter
from tellfirst.channels.feed_file import Endpoint, read_endpoints
from tellfirst.channels.notices import Notifiers
from tellfirst.channels.notify_file import read_notifiers
from tellfirst.channels.reach import Reach
from tellfirst.channels.webhook import Hook
from tellfirst.playbooks.loader import LIBRARY, LoadedPlaybook, load_library
from tellfirst.policy.prices import Prices
from tellfirst.policy.quiet import HoursTable
from tellfirst.settings import Settings
from tellfirst.signing.links import Links
from tellfirst.store.admissions import Admissions
from tellfirst.store.alternates import Alternates
from tellfirst.store.arrivals import Arrivals
from tellfirst.store.call_tasks import CallTasks
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contacts
from tellfirst.store.controls import Controls
from tellfirst.store.customers import Customers
from tellfirst.store.decisions import Decisions
from tellfirst.store.doubts import Doubts
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.escalations import Escalations
from tellfirst.store.exception_sends import ExceptionSends
from tellfirst.store.exceptions import Exceptions
from tellfirst.store.feed import Feed
from tellfirst.store.harm import Harm
from tellfirst.store.inbox import Inbox
from tellfirst.store.late import Late
from tellfirst.store.leases import Leases
from tellfirst.store.matters import Matters
from tellfirst.store.migrations import migrate
from tellfirst.store.notices import Notices
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.permits import Permits
from tellfirst.store.phases import Phases
from tellfirst.store.rates import Rates
from tellfirst.store.receipts import Receipts
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Recipients
from tellfirst.store.replies import Replies
from tellfirst.store.restarts import Restarts
from tellfirst.store.retention import Retention
from tellfirst.store.sends import Sends
from tellfirst.store.surveys import Surveys
from tellfirst.store.whereabouts import HourRules
from tellfirst.store.windows import Windows
from workers.mail import require_postal_address
from workers.providers import build_adapters, build_hook


@dataclass(frozen=True)
class Application:
    """Is everything one process needs, already connected to its dependencies."""

    settings: Settings
    database: Database
    library: Mapping[str, LoadedPlaybook]
    adapters: Mapping[str, Adapter]
    planning: PlanningActivities
    addenda: AddendumActivities
    decisions: DecisionActivities
    canary: CanaryActivities
    outreach: OutreachActivities
    dispatch: DispatchActivities
    fallback: FallbackActivities
    reconciliation: ReconciliationActivities
    detection: DetectionActivities
    exception_claims: ExceptionClaims
    exceptions: ExceptionActivities
    exception_answers: ExceptionAnswerActivities
    hook: Hook
    escalations: EscalationActivities
    notifiers: Notifiers
    matters: MatterActivities
    feed: FeedActivities
    harm: HarmActivities
    upkeep: UpkeepActivities
    surveys: SurveyActivities
    asking: AskingActivities
    endpoints: Mapping[str, Endpoint]

    async def close(self) -> None:
        """Closes connections."""
        for adapter in self.adapters.values():
            await adapter.close()
        await self.hook.close()
        await self.notifiers.close()
        for endpoint in self.endpoints.values():
            await endpoint.hook.close()
        self.database.close()


def read_library(settings: Settings) -> dict[str, LoadedPlaybook]:
    """Returns the playbooks of this installation."""
    return load_library([*([LIBRARY] if settings.library else []), *settings.playbooks])


def build(
    settings: Settings,
    *,
    loop: asyncio.AbstractEventLoop,
    turns: Turns | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    library: Mapping[str, LoadedPlaybook] | None = None,
    sends: Callable[[Database], Sends] = Sends,
) -> Application:
    """Builds the application; tests pass adapters, playbooks and an effect log of their own, the rest is the same."""
    engine = open_engine(settings.database)
    if settings.database.startswith("sqlite"):
        migrate(engine)  # the embedded database belongs to this application alone
    database = Database(engine, anchor=settings.anchor)
    library = read_library(settings) if library is None else library
    require_postal_address(settings, [loaded.playbook for loaded in library.values()])
    inbox, calls = Inbox(database, settings.inbox_keep), CallTasks(database)
    adapters = build_adapters(settings, inbox=inbox, calls=calls) if adapters is None else adapters
    sources = Sources(settings.source_url)
    outreaches, recipients, customers = Outreaches(database), Recipients(database), Customers(database)
    admissions, controls, decisions = Admissions(database), Controls(database), Decisions(database)
    effects, chain, digest_key = sends(database), Chain(database), settings.digest_key()
    receivers, alternates = Receivers(database), Alternates(database)
    links = Links(digest_key, base_url=settings.public_url, lifetime=timedelta(days=settings.link_days))
    consents = Consents(database, everything=settings.opt_out == "everything")
    answers = Answers(customers=customers, consents=consents, outreaches=outreaches, controls=controls)
    playbooks = PlannedPlaybooks()
    hours = HourRules(table=HoursTable.load(settings.hours), default_zone=settings.default_zone)
    affected = Affected(outreaches=outreaches, admissions=admissions, sources=sources)
    registry, matters = RegistryFile(settings.approvers, chain), Matters(database)
    judge = MatterApprovals(decisions=decisions, matters=matters, registry=registry, environment=settings.environment)
    standing = StandingPermits(
        permits=Permits(database), matters=matters, recipients=recipients, playbooks=playbooks, approvals=judge
    )
    approvals = Approvals(
        decisions=decisions,
        recipients=recipients,
        playbooks=playbooks,
        registry=registry,
        standing=standing,
        environment=settings.environment,
    )
    continues = ContinueGate(approvals=judge, matters=matters, recipients=recipients, playbooks=playbooks)
    gate = LibraryGate(
        matters=matters,
        decisions=decisions,
        outreaches=outreaches,
        approvals=judge,
        demanded=settings.demands_library,
        live=settings.is_live,
    )
    exceptions, contacts, hook = Exceptions(database), Contacts(database), build_hook(settings)
    measuring = Measuring(
        windows=Windows(database),
        phases=Phases(database),
        contacts=contacts,
        outcomes=Outcomes(database),
        late=Late(database),
    )
    reach = Reach(settings.inside_hosts)
    notifiers, endpoints = read_notifiers(settings.notify, reach), read_endpoints(settings.events_out, reach)
    reader = GrantReader(exceptions=exceptions, matters=matters, outreaches=outreaches, playbooks=playbooks, gate=gate)
    return Application(
        settings=settings,
        database=database,
        library=library,
        adapters=adapters,
        planning=PlanningActivities(
            outreaches=outreaches,
            recipients=recipients,
            restarts=Restarts(database),
            alternates=alternates,
            audience=Audience(
                recipients=recipients,
                customers=customers,
                affected=affected,
                channels=frozenset(adapters),
                digest_key=digest_key,
                hours=HoursTable.load(settings.hours),
                default_zone=settings.default_zone,
            ),
            sources=sources,
            library=library,
            gate=gate,
            standing=standing,
            costs=Costs(
                prices=Prices.load(settings.prices) if settings.prices else None,
                recipients=recipients,
                alternates=alternates,
            ),
            told_before=ToldBefore(
                receivers=receivers, recipients=recipients, customers=customers, digest_key=digest_key
            ),
            environment=settings.environment,
            page_size=settings.page_size,
            reconcile_after=timedelta(seconds=settings.reconcile_seconds),
        ),
        decisions=DecisionActivities(
            decisions=decisions, outreaches=outreaches, approvals=approvals, continues=continues
        ),
        canary=CanaryActivities(
            matters=matters,
            outreaches=outreaches,
            recipients=recipients,
            sends=effects,
            playbooks=playbooks,
            environment=settings.environment,
        ),
        addenda=AddendumActivities(outreaches=outreaches, receivers=receivers, gate=gate),
        outreach=OutreachActivities(
            outreaches=outreaches,
            recipients=recipients,
            receivers=receivers,
            sends=effects,
            measuring=measuring,
            controls=controls,
            admissions=admissions,
            affected=affected,
            playbooks=playbooks,
            sources=sources,
            chain=chain,
            salt=settings.holdout_salt,
            everywhere=settings.global_holdout,
            cap=settings.frequency_cap,
            hours=hours,
        ),
        dispatch=DispatchActivities(
            outreaches=outreaches,
            admissions=admissions,
            sends=effects,
            leases=Leases(database),
            answers=answers,
            approvals=approvals,
            continues=continues,
            gate=gate,
            playbooks=playbooks,
            sources=sources,
            adapters=adapters,
            pace=Pace(Rates(database, settings.rates)),
            loop=loop,
            turns=turns or Turns(),
            digest_key=digest_key,
            hours=hours,
            links=links,
            lease=timedelta(seconds=settings.lease_seconds),
            margin=timedelta(seconds=settings.provider_timeout),
        ),
        fallback=FallbackActivities(outreaches=outreaches, alternates=alternates, calls=calls),
        reconciliation=ReconciliationActivities(
            outreaches=outreaches, doubts=Doubts(database), playbooks=playbooks, adapters=adapters, loop=loop
        ),
        detection=DetectionActivities(admissions=admissions, sources=sources, library=library, gate=gate),
        exception_claims=ExceptionClaims(
            exceptions=exceptions,
            matters=matters,
            outreaches=outreaches,
            contacts=contacts,
            reader=reader,
            registry=registry,
            environment=settings.environment,
            carried_out=settings.carries_out,
        ),
        exceptions=ExceptionActivities(
            exceptions=exceptions,
            matters=matters,
            controls=controls,
            reader=reader,
            approvals=judge,
            hook=hook,
            loop=loop,
        ),
        exception_answers=ExceptionAnswerActivities(
            reader=reader,
            approvals=judge,
            planned=ExceptionSends(database),
            sends=effects,
            leases=Leases(database),
            doubts=Doubts(database),
            answers=answers,
            outreaches=outreaches,
            adapters=adapters,
            loop=loop,
            digest_key=digest_key,
            links=links,
            lease=timedelta(seconds=settings.lease_seconds),
            margin=timedelta(seconds=settings.provider_timeout),
            reconcile_after=timedelta(seconds=settings.reconcile_seconds),
        ),
        hook=hook,
        escalations=EscalationActivities(
            escalations=Escalations(database), notices=Notices(database), notifiers=notifiers, loop=loop
        ),
        notifiers=notifiers,
        upkeep=UpkeepActivities(
            receipts=Receipts(
                database, judge=receipts.judge, meaning=receipts.meaning, everything=settings.opt_out == "everything"
            ),
            arrivals=Arrivals(database),
            inbox=inbox,
            replies=Replies(database, kept=timedelta(days=settings.reply_days)),
            retention=Retention(database, kept=timedelta(days=settings.retention_days)),
            measuring=measuring,
            adapters=adapters,
            loop=loop,
        ),
        harm=HarmActivities(harm=Harm(database), outreaches=outreaches, playbooks=playbooks),
        surveys=SurveyActivities(
            surveys=Surveys(database),
            outreaches=outreaches,
            customers=customers,
            playbooks=playbooks,
            adapters=adapters,
            salt=settings.holdout_salt,
            cap=settings.frequency_cap,
            has_links=bool(settings.public_url),
        ),
        asking=AskingActivities(
            surveys=Surveys(database),
            outreaches=outreaches,
            sends=effects,
            leases=Leases(database),
            doubts=Doubts(database),
            answers=answers,
            gate=gate,
            playbooks=playbooks,
            adapters=adapters,
            pace=Pace(Rates(database, settings.rates)),
            loop=loop,
            hours=hours,
            links=links,
            lease=timedelta(seconds=settings.lease_seconds),
            margin=timedelta(seconds=settings.provider_timeout),
            reconcile_after=timedelta(seconds=settings.reconcile_seconds),
        ),
        feed=FeedActivities(feed=Feed(database), endpoints=endpoints, loop=loop),
        endpoints=endpoints,
        matters=MatterActivities(
            matters=matters,
            approvals=judge,
            kinds={
                "library": LibraryChanges(
                    matters=matters,
                    outreaches=outreaches,
                    gate=gate,
                    registry=registry,
                    environment=settings.environment,
                ),
                "permit": PermitKind(
                    matters=matters,
                    outreaches=outreaches,
                    library=library,
                    gate=gate,
                    environment=settings.environment,
                ),
                "resume": Resumes(matters=matters, controls=controls, environment=settings.environment),
            },
        ),
    )
