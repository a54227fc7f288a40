"""What is due, what is shown, and what is owed: read from the state alone."""

from datetime import UTC, datetime, timedelta

from tellfirst.contract import Stage
from tellfirst.domain.plan import PageSpan, Plan, PlannedStep
from tellfirst.domain.recipient import Wave
from workflows.situation import situation
from workflows.state import Canary, Lookout, Revision, Sending, State, falls_due, next_deadline, overdue, owing

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def plan(number: int = 1, *, updates: int = 0) -> Plan:
    due = [T0 + (n + 2) * HOUR for n in range(updates)]
    return Plan(
        revision=number,
        playbook="late_delivery",
        playbook_version="v",
        reason_code="where_is_my_order",
        owner="owner",
        approvers=("lead",),
        planned_at=T0,
        recipients=1,
        not_told=0,
        pages=(),
        root="r",
        remind_at=T0 + HOUR,
        escalate_at=T0 + 2 * HOUR,
        decide_by=T0 + 3 * HOUR,
        valid_until=T0 + 9 * HOUR,
        steps=(
            PlannedStep(id="initial", kind="initial", not_after=T0 + HOUR),
            *(
                PlannedStep(id=f"update-{n + 1}", kind="update", due=at, act_at=at - HOUR, not_after=at + HOUR)
                for n, at in enumerate(due)
            ),
        ),
        window=24 * HOUR,
        watermark_timeout=24 * HOUR,
        reconcile_after=HOUR,
    )


def told(number: int = 1, *, updates: int = 0, t0: datetime = T0) -> Revision:
    one = Wave(treated=1, control=0, withheld=0)
    return Revision(plan=plan(number, updates=updates), status="approved", wave=one, t0=t0)


def test_contacts_are_not_asked_for_before_the_window_of_a_later_revision_ends() -> None:
    later = T0 + 10 * HOUR
    state = State(trigger="t", revisions=[told(), told(2, t0=later)], contacts_at=T0 + 25 * HOUR)
    assert next_deadline(state) == (later + 24 * HOUR, "window")


def test_nothing_is_measured_while_messages_leave_unless_only_a_person_can_let_them() -> None:
    revision = told()
    revision.sending = Sending(step="initial")
    state = State(trigger="t", revisions=[revision])
    assert next_deadline(state) is None
    state.ask("provider_block", T0)
    assert next_deadline(state) == (T0 + 24 * HOUR, "window")


def test_nothing_is_measured_while_it_is_still_looked_for_what_was_lost() -> None:
    """The last promise was kept after the window had closed."""
    revision, now = told(), T0 + 25 * HOUR
    revision.lookouts = [Lookout(step="initial", at=now, since=now)]
    state = State(trigger="t", revisions=[revision])
    assert overdue(state, now) == "fallback"
    state.paused = True
    assert overdue(state, now) == "window"


def test_nobody_is_waited_for_once_those_behind_the_first_few_are_not_told() -> None:
    """Looked at again, a wave over the first few alone would forget what those behind them were promised."""
    revision = told(updates=1)
    revision.wave = Wave(treated=1, control=0, withheld=0, waiting=1, next_at=T0 + HOUR)
    at = dict.fromkeys(("opened_at", "remind_at", "escalate_at", "decide_by"), T0)
    revision.canary = Canary(told=1, rest=2, status="approved", drawn=True, **at)
    assert revision.next_wave == T0 + HOUR
    revision.canary.status = "rejected"
    assert revision.next_wave is None


def test_a_new_reason_to_ask_is_not_acknowledged_yet() -> None:
    state = State(trigger="t", revisions=[told()])
    state.ask("one thing", T0)
    state.escalations.acknowledge("eve", T0)
    assert situation(state, T0).stage == Stage.ESCALATED
    state.ask("another", T0)
    assert situation(state, T0).stage == Stage.NEEDS_ATTENTION


def test_a_promise_known_to_be_at_risk_is_due_again_when_nothing_hinders_it() -> None:
    revision = told(updates=1)
    state = State(trigger="t", revisions=[revision], paused=True)
    assert falls_due(state, revision) is not None
    revision.at_risk = "update-1"
    assert falls_due(state, revision) is None
    state.paused = False
    assert falls_due(state, revision) is not None


def test_an_aborted_outreach_owes_nothing_and_does_not_ask_to_be_resumed() -> None:
    state = State(trigger="t", revisions=[told(updates=2)], paused=True, aborted="enough")
    assert not owing(state)
    shown = situation(state, T0)
    assert (shown.stage, shown.words.split(".")[0]) == (Stage.AWAITING_WINDOW, "Aborted")


def test_nothing_is_measured_while_growth_waits_for_a_plan() -> None:
    state = State(trigger="t", revisions=[told()], grow=True)
    state.ask("plan failed", T0)
    assert next_deadline(state) is None


def waiting(next_at: datetime = T0 + HOUR) -> Revision:
    revision = told()
    revision.wave = Wave(treated=1, control=0, withheld=0, waiting=1, next_at=next_at)
    return revision


def test_the_next_wave_is_due_at_its_slot_and_nothing_ends_before_it() -> None:
    state = State(trigger="t", revisions=[waiting()])
    assert next_deadline(state) == (T0 + HOUR, "wave")
    assert owing(state)
    shown = situation(state, T0)
    assert (shown.stage, shown.deadline) == (Stage.SENDING, T0 + HOUR)
    assert "1 recipient will be told" in shown.words


def test_a_wave_that_is_held_is_not_due_again_and_again() -> None:
    revision = waiting()
    late = revision.plan.initial.not_after
    state = State(trigger="t", revisions=[waiting(T0)], paused=True)
    assert next_deadline(state) == (late, "wave"), "then those who wait are given up"
    state = State(trigger="t", revisions=[waiting(T0)], retry_at=T0 + timedelta(seconds=30))
    assert next_deadline(state) == (T0 + timedelta(seconds=30), "retry")
    state = State(trigger="t", revisions=[waiting(T0)], aborted="enough", paused=True)
    assert not owing(state)
    assert next_deadline(state) == (T0 + 24 * HOUR, "window")


def test_nothing_is_measured_while_messages_wait_for_their_hour() -> None:
    revision = told()
    step = Sending(step="initial", spans=[])
    for page in (3, 1, 2):
        revision.defer(step, page, T0 + 30 * HOUR)
    state = State(trigger="t", revisions=[revision], paused=True)
    assert next_deadline(state) == (T0 + 30 * HOUR, "deferred"), "the window closes at 24"
    assert [later.sending.spans for later in revision.deferred] == [[PageSpan(first=1, end=4)]]
    revision.resume_deferred(T0 + 30 * HOUR)
    assert not revision.deferred
    assert revision.on_its_way == "initial"
    assert next_deadline(state) == (T0 + 24 * HOUR, "window"), "now it is held by a person"


def test_what_waits_is_carried_on_into_a_new_run() -> None:
    revision = waiting()
    revision.defer(Sending(step="initial", fallback=1), 4, T0 + HOUR)
    revision.due.append(Sending(step="update-1", spans=[PageSpan(first=0, end=2)], broken=1))
    state = State(trigger="t", revisions=[revision])
    assert State.model_validate_json(state.model_dump_json()) == state
