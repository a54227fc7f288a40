"""A version of a playbook is proposed, compared, gone through point by point, and let go live by named people."""

from getpass import getuser
from pathlib import Path

import pytest

from tellfirst.cli.disclosure import help_text
from tellfirst.playbooks.loader import LIBRARY, load_file
from tellfirst.signing.kinds import FOR_EVER, Permit
from tellfirst.store.matters import Matters
from tests.cli.conftest import Approver, Office, Shell, make_approver
from tests.store.make import NOON

GOOD = next(LIBRARY.rglob("late_delivery.toml"))
ANSWERS = [word for text in ("ten orders", "read aloud", "gifts", "the team") for word in ("--answer", text)]


def registry(path: Path, **people: tuple[Approver, str]) -> None:
    path.write_text(
        "".join(
            f'[[people]]\nprincipal = "{name}"\nteam = "Delivery support"\ninternal = false\nroles = [{roles}]\n'
            f'[[people.keys]]\nkey = "{one.line}"\n'
            for name, (one, roles) in people.items()
        )
    )


@pytest.fixture
def librarians(office: Office) -> dict[str, Approver]:
    """Are a library approver, a privacy owner, and somebody who is both."""
    made = {name: make_approver(office.world.folder, name) for name in ("lia", "prue", "bea")}
    roles = {"lia": '"Library approver"', "prue": '"Privacy owner"', "bea": '"Library approver", "Privacy owner"'}
    people = {name: (made[name], f'{roles[name]}, "Delivery operations"') for name in made}
    me = (make_approver(office.world.folder, "me"), '"Delivery operations"')  # who proposes without --as
    registry(office.world.registry, **people, **{getuser(): me})
    return made


async def test_version_is_proposed_and_let_go_live_by_two(office: Office, librarians: dict[str, Approver]) -> None:
    version = load_file(GOOD).version
    unasked = await office.run("playbooks", "history", "late_delivery")
    assert unasked.out == "no version of late_delivery was proposed yet; `tellfirst playbooks propose` does that\n"
    none = await office.run("playbooks", "diff", GOOD, "--json")
    assert (none.document["live"], none.document["data_changed"]) == ("", True)
    proposed = await office.run("playbooks", "propose", "late_delivery", "--as", "bea")
    assert proposed.out.startswith(f"proposed: library/late_delivery/{version}; waits for Library approver and Privacy")
    assert (await office.run("pending")).out == "1 playbook version waits for a decision: tellfirst playbooks history\n"
    lia, prue, bea = (("--key", librarians[name].key, "--yes") for name in ("lia", "prue", "bea"))

    own = await office.run("playbooks", "approve", "late_delivery", *bea, *ANSWERS)
    assert (own.code, "own_proposal" in own.err) == (1, True)
    short = await office.run("playbooks", "approve", "late_delivery", *lia, *ANSWERS[:-2])
    assert short.code == 2
    assert short.err.startswith("--answer: the checklist asks: replies: Delivery support answers replies and calls")

    first = await office.run("playbooks", "approve", version[:12], *lia, *ANSWERS)
    assert (first.code, "another person must agree too" in first.out) == (0, True)
    assert "goes live in environment test" in first.err
    # With another answer: the very same document, signed within a second, is taken for the first one sent twice.
    again = await office.run("playbooks", "approve", "late_delivery", *lia, *ANSWERS[:-1], "others")
    assert (again.code, "same_person" in again.err) == (1, True)
    second = await office.run("playbooks", "approve", "late_delivery", *prue, *ANSWERS, "--json")
    assert (second.code, second.document["status"]) == (0, "approved")

    told = (await office.run("playbooks", "history", "late_delivery", "--json")).document
    assert [(one["version"], one["status"], one["proposer"]) for one in told] == [(version, "approved", "bea")]
    accepted = [one for one in told[0]["decisions"] if one["accepted"]]
    assert [one["approver"] for one in accepted] == ["lia", "prue"]
    assert accepted[0]["answers"] == ["ten orders", "read aloud", "gifts", "the team"]
    assert "lia (approve), prue (approve)" in (await office.run("playbooks", "history")).out

    same = await office.run("playbooks", "propose", GOOD)
    assert (
        same.out == f"library/late_delivery/{version} is approved already; to have it signed anew, withdraw it first\n"
    )
    text = office.world.registry.read_text()
    office.world.registry.write_text(
        text.replace(librarians["lia"].line, make_approver(office.world.folder, "l2").line)
    )
    assert "approved, but a signature no longer holds" in (await office.run("playbooks", "history")).out
    office.world.registry.write_text(text)
    withdrawn = await office.run("playbooks", "withdraw", "late_delivery", "--as", "lia")
    assert withdrawn.out.startswith(f"withdrawn: library/late_delivery/{version}")
    assert (await office.run("playbooks", "history", "--json")).document[0]["status"] == "revoked"


