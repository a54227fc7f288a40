"""What an answer says of a message whose earlier request may have left: never that it did not leave."""

from datetime import UTC, datetime

import pytest

from activities.answers import settled
from tellfirst.domain.message import Answer, AnswerKind, SendState
from tellfirst.domain.recipient import Recipient
from tellfirst.store.sends import PlannedSend

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOMEBODY = Recipient(
    id=1,
    position=0,
    customer="c-1",
    subject_key="o-1",
    channel="email",
    locale="en",
    timezone=None,
    facts={},
    others=0,
    address_digest="",
    content_digest="",
)


@pytest.mark.parametrize("kind", [AnswerKind.NOT_SENT, AnswerKind.QUIET_HOURS, AnswerKind.CONFIGURATION])
@pytest.mark.parametrize("in_doubt", [False, True])
def test_not_processed_this_time_proves_nothing_of_the_time_before(kind: AnswerKind, in_doubt: bool) -> None:
    send = PlannedSend(id="s-1", recipient=SOMEBODY, attempts=1, in_doubt=in_doubt)
    [found], _ = settled([Answer(send_id="s-1", kind=kind)], [send], keyed=True, now=NOON)
    assert (found.state is SendState.INTENT) == in_doubt
    assert in_doubt or found.state in (SendState.PLANNED, SendState.DEFERRED)


def test_an_answer_that_decides_it_decides_it_in_doubt_too() -> None:
    send = PlannedSend(id="s-1", recipient=SOMEBODY, attempts=1, in_doubt=True)
    [found], _ = settled([Answer(send_id="s-1", kind=AnswerKind.ACCEPTED)], [send], keyed=True, now=NOON)
    assert found.state is SendState.ACCEPTED
