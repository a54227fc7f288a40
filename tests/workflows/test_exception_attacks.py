"""What an attacker, a careless hand or bad luck may do to a request for an exception."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from activities.exception_claims import ExceptionClaim
from activities.exceptions import ReceivedGrant
from tellfirst.contract import ExceptionResult, ExceptionView, Stage, exception_id
from tellfirst.domain.message import AnswerKind
from tellfirst.store.consents import Consents
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.exceptions import Spent
from tests.channels.test_webhook import SECRET, Receiver
from tests.http_connection import Connection
from tests.signing.make import ed25519
from tests.workflows.counter import Counter
from tests.world import World


@pytest.fixture
def counter(world: World) -> Counter:
    return Counter(world)


async def test_it_is_tried_until_it_is_acknowledged(counter: Counter) -> None:
    """Refused, broken off, throttled: one grant, the same id and the same bytes each time, one answer."""
    receiver = Receiver()
    receiver.statuses = [500, 0, 503, 302]
    server = await asyncio.get_running_loop().create_server(lambda: Connection(receiver.handle), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/grants"
    await counter.world.with_settings(exceptions_webhook=url, exceptions_secret=SecretStr(SECRET))
    counter = Counter(counter.world)
    await counter.open()
    handle = await counter.put()
    assert (await counter.decide()).accepted
    result = await handle.result()
    server.close()
    assert result.ending == "executed"
    assert len(receiver.seen) == 5
    assert {(headers["webhook-id"], body) for headers, body in receiver.seen} == {
        (counter.request, receiver.seen[0][1])
    }
    assert len(counter.answers()) == 1
    assert counter.spent() == [Spent(reserved=0, consumed=1_500)] * 2


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"amount_minor": 1_400}, "stale_content"),
        ({"currency": "USD"}, "stale_content"),
        ({"customer": "c-2"}, "stale_content"),
        ({"answer_digest": "00" * 32}, "stale_content"),
        ({"requester": "ben"}, "stale_content"),
        ({"environment": "production"}, "wrong_environment"),
        ({"nonce": "n-2"}, "stale_content"),
        ({"request": "r-other"}, "wrong_outreach"),
    ],
    ids=str,
)
async def test_a_grant_of_something_else_is_refused(counter: Counter, what: dict[str, Any], code: str) -> None:
    await counter.open()
    await counter.put()
    await counter.pending()
    answer = await counter.world.client.submit(exception_id(counter.request), counter.signed("approve", **what))
    assert (answer.accepted, answer.code) == (False, code)
    assert counter.carried_out() == []
    assert counter.spent() == [Spent(reserved=1_500, consumed=0)] * 2


async def test_requester_and_strangers_grant_nothing(counter: Counter) -> None:
    await counter.open()
    await counter.put(requester="ana")
    assert (await counter.decide()).code == "own_proposal"
    assert (await counter.decide(signer=ed25519())).code == "unknown_key"
    assert (await counter.decide(signer=counter.world.ben)).code == "wrong_person"
    handle = counter.world.env.client.get_workflow_handle(exception_id(counter.request))
    await handle.signal("decide", {"document": {"decision": "approve"}, "signature": "none"})
    await handle.signal("decide", "approve")
    await counter.world.until(lambda: len(counter.world.decisions.received(handle.id)) == 5)
    assert not any(d.accepted for d in counter.world.decisions.received(handle.id))
    assert counter.carried_out() == []


async def test_rows_written_by_hand_carry_nothing_out(counter: Counter) -> None:
    """Somebody who can write to the database, and not sign, raises the amount of what waits, or marks it granted."""
    await counter.open()
    await counter.put()
    await counter.pending()
    assert counter.world.app is not None
    with counter.world.app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE exceptions SET amount_minor = 4000, status = 'granted'")
        session.connection().exec_driver_sql("UPDATE matters SET status = 'approved' WHERE kind = 'exception'")
    answer = await counter.decide()
    assert not answer.accepted
    assert counter.carried_out() == []
    assert counter.answers() == []


async def test_an_opted_out_customer_gets_the_credit_and_no_text(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    Consents(counter.world.app.database).opt_out(["c-1"], channel="", at=datetime.now(UTC), source="test")
    assert (await counter.decide()).accepted
    result = await handle.result()
    assert (result.ending, result.answer) == ("executed", "withheld")
    assert len(counter.carried_out()) == 1
    assert counter.answers() == []


async def test_an_answer_in_doubt_is_never_sent_again(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    counter.world.sms.answers = [AnswerKind.AMBIGUOUS]
    assert (await counter.decide()).accepted
    result = await handle.result()
    assert result.answer == "unknown"
    assert len(counter.answers()) == 1
    assert [n.kind for n in counter.world.notices.of(handle.id)] == ["attention"]


async def test_an_answer_waits_while_its_channel_is_halted(counter: Counter) -> None:
    """The provider refuses our account: nothing left, so nothing is settled, and it leaves once that is mended."""
    await counter.open()
    handle = await counter.put()
    counter.world.sms.answers = [AnswerKind.CONFIGURATION]
    assert (await counter.decide()).accepted
    await counter.world.until(lambda: any(c.name == "channel:sms" for c in counter.world.controls.on()))
    await counter.world.pass_time(handle, minutes=5)
    assert counter.answers() == []
    counter.world.controls.turn_off("channel:sms", by="ana", at=datetime.now(UTC))
    result = await handle.result()
    assert (result.ending, result.answer) == ("executed", "accepted")
    assert len(counter.answers()) == 1


async def test_an_answer_of_an_aborted_outreach_is_withheld_and_told(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.world.client.tell(counter.outreach, "abort", by="ana")
    await counter.world.until(lambda: counter.closed())
    assert (await counter.decide()).accepted
    result = await handle.result()
    assert (result.ending, result.answer) == ("executed", "withheld")
    assert counter.answers() == []
    (notice,) = counter.world.notices.of(handle.id)
    assert "aborted" in notice.text


async def test_a_pause_of_everything_holds_it(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    counter.world.controls.turn_on(PAUSE_ALL, "paused", by="ana", at=datetime.now(UTC))
    assert (await counter.decide()).accepted
    await counter.world.pass_time(handle, minutes=5)
    assert counter.carried_out() == []
    assert counter.answers() == []


@pytest.mark.parametrize("start", [None, {}, {"request": "r"}, "text"], ids=str)
async def test_a_malformed_request_is_refused(world: World, start: object) -> None:
    id_ = f"exception/{uuid4().hex}"
    with world.env.with_time_skipping_disabled():
        result: ExceptionResult = await world.env.client.execute_workflow(
            "ExceptionRequest", start, id=id_, task_queue="outreach", result_type=ExceptionResult
        )
    assert (result.ending, result.code) == ("refused", "malformed")


# -- what may be cut off anywhere


async def test_a_claim_that_was_cut_off_goes_on_from_what_it_found(counter: Counter) -> None:
    """Meanwhile nobody has the role any more: what was reserved is not forgotten."""
    await counter.open()
    app = counter.world.app
    assert app is not None
    claim = ExceptionClaim(asked=counter.asked(), run="run-1")
    first = await counter.cut_off(app.exception_claims.claim_exception, claim)
    counter.world.registry.write_text(counter.world.registry.read_text().replace("Service lead", "Cook"))
    again = await counter.cut_off(app.exception_claims.claim_exception, claim)
    assert (again.code, again) == ("", first)
    assert counter.spent() == [Spent(reserved=1_500, consumed=0)] * 2
    other = await counter.cut_off(app.exception_claims.claim_exception, claim.model_copy(update={"run": "run-2"}))
    assert other.code == "duplicate"
    assert counter.spent() == [Spent(reserved=1_500, consumed=0)] * 2


async def test_what_was_granted_and_not_told_is_carried_out_and_not_withdrawn(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    assert counter.world.app is not None
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    assert (await counter.cut_off(counter.world.app.exceptions.receive_grant, received)).status == "approved"
    await handle.cancel()
    result = await handle.result()
    assert result.ending == "executed"
    assert len(counter.carried_out()) == len(counter.answers()) == 1
    assert counter.spent() == [Spent(reserved=0, consumed=1_500)] * 2


async def test_nobody_is_told_that_they_granted_what_was_given_back(counter: Counter) -> None:
    """The request is being withdrawn: its reservation is released, its matter not closed yet."""
    await counter.open()
    await counter.put()
    await counter.pending()
    assert counter.exceptions.release(counter.request, "withdrawn", at=datetime.now(UTC))
    answer = await counter.decide()
    assert (answer.accepted, answer.code) == (False, "stale_content")
    assert "withdrawn" in answer.message
    assert counter.spent() == [Spent(reserved=0, consumed=0)] * 2


async def test_a_request_that_was_terminated_grants_nothing_under_its_id_again(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    await handle.terminate("by mistake")
    again = await counter.world.env.client.start_workflow(
        "ExceptionRequest",
        counter.asked(amount_minor=1),
        id=handle.id,
        task_queue="outreach",
        result_type=ExceptionResult,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    assert (await again.result()).code == "duplicate"
    assert counter.spent() == [Spent(reserved=1_500, consumed=0)] * 2


async def test_a_registry_that_cannot_be_read_for_a_while_costs_no_grant(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    blocker = counter.world.folder / "exceptions"
    blocker.touch()
    assert (await counter.decide()).accepted
    await counter.world.until(lambda: counter.spent()[0].consumed == 1_500)
    text = counter.world.registry.read_text()
    counter.world.registry.unlink()
    await counter.world.pass_time(handle, minutes=5)  # the attempt that still read it is over
    blocker.unlink()
    await counter.world.pass_time(handle, minutes=5)
    assert counter.carried_out() == []
    counter.world.registry.write_text(text)
    await counter.world.pass_time(handle, minutes=5)
    assert (await handle.result()).ending == "executed"
    assert counter.world.notices.of(handle.id) == []


# -- what another system is asked to do


async def test_people_are_told_when_nobody_acknowledges_for_an_hour(counter: Counter) -> None:
    await counter.open()
    handle = await counter.put()
    await counter.pending()
    blocker = counter.world.folder / "exceptions"
    blocker.touch()
    assert (await counter.decide()).accepted
    await counter.world.pass_time(handle, minutes=50)
    view: ExceptionView = await handle.query("view", result_type=ExceptionView)
    assert (view.stage, counter.world.notices.of(handle.id)) == (Stage.SENDING, [])
    await counter.world.pass_time(handle, minutes=20)
    view = await handle.query("view", result_type=ExceptionView)
    assert view.stage in (Stage.NEEDS_ATTENTION, Stage.ESCALATED)
    (notice,) = counter.world.notices.of(handle.id)
    assert (notice.kind, notice.text) == ("attention", f"{handle.id} is not carried out yet.")
    blocker.unlink()
    await counter.world.pass_time(handle, minutes=15)
    assert (await handle.result()).ending == "executed"


async def test_whoever_grants_it_in_the_end_the_order_stays_the_same(counter: Counter) -> None:
    """The id is the idempotency key: other bytes under it would be refused for ever, or carried out twice."""
    receiver = Receiver()
    receiver.statuses = [500]
    server = await asyncio.get_running_loop().create_server(lambda: Connection(receiver.handle), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/grants"
    await counter.world.with_settings(exceptions_webhook=url, exceptions_secret=SecretStr(SECRET))
    counter = Counter(counter.world)
    await counter.open()
    await counter.put(ticket="t-9")
    await counter.pending()
    assert counter.world.app is not None
    await counter.world.rest()
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    await counter.cut_off(counter.world.app.exceptions.receive_grant, received)
    with pytest.raises(ApplicationError):
        await counter.cut_off(counter.world.app.exceptions.execute_exception, counter.request)
    counter.revoke()
    assert (await counter.cut_off(counter.world.app.exceptions.execute_exception, counter.request)).code
    by_ben = counter.signed("approve", counter.world.ben, "ben").model_dump(mode="json")
    again = ReceivedGrant(request=counter.request, raw=by_ben)
    assert (await counter.cut_off(counter.world.app.exceptions.receive_grant, again)).accepted
    assert not (await counter.cut_off(counter.world.app.exceptions.execute_exception, counter.request)).code
    await counter.world.work()
    server.close()
    assert len(receiver.seen) == 2
    assert receiver.seen[0][1] == receiver.seen[1][1]
    assert json.loads(receiver.seen[0][1])["data"]["ticket"] == "t-9"


async def test_a_ticket_changed_after_the_grant_carries_nothing_out(counter: Counter) -> None:
    """It may say which order is refunded."""
    await counter.open()
    await counter.put(ticket="t-9")
    await counter.pending()
    app = counter.world.app
    assert app is not None
    await counter.world.rest()
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    assert (await counter.cut_off(app.exceptions.receive_grant, received)).accepted
    with app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE exceptions SET ticket = 't-10'")
    assert (await counter.cut_off(app.exceptions.execute_exception, counter.request)).code == "stale_content"
    assert counter.carried_out() == []
    await counter.world.work()


async def test_nobody_is_told_of_what_was_not_carried_out(counter: Counter) -> None:
    """Somebody who can give work to our workers asks for the answer first."""
    await counter.open()
    await counter.put()
    await counter.pending()
    assert counter.world.app is not None
    (counter.world.folder / "exceptions").touch()
    assert (await counter.decide()).accepted
    await counter.world.until(lambda: counter.spent()[0].consumed == 1_500)
    told = await counter.cut_off(counter.world.app.exception_answers.answer_exception, counter.request)
    assert (told.state, told.reason) == ("withheld", "not_executed")
    assert counter.answers() == []


async def test_an_answer_goes_to_the_customer_whom_it_was_granted(counter: Counter) -> None:
    """Somebody who can write to the database makes it point at another customer's row."""
    await counter.open("c-1", "c-2")
    await counter.put()
    await counter.pending()
    app = counter.world.app
    assert app is not None
    await counter.world.rest()
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    assert (await counter.cut_off(app.exceptions.receive_grant, received)).accepted
    assert not (await counter.cut_off(app.exceptions.execute_exception, counter.request)).code
    theirs = "UPDATE exceptions SET recipient_id = (SELECT id FROM recipients WHERE customer_id = '{}')"
    for customer, state in (("c-2", "withheld"), ("c-1", "accepted")):
        with app.database.write() as session:
            session.connection().exec_driver_sql(theirs.format(customer))
        assert (await counter.cut_off(app.exception_answers.answer_exception, counter.request)).state == state
    assert len(counter.answers()) == len(counter.world.sms.sent) == 1
    await counter.world.work()


