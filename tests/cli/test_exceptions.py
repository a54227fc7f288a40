"""People ask for exceptions and grant them: shown, signed with their own key, answered by name."""

import re
from datetime import UTC, datetime, timedelta

from tellfirst.store.exceptions import Exceptions
from tests.cli.conftest import Approver, Office, make_approver, register


async def outreach(office: Office) -> str:
    office.world.customer("c-1")
    handle = await office.world.start(office.world.late("o-1"))
    await office.planned(handle.id)
    return handle.id


async def ask(office: Office, name: str, amount: str, request: str, *more: str) -> str:
    done = await office.run(
        "exceptions", "request", name, "c-1", "refund", amount, "--id", request, "--as", "zoe", *more
    )
    assert done.code == 0, done.err
    return done.out


async def sign(office: Office, command: str, request: str, who: Approver, *more: str) -> tuple[int, str, str]:
    done = await office.run("exceptions", command, request, "--key", who.key, "--yes", *more)
    return done.code, done.out, done.err.splitlines()[-1] if done.err else ""


async def test_an_exception_is_asked_for_granted_and_carried_out(office: Office) -> None:
    name = await outreach(office)
    request = f"{office.world.key}-a"
    out = await ask(office, name, "50.00", request, "--ticket", "t-9")
    assert f"{request}: refund of 50.00 EUR for customer c-1" in out
    assert "takes one person with the role Service lead" in out
    assert "answer: We are refunding €50.00" in out
    assert (await sign(office, "approve", request, office.eve))[:2] == (0, f"granted: {request}, by eve\n")
    await office.until(lambda: (office.world.folder / "exceptions" / f"{request}.json").exists())
    await office.until(lambda: any(request in m.rendered.body for m in office.world.sms.sent))
    shown = await office.run("exceptions", "show", request, "--json")
    assert shown.document["status"] == "executed"
    assert shown.document["decisions"] == [{"decision": "approve", "approver": "eve", "accepted": True, "code": ""}]
    listed = await office.run("exceptions", "list", "--status", "executed")
    assert re.search(rf"{request} .* 50\.00 EUR .* zoe .* executed", listed.out)
    assert (await office.run("exceptions", "list", "--outreach", "none", "--json")).document == []
    # The answer left under a decision of its own: the plan was never approved.
    assert (await office.run("verify", "--json")).document["unauthorised"] == 0
    # Erased, they are another name in every row, and the old one in what was signed.
    assert (await office.run("customers", "forget", "c-1", "--yes")).code == 0
    assert (await office.run("verify", "--json")).document["promises_broken"] == []
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE exception_budgets SET consumed = 0")
    (told,) = (await office.run("verify", "--json")).document["promises_broken"]
    assert told == "2 budgets of exceptions are not what was taken out of them"
    with office.world.app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE sends SET body_digest = 'other' WHERE step LIKE 'exception/%'")
    assert (await office.run("verify", "--json")).document["unauthorised"] == 1


async def test_a_large_one_takes_two_people(office: Office) -> None:
    finn = make_approver(office.world.folder, "finn")
    register(office.world.registry, office.eve, finn)
    name, request = await outreach(office), f"{office.world.key}-b"
    assert "takes two people" in await ask(office, name, "150", request)
    assert (await office.run("pending")).out.endswith(
        "1 exception waits for a decision: tellfirst exceptions list --status pending\n"
    )
    first = await sign(office, "approve", request, office.eve)
    assert first[:2] == (0, f"signed: {request}, by eve, 1 of 2; another person must sign too\n")
    # The very same document, signed within a second, is taken for the first one sent twice.
    (signed,) = (one.received_at for one in office.world.decisions.received(f"exception/{request}"))
    await office.until(lambda: datetime.now(UTC) > signed + timedelta(seconds=1))
    code, _, err = await sign(office, "approve", request, office.eve, "--as", "eve")
    assert (code, err.partition(":")[0]) == (1, "refused (same_person)")
    assert (await sign(office, "approve", request, finn))[:2] == (0, f"granted: {request}, by finn\n")
    shown = (await office.run("exceptions", "show", request)).out
    for words in ("approve by eve, accepted ", "approve, refused (same_person) ", "approve by finn, accepted "):
        assert f"decision: {words}" in shown


async def test_nobody_grants_their_own(office: Office) -> None:
    finn = make_approver(office.world.folder, "finn")
    register(office.world.registry, office.eve, finn)
    name, request = await outreach(office), f"{office.world.key}-c"
    done = await office.run("exceptions", "request", name, "c-1", "refund", "5", "--id", request, "--as", "eve")
    assert done.code == 0
    code, _, err = await sign(office, "approve", request, office.eve)
    assert (code, err.partition(":")[0]) == (1, "refused (own_proposal)")
    denied = await sign(office, "deny", request, finn, "--reason", "not due")
    assert denied[:2] == (0, f"denied: {request}, by finn\n")
    late = await sign(office, "approve", request, finn)
    assert late[0] == 1


async def test_what_lies_outside_names_whom_to_ask(office: Office) -> None:
    name = await outreach(office)
    done = await office.run("exceptions", "request", name, "c-1", "refund", "300.01", "--as", "zoe")
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith("; ask Head of customer service")
    for words, said in (
        (("c-1", "fee_reversal", "5"), "it has goodwill_credit, refund, expedited_shipping"),
        (("c-1", "refund", "5.001"), "not one of EUR"),
        (("c-1", "refund", "lots"), "not a number"),
    ):
        refused = await office.run("exceptions", "request", name, *words)
        assert refused.code in (1, 2)
        assert said in refused.err
    stranger = await office.run("exceptions", "request", name, "c-77", "refund", "5", "--as", "zoe")
    assert "does not affect this customer" in stranger.err
    assert (await office.run("exceptions", "show", "none")).code == 1
    none = await office.run("exceptions", "list", "--status", "executed")
    assert none.out == "no such exception was asked for\n"


async def test_an_id_that_is_given_twice_is_one_request_and_never_another(office: Office) -> None:
    name, request = await outreach(office), f"{office.world.key}-d"
    await ask(office, name, "50", request)
    await ask(office, name, "50", request)
    done = await office.run("exceptions", "request", name, "c-1", "refund", "60", "--id", request, "--as", "zoe")
    assert done.code == 1
    assert "another request has this id already" in done.err
    assert done.out == ""
    denied = await sign(office, "deny", request, office.eve, "--reason", "not due")
    assert denied[0] == 0
    await office.until(lambda: office.world.app and Exceptions(office.world.app.database).all(status="rejected"))
    code, _, err = await sign(office, "approve", request, office.eve)
    assert (code, err) == (1, f"{request}: the request is rejected already")
