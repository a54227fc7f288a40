"""A person signs exactly what would be sent: looked at, recomputed, signed with their own key, answered by name."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tellfirst import client as client_module
from tellfirst.cli.unconfirmed import Unconfirmed
from tellfirst.contract import DecisionEnvelope
from tests.cli.conftest import PATIENCE, Office, Shell, make_approver, register


def change(office: Office, statement: str, **values: object) -> None:
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        session.connection().execute(text(statement), values)


async def planned(office: Office, *subjects: str) -> str:
    """Returns an outreach that waits for a decision."""
    for subject in subjects or ("o-1",):
        office.world.customer(subject.replace("o-", "c-"))
    handle = await office.world.start(office.world.late(*subjects))
    await office.planned(handle.id)
    return handle.id


async def test_an_approval_is_signed_accepted_and_sent(office: Office) -> None:
    outreach = await planned(office, "o-1", "o-2")
    done = await office.approve(outreach, "--json")
    assert done.code == 0
    assert done.document == {
        "outreach": outreach,
        "accepted": True,
        "decision": "approve",
        "approver": "eve",
        "revision": 1,
        "code": "",
        "message": "",
        "kind": "outreach",
        "status": "approved",
        "approvals": 1,
        "needed": 1,
    }
    assert "approve as eve: revision 1" in done.err
    assert "2 recipients (2 by sms)" in done.err
    assert "DRY RUN" in done.err
    arms = lambda: office.world.recipients.arms(outreach)  # noqa: E731
    await office.until(lambda: sum(arms().values()) == 2)
    await office.until(lambda: len(office.world.sms.sent) == arms().get("treated", 0))


async def test_approved_twice_is_approved_once(office: Office) -> None:
    outreach = await planned(office)
    assert (await office.approve(outreach)).code == 0
    mine = [d for d in office.world.decisions.received(outreach) if d.accepted]
    assert len(mine) == 1
    other = make_approver(office.world.folder, "finn")
    register(office.world.registry, office.eve, other)
    late = await office.run("approve", outreach, "--key", other.key, "--yes")
    assert late.code == 1
    assert late.err.splitlines()[-1] == (
        "refused (already_decided): it is already approved; `tellfirst show` tells who decided"
    )


async def test_a_rejection_needs_a_reason_and_tells_nobody(office: Office) -> None:
    outreach = await planned(office)
    empty = await office.run("reject", outreach, "--reason", " ", "--key", office.eve.key, "--yes")
    assert (empty.code, empty.err) == (2, "--reason: a reason has 1 to 1,000 characters\n")
    done = await office.run(
        "reject", outreach, "--reason", "the carrier says it is wrong", "--key", office.eve.key, "-y"
    )
    assert done.out == f"rejected: revision 1 of {outreach}, by eve\n"
    await office.until(lambda: office.world.outreaches.get(outreach).ending == "rejected")
    shown = await office.run("show", outreach)
    assert "rejected, the carrier says it is wrong" in shown.out
    assert "reject by eve, revision 1, accepted" in shown.out
    assert office.world.sms.sent == []
    again = await office.approve(outreach)
    assert again.code == 1
    assert "the outreach ended as rejected" in again.err


async def test_asking_for_changes_makes_another_revision_and_the_old_one_is_stale(office: Office) -> None:
    outreach = await planned(office)
    office.world.override("late_delivery", {"We are tracing it with the carrier.": "We are asking the carrier."})
    done = await office.run("request-changes", outreach, "--reason", "softer", "--key", office.eve.key, "--yes")
    assert done.out == f"sent back for changes: revision 1 of {outreach}, by eve\n"
    await office.planned(outreach, 2)
    await office.until(lambda: office.world.outreaches.revision(outreach, 1).status == "replaced")
    stale = await office.approve(outreach, "--revision", "1", "--json")
    assert (stale.code, stale.document["code"]) == (1, "stale_content")
    assert "refused (stale_content): revision 1 was replaced by revision 2" in stale.err
    assert (await office.approve(outreach)).out == f"approved: revision 2 of {outreach}, by eve\n"
    await office.until(lambda: len(office.world.sms.sent) == 1)
    assert "We are asking the carrier." in office.world.sms.sent[0].rendered.body


async def test_a_decision_after_its_deadline_is_told_so(office: Office) -> None:
    outreach = await planned(office)
    handle = office.world.env.client.get_workflow_handle(outreach)
    await office.world.pass_time(handle, hours=25)
    await office.until(lambda: office.world.outreaches.get(outreach).ending == "expired")
    done = await office.approve(outreach)
    assert done.code == 1
    assert "the outreach ended as expired" in done.err
    assert "silence is not consent" in done.err


async def test_without_a_terminal_a_yes_has_to_be_said(office: Office) -> None:
    outreach = await planned(office)
    done = await office.run("approve", outreach, "--key", office.eve.key)
    assert (done.code, done.out) == (2, "")
    assert done.err == "there is no terminal to ask on; look with `tellfirst show`, then give --yes\n"
    assert office.world.decisions.received(outreach) == []


PATIENT = f"""
from datetime import timedelta
from tellfirst import cli, client
client.ANSWER_WITHIN = timedelta(seconds={PATIENCE.total_seconds()})
cli.main()
"""


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
async def test_on_a_terminal_the_whole_screen_is_shown_and_asked_about(office: Office, answer: str, code: int) -> None:
    outreach = await planned(office)
    words = ["approve", outreach, "--key", str(office.eve.key)]

    def on_a_terminal() -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **office.shell.environment, "COLUMNS": "100"},
        )
        os.close(theirs)
        bound = threading.Timer(PATIENCE.total_seconds(), process.kill)
        bound.start()
        seen = b""
        answered = False
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
            if not answered and b"[y/N]" in seen:
                answered = True
                os.write(ours, f"{answer}\n".encode())
        os.close(ours)
        ended = process.wait()
        bound.cancel()
        return ended, seen.decode()

    ended, seen = await asyncio.to_thread(on_a_terminal)
    assert ended == code
    assert "Your order o-1 was due on" in seen
    assert "approve as eve: revision 1" in seen
    assert bool(office.world.decisions.received(outreach)) == (answer == "y")


TAMPERED = {
    "the text": (
        "UPDATE playbook_versions SET text = replace(text, 'is late, sorry', 'is fine, sorry')",
        "another playbook",
    ),
    "a customer": ("UPDATE recipients SET customer_id = 'c-9' WHERE position = 0", "another audience"),
    "an address": ("UPDATE recipients SET address_digest = 'x' WHERE position = 1", "another audience"),
    "a language": ("UPDATE recipients SET locale = 'de' WHERE position = 0", "other words than its samples show"),
    "a fact": ("UPDATE recipients SET facts = json_set(facts, '$.order_id', 'o-9') WHERE position = 0", "other words"),
    "a row more": (
        "INSERT INTO recipients (outreach_id, revision, position, page, customer_id, subject_key, channel, locale,"
        " cluster, facts, others, address_digest, content_digest, verdict) SELECT outreach_id, revision, 9, page,"
        " 'c-9', 'o-9', channel, locale, cluster, facts, others, address_digest, content_digest, verdict"
        " FROM recipients WHERE position = 1",
        "another audience",
    ),
    "a count": ("UPDATE revisions SET proposal = json_set(proposal, '$.audience_count', 1)", "another number"),
    "a template": (
        "UPDATE revisions SET proposal = json_set(proposal, '$.steps.initial.templates.\"sms.en\"', 'x')",
        "another text of step 'initial'",
    ),
    "a step more": (
        'UPDATE revisions SET proposal = json_set(proposal, \'$.steps.more\', json(\'{"templates": {}, "facts":'
        ' "frozen"}\'))',
        "a step that its playbook does not have",
    ),
    "a promise": (
        "UPDATE revisions SET proposal = json_set(proposal, '$.promises.\"update-1\"', '2030-01-01T00:00:00Z')",
        "other promises",
    ),
    "a deadline": (
        "UPDATE revisions SET proposal = json_set(proposal, '$.valid_until', '2030-01-01T00:00:00Z')",
        "other deadlines",
    ),
    "the purpose": ("UPDATE revisions SET proposal = json_set(proposal, '$.purpose', 'marketing')", "another purpose"),
    "the outreach": ("UPDATE revisions SET proposal = json_set(proposal, '$.revision', 2)", "another outreach"),
    "the environment": (
        "UPDATE revisions SET proposal = json_set(proposal, '$.environment', 'production')",
        "the environment 'production', and this one is 'test'",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_changed_after_planning_is_not_signed(office: Office, what: str) -> None:
    statement, says = TAMPERED[what]
    outreach = await planned(office, "o-1", "o-2", "o-3", "o-4", "o-5")
    change(office, statement)
    done = await office.approve(outreach)
    assert done.code == 1
    assert f"the proposal binds {says}" in done.err
    assert "must not be signed" in done.err
    assert office.world.decisions.received(outreach) == []


async def test_of_several_revisions_that_wait_one_has_to_be_named(office: Office) -> None:
    outreach = await planned(office)
    change(
        office,
        "INSERT INTO revisions (outreach_id, number, playbook_version, planned_at, plan, proposal, status)"
        " SELECT outreach_id, 2, playbook_version, planned_at, plan, proposal, status FROM revisions",
    )
    done = await office.approve(outreach)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{outreach}: revisions 1, 2 wait for a decision each; say which one with --revision\n"
    assert (await office.approve(outreach, "--revision", "1")).code == 0


# -- whose key


async def test_somebody_without_the_role_is_refused_by_name(office: Office) -> None:
    outreach = await planned(office)
    register(office.world.registry, office.eve, roles='"Billing lead"')
    done = await office.approve(outreach)
    assert done.code == 1
    assert "refused (not_an_approver): 'eve' has none of the roles Service lead" in done.err


async def test_a_key_that_nobody_holds_does_not_tell_in_whose_name(office: Office) -> None:
    outreach = await planned(office)
    stranger = make_approver(office.world.folder, "stranger")
    done = await office.run("approve", outreach, "--key", stranger.key, "--yes")
    assert done.code == 1
    assert "the registry does not tell who holds this key; give your name in the registry with --as" in done.err
    named = await office.run("approve", outreach, "--key", stranger.key, "--yes", "--as", "eve", "--json")
    assert (named.code, named.document["code"]) == (1, "unknown_key")


async def test_another_name_than_the_keys_is_refused(office: Office) -> None:
    outreach = await planned(office)
    done = await office.approve(outreach, "--as", "finn", "--json")
    assert (done.code, done.document["code"]) == (1, "wrong_person")


async def test_the_configured_name_counts_where_the_registry_is_elsewhere(office: Office) -> None:
    outreach = await planned(office)
    office.shell.environment["TELLFIRST_APPROVERS"] = str(office.world.folder / "elsewhere.toml")
    office.shell.environment["TELLFIRST_PRINCIPAL"] = "eve"
    office.shell.environment["TELLFIRST_KEY"] = str(office.eve.key)
    done = await office.run("approve", outreach, "--yes")
    assert (done.code, done.out) == (0, f"approved: revision 1 of {outreach}, by eve\n")


@pytest.fixture
def agent(office: Office) -> Iterator[None]:
    """Is an agent that holds Eve's key, whose file is gone but for its public part."""
    folder = office.world.folder
    socket = folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"SSH_AUTH_SOCK" in process.stdout.readline(), "it says so once it listens, or ends"
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(
                ["ssh-add", "-q", office.eve.key], env=environment, check=True, timeout=PATIENCE.total_seconds()
            )
            office.eve.key.unlink()
            office.shell.environment["SSH_AUTH_SOCK"] = str(socket)
            yield
        finally:
            process.terminate()