async def test_a_playbook_that_is_not_live_grants_nothing(counter: Counter) -> None:
    """Its boundaries, roles and answers are only words until they are signed, whatever the database says."""
    await counter.open()
    await counter.world.with_settings(library_gate=True)
    counter_now = Counter(counter.world)
    counter_now.outreach = counter.outreach
    handle = await counter_now.put()
    result = await handle.result()
    assert result.code == "playbook_not_live:not_approved"
    assert result.ask == "Head of customer service"


async def test_a_request_whose_playbook_was_withdrawn_says_so(counter: Counter) -> None:
    await counter.open()
    await counter.put()
    await counter.pending()
    await counter.world.with_settings(library_gate=True)
    answer = await counter.decide()
    assert (answer.accepted, answer.code) == (False, "playbook_not_live:not_approved")
    assert answer.message.startswith("its playbook's version is not live any more")


async def test_a_playbook_withdrawn_after_the_grant_carries_nothing_out(counter: Counter) -> None:
    await counter.open()
    await counter.put()
    await counter.pending()
    assert counter.world.app is not None
    await counter.world.rest()
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    await counter.cut_off(counter.world.app.exceptions.receive_grant, received)
    await counter.world.work()
    await counter.world.with_settings(library_gate=True)
    done = await counter.cut_off(counter.world.app.exceptions.execute_exception, counter.request)
    assert done.code == "playbook_not_live:not_approved"
    assert counter.carried_out() == []


