"""Surveys: which closed outreaches have one, and who of both arms is asked by which channel."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import AwareDatetime
from temporalio import activity

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.playbooks import PlannedPlaybooks
from tellfirst.channels.base import Adapter
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel
from tellfirst.measurement.assignment import draw
from tellfirst.playbooks.asking import needs_link, survey_locale
from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.survey import Survey
from tellfirst.policy.caps import FrequencyCap
from tellfirst.policy.choice import Reach, choose
from tellfirst.store.customers import Customer, Customers
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.surveys import Chosen, Due, Surveys

PAGE = 500


class SurveyRequest(Frozen):
    """Asks for the survey of one closed outreach; `since` is up to when an earlier draw has drawn.

    A run that ends in the middle of a round says `after` which page, when to come back to those before at `next_at`,
    and whether any of them was `held`.
    """

    outreach: str
    since: AwareDatetime | None = None
    after: int = -1
    next_at: AwareDatetime | None = None
    held: bool = False


class SurveyPageRequest(Frozen):
    """Asks to ask those on one page; `channel` is only by which queue it goes."""

    outreach: str
    page: int
    channel: Channel
    not_after: AwareDatetime


class Drawn(Frozen):
    """Is what is to be asked now, and when there are more to draw."""

    until: AwareDatetime
    pages: tuple[SurveyPageRequest, ...] = ()
    next_at: AwareDatetime | None = None


class SurveyActivities:
    """Draws whom a survey asks, blind to what they were told."""

    def __init__(
        self,
        *,
        surveys: Surveys,
        outreaches: Outreaches,
        customers: Customers,
        playbooks: PlannedPlaybooks,
        adapters: Mapping[str, Adapter],
        salt: str,
        cap: FrequencyCap,
        has_links: bool,
    ) -> None:
        self._surveys, self._outreaches, self._customers = surveys, outreaches, customers
        self._playbooks, self._adapters = playbooks, adapters
        self._salt, self._cap, self._has_links = salt, cap, has_links

    @activity.defn(no_thread_cancel_exception=True)
    def find_surveys(self) -> list[str]:
        """Returns the outreaches whose survey is to begin; of those without one it is kept that they have none."""
        with told_plainly():
            now = AttemptClock().now()
            waiting = self._surveys.waiting(now=now)
            found = [outreach for outreach in waiting if self._planned(outreach)]
            for outreach in set(waiting) - set(found):
                self._surveys.begin(outreach, "", at=now)
            return found

    @activity.defn(no_thread_cancel_exception=True)
    def draw_survey(self, request: SurveyRequest) -> Drawn:
        """Draws everybody whose time has come; drawn again by another attempt, it is the same people."""
        with told_plainly():
            now = AttemptClock().now()
            case = self._outreaches.get(request.outreach)
            planned = self._planned(request.outreach)
            # Whoever started this life: nobody is asked before both arms' windows are over, or after an abort.
            if case is None or case.ending != "measured" or case.paused or not planned:
                return Drawn(until=now)
            self._surveys.begin(request.outreach, planned[max(planned)][1].kind, at=now)
            nexts = []
            for revision, (playbook, survey) in sorted(planned.items()):
                since = None if request.since is None else request.since - survey.after
                self._draw(request.outreach, revision, playbook, survey, since=since, now=now)
                if end := self._surveys.next_end(request.outreach, revision, until=now - survey.after):
                    nexts.append(end + survey.after)
            pages = tuple(
                SurveyPageRequest(
                    outreach=page.outreach, page=page.number, channel=page.channel, not_after=page.not_after
                )
                for page in self._surveys.pages(request.outreach)
            )
            return Drawn(until=now, pages=pages, next_at=min(nexts, default=None))

    def _planned(self, outreach: str) -> dict[int, tuple[Playbook, Survey]]:
        """Returns the playbook and the survey of each revision that people were told by."""
        found = {}
        for number in range(1, self._outreaches.latest_revision(outreach) + 1):
            revision = self._outreaches.revision(outreach, number)
            if revision is None or revision.plan.unplanned:
                continue
            playbook = self._playbooks.of(revision)
            if playbook.survey is not None:
                found[number] = (playbook, playbook.survey)
        return found

    def _draw(
        self, outreach: str, revision: int, playbook: Playbook, survey: Survey, *, since: datetime | None, now: datetime
    ) -> None:
        after, until = 0, now - survey.after
        while due := self._surveys.due(outreach, revision, since=since, until=until, after=after, limit=PAGE):
            after = due[-1].recipient
            # Drawn by another salt than the arms: who is asked says nothing of who was told.
            mine = [one for one in due if draw(f"{self._salt}/survey", outreach, one.cluster) < survey.share]
            self._surveys.draw(
                outreach,
                revision,
                self._choose(mine, playbook, survey),
                kind=survey.kind,
                cap=self._cap,
                at=now,
                not_after=now + survey.expires,
            )
            beat(after)

    def _choose(self, due: Sequence[Due], playbook: Playbook, survey: Survey) -> list[Chosen]:
        people = self._customers.resolve([one.customer for one in due])
        found = []
        for one in due:
            customer = people.get(one.customer)
            told = "unknown_customer" if customer is None else self._way(customer, playbook, survey)
            if isinstance(told, str):
                found.append(Chosen(due=one, reason=told))
            else:
                found.append(Chosen(due=one, channel=told[0], locale=told[1]))
        return found

    def _way(self, customer: Customer, playbook: Playbook, survey: Survey) -> tuple[Channel, str] | str:
        works = {channel for channel, address in customer.addresses.items() if address.usable} & self._adapters.keys()
        locales: dict[Channel, str] = {}
        wanted = customer.preference.locale or customer.locale
        for channel in survey.channels:
            locale = survey_locale(survey, channel, wanted, playbook.default_locale)
            if locale is not None and (self._has_links or not needs_link(playbook, channel, locale)):
                locales[channel] = locale
        reach = Reach(
            usable=frozenset(channel for channel in survey.channels if channel in works),
            locales=locales,
            consents=customer.consents,
            preferred=customer.preference.channel or customer.preferred,
        )
        channels = choose(survey.channels, reach, purpose=survey.purpose)
        return channels if isinstance(channels, str) else (channels[0], locales[channels[0]])
