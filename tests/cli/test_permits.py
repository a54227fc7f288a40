"""`permits` as people and scripts run it, with workers beside."""

import json
from datetime import UTC, datetime

from tests.cli.conftest import Office, Shell, make_approver, register


def disruption(office: Office, key: str, *customers: str) -> str:
    """Returns a condition in which these customers cannot upload files."""
    return json.dumps(
        {
            "trigger": "service_disruption",
            "key": f"{office.world.key}-{key}",
            "detected_at": datetime.now(UTC).isoformat(),
            "facts": {"component": "file uploads", "region": "Frankfurt"},
            "subjects": [{"key": f"a-{one}", "customer": one} for one in customers],
        }
    )


async def test_permitted_outreaches_leave_are_counted_and_verify_until_it_is_revoked(office: Office) -> None:
    hal = make_approver(office.world.folder, "hal")
    pat = make_approver(office.world.folder, "pat")
    register(office.world.registry, hal, pat, roles='"Head of operations"')
    for customer in ("c-1", "c-2", "c-3"):
        office.world.customer(customer)
    assert (await office.run("permits", "list")).out == "nothing is permitted in advance, and nobody has asked\n"
    asked = ("permits", "propose", "service_disruption", "--per-outreach", "2", "--in-all", "3", "--as", "pat")
    proposed = await office.run(*asked)
    assert proposed.out.startswith("proposed: service_disruption-"), proposed.err
    assert "; waits for Head of operations until " in proposed.out
    name = proposed.out.split()[1].rstrip(";")
    assert (await office.run("pending")).out == "1 permit waits for a decision: tellfirst permits list\n"
    looked = await office.run("permits", "show", name)
    assert f"permit {name}: pending; proposed by pat" in looked.out
    assert "2 recipients an outreach, 0 of 3 used" in looked.out

    blind = await office.run("permits", "approve", name, "--key", hal.key)
    assert (blind.code, "there is no terminal to ask on" in blind.err) == (2, True)
    other = await office.run("permits", "approve", name, "--key", office.eve.key, "--yes")
    assert other.code == 1
    approved = await office.run("permits", "approve", name, "--key", hal.key, "--yes")
    assert approved.out == f"approved: {name}, by hal\n"
    assert "service_disruption without a further decision, 2 recipients an outreach and 3 in all" in approved.err

    first = (await office.run("start", "-", "--json", stdin=disruption(office, "1", "c-1", "c-2"))).document["outreach"]
    await office.until(lambda: len(office.world.sms.sent) == 2)
    covered = await office.run("show", first)
    assert f"covered in advance by permit {name};" in " ".join(covered.out.split())
    second = (await office.run("start", "-", "--json", stdin=disruption(office, "2", "c-1", "c-3"))).document[
        "outreach"
    ]
    await office.planned(second)
    await office.until(lambda: office.world.outreaches.pending(second))
    assert f"permit {name} has 1 left, this needs 2" in " ".join((await office.run("show", second)).out.split())
    [listed] = (await office.run("permits", "list", "--json")).document
    assert (listed["permit"], listed["stands"], listed["used"], listed["in_all"]) == (name, "approved", 2, 3)
    verified = (await office.run("verify", "--json")).document
    assert (verified["accepted"], verified["unauthorised"], verified["audit_ok"]) == (2, 0, True)

    revoked = await office.run("permits", "revoke", name, "--as", "zoe")
    assert revoked.out == f"revoked: {name}; nothing more leaves under it\n"
    again = await office.run("permits", "revoke", name)
    assert (again.code, "the permit is revoked" in again.err) == (1, True)
    assert "revoked" in (await office.run("permits", "list")).out
    shown = (await office.run("permits", "show", name, "--json")).document
    assert [use["outreach"] for use in shown["uses"]] == [first]
    # What left before it was revoked was permitted then.
    assert (await office.run("verify", "--json")).document["unauthorised"] == 0


async def test_a_permit_beyond_its_playbook_is_refused_in_words(office: Office) -> None:
    asked = ("permits", "propose", "service_disruption", "--as", "eve")
    far = await office.run(*asked, "--per-outreach", "5000")
    assert (far.code, "may be permitted for 1 to 2,000 recipients" in far.err) == (1, True)
    late = await office.run(*asked, "--until", "2100-01-01")
    assert (late.code, "may be permitted until" in late.err) == (1, True)


async def test_nobody_proposes_a_permit_in_a_name_that_the_registry_lacks(office: Office) -> None:
    refused = await office.run("permits", "propose", "service_disruption", "--as", "zoe")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("nobody in the registry of approvers is 'zoe'; give a name of it with --as;")
    assert (await office.run("permits", "list", "--json")).document == []


def test_what_cannot_be_asked_for_is_refused_before_anybody_is(shell: Shell) -> None:
    none = shell("permits", "propose", "late_delivery")
    assert (none.code, "lets nothing be permitted in advance" in none.err) == (1, True)
    for words in (("--cost", "250"), ("--cost", "x EUR"), ("--cost", "-1 EUR"), ("--in-all", "0"), ("--until", "soon")):
        assert shell("permits", "propose", "service_disruption", *words).code == 2, words
    missing = shell("permits", "show", "p-1")
    assert (missing.code, "there is no permit of that name" in missing.err) == (1, True)
