"""Surveys in the database: drawn once, answered by arm, and of each question the last answer."""

from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tellfirst.domain.message import Channel, SendState
from tellfirst.policy.caps import FrequencyCap
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.replies import Incoming, Replies
from tellfirst.store.survey_answers import SurveyAnswers
from tellfirst.store.surveys import ASKED_LATELY, OPEN_FOR, Chosen, Due, Surveys
from tellfirst.store.tables import (
    ContactPointRow,
    ContactRow,
    CustomerRow,
    OutreachRow,
    RecipientRow,
    ReservationRow,
    SendRow,
)
from tellfirst.store.tables_contacts import MergeRow
from tellfirst.store.tables_surveys import SurveyAnswerRow, SurveyRow
from tests.store.make import DAY, HOUR, NOON, OUTREACH, at_once, by, candidate, condition, meeting, paged

CAP = FrequencyCap(count=3, period=7 * DAY)
OTHER = OUTREACH.replace("k-1", "k-2")


def put(database: Database, outreach: str = OUTREACH, *, people: int = 4, ending: str = "measured") -> list[Due]:
    """Puts a closed outreach whose recipients are treated and held out in turn, two to a cluster."""
    key = outreach.rsplit("/", 2)[1]
    Outreaches(database).claim(outreach, condition(key), run="run", now=NOON)
    with database.write() as session:
        session.execute(
            update(OutreachRow)
            .where(col(OutreachRow.id) == outreach)
            .values(ending=ending, closed_at=NOON + 2 * DAY, reason_code="late")
        )
        found = []
        for n in range(people):
            customer = f"c-{n}"
            if session.get(CustomerRow, customer) is None:
                session.add(CustomerRow(id=customer, cluster=f"a-{n // 2}", created_at=NOON))
                session.flush()
            row = RecipientRow(
                outreach_id=outreach, revision=1, position=n, page=0, customer_id=customer, subject_key=f"o-{n}",
                channel="sms", locale="en", cluster=f"a-{n // 2}", facts={}, verdict="eligible", share=0.5,
                arm="treated" if n < people / 2 else "control", t0=NOON, window_end=NOON + DAY + n * HOUR,
            )  # fmt: skip
            session.add(row)
            session.flush()
            found.append(Due(recipient=row.id or 0, position=n, customer=customer, cluster=row.cluster))
    return found


def draw(database: Database, due: list[Due], outreach: str = OUTREACH, *, at: timedelta = 2 * DAY) -> None:
    chosen = [Chosen(due=one, channel="sms", locale="en") for one in due]
    now = NOON + at
    Surveys(database).draw(outreach, 1, chosen, kind="ces", cap=CAP, at=now, not_after=now + 5 * DAY)


def reasons(database: Database, outreach: str = OUTREACH) -> list[str]:
    with database.read() as session:
        query = select(SurveyRow.reason).where(SurveyRow.outreach_id == outreach).order_by(col(SurveyRow.id))
        return list(session.exec(query))


def test_who_is_due_is_found_in_both_arms_and_in_time(database: Database) -> None:
    due = put(database)
    surveys = Surveys(database)

    def found(since: timedelta | None, until: timedelta, *, after: int = 0, limit: int = 10) -> list[Due]:
        begun = None if since is None else NOON + since
        return surveys.due(OUTREACH, 1, since=begun, until=NOON + until, after=after, limit=limit)

    assert found(None, DAY + 2 * HOUR) == due[:3]
    assert found(DAY, DAY + 2 * HOUR) == due[1:3], "each instant belongs to one round"
    assert found(None, 2 * DAY, after=due[1].recipient, limit=1) == due[2:3]
    assert surveys.next_end(OUTREACH, 1, until=NOON + DAY + 2 * HOUR) == NOON + DAY + 3 * HOUR
    assert surveys.next_end(OUTREACH, 1, until=NOON + 2 * DAY) is None


def test_drawn_by_two_workers_at_once_everybody_is_asked_once(database: Database) -> None:
    due = put(database)
    at_once([lambda: draw(database, due)] * 2)
    assert reasons(database) == [""] * 4
    with database.read() as session:
        sends = session.exec(select(SendRow)).all()
        places = session.exec(select(ReservationRow)).all()
    assert sorted(send.customer_id for send in sends) == [one.customer for one in due]
    assert len(places) == len(due)