@pytest.mark.usefixtures("agent")
async def test_an_agent_signs_for_a_public_key(office: Office) -> None:
    outreach = await planned(office)
    done = await office.run("approve", outreach, "--key", office.eve.key.with_suffix(".pub"), "--yes")
    assert (done.code, done.out) == (0, f"approved: revision 1 of {outreach}, by eve\n")


async def test_a_key_that_cannot_sign_is_told_in_one_sentence(office: Office) -> None:
    outreach = await planned(office)
    office.eve.key.write_text("not a key")
    done = await office.approve(outreach)
    assert (done.code, done.out) == (1, "")
    assert "ssh-keygen could not sign" in done.err
    assert office.world.decisions.received(outreach) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is no key to sign with; give --key PATH or set TELLFIRST_KEY"),
        (["--key", "/none"], "/none: the key is not a file"),
    ],
)
async def test_without_a_key_nothing_is_signed(office: Office, words: list[str], says: str) -> None:
    outreach = await planned(office)
    done = await office.run("approve", outreach, "--yes", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


async def test_a_public_part_is_asked_of_the_private_key_where_no_file_tells_it(office: Office) -> None:
    outreach = await planned(office)
    office.eve.key.with_suffix(".pub").unlink()
    assert (await office.approve(outreach)).code == 0


async def test_what_show_gives_is_signed_with_stock_tools_and_accepted(office: Office) -> None:
    outreach = await planned(office)
    shown = (await office.run("show", outreach, "--json")).document
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    document = {**shown["offer"]["proposal"], "decision": "approve", "approver": "eve", "reason": "", "prior": ""}
    document["issued_at"] = now
    file = office.world.folder / "document.json"
    file.write_text(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", office.eve.key, "-n", "decision.v1@tellfirst", file]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    signature = file.with_name("document.json.sig").read_text()
    answer = await office.world.client.submit(outreach, DecisionEnvelope(document=document, signature=signature))
    assert (answer.accepted, answer.approver, answer.code) == (True, "eve", "")


# -- while nobody works


async def test_a_signal_is_left_while_no_worker_is_alive(office: Office) -> None:
    outreach = await planned(office)
    await office.world.rest()
    done = await office.approve(outreach, "--as-signal")
    assert (done.code, done.out) == (
        0,
        f"left with revision 1 of {outreach}; `tellfirst show` tells what became of it\n",
    )
    await office.world.work()
    await office.until(lambda: len(office.world.sms.sent) == 1)


async def test_whoever_does_not_wait_is_told_that_it_may_count(office: Office) -> None:
    outreach = await planned(office)
    await office.world.rest()
    kept = office.world.folder / "unconfirmed"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PATIENT, "approve", outreach, "--key", str(office.eve.key), "--yes"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **office.shell.environment},
    )
    await office.until(lambda: kept.exists() and any(one.read_bytes() for one in kept.iterdir()))
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE.total_seconds())
    assert process.returncode == 1
    assert b"the decision is not confirmed: you did not wait, and it may still be applied" in err
    assert len(list(kept.iterdir())) == 1
    await office.world.work()