async def test_an_address_in_place_of_an_outreach_is_not_kept(counter: Counter) -> None:
    handle = await counter.put(outreach="jo@example.com")
    assert (await handle.result()).code == "personal"
    assert counter.exceptions.all() == []


async def test_nobody_is_told_of_what_nothing_carries_out(counter: Counter) -> None:
    await counter.open()
    await counter.world.with_settings(environment="production", library_gate=False)
    assert counter.world.app is not None
    claim = ExceptionClaim(asked=counter.asked(), run="1")
    claimed = await counter.cut_off(counter.world.app.exception_claims.claim_exception, claim)
    assert (claimed.code, claimed.ask) == ("nothing_carries_it_out", "Head of customer service")


async def test_what_was_granted_waits_for_the_system_that_carries_it_out(counter: Counter) -> None:
    live = {"environment": "production", "library_gate": False, "exceptions_secret": SecretStr(SECRET)}
    await counter.world.with_settings(**live, exceptions_webhook="http://127.0.0.1:9/grants")
    counter = Counter(counter.world)
    await counter.open()
    await counter.put()
    await counter.pending()
    received = ReceivedGrant(request=counter.request, raw=counter.signed("approve").model_dump(mode="json"))
    assert counter.world.app is not None
    await counter.cut_off(counter.world.app.exceptions.receive_grant, received)
    await counter.world.with_settings(exceptions_webhook="")
    with pytest.raises(ApplicationError, match="TELLFIRST_EXCEPTIONS_WEBHOOK is not set"):
        await counter.cut_off(counter.world.app.exceptions.execute_exception, counter.request)
    assert counter.carried_out() == []