def test_one_customer_with_two_rows_is_asked_by_one_of_them(database: Database) -> None:
    due = put(database)
    with database.write() as session:
        session.execute(update(RecipientRow).where(col(RecipientRow.id) == due[1].recipient).values(customer_id="c-0"))
    draw(database, [due[0], due[1].model_copy(update={"customer": "c-0"})])
    draw(database, [due[1].model_copy(update={"customer": "c-0"})])
    with database.read() as session:
        assert [send.recipient_id for send in session.exec(select(SendRow))] == [due[0].recipient]


def test_pages_of_two_workers_at_once_are_not_one(database: Database) -> None:
    due = put(database)
    with meeting(database, "SELECT max(surveys.page)", when="after"):
        at_once([lambda: draw(database, due[:2]), lambda: draw(database, due[2:])])
    assert [page.number for page in Surveys(database).pages(OUTREACH)] == [0, 1]


def test_two_outreaches_at_once_ask_one_person_once(database: Database) -> None:
    first, second = put(database), put(database, OTHER)
    at_once([lambda: draw(database, first), lambda: draw(database, second, OTHER)])
    assert sorted({*reasons(database), *reasons(database, OTHER)}) == ["", ASKED_LATELY]
    with database.read() as session:
        assert len(session.exec(select(SendRow)).all()) == len(first)


@pytest.mark.parametrize(("later", "reason"), [(89 * DAY, ASKED_LATELY), (90 * DAY, "")])
def test_after_ninety_days_somebody_may_be_asked_again(database: Database, later: timedelta, reason: str) -> None:
    draw(database, put(database))
    draw(database, put(database, OTHER), OTHER, at=2 * DAY + later)
    assert reasons(database, OTHER) == [reason] * 4


def test_a_question_waits_for_what_is_told_and_keeps_nothing_from_being_told(database: Database) -> None:
    due = put(database)
    with database.write() as session:
        for n in range(CAP.count):
            session.add(ReservationRow(customer_id="c-0", outreach_id=f"x-{n}", at=NOON + DAY))
            session.add(ReservationRow(customer_id="c-1", outreach_id=f"x-{n}", at=NOON - 9 * DAY))
    draw(database, due)
    assert reasons(database) == ["frequency_cap", "", "", ""]
    recipients = paged(database, [candidate("c-2")], outreach=OTHER)
    recipients.randomise(OTHER, 1, by(cap=1, t0=NOON + 2 * DAY), page=0)
    assert recipients.wave(OTHER, 1).treated == 1


def test_an_outreach_waits_for_its_survey_until_somebody_has_looked(database: Database) -> None:
    surveys = Surveys(database)
    put(database)
    put(database, OTHER, ending="failed")
    assert surveys.waiting(now=NOON + 3 * DAY) == [OUTREACH]
    assert surveys.waiting(now=NOON + 2 * DAY + OPEN_FOR) == []
    surveys.begin(OUTREACH, "ces", at=NOON)
    surveys.begin(OUTREACH, "", at=NOON)
    assert surveys.waiting(now=NOON + 3 * DAY) == []


def test_an_aborted_outreach_asks_nobody(database: Database) -> None:
    put(database)
    Outreaches(database).hold(OUTREACH, paused=True)
    assert Surveys(database).waiting(now=NOON + 3 * DAY) == []


