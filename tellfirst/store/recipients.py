"""The frozen audience: candidates folded per customer, pages with digests, waves with arms."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import case, func, tuple_
from sqlmodel import col, delete, select, update

from tellfirst.domain.message import Channel
from tellfirst.domain.plan import INITIAL, PageSpan, spans_of
from tellfirst.domain.recipient import ELIGIBLE, Candidate, Recipient, Wave
from tellfirst.store.alternates import alternates_of, on_page
from tellfirst.store.engine import Database
from tellfirst.store.rows import SHOWN
from tellfirst.store.rows import read_recipient as read_recipient
from tellfirst.store.statements import chunks, given, insert_whole, table
from tellfirst.store.tables import PageRow, RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.waves import Randomisation as Randomisation
from tellfirst.store.waves import randomise_page

TOLD_ONCE = "told_in_another_message"
DISCARDED = 10_000
"""Positions whose rows are removed in one transaction."""


class Recipients:
    """Keeps the recipients of all revisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- planning

    def discard(self, outreach: str, revision: int) -> Iterator[int]:
        """Removes the rows of a revision whose planning did not finish; yields how far it has come, again and again."""
        audience = (RecipientRow.outreach_id == outreach, RecipientRow.revision == revision)
        with self._database.write() as session:
            session.execute(
                delete(PageRow).where(col(PageRow.outreach_id) == outreach, col(PageRow.revision) == revision)
            )
            last = session.exec(select(func.max(RecipientRow.position)).where(*audience)).one()
        # A million at once would take longer than an activity may be silent, and others would wait for it.
        for first in range(0, -1 if last is None else last + 1, DISCARDED):
            with self._database.write() as session:
                for row in (AlternateRow, RecipientRow):
                    columns = table(row).c
                    session.execute(
                        delete(row).where(
                            columns.outreach_id == outreach,
                            columns.revision == revision,
                            columns.position.between(first, first + DISCARDED - 1),
                        )
                    )
            yield first

    def add(self, outreach: str, revision: int, candidates: Sequence[Candidate], *, first: int) -> None:
        """Adds candidates at positions `first`, `first` + 1, …."""
        values = [
            {
                "outreach_id": outreach,
                "revision": revision,
                "position": first + n,
                "customer_id": c.customer,
                "subject_key": c.subject_key,
                "channel": c.channel,
                "locale": c.locale,
                "timezone": c.timezone,
                "cluster": c.cluster,
                "facts": c.facts,
                "promises": {step: at.astimezone(UTC).isoformat() for step, at in c.promises.items()} or None,
                "others": 0,
                "address_digest": c.address_digest,
                "verdict": c.verdict,
            }
            for n, c in enumerate(candidates)
        ]
        with self._database.write() as session:
            insert_whole(session, RecipientRow, values)
            insert_whole(session, AlternateRow, alternates_of(outreach, revision, first, candidates))

    def fold_customers(self, outreach: str, revision: int) -> None:
        """Leaves each customer one row: the first of their subjects speaks for the others, and counts them."""
        row = table(RecipientRow)
        # Ranked in one pass: a look-up per row is quadratic wherever the planner has no statistics yet.
        ranked = (
            select(
                row.c.id,
                func.row_number().over(partition_by=row.c.customer_id, order_by=row.c.position).label("place"),
                (func.count().over(partition_by=row.c.customer_id) - 1).label("others"),
            )
            .where(
                row.c.outreach_id == outreach,
                row.c.revision == revision,
                row.c.verdict.in_([ELIGIBLE, TOLD_ONCE]),
            )
            .subquery()
        )
        speaks = ranked.c.place == 1
        with self._database.write() as session:
            session.execute(
                update(row)
                .where(row.c.id == ranked.c.id, ranked.c.others > 0)
                .values(
                    others=case((speaks, ranked.c.others), else_=row.c.others),
                    verdict=case((speaks, row.c.verdict), else_=TOLD_ONCE),
                )
            )

    def unpaged(self, outreach: str, revision: int, channel: str, limit: int, *, after: int = -1) -> list[Recipient]:
        """Returns the next eligible recipients of a channel, behind the position `after`, that stand on no page yet."""
        row = table(RecipientRow)
        query = (
            select(*(row.c[name] for name in SHOWN))
            .where(
                row.c.outreach_id == outreach,
                row.c.revision == revision,
                row.c.page.is_(None),
                # Who is left out and who waits for another channel stands on no page either: read once, not each time.
                row.c.position > after,
                row.c.verdict == ELIGIBLE,
                row.c.channel == channel,
            )
            # By the page too, which nobody has: or PostgreSQL does not see that the index is in this order.
            .order_by(row.c.page, row.c.position)
            .limit(limit)
        )
        with self._database.read() as session:
            return [read_recipient(found) for found in session.execute(query).all()]

    def eligible_on(self, outreach: str, revision: int) -> dict[str, int]:
        """Returns how many eligible recipients there are on each channel."""
        query = (
            select(RecipientRow.channel, func.count())
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                RecipientRow.verdict == ELIGIBLE,
            )
            .group_by(col(RecipientRow.channel))
        )
        with self._database.read() as session:
            return {channel or "": count for channel, count in session.exec(query)}

    def by_text(self, outreach: str, revision: int) -> dict[tuple[Channel, str], int]:
        """Returns how many recipients get their messages on each channel in each locale."""
        query = (
            select(RecipientRow.channel, RecipientRow.locale, func.count())
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                RecipientRow.verdict == ELIGIBLE,
            )
            .group_by(col(RecipientRow.channel), col(RecipientRow.locale))
        )
        with self._database.read() as session:
            return {(cast(Channel, channel), locale or ""): count for channel, locale, count in session.exec(query)}

    def add_page(
        self, outreach: str, revision: int, number: int, channel: str, contents: dict[int, str], digest: str
    ) -> None:
        """Freezes one page: recipient id to content digest, in the order of their positions."""
        row = table(RecipientRow)
        with self._database.write() as session:
            id_, content = given(session, contents)
            session.execute(update(row).where(row.c.id == id_).values(page=number, content_digest=content))
            session.add(
                PageRow(
                    outreach_id=outreach,
                    revision=revision,
                    number=number,
                    channel=channel,
                    rows=len(contents),
                    digest=digest,
                )
            )

    def leave_out(self, ids: Sequence[int], verdict: str) -> None:
        """Sets recipients aside before their page is frozen."""
        with self._database.write() as session:
            session.execute(update(RecipientRow).where(col(RecipientRow.id).in_(ids)).values(verdict=verdict))

    # -- reading

    def page(self, outreach: str, revision: int, number: int) -> list[Recipient]:
        """Returns a page in its frozen order, be it one of alternates, whatever became of its rows since."""
        query = (
            select(RecipientRow)
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                RecipientRow.page == number,
            )
            .order_by(col(RecipientRow.position))
        )
        with self._database.read() as session:
            rows = [read_recipient(row) for row in session.exec(query)]
            return rows or on_page(session, outreach, revision, number)

    def page_digests(self, outreach: str, revision: int) -> list[str]:
        """Returns the digests of all pages in order."""
        query = (
            select(PageRow.digest)
            .where(PageRow.outreach_id == outreach, PageRow.revision == revision)
            .order_by(col(PageRow.number))
        )
        with self._database.read() as session:
            return list(session.exec(query))

    def rows_on(self, outreach: str, revision: int, first: int, end: int) -> int:
        """Returns how many recipients stand on the pages `first` to `end`, the end excluded."""
        query = select(func.sum(PageRow.rows)).where(
            PageRow.outreach_id == outreach,
            PageRow.revision == revision,
            col(PageRow.number) >= first,
            col(PageRow.number) < end,
        )
        with self._database.read() as session:
            return int(session.exec(query).one() or 0)

    def samples(self, outreach: str, revision: int, per_channel: int) -> list[Recipient]:
        """Returns the first recipients of each channel."""
        query = (
            select(PageRow.channel, PageRow.number)
            .where(PageRow.outreach_id == outreach, PageRow.revision == revision)
            .order_by(col(PageRow.channel), col(PageRow.number))
        )
        found: dict[str, list[Recipient]] = {}
        with self._database.read() as session:
            pages = list(session.exec(query))
        for channel, number in pages:
            chosen = found.setdefault(channel, [])
            if len(chosen) < per_channel:  # the page of the first few may be as short as one row
                chosen += self._known(outreach, revision, number)[: per_channel - len(chosen)]
        return [row for chosen in found.values() for row in chosen]

    def _known(self, outreach: str, revision: int, number: int) -> list[Recipient]:
        return [row for row in self.page(outreach, revision, number) if not row.leaf]

    def verdicts(self, outreach: str, revision: int) -> dict[str, int]:
        """Returns how many rows have each verdict, with `eligible` for those who will be written to."""
        query = (
            select(RecipientRow.verdict, func.count())
            .where(RecipientRow.outreach_id == outreach, RecipientRow.revision == revision)
            .group_by(col(RecipientRow.verdict))
        )
        with self._database.read() as session:
            return dict(session.exec(query).all())

    def set_aside(self, outreach: str, revision: int) -> dict[str, int]:
        """Returns how many eligible rows were left out when their wave was due, by reason."""
        query = (
            select(RecipientRow.withheld, func.count())
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                col(RecipientRow.withheld).is_not(None),
            )
            .group_by(col(RecipientRow.withheld))
        )
        with self._database.read() as session:
            return {reason or "": count for reason, count in session.exec(query).all()}

    def arms(self, outreach: str) -> dict[str, int]:
        """Returns how many rows were drawn into each arm; whom a correction reaches was drawn before."""
        query = (
            select(RecipientRow.arm, func.count())
            .where(RecipientRow.outreach_id == outreach, col(RecipientRow.t0).is_not(None))
            .group_by(col(RecipientRow.arm))
        )
        with self._database.read() as session:
            return {name or "": count for name, count in session.exec(query).all()}

    def held_out(self, outreach: str) -> dict[str, int]:
        """Returns how many rows each hold-out holds: `global`, that of all outreaches, and `playbook`."""
        query = (
            select(RecipientRow.held_by, func.count())
            .where(RecipientRow.outreach_id == outreach, RecipientRow.arm == "control")
            .group_by(col(RecipientRow.held_by))
        )
        with self._database.read() as session:
            return {name or "": count for name, count in session.exec(query).all()}

    def subject_keys(self, outreach: str) -> Iterator[list[tuple[int, str]]]:
        """Yields (recipient id, subject key) of everyone whose condition is not known to be over."""
        row = table(RecipientRow)
        place = tuple_(row.c.revision, row.c.position)
        last = (0, -1)
        while True:
            query = (
                select(row.c.id, row.c.subject_key, row.c.revision, row.c.position)
                .where(
                    row.c.outreach_id == outreach,
                    place > last,
                    row.c.verdict == ELIGIBLE,
                    row.c.cleared_at.is_(None),
                )
                .order_by(row.c.revision, row.c.position)
                .limit(2_000)
            )
            with self._database.read() as session:
                found = session.execute(query).all()
            if not found:
                return
            yield [(id_, key) for id_, key, _, _ in found]
            last = found[-1][2:]

    def mark_cleared(self, ids: Sequence[int], *, at: datetime) -> None:
        """Records for whom the condition is over."""
        with self._database.write() as session:
            for chunk in chunks(ids):
                open_ones = (col(RecipientRow.id).in_(chunk), col(RecipientRow.cleared_at).is_(None))
                session.execute(update(RecipientRow).where(*open_ones).values(cleared_at=at))

    def mark_all_cleared(self, outreach: str, *, at: datetime) -> None:
        """Records that the condition is over for everyone."""
        with self._database.write() as session:
            session.execute(
                update(RecipientRow)
                .where(col(RecipientRow.outreach_id) == outreach, col(RecipientRow.cleared_at).is_(None))
                .values(cleared_at=at)
            )

    def still_affected(self, outreach: str) -> dict[str, int]:
        """Returns how many eligible rows are `open` and how many `cleared`."""
        cleared = col(RecipientRow.cleared_at).is_not(None)
        query = (
            select(cleared, func.count())
            .where(RecipientRow.outreach_id == outreach, RecipientRow.verdict == ELIGIBLE)
            .group_by(cleared)
        )
        with self._database.read() as session:
            counted = {bool(is_cleared): count for is_cleared, count in session.exec(query)}
        return {"open": counted.get(False, 0), "cleared": counted.get(True, 0)}

    # -- waves

    def undrawn(self, outreach: str, revision: int, *, end: int) -> list[int]:
        """Returns the pages before `end` on which somebody has neither an arm nor a reason to get none."""
        query = (
            select(RecipientRow.page)
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                col(RecipientRow.page) < end,
                col(RecipientRow.arm).is_(None),
                col(RecipientRow.withheld).is_(None),
            )
            .distinct()
            .order_by(col(RecipientRow.page))
        )
        with self._database.read() as session:
            return [page for page in session.exec(query) if page is not None]

    def randomise(self, outreach: str, revision: int, by: Randomisation, *, page: int) -> list[datetime]:
        """Reserves the frequency cap and draws the arm for those of a page whose slot has come; what is drawn stays.

        Both arms alike. Returns when each of the others may be looked at again.
        """
        with self._database.write() as session:
            return randomise_page(session, outreach, revision, by, page=page)

    def unopened(self, outreach: str, revision: int) -> tuple[PageSpan, ...]:
        """Returns the pages on which somebody was drawn to be told, by whichever attempt, and is not in the effect log.

        What is read of the rows alone is the same however often a wave is tried, and at whatever instant.
        """
        opened = select(SendRow.id).where(
            col(SendRow.recipient_id) == col(RecipientRow.id), col(SendRow.step) == INITIAL
        )
        query = (
            select(RecipientRow.page)
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                RecipientRow.arm == "treated",
                RecipientRow.verdict == ELIGIBLE,
                ~opened.exists(),
            )
            .distinct()
        )
        with self._database.read() as session:
            return spans_of(page for page in session.exec(query) if page is not None)

    def let_rest_go(self, outreach: str, revision: int, *, first: int, reason: str) -> None:
        """Sets aside whoever stands on the pages from `first` on and has no arm yet."""
        rest = (
            col(RecipientRow.outreach_id) == outreach,
            col(RecipientRow.revision) == revision,
            col(RecipientRow.page) >= first,
            col(RecipientRow.arm).is_(None),
            col(RecipientRow.withheld).is_(None),
        )
        with self._database.write() as session:
            session.execute(update(RecipientRow).where(*rest).values(withheld=reason))

    def wave(self, outreach: str, revision: int, *, end: int | None = None) -> Wave:
        """Returns what the randomisation of a revision came to; with `end`, on its pages before that one."""
        set_aside = col(RecipientRow.withheld).is_not(None)
        query = (
            select(RecipientRow.arm, set_aside, func.count())
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                RecipientRow.verdict == ELIGIBLE,
            )
            .group_by(col(RecipientRow.arm), set_aside)
        )
        if end is not None:
            query = query.where(col(RecipientRow.page) < end)
        with self._database.read() as session:
            counts: Counter[str] = Counter()
            for arm, aside, count in session.exec(query):
                counts[arm or ("withheld" if aside else "waiting")] += count
        return Wave(
            treated=counts["treated"],
            control=counts["control"],
            withheld=counts["withheld"],
            waiting=counts["waiting"],
        )
