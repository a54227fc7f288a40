"""What is answered to surveys, and what that comes to by arm."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import cast

from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import Sums
from tellfirst.domain.message import SendState
from tellfirst.domain.outcome import Arm
from tellfirst.domain.survey import Felt, SurveyFigures, SurveyKind
from tellfirst.store.accounts import merged
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks
from tellfirst.store.surveys import STEP
from tellfirst.store.tables import OutreachRow, RecipientRow, SendRow
from tellfirst.store.tables_surveys import SurveyAnswerRow, SurveyRow

BY_DIGIT = ("sms", "whatsapp")
BY_DIGIT_WITHIN = timedelta(days=7)
"""How long after a question was sent a lone digit is an answer to it."""
LEFT = (SendState.INTENT, SendState.UNKNOWN, SendState.ACCEPTED, SendState.DELIVERED, SendState.UNDELIVERED)
_TAKEN = frozenset({SendState.ACCEPTED, SendState.DELIVERED, SendState.UNDELIVERED})


class Question(Frozen):
    """Is what somebody was asked, whether they were told before, and what they answered so far."""

    survey: int
    kind: SurveyKind
    told: bool
    score: int | None = None
    felt: str = ""


class SurveyAnswers:
    """Keeps answers; nothing is overwritten, and of each question the last answer holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def question(self, send: str) -> Question | None:
        """Returns what was asked by a send; None where nothing was, or who was asked is forgotten."""
        with self._database.read() as session:
            row = session.exec(select(SurveyRow).where(SurveyRow.send_id == send)).first()
            if row is None or session.get_one(RecipientRow, row.recipient_id).leaf is not None:
                return None
            told = select(SendRow.id).where(
                SendRow.recipient_id == row.recipient_id,
                ~col(SendRow.step).startswith(STEP),
                col(SendRow.state).in_(LEFT),
            )
            score, felt = None, ""
            mine = select(SurveyAnswerRow).where(SurveyAnswerRow.survey_id == row.id)
            for answer in session.exec(mine.order_by(col(SurveyAnswerRow.id))):
                score, felt = answer.score or score, answer.felt or felt
            return Question(
                survey=row.id or 0,
                kind=cast("SurveyKind", row.kind),
                told=session.exec(told.limit(1)).first() is not None,
                score=score,
                felt=felt,
            )

    def answer(self, survey: int, *, score: int | None = None, felt: Felt | None = None, by: str, at: datetime) -> None:
        """Keeps an answer, to one question or to both."""
        with self._database.write() as session:
            keep_answer(session, survey, score=score, felt=felt, by=by, at=at)

    def figures(self, *, reason: str | None = None, since: datetime | None = None) -> list[SurveyFigures]:
        """Returns what the survey of each outreach came to, by arm and hold-out share.

        Of outreaches about `reason`, and of those closed at `since` or later.
        """
        query = (
            select(SurveyRow, RecipientRow.cluster, RecipientRow.arm, RecipientRow.share, SendRow.state, OutreachRow)  # type: ignore[call-overload]
            .join(RecipientRow, col(RecipientRow.id) == col(SurveyRow.recipient_id))
            .join(OutreachRow, col(OutreachRow.id) == col(SurveyRow.outreach_id))
            .join(SendRow, col(SendRow.id) == col(SurveyRow.send_id), isouter=True)
            .where(col(OutreachRow.closed_at).is_not(None))
            .order_by(col(OutreachRow.closed_at), col(SurveyRow.id))
        )
        if reason is not None:
            query = query.where(OutreachRow.reason_code == reason)
        if since is not None:
            query = query.where(col(OutreachRow.closed_at) >= since)
        with self._database.read() as session:
            rows = session.exec(query).all()
            answers = _last_answers(session, [row[0].outreach_id for row in rows])
            accounts: dict[str, str] = {}
            for chunk in chunks({row[1] for row in rows}):
                accounts |= merged(session, chunk)
        arms: dict[tuple[str, str, float], _Arm] = {}
        for row, cluster, arm, share, state, outreach in rows:
            key = (row.outreach_id, arm or "", share or 0.0)
            of = arms.setdefault(key, _Arm(row, outreach))
            score, felt = answers.get(row.id or 0, (None, ""))
            of.add(accounts.get(cluster, cluster), asked=state in _TAKEN, score=score, felt=felt)
        return [of.figures(arm, share) for (_, arm, share), of in arms.items()]