async def test_worded_change_needs_one_and_is_shown_line_by_line(
    office: Office, librarians: dict[str, Approver]
) -> None:
    lia, prue = (("--key", librarians[name].key, "--yes") for name in ("lia", "prue"))
    await office.run("playbooks", "propose", "late_delivery")
    await office.run("playbooks", "approve", "late_delivery", *lia, *ANSWERS)
    assert (await office.run("playbooks", "approve", "late_delivery", *prue, *ANSWERS)).code == 0
    draft = office.world.folder / "late_delivery.toml"
    draft.write_text(GOOD.read_text().replace('title = "An order has', 'title = "A parcel has'))
    seen = await office.run("playbooks", "diff", draft)
    assert '-title = "An order has not arrived when it was promised"' in seen.out
    assert '+title = "A parcel has not arrived when it was promised"' in seen.out
    assert "its data fields are as before" in seen.out
    assert (await office.run("playbooks", "propose", draft)).out.count("waits for Library approver until") == 1
    refused = await office.run("playbooks", "reject", "late_delivery", "--reason", "too long", *prue)
    assert (refused.code, "not_an_approver" in refused.err) == (1, True)
    rejected = await office.run("playbooks", "reject", "late_delivery", "--reason", "too long", *lia)
    assert (rejected.code, rejected.out.startswith("rejected: library/late_delivery/")) == (0, True)


async def test_version_whose_approval_was_written_by_hand_is_not_compared_with(
    office: Office, librarians: dict[str, Approver]
) -> None:
    """Or other data could be called as before: those of a version that nobody let go live."""
    await office.run("playbooks", "propose", "late_delivery")
    for name in ("lia", "prue"):
        await office.run("playbooks", "approve", "late_delivery", "--key", librarians[name].key, "--yes", *ANSWERS)
    good, planted = load_file(GOOD).version, "f" * 64
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        execute = session.connection().exec_driver_sql
        names = (f"library/late_delivery/{planted}", good, planted)
        execute(
            "INSERT INTO matters SELECT ?, kind, replace(proposal, ?, ?), status, proposer, opened_at, closed_at "
            "FROM matters",
            names,
        )
        execute(
            "INSERT INTO decisions (about, revision, decision, approver, fingerprint, accepted, code, envelope, "
            "received_at) SELECT ?, revision, decision, approver, fingerprint, accepted, code, "
            "replace(envelope, ?, ?), datetime(received_at, '+1 hour') FROM decisions",
            names,
        )
    draft = office.world.folder / "late_delivery.toml"
    draft.write_text(GOOD.read_text().replace('title = "An order has', 'title = "A parcel has'))
    assert (await office.run("playbooks", "diff", draft, "--json")).document["live"] == good


async def test_version_that_was_rejected_is_not_proposed_again(office: Office, librarians: dict[str, Approver]) -> None:
    await office.run("playbooks", "propose", "late_delivery")
    await office.run("playbooks", "reject", "late_delivery", "--reason", "no", "--key", librarians["lia"].key, "--yes")
    done = await office.run("playbooks", "propose", "late_delivery")
    assert (done.code, done.err.split("; ")[1]) == (1, "change its text and propose that\n")


async def test_text_changed_in_the_database_is_not_signed(office: Office, librarians: dict[str, Approver]) -> None:
    await office.run("playbooks", "propose", "late_delivery")
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().exec_driver_sql("UPDATE playbook_versions SET text = replace(text, 'order', 'prize')")
    done = await office.run("playbooks", "approve", "late_delivery", "--key", librarians["lia"].key, "--yes", *ANSWERS)
    assert (done.code, done.err) == (
        1,
        "what is kept of this version is not what was proposed; propose it again\n",
    )