async def test_an_unconfirmed_decision_run_again_is_the_same_decision(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    outreach = await planned(office)
    await office.world.rest()
    monkeypatch.setattr(client_module, "ANSWER_WITHIN", timedelta(seconds=1))
    done = await office.approve(outreach)
    assert (done.code, done.out) == (1, "")
    assert "the decision is not confirmed" in done.err
    assert "run the same command again; it counts once" in done.err
    assert len(list((office.world.folder / "unconfirmed").iterdir())) == 1
    monkeypatch.setattr(client_module, "ANSWER_WITHIN", PATIENCE)
    await office.world.work()
    again = await office.approve(outreach)
    assert (again.code, again.out) == (0, f"approved: revision 1 of {outreach}, by eve\n")
    assert len(office.world.decisions.received(outreach)) == 1
    assert list((office.world.folder / "unconfirmed").iterdir()) == []


async def test_an_unconfirmed_decision_that_was_applied_meanwhile_is_recognised(office: Office) -> None:
    outreach = await planned(office)
    assert (await office.approve(outreach, "--as-signal")).code == 0
    await office.until(lambda: len(office.world.decisions.received(outreach)) == 1)
    [record] = office.world.decisions.received(outreach)
    revision = office.world.outreaches.revision(outreach, 1)
    assert revision is not None
    document = revision.proposal.decide("approve", "eve", record.received_at)
    kept = Unconfirmed(office.world.folder / "unconfirmed")
    kept.keep(document, DecisionEnvelope.model_validate(record.envelope))
    done = await office.approve(outreach)
    assert (done.code, done.out) == (0, f"approved: revision 1 of {outreach}, by eve\n")
    assert kept.find(document) is None


def test_nothing_can_be_decided_about_an_outreach_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    done = shell("approve", "outreach/late_delivery/none/1", "--yes")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "outreach/late_delivery/none/1: there is no outreach of that name; see `tellfirst pending`"
    )


async def test_above_the_tripwire_the_number_of_recipients_is_given(office: Office) -> None:
    office.world.override("late_delivery", {"[approval]\n": "[approval]\ntripwire = 1\n"})
    outreach = await planned(office, "o-1", "o-2")
    for given, said in (((), "their number was not given"), (("--count", "3"), "3 is not their number")):
        refused = await office.approve(outreach, *given)
        assert refused.code == 2
        assert "--count: this goes to 2 recipients, more than its playbook lets pass" in refused.err
        assert said in refused.err
    assert office.world.decisions.received(outreach) == []
    done = await office.approve(outreach, "--count", "2", "--json")
    assert (done.code, done.document["status"]) == (0, "pending")


async def test_below_the_tripwire_no_number_is_asked_for_and_the_cost_is_named(office: Office) -> None:
    outreach = await planned(office)
    done = await office.approve(outreach)
    assert done.code == 0
    assert "1 recipient (1 by sms), cost unknown, environment test, DRY RUN" in done.err
