"""What needs a person: one escalation per cause, told level by level, until somebody is on it or its cause ends."""

from datetime import UTC, datetime, timedelta

from tellfirst.contract import Stage
from tellfirst.domain.plan import Rung
from tests.workflows.test_state import plan
from workflows.escalations import Escalation, Escalations, stage_of, standing
from workflows.situation import situation
from workflows.state import Revision, State

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNGS = (Rung(to="Lead"), Rung(to="Head", after=HOUR))


def stopped(**more: object) -> Escalations:
    escalations = Escalations()
    escalations.escalate("attention", "attention", "page_failed", T0)
    for name, value in more.items():
        setattr(escalations.all[0], name, value)
    return escalations


def test_a_cause_that_comes_again_is_one_escalation() -> None:
    escalations = stopped(level=1)
    escalations.escalate("attention", "attention", "page_failed", T0 + HOUR)
    escalations.escalate("attention", "attention", "configuration", T0 + HOUR)
    [one] = escalations.all
    assert (one.text, one.opened_at, one.level) == ("configuration", T0, 1)


def test_what_somebody_is_on_begins_anew_only_for_another_reason() -> None:
    escalations = stopped(level=2)
    escalations.acknowledge("eve", T0)
    escalations.escalate("attention", "attention", "page_failed", T0 + HOUR)
    assert [one.acknowledged_by for one in escalations.open] == ["eve"]
    escalations.escalate("attention", "attention", "configuration", T0 + HOUR)
    [one] = escalations.open
    assert (one.level, one.acknowledged_by, one.opened_at) == (0, "", T0 + HOUR)


def test_the_first_word_of_who_is_on_it_stands() -> None:
    escalations = stopped()
    escalations.acknowledge("eve", T0)
    escalations.acknowledge("ben", T0 + HOUR)
    assert [(one.acknowledged_by, one.acknowledged_at) for one in escalations.open] == [("eve", T0)]


def test_only_what_people_end_ends_when_they_say_so() -> None:
    escalations = stopped()
    escalations.escalate("outside:negative_reply", "negative_reply", "three angry replies", T0)
    escalations.acknowledge("eve", T0, done=True)
    assert [one.kind for one in escalations.open] == ["attention"]


def test_the_levels_fall_due_in_turn_and_then_nobody_is_left() -> None:
    one = stopped().all[0]
    due = []
    for level in range(3):
        one.level = level
        due.append((one.next_at(RUNGS), one.waiting_on(RUNGS)))
    assert due == [(T0, "Lead"), (T0 + HOUR, "Lead"), (None, "Head")]
    one.level, one.acknowledged_at, one.acknowledged_by = 1, T0, "eve"
    assert (one.next_at(RUNGS), one.waiting_on(RUNGS)) == (None, "eve")


def test_what_has_ended_is_let_go_once_it_is_kept() -> None:
    escalations = stopped()
    escalations.settle(lambda _: True, T0)
    assert (escalations.open, len(escalations.all)) == ([], 1)
    escalations.all[0].kept = True
    escalations.settle(lambda _: True, T0)
    assert escalations.all == []


def test_the_stage_says_how_far_it_has_come() -> None:
    late = Escalation(cause="overdue:1", kind="overdue", text="t", opened_at=T0, level=1)
    other = Escalation(cause="outside:raised", kind="raised", text="t", opened_at=T0, level=1)
    assert stage_of([late]) == Stage.APPROVAL_OVERDUE
    assert stage_of([late, other]) == Stage.NEEDS_ATTENTION
    assert stage_of([late, other.model_copy(update={"level": 2})]) == Stage.ESCALATED
    assert stage_of([late.model_copy(update={"acknowledged_at": T0})]) == Stage.ESCALATED


def test_the_words_name_who_was_told_who_is_next_and_what_else_there_is() -> None:
    escalations = stopped(level=1)
    escalations.escalate("outside:raised", "raised", "call the carrier", T0)
    assert standing(escalations.open, lambda _: RUNGS) == (
        "Level 1 of 2: **Lead** was told. **Head** is told 01 Mar 2026, 13:00 UTC. "
        "`tellfirst ack` says that you are on it. Also: raised."
    )
    escalations.acknowledge("eve", T0 + 2 * HOUR)
    assert standing(escalations.open[:1], lambda _: RUNGS) == "Acknowledged by **eve**, 01 Mar 2026, 14:00 UTC."


def test_without_a_ladder_the_owner_is_told() -> None:
    state = State(trigger="t", revisions=[Revision(plan=plan())])
    state.ask("page_failed", T0)
    shown = situation(state, T0)
    assert (shown.stage, shown.waiting_on) == (Stage.NEEDS_ATTENTION, "owner")
    assert shown.words.startswith("Waiting for **owner** since 01 Mar 2026, 12:00 UTC: page_failed.")


def test_before_there_is_a_plan_nobody_is_known_to_be_told() -> None:
    state = State(trigger="t")
    state.ask("a message could not be recorded", T0)
    assert situation(state, T0).stage == Stage.NEEDS_ATTENTION
    assert state.escalations.open[0].next_at(state.rungs(state.escalations.open[0])) is None