def test_answers_are_counted_by_cluster_and_arm_and_the_last_one_holds(database: Database) -> None:
    draw(database, put(database, people=8))
    answers = SurveyAnswers(database)
    with database.write() as session:
        session.execute(update(SendRow).values(state=SendState.ACCEPTED))
        session.execute(update(SendRow).where(col(SendRow.customer_id) == "c-7").values(state=SendState.WITHHELD))
        ids = dict(session.exec(select(SurveyRow.customer_id, SurveyRow.id)).all())
    for customer, score in (("c-0", 1), ("c-0", 4), ("c-1", 5), ("c-4", 2)):
        answers.answer(ids[customer] or 0, score=score, by="link", at=NOON)
    answers.answer(ids["c-0"] or 0, felt="welcome", by="link", at=NOON)
    answers.answer(ids["c-2"] or 0, felt="welcome", by="link", at=NOON)
    answers.answer(ids["c-3"] or 0, felt="intrusive", by="link", at=NOON)
    treated, control = sorted(answers.figures(reason="late"), key=lambda one: one.arm, reverse=True)
    assert (treated.arm, treated.share, treated.drawn, treated.asked, treated.answered) == ("treated", 0.5, 2, 2, 1)
    assert (treated.scores.n, treated.scores.y) == (1, 4.5)
    assert (treated.welcome, treated.intrusive) == (1, 1), "one member who was disturbed is enough"
    assert (control.drawn, control.asked, control.answered, control.scores.y) == (2, 2, 1, 2)
    with database.write() as session:
        session.add(MergeRow(old="a-1", into="a-0", at=NOON, by="ana"))
    assert {one.arm: one.drawn for one in answers.figures()} == {"treated": 1, "control": 2}, "one account by now"
    assert answers.figures(reason="another") == []
    assert answers.figures(since=NOON + 3 * DAY) == []
    with database.read() as session:
        assert len(session.exec(select(SurveyAnswerRow)).all()) == 7, "nothing is overwritten"


READING = Reading(kind=Kind.REPLY, tone="neutral")


def asked(database: Database, channel: Channel = "sms") -> None:
    """Puts a survey whose questions were taken an hour after they were drawn."""
    draw(database, put(database))
    with database.write() as session:
        session.execute(
            update(SendRow).values(state=SendState.ACCEPTED, intent_at=NOON + 2 * DAY + HOUR, channel=channel)
        )
        for n in range(4):
            session.add(ContactPointRow(customer_id=f"c-{n}", channel=channel, address=f"+1415555000{n}"))


def reply(database: Database, text: str, *, at: timedelta = 3 * DAY, channel: str = "sms", id_: str = "r-1") -> str:
    incoming = Incoming(id=id_, channel=channel, address="+14155550001", text=text)
    kept = Replies(database).take(incoming, READING, now=NOON + at)
    return kept.kind if kept else ""


def scores(database: Database) -> list[tuple[str, int | None, str]]:
    with database.read() as session:
        return [(row.customer_id, row.score, row.by) for row in session.exec(select(SurveyAnswerRow))]


def contacts(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(ContactRow)).all())


def test_a_lone_digit_is_an_answer_and_no_contact(database: Database) -> None:
    asked(database)
    for text in ("4", " 4. ", "4!", "4\n"):
        assert reply(database, text, id_=text) == "answer"
        assert reply(database, text, id_=text) == "", "handed on twice it is one answer"
    assert scores(database) == [("c-1", 4, "digit")] * 4
    assert contacts(database) == 0


def test_what_says_more_than_a_digit_is_a_reply(database: Database) -> None:
    asked(database)
    said = ("0", "6", "45", "4 parcels are missing", "four", "٤", "-4")
    assert {reply(database, text, id_=text) for text in said} == {"reply"}
    assert (scores(database), contacts(database)) == ([], len(said))


def test_a_digit_answers_for_seven_days_and_only_where_digits_are_sent_back(database: Database) -> None:
    asked(database)
    sent = 2 * DAY + HOUR
    assert reply(database, "3", at=sent + 7 * DAY) == "reply"
    assert reply(database, "3", at=sent + 7 * DAY - HOUR, id_="r-2") == "answer"
    with database.write() as session:
        session.execute(update(SendRow).values(channel="email"))
        session.execute(update(ContactPointRow).values(channel="email"))
    assert reply(database, "3", channel="email", id_="r-3") == "reply"


def test_a_digit_that_quotes_another_message_answers_no_question(database: Database) -> None:
    asked(database)
    with database.write() as session:
        first = session.exec(select(SendRow).where(SendRow.customer_id == "c-1")).one()
        values = {**first.model_dump(), "id": "5e" * 16, "step": "initial", "provider_id": "SM1"}
        session.add(SendRow(**values))
        question = first.id
    quoting = Incoming(id="r-1", channel="whatsapp", address="+14155550001", text="5", refers=("SM1",))
    kept = Replies(database).take(quoting, READING, now=NOON + 3 * DAY)
    assert kept is not None
    assert kept.kind == "reply"
    kept = Replies(database).take(
        quoting.model_copy(update={"id": "r-2", "refers": (question,)}), READING, now=NOON + 3 * DAY
    )
    assert kept is not None
    assert kept.kind == "answer"
