"""Further channels as people see them: before they sign, after a message was lost, and once a customer is forgotten."""

from datetime import UTC, datetime

import pytest

from tellfirst.domain.message import AnswerKind
from tellfirst.store.customers import CustomerRecord
from tests.cli.conftest import Office
from tests.cli.test_forget import change

BOTH = {"sms": "+14155550101", "email": "jo@example.org"}


async def planned(office: Office) -> str:
    """Returns an outreach to one customer with two addresses and to one who is only texted."""
    office.world.customers.save(
        [
            CustomerRecord(id="c-1", first_name="Jo", addresses=BOTH),
            CustomerRecord(id="c-2", addresses={"sms": "+14155550102"}),
        ],
        now=datetime.now(UTC),
        source="test",
    )
    handle = await office.world.start(office.world.late("o-1", "o-2"))
    await office.planned(handle.id)
    return handle.id


async def test_an_approver_sees_who_may_be_told_otherwise_and_in_which_words(office: Office) -> None:
    outreach = await planned(office)
    shown = (await office.run("show", outreach)).out
    assert "2 recipients: 2 by sms" in shown
    assert "where that does not reach them, 1 by email" in shown
    assert "email: 1 sample, word for word" in shown
    assert "to c-1 (en): Your order o-1 is late" in shown
    approved = await office.approve(outreach)
    assert approved.code == 0
    assert "2 by sms; where that does not reach them, 1 by email" in approved.out + approved.err


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE alternates SET address_digest = 'x'",
        "UPDATE alternates SET rank = 0",
        "UPDATE revisions SET plan = json_set(plan, '$.pages[1].alternate', json('false'))",
        "UPDATE revisions SET proposal = json_set(proposal, '$.fallbacks.email', 2)",
    ],
)
async def test_what_was_changed_of_them_is_not_signed(office: Office, edit: str) -> None:
    outreach = await planned(office)
    change(office, edit)
    refused = await office.approve(outreach)
    assert refused.code == 1
    assert "must not be signed" in refused.err


async def test_what_went_by_another_channel_is_counted_once_verified_and_forgotten(office: Office) -> None:
    office.world.sms.answers = [AnswerKind.PERMANENT, AnswerKind.PERMANENT]
    outreach = await planned(office)
    assert (await office.approve(outreach)).code == 0
    await office.until(lambda: len(office.world.email.sent) == 1)
    await office.until(lambda: office.world.sends.tally(outreach).accepted == 1)
    shown = (await office.run("show", outreach)).out
    assert "initial: 1 accepted, 1 failed (permanent:fake), 1 lost by sms and sent on" in shown
    listed = (await office.run("who", outreach, "--json")).document
    assert [one["customer"] for one in listed["received"]] == ["c-1"]
    for _ in range(2):
        proof = await office.run("verify", "--json")
        assert (proof.code, proof.document["sends"], proof.document["unauthorised"]) == (0, 3, 0)
        await office.run("customers", "forget", "c-1", "--yes")
    change(office, "UPDATE alternates SET leaf = 'x'")
    assert (await office.run("verify", "--json")).code == 1