def keep_answer(
    session: Session, survey: int, *, score: int | None = None, felt: Felt | None = None, by: str, at: datetime
) -> None:
    """Keeps an answer within the session's transaction."""
    row = session.get_one(SurveyRow, survey)
    session.add(
        SurveyAnswerRow(survey_id=survey, customer_id=row.customer_id, score=score, felt=felt or "", by=by, at=at)
    )


def asked_by(
    session: Session, customers: Collection[str], quoted: SendRow | None, *, now: datetime
) -> tuple[int, SendRow] | None:
    """Returns the question that a lone digit answers, with its send: the one quoted, or the last of these customers'.

    None when nothing was asked in the last 7 days where digits are sent back; within the session's transaction.
    """
    query = (
        select(SurveyRow.id, SendRow)
        .join(SendRow, col(SendRow.id) == col(SurveyRow.send_id))
        .where(
            col(SurveyRow.customer_id).in_(list(customers)),
            col(SendRow.channel).in_(BY_DIGIT),
            col(SendRow.state).in_(LEFT),
            col(SendRow.intent_at) > now - BY_DIGIT_WITHIN,
        )
        .order_by(col(SendRow.intent_at).desc())
    )
    if quoted is not None:
        query = query.where(SendRow.id == quoted.id)
    found = session.exec(query.limit(1)).first()
    return None if found is None else (found[0] or 0, found[1])


class _Arm:
    """Adds up one arm of one outreach, cluster by cluster."""

    def __init__(self, row: SurveyRow, outreach: OutreachRow) -> None:
        self._row, self._outreach = row, outreach
        self._asked: dict[str, bool] = {}
        self._scores: dict[str, list[int]] = defaultdict(list)
        self._felt: dict[str, set[str]] = defaultdict(set)

    def add(self, cluster: str, *, asked: bool, score: int | None, felt: str) -> None:
        self._asked[cluster] = self._asked.get(cluster, False) or asked
        if score is not None:
            self._scores[cluster].append(score)
        if felt:
            self._felt[cluster].add(felt)

    def figures(self, arm: str, share: float) -> SurveyFigures:
        welcome = sum(felt == {"welcome"} for felt in self._felt.values())
        return SurveyFigures(
            outreach=self._outreach.id,
            trigger=self._outreach.trigger,
            reason_code=self._outreach.reason_code,
            kind=cast("SurveyKind", self._row.kind),
            arm=cast("Arm", arm),
            share=share,
            drawn=len(self._asked),
            asked=sum(self._asked.values()),
            answered=len(self._scores),
            scores=Sums.of((sum(scores) / len(scores), 0.0) for scores in self._scores.values()),
            welcome=welcome,
            intrusive=len(self._felt) - welcome,
            closed_at=self._outreach.closed_at or self._row.drawn_at,
        )


def _last_answers(session: Session, outreaches: Iterable[str]) -> dict[int, tuple[int | None, str]]:
    found: dict[int, tuple[int | None, str]] = {}
    for outreach in sorted(set(outreaches)):
        query = (
            select(SurveyAnswerRow)
            .join(SurveyRow, col(SurveyRow.id) == col(SurveyAnswerRow.survey_id))
            .where(SurveyRow.outreach_id == outreach)
            .order_by(col(SurveyAnswerRow.id))
        )
        for one in session.exec(query):
            score, felt = found.get(one.survey_id, (None, ""))
            found[one.survey_id] = (one.score or score, one.felt or felt)
    return found