def test_what_nobody_proposed_cannot_be_decided(shell: Shell) -> None:
    assert shell("playbooks", "approve", "late_delivery", "--yes").err == (
        "late_delivery: no version of that name is pending; `tellfirst playbooks history` lists them\n"
    )
    assert shell("playbooks", "withdraw", "late_delivery").code == 1
    assert shell("playbooks", "approve", "late_delivery").err.startswith("there is no terminal to ask on")


def test_owners_are_held_against_the_registry(shell: Shell) -> None:
    ana = make_approver(shell.folder, "ana")
    registry(shell.folder / "approvers.toml", ana=(ana, '"Service lead", "Head of customer service"'))
    done = shell("playbooks", "owners")
    assert done.code == 1
    line = next(line for line in done.out.splitlines() if line.startswith("late_delivery"))
    assert "Service lead" in line
    assert "ana" in line
    assert "Delivery support (outsourced)" in line
    assert "payment_failed: nobody has the role 'Billing lead' of its approvers" in done.err
    assert "late_delivery: nobody is 'Delivery experience' (owner)" in done.err
    assert "late_delivery: nobody has the role" not in done.err
    checked = shell("playbooks", "check", GOOD)
    assert (checked.code, checked.out.count(": ok (")) == (0, 1)
    assert f"{GOOD}: nobody is 'Delivery operations' (proposers)" in checked.err
    document = shell("playbooks", "owners", "--json").document
    assert {one["team"] for one in document} == {"Delivery support", "Billing support", "Technical support"}


def test_owners_are_listed_without_a_registry_too(shell: Shell) -> None:
    done = shell("playbooks", "owners")
    assert (done.code, "there is no registry of approvers to compare with" in done.err) == (0, True)
    assert len(done.out.splitlines()) == 1 + len(list(LIBRARY.rglob("*.toml")))


def test_help_centre_is_told_what_is_live(shell: Shell) -> None:
    done = shell("playbooks", "disclosure")
    assert "- an order has not arrived when it was promised (by text, by e-mail, in the app)" in done.out
    assert "A person reviews and signs every message" in done.out
    assert "in advance" not in done.out
    assert "- Texts: reply STOP." in done.out
    shell.environment["TELLFIRST_LIBRARY_GATE"] = "true"
    assert shell("playbooks", "disclosure").err.startswith("no playbook is live; ")


def test_what_is_permitted_in_advance_is_said(shell: Shell) -> None:
    book = load_file(GOOD).playbook.model_copy(update={"channels": ("email",)})
    text = help_text([book], ["late_delivery", "another"])
    assert "(by e-mail) *" in text
    assert "Those marked with an asterisk may not be able to wait for that: a person has then permitted" in text
    assert "Texts:" not in text
    assert "in advance" not in help_text([book], ["another"])


async def test_only_what_permits_the_live_version_is_marked(office: Office) -> None:
    assert office.world.app is not None
    matters = Matters(office.world.app.database)
    for version, marked in (("f" * 64, []), (load_file(GOOD).version, ["late_delivery"])):
        permit = Permit(
            environment="test",
            decide_by=NOON,
            valid_until=FOR_EVER,
            nonce=version,
            permit=version,
            playbook="late_delivery",
            playbook_version=version,
            channels=("sms",),
            per_outreach=1,
            in_all=1,
        )
        matters.open(permit, "pat", NOON)
        matters.set_status(permit.about, "approved", at=NOON)
        assert (await office.run("playbooks", "disclosure", "--json")).document["permitted"] == marked


def test_version_that_may_not_send_admits_nobody(shell: Shell) -> None:
    shell.environment |= {"TELLFIRST_ENVIRONMENT": "live", "TELLFIRST_SOURCE_URL": f"sqlite:///{shell.folder}/none.db"}
    done = shell("detect", "late_delivery")
    assert (done.code, done.err.split(";")[0]) == (
        1,
        "late_delivery: this version of the playbook may not send here, so nobody is admitted",
    )


def test_only_who_is_named_as_a_proposer_proposes(shell: Shell) -> None:
    registry(shell.folder / "approvers.toml", zoe=(make_approver(shell.folder, "zoe"), '"Service lead"'))
    shell.environment["TELLFIRST_APPROVERS"] = str(shell.folder / "approvers.toml")
    for name, why in (
        ("nobody", "nobody in the registry of approvers is 'nobody'"),
        ("zoe", "'zoe' is none of its proposers (Delivery operations)"),
    ):
        done = shell("playbooks", "propose", "late_delivery", "--as", name)
        assert (done.code, why in done.err) == (1, True), done
