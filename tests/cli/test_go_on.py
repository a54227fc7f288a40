"""`continue`: what became of the first few is seen, and a person signs whether the others are told."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tellfirst.contract import continue_id
from tellfirst.store.contacts import Contact
from tellfirst.store.matters import Matters
from tests.cli.conftest import Done, Office, make_approver, register
from tests.cli.test_addenda import correct
from tests.cli.test_decide import planned


async def waiting(office: Office, count: int = 40) -> str:
    """Returns an outreach whose first few were told."""
    office.world.override("late_delivery", {"[approval]\n": "[approval]\ncanary = true\n"})
    outreach = await planned(office, *(f"o-{n}" for n in range(count)))
    seen = (await office.run("show", outreach, "--json")).document["offer"]
    assert len(seen["samples"]) == 3, "although the first few are fewer"
    assert (await office.approve(outreach)).code == 0
    assert office.world.app is not None
    matters = Matters(office.world.app.database)
    await office.until(lambda: matters.get(continue_id(outreach, 1)) is not None)
    return outreach


async def go_on(office: Office, outreach: str, *more: str) -> Done:
    return await office.run("continue", outreach, "--key", office.eve.key, "--yes", *more)


async def test_the_first_few_are_shown_and_the_others_told(office: Office) -> None:
    outreach = await waiting(office)
    now = datetime.now(UTC) + timedelta(seconds=1)
    contacts = [Contact(id="k-1", customer="c-0", reason_code="where_is_my_order", occurred_at=now)]
    office.world.contacts.save(contacts, source="helpdesk", through=None, now=now)
    shown = (await office.run("show", outreach)).out
    assert "2 recipients: 2 accepted" in shown
    assert "0 opt-outs, 1 contact (1 about where_is_my_order)" in shown
    assert "38 recipients until `tellfirst continue`" in shown
    listed = next(w for w in (await office.run("pending", "--json")).document if w["outreach"] == outreach)
    assert (listed["kind"], listed["recipients"], listed["needed"]) == ("continue", 38, 1)
    assert "Service lead (continue)" in (await office.run("pending")).out
    done = await go_on(office, outreach)
    assert done.out == f"continued: revision 1 of {outreach}, by eve; 38 other recipients told now\n"
    assert "2 recipients: 2 accepted" in done.err
    assert f"continue as eve: the other 38 recipients of {outreach}" in done.err
    await office.until(lambda: len(office.world.sms.sent) == 40)
    shown = (await office.run("show", outreach)).out
    assert "38 recipients: told too" in shown
    assert "continue by eve, revision 1, accepted" in shown
    proof = (await office.run("verify", "--json")).document
    assert (proof["unauthorised"], proof["duplicate"], proof["lost"]) == (0, 0, 0)
    again = await go_on(office, outreach)
    assert (again.code, again.out) == (1, "")
    assert "no recipients wait for a continue" in again.err


async def test_whoever_continues_hears_that_the_first_few_are_being_corrected(office: Office) -> None:
    outreach = await waiting(office)
    register(office.world.registry, office.eve, make_approver(office.world.folder, "pat"))
    assert (await correct(office, outreach))[0] == 0
    await office.world.planned(outreach, revision=2)
    done = await go_on(office, outreach)
    assert done.code == 0
    assert "is being corrected (revision 2): the others still get it uncorrected" in done.err


async def test_rejected_with_a_reason_they_stay_untold(office: Office) -> None:
    outreach = await waiting(office)
    done = await go_on(office, outreach, "--reject", "--reason", "the text confuses people", "--json")
    assert (done.code, done.document["decision"], done.document["status"]) == (0, "reject", "rejected")
    assert (done.document["kind"], done.document["sent"], done.document["rest"]) == ("continue", 2, 38)
    shown = (await office.run("show", outreach)).out
    assert "38 recipients: not told, by decision" in shown
    assert "38 behind the first few, and nobody let them be told" in shown
    assert len(office.world.sms.sent) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--reject",), 2, "a reason has 1 to 1,000 characters"),
        (("--reason", "because"), 2, "a reason is given for a rejection alone; give --reject too"),
        (("--revision", "7"), 1, "no recipients wait for a continue"),
        (("--key", "/none"), 2, "the key is not a file"),
    ],
)
async def test_what_is_asked_wrongly_is_told_so(office: Office, words: tuple[str, ...], code: int, said: str) -> None:
    outreach = await waiting(office)
    done = await office.run(
        "continue", outreach, *(() if "--key" in words else ("--key", office.eve.key)), "--yes", *words
    )
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(office.world.sms.sent) == 2


async def test_nothing_waits_where_all_are_told_at_once(office: Office) -> None:
    outreach = await planned(office)
    done = await go_on(office, outreach)
    assert (done.code, "no recipients wait for a continue" in done.err) == (1, True)
    missing = await go_on(office, "outreach/late_delivery/none/1")
    assert (missing.code, "there is no outreach of that name" in missing.err) == (1, True)


async def test_who_may_not_is_refused_by_name(office: Office) -> None:
    outreach = await waiting(office)
    other = make_approver(office.world.folder, "otto")
    with office.world.registry.open("a") as registry:
        registry.write(
            f'[[people]]\nprincipal = "otto"\nteam = "support"\ninternal = true\nroles = ["Intern"]\n'
            f'[[people.keys]]\nkey = "{other.line}"\n'
        )
    done = await office.run("continue", outreach, "--key", other.key, "--yes", "--json")
    assert (done.code, json.loads(done.out)["code"]) == (1, "not_an_approver")
    assert len(office.world.sms.sent) == 2


async def test_other_people_than_those_who_wait_are_not_signed_for(office: Office) -> None:
    outreach = await waiting(office)
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().execute(
            text("UPDATE pages SET rows = rows + 1 WHERE outreach_id = :o AND number = 1"), {"o": outreach}
        )
    done = await go_on(office, outreach)
    assert (done.code, "about other people than those who wait" in done.err) == (1, True)


async def test_a_plan_that_skips_the_first_few_is_not_signed(office: Office) -> None:
    office.world.override("late_delivery", {"[approval]\n": "[approval]\ncanary = true\n"})
    outreach = await planned(office, *(f"o-{n}" for n in range(40)))
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().execute(
            text(
                "UPDATE revisions SET plan = json_set(plan, '$.canary', 0), "
                "proposal = json_set(proposal, '$.canary', 0) WHERE outreach_id = :o"
            ),
            {"o": outreach},
        )
    done = await office.approve(outreach)
    assert (done.code, "another number of people who are told first" in done.err) == (1, True)
    assert "first few" not in (await office.run("show", outreach)).out


async def test_proof_finds_who_was_told_without_it(office: Office) -> None:
    outreach = await waiting(office)
    assert (await go_on(office, outreach)).code == 0
    await office.until(lambda: len(office.world.sms.sent) == 40)
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().execute(text("DELETE FROM decisions WHERE about = :a"), {"a": continue_id(outreach, 1)})
    done = await office.run("verify", "--json")
    assert (done.code, done.document["unauthorised"]) == (1, 38)


async def test_the_two_who_approved_are_needed_and_one_continues(office: Office) -> None:
    finn = make_approver(office.world.folder, "finn")
    office.world.override("late_delivery", {"[approval]\n": "[approval]\ntripwire = 39\n"})
    register(office.world.registry, office.eve, finn)
    outreach = await planned(office, *(f"o-{n}" for n in range(40)))
    assert "38 recipients: wait until the first few are told" in (await office.run("show", outreach)).out
    for who in (office.eve, finn):
        assert (await office.run("approve", outreach, "--key", who.key, "--yes", "--count", "40")).code == 0
    assert office.world.app is not None
    matters = Matters(office.world.app.database)
    await office.until(lambda: matters.get(continue_id(outreach, 1)) is not None)
    assert (await go_on(office, outreach)).code == 0
    await office.until(lambda: len(office.world.sms.sent) == 40)
