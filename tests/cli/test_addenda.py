"""`who`, `correct` and `update`, as people and scripts run them."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.cli.conftest import Office, Shell, make_approver, register
from tests.workflows.test_corrections import TEXT, edit


async def told(office: Office) -> str:
    """Returns an outreach that has told two customers, in an installation in which pat is known too."""
    register(office.world.registry, office.eve, make_approver(office.world.folder, "pat"))
    for name in ("c-1", "c-2"):
        office.world.customer(name, addresses={"sms": f"+1415000000{name[-1]}"})
    handle = await office.world.start(office.world.late("o-1", "o-2"))
    assert (await office.approve(handle.id)).code == 0
    await office.until(lambda: office.world.sends.tally(handle.id).accepted == 2)
    return handle.id


async def correct(office: Office, outreach: str, text: str = TEXT, *more: str) -> tuple[int, str, str]:
    path = office.shell.file("text.toml", text)
    given = ("--text", path, "--reason", "the depot was wrong", "--as", "pat")
    done = await office.run("correct", outreach, "--step", "initial", *given, *more)
    return done.code, done.out, done.err


async def test_who_lists_by_reference_and_counts(office: Office) -> None:
    outreach = await told(office)
    done = await office.run("who", outreach, "--step", "initial")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:2] == ["2 received 'initial', 0 may have, 0 did not", "2 accepted"]
    assert lines[3:5] == [
        "received it:",
        "customer  subject  revision  channel  state     when" + lines[4][52:],
    ]
    assert [line.split()[:5] for line in lines[5:7]] == [
        ["c-1", "o-1", "1", "sms", "accepted"],
        ["c-2", "o-2", "1", "sms", "accepted"],
    ]
    assert "+1415" not in done.out
    document = (await office.run("who", outreach, "--json")).document
    assert (document["step"], document["counts"], document["unknown"]) == ("initial", {"accepted": 2}, [])
    assert set(document["received"][0]) == {"customer", "subject", "revision", "channel", "state", "at"}


async def test_who_says_what_it_does_not_know(office: Office) -> None:
    outreach = await told(office)
    done = await office.run("who", outreach, "--step", "update-1")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{outreach}: nothing of step 'update-1' was sent; known: initial\n"


async def test_correction_is_drafted_shown_and_approved(office: Office) -> None:
    outreach = await told(office)
    code, out, err = await correct(office, outreach)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "correction-1 is drafted for 2 customers who received 'initial'",
        f"whom it concerns: tellfirst who {outreach} --step initial",
        f"next, somebody else looks and decides: tellfirst show {outreach}; tellfirst approve {outreach}",
    ]
    await office.planned(outreach, 2)
    shown = (await office.run("show", outreach)).out
    for words in (
        "revision 2 is pending",
        "a correction of 'initial', drafted by pat: the depot was wrong",
        "2 recipients: 2 by sms; all of them received 'initial'",
        "correction-1: at once, until",
        "nobody is measured by it",
        "what we wrote before was wrong",
    ):
        assert words in " ".join(shown.split()), shown
    assert (await office.approve(outreach, "--revision", "2")).code == 0
    await office.until(lambda: office.world.sends.tally(outreach).accepted == 4)
    assert (await office.run("who", outreach, "--step", "correction-1", "--json")).document["counts"] == {"accepted": 2}
    proved = await office.run("verify", "--json")
    assert (proved.code, proved.document["unauthorised"], proved.document["accepted"]) == (0, 0, 4), proved


async def test_a_correction_to_somebody_who_received_nothing_is_found(office: Office) -> None:
    outreach = await told(office)
    await correct(office, outreach)
    await office.planned(outreach, 2)
    assert (await office.approve(outreach, "--revision", "2")).code == 0
    await office.until(lambda: office.world.sends.tally(outreach).accepted == 4)
    settled = "UPDATE sends SET state = ? WHERE step = 'initial' AND customer_id = 'c-1'"
    for state, unauthorised in (("undelivered", 0), ("withheld", 1), ("unknown", 1), ("accepted", 0)):
        edit(office.world, settled, state)
        proved = await office.run("verify", "--json")
        assert (state, proved.document["unauthorised"]) == (state, unauthorised)
    edit(office.world, "DELETE FROM sends WHERE step = 'initial' AND customer_id = 'c-1'")
    assert (await office.run("verify", "--json")).document["unauthorised"] == 1


async def test_nobody_drafts_in_a_name_that_the_registry_lacks(office: Office) -> None:
    outreach = await told(office)
    given = ("--text", office.shell.file("text.toml", TEXT), "--reason", "the depot was wrong", "--as", "zoe")
    for words in (("correct", outreach, "--step", "initial"), ("update", outreach)):
        refused = await office.run(*words, *given)
        assert (refused.code, refused.out) == (1, ""), words
        assert refused.err.startswith("nobody in the registry of approvers is 'zoe'; give a name of it with --as;")
    assert office.world.outreaches.latest_revision(outreach) == 1


async def test_bad_text_is_told_with_its_file(office: Office) -> None:
    outreach = await told(office)
    code, out, err = await correct(office, outreach, TEXT.replace("know =", "knows ="))
    path = office.shell.folder / "text.toml"
    assert (code, out) == (1, "")
    assert err.startswith(f"refused (bad_text): {path}: 'messages.sms.en.knows' is not a key of a playbook")


ASLEEP = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
from tellfirst.cli import main
main()
"""
"""A command whose loop no signal interrupts, as one that comes while it falls asleep does not."""


async def test_whoever_does_not_wait_is_told_that_it_may_be_taken(office: Office) -> None:
    outreach = await told(office)
    asked = asyncio.Event()

    async def never_answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    address = "{}:{}".format(*server.sockets[0].getsockname())
    text = ("--text", office.shell.file("text.toml", TEXT), "--reason", "the depot was wrong", "--as", "pat")
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            ASLEEP,
            "correct",
            outreach,
            "--step",
            "initial",
            *text,
        ),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **office.shell.environment, "TEMPORAL_ADDRESS": address},
    )
    await asyncio.wait_for(asked.wait(), 60)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)  # sooner than it would be answered by time-out
    gone.set()
    server.close()
    await server.wait_closed()
    assert process.returncode == 1
    assert b"the draft is not confirmed: you did not wait, and it may still be taken" in err


async def test_outreach_that_has_ended_says_what_to_do(office: Office) -> None:
    outreach = await told(office)
    office.world.contacts_known()
    await office.world.finish(office.world.env.client.get_workflow_handle(outreach))
    await office.until(lambda: office.world.outreaches.get(outreach).closed_at)  # type: ignore[union-attr]
    code, _, err = await correct(office, outreach)
    assert (code, "ended as measured" in err, "tell them by an outreach of its own" in err) == (1, True, True)


def test_text_that_cannot_be_read_is_wrong_input(shell: Shell, tmp_path: Path) -> None:
    given = ("--reason", "why", "--as", "pat", "--step", "initial")
    done = shell("correct", "outreach/a/b/1", "--text", tmp_path / "none.toml", *given)
    assert (done.code, done.err) == (
        2,
        f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory; check the path\n",
    )
    empty = shell.file("empty.toml", "")
    done = shell("update", "outreach/a/b/1", "--text", empty, "--reason", "why")
    assert (done.code, "write the messages" in done.err) == (2, True)
