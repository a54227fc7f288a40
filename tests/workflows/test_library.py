"""The library gate: a version sends live only under a signed library decision, judged when planned and when sent."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError

from activities.detection import SweepRequest
from tellfirst import contract
from tellfirst.contract import DecisionAnswer, LibraryProposal
from tellfirst.playbooks.change import points
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.settings import Settings
from tellfirst.signing.documents import Choice, digest
from tellfirst.signing.kinds import FOR_EVER, LibraryChange, decide
from tellfirst.store.decisions import DecisionRecord
from tellfirst.store.matters import MatterRecord, Matters
from tests.signing.make import Signer, ed25519, envelope
from tests.world import World

NOW = datetime.now(UTC)


class Librarians:
    """Are those who decide about the library of a world: Lia and Leo approve, Prue owns privacy, Pat proposes."""

    def __init__(self, world: World) -> None:
        self.world = world
        roles = {
            "lia": "Library approver",
            "leo": "Library approver",
            "prue": "Privacy owner",
            "pat": "Library approver",
        }
        self.signers: dict[str, Signer] = {name: ed25519() for name in roles}
        people = "".join(
            f'\n[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["{role}"]\n'
            f'[[people.keys]]\nkey = "{self.signers[name].line}"\n'
            for name, role in roles.items()
        )
        # Ana and Ben, who approve outreaches, may also propose what is said in them.
        known = world.registry.read_text().replace('"Billing lead"]', '"Billing lead", "Delivery operations"]')
        world.registry.write_text(
            known + people.replace('"Library approver"]', '"Library approver", "Delivery operations"]')
        )

    @property
    def matters(self) -> Matters:
        assert self.world.app is not None
        return Matters(self.world.app.database)

    async def propose(self, loaded: LoadedPlaybook, proposer: str = "pat") -> str:
        """Proposes a version, as Pat if nobody else, and returns the name of its change once it can be decided."""
        about = contract.library_id(loaded.playbook.id, loaded.version)
        with self.world.env.with_time_skipping_disabled():
            handle = await self.world.env.client.start_workflow(
                contract.LIBRARY_CHANGE,
                LibraryProposal(text=loaded.text, proposer=proposer),
                id=about,
                task_queue=contract.QUEUE,
            )
        self.world.ends(handle)
        await self.world.until(lambda: (found := self.matters.get(about)) is not None and found.status == "pending")
        return about

    def matter(self, about: str) -> MatterRecord:
        found = self.matters.get(about)
        assert found is not None
        return found

    async def give(self, about: str, name: str, choice: Choice = "approve", prior: str = "") -> DecisionAnswer:
        change = self.matter(about).proposal
        assert isinstance(change, LibraryChange)
        answers = tuple("yes, seen" for _ in change.checklist)
        document = decide(change, choice, name, datetime.now(UTC), "because", prior, answers=answers)
        self.last = digest(document.document())
        return await self.world.client.submit(about, envelope(self.signers[name], document.document()))

    async def let(self, loaded: LoadedPlaybook) -> str:
        """Lets a version go live, with two people."""
        about = await self.propose(loaded)
        assert (await self.give(about, "lia")).accepted
        if self.matter(about).status == "pending":
            assert (await self.give(about, "prue", prior=self.last)).accepted
        assert self.matter(about).status == "approved"
        return about


async def ending(world: World, about: str) -> str:
    handle = world.env.client.get_workflow_handle(about, result_type=str)
    result: str = await handle.result()
    return result


async def demanding(world: World, **more: object) -> Librarians:
    librarians = Librarians(world)
    await world.with_settings(library_gate=True, **more)
    return librarians


async def test_version_that_is_not_live_is_not_planned(world: World) -> None:
    await demanding(world)
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    result = await handle.result()
    assert (result.ending, result.reason) == ("refused", "playbook_not_live:not_approved")


async def test_sweep_for_a_version_that_is_not_live_admits_nobody(world: World) -> None:
    await demanding(world)
    with pytest.raises(WorkflowFailureError) as failed:
        await world.env.client.execute_workflow(
            contract.DETECTION,
            SweepRequest(trigger="late_delivery"),
            id=f"detection/{world.key}",
            task_queue=contract.QUEUE,
        )
    cause = failed.value.cause
    assert isinstance(cause, ActivityError)
    assert "may not send (playbook_not_live:not_approved)" in str(cause.cause)


async def test_version_that_two_people_let_is_planned_and_sent(world: World) -> None:
    librarians = await demanding(world)
    world.customer("c-1")
    about = await librarians.let(world.library["late_delivery"])
    assert await ending(world, about) == "approved"
    handle = await world.start(world.late("o-1"))
    assert (await world.approve(handle.id)).accepted
    await world.until(lambda: len(world.sms.sent) == 1)
    kept = world.decisions.received(about)
    assert [d.approver for d in kept] == ["lia", "prue"]
    assert all(d.envelope is not None and "yes, seen" in str(d.envelope) for d in kept)


async def test_first_version_needs_the_privacy_owner_and_a_worded_change_does_not(world: World) -> None:
    librarians = await demanding(world)
    first = await librarians.propose(world.library["late_delivery"])
    change = librarians.matter(first).proposal
    assert isinstance(change, LibraryChange)
    assert (change.data_changed, change.replaces) == (True, "")
    assert (await librarians.give(first, "lia")).status == "pending"
    prior = librarians.last
    assert (await librarians.give(first, "leo", prior=prior)).code == "other_role_needed"
    assert (await librarians.give(first, "prue", prior=prior)).status == "approved"

    worded = world.playbook("late_delivery", {"when it was promised": "when it was due"})
    about = await librarians.propose(worded)
    change = librarians.matter(about).proposal
    assert isinstance(change, LibraryChange)
    assert (change.data_changed, change.replaces) == (False, world.library["late_delivery"].version)
    assert (await librarians.give(about, "prue")).code == "not_an_approver"
    assert (await librarians.give(about, "pat")).code == "own_proposal"
    assert (await librarians.give(about, "lia")).status == "approved"

    data = world.playbook("late_delivery", {"max_length = 40": "max_length = 41"})
    about = await librarians.propose(data)
    change = librarians.matter(about).proposal
    assert isinstance(change, LibraryChange)
    assert (change.data_changed, change.replaces) == (True, worded.version)
    assert (await librarians.give(about, "lia")).status == "pending"


async def test_version_taken_back_stops_what_is_under_way(world: World) -> None:
    librarians = await demanding(world)
    world.customer("c-1")
    about = await librarians.let(world.library["late_delivery"])
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    librarians.matters.set_status(about, "revoked", at=NOW, by="leo")
    await world.approve(handle.id)
    await world.stage(handle, contract.Stage.NEEDS_ATTENTION)
    assert world.sms.sent == []
    assert "playbook_not_live:revoked" in (await world.client.view(handle.id)).details
    await librarians.let(world.library["late_delivery"])
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_gate_that_is_switched_on_holds_what_was_planned_without_it(world: World) -> None:
    librarians = Librarians(world)
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.with_settings(library_gate=True)
    await world.approve(handle.id)
    await world.stage(handle, contract.Stage.NEEDS_ATTENTION)
    assert world.sms.sent == []
    await librarians.let(world.library["late_delivery"])
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_decision_of_another_environment_lets_nothing_go_live(world: World) -> None:
    """The database was copied from the installation for tests, with everything that was signed there."""
    librarians = await demanding(world)
    world.customer("c-1")
    await librarians.let(world.library["late_delivery"])
    await world.with_settings(environment="live")
    result = await (await world.start(world.late("o-1"))).result()
    assert (result.ending, result.reason) == ("refused", "playbook_not_live:wrong_environment")


async def test_rows_of_another_version_are_no_approval(world: World) -> None:
    """Whoever writes into the database copies what was approved under the name of another version."""
    librarians = await demanding(world)
    world.customer("c-1")
    good = await librarians.let(world.library["late_delivery"])
    world.override("late_delivery", {"when it was promised": "when we like"})
    await librarians.propose(world.library["late_delivery"])
    assert world.app is not None
    other = contract.library_id("late_delivery", world.library["late_delivery"].version)
    with world.app.database.write() as session:
        execute = session.connection().exec_driver_sql
        execute("DELETE FROM matters WHERE about = ?", (other,))
        execute(
            "INSERT INTO matters SELECT ?, kind, proposal, status, proposer, opened_at, closed_at FROM matters "
            "WHERE about = ?",
            (other, good),
        )
        execute(
            "INSERT INTO decisions (about, revision, decision, approver, fingerprint, accepted, code, envelope, "
            "received_at) SELECT ?, revision, decision, approver, fingerprint, accepted, code, envelope, received_at "
            "FROM decisions WHERE about = ?",
            (other, good),
        )
    handle = await world.start(world.late("o-1"))
    result = await handle.result()
    assert (result.ending, result.reason) == ("refused", "playbook_not_live:wrong_outreach")


async def test_change_that_nobody_decides_is_reminded_of_escalated_and_lapses(world: World) -> None:
    librarians = await demanding(world)
    about = await librarians.propose(world.library["late_delivery"])
    handle = world.env.client.get_workflow_handle(about, result_type=str)
    await world.pass_time(handle, days=1, hours=1)
    await world.pass_time(handle, days=3)
    described = await handle.describe()
    assert described.typed_search_attributes.get(contract.STAGE) == contract.Stage.ESCALATED
    await world.env.fast_forward(handle)
    assert await ending(world, about) == "expired"
    assert [(notice.kind, notice.to) for notice in world.notices.of(about)] == [
        ("reminder", "Library approver, Privacy owner"),
        *(("overdue", rung.to) for rung in world.library["late_delivery"].playbook.rungs),
        ("expired", "Delivery experience"),
    ]
    assert librarians.matter(about).status == "expired"


async def test_rejection_ends_it_with_the_reason(world: World) -> None:
    librarians = await demanding(world)
    about = await librarians.propose(world.library["late_delivery"])
    assert (await librarians.give(about, "lia", "reject")).accepted
    assert await ending(world, about) == "rejected: because"


async def test_text_that_is_no_playbook_or_another_one_is_refused(world: World) -> None:
    client = world.env.client
    for text, about, why in (
        ("id = 1", "library/late_delivery/1", "refused: the proposed playbook"),
        (world.library["payment_failed"].text, "library/late_delivery/2", "refused: the workflow's id names another"),
    ):
        given = LibraryProposal(text=text, proposer="pat")
        result = await client.execute_workflow(
            contract.LIBRARY_CHANGE, given, id=about, task_queue=contract.QUEUE, result_type=str
        )
        assert result.startswith(why)
    malformed = await client.execute_workflow(
        contract.LIBRARY_CHANGE, {"text": 1}, id="library/x/3", task_queue=contract.QUEUE, result_type=str
    )
    assert malformed == "refused: the proposal is malformed"


async def test_playbook_for_tests_never_sends_in_the_live_environment(world: World) -> None:
    world.override("late_delivery", {'shape = "batch"': 'shape = "batch"\npurpose_of_use = "test"'})
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    await world.with_settings(environment="live", library_gate=False)
    await world.client.submit(handle.id, world.envelope(handle.id))
    other = await world.start(world.late("o-2", key=f"{world.key}-2"))
    result = await other.result()
    assert (result.ending, result.reason) == ("refused", "test_playbook")
    assert world.sms.sent == []


@pytest.mark.parametrize("environment", ["live", "production", "prod", "eu-staging", "devices", "latest", "demos", ""])
def test_every_environment_is_live_unless_its_name_says_otherwise(environment: str) -> None:
    settings = Settings.load(environment=environment, _env_file=None)
    assert settings.is_live
    assert settings.demands_library
    assert not settings.model_copy(update={"library_gate": False}).demands_library


@pytest.mark.parametrize(
    "environment", ["test", "Test", "demo", "staging", "staging-eu", "dev", "dev2", "test.eu", "ci_1"]
)
def test_nothing_is_demanded_where_the_name_is_for_trying_things(environment: str) -> None:
    settings = Settings.load(environment=environment, sms="twilio", _env_file=None)
    assert not settings.is_live
    assert not settings.demands_library
    assert settings.model_copy(update={"library_gate": True}).demands_library


@pytest.mark.parametrize("environment", ["local", "compose"])
def test_name_that_nobody_chose_is_live_with_a_real_provider(environment: str) -> None:
    assert not Settings.load(environment=environment, sms="outbox", _env_file=None).is_live
    assert Settings.load(environment=environment, sms="twilio", _env_file=None).is_live


async def test_playbook_that_nobody_approved_does_not_send_in_production(world: World) -> None:
    await world.with_settings(environment="production")
    handle = await world.start(world.late("o-1"))
    result = await handle.result()
    assert (result.ending, result.reason) == ("refused", "playbook_not_live:not_approved")
    assert world.sms.sent == []


async def test_data_that_no_privacy_owner_agreed_to_is_not_passed_off_as_unchanged(world: World) -> None:
    """Somebody writes to the database, and a library approver signs whatever they are given."""
    librarians = await demanding(world)
    await librarians.let(world.library["late_delivery"])
    assert world.app is not None
    gate, outreaches, decisions = world.app.dispatch._gate, world.outreaches, world.decisions
    forged = world.playbook("late_delivery", {"max_length = 40": "max_length = 41"})
    wanted = world.playbook("late_delivery", {"max_length = 40": "max_length = 41", "when it was": "as it was"})

    def sneak_in(loaded: LoadedPlaybook, replaces: str) -> None:
        outreaches.keep_playbook(loaded.version, "late_delivery", loaded.text, now=NOW)
        change = LibraryChange(
            environment=world.settings.environment,
            decide_by=FOR_EVER,
            valid_until=FOR_EVER,
            nonce=loaded.version,
            playbook="late_delivery",
            playbook_version=loaded.version,
            replaces=replaces,
            data_changed=False,
            checklist=points(loaded.playbook),
            proposer="pat",
        )
        librarians.matters.open(change, "pat", NOW)
        answers = tuple("yes" for _ in change.checklist)
        document = decide(change, "approve", "lia", NOW, "", answers=answers).document()
        decision = DecisionRecord(
            about=change.about,
            decision="approve",
            approver="lia",
            fingerprint="",
            accepted=True,
            code="",
            envelope=envelope(librarians.signers["lia"], document).model_dump(mode="json"),
            received_at=datetime.now(UTC),
        )
        assert decisions.accept(decision, status="approved", good=list).status == "approved"

    outreaches.keep_playbook(forged.version, "late_delivery", forged.text, now=NOW)
    sneak_in(wanted, forged.version)
    assert gate.holds("late_delivery", wanted.version, now=datetime.now(UTC)) == "data_not_agreed"
    sneak_in(forged, wanted.version)
    assert gate.holds("late_delivery", wanted.version, now=datetime.now(UTC)) == "data_not_agreed", "in a circle"
    about = await librarians.propose(wanted)
    change = librarians.matter(about).proposal
    assert isinstance(change, LibraryChange)
    assert (change.data_changed, change.replaces) == (True, world.library["late_delivery"].version)


async def test_version_goes_on_when_the_one_before_was_taken_back_and_let_again(world: World) -> None:
    """Neither is an earlier one that was withdrawn no base, nor are two that replace each other."""
    librarians = await demanding(world)
    first, worded = (
        world.library["late_delivery"],
        world.playbook("late_delivery", {"when it was promised": "when it was due"}),
    )
    about = await librarians.let(first)
    await librarians.let(worded)
    librarians.matters.set_status(about, "revoked", at=NOW, by="leo")
    await librarians.let(first)
    assert world.app is not None
    for loaded in (first, worded):
        assert world.app.dispatch._gate.holds("late_delivery", loaded.version, now=datetime.now(UTC)) == ""
    text = world.registry.read_text()
    gone = f"revoked = {(datetime.now(UTC) + timedelta(seconds=1)).isoformat()}"
    line = f'key = "{librarians.signers["prue"].line}"'
    world.registry.write_text(text.replace(line, f"{line}\n{gone}"))
    later = datetime.now(UTC) + timedelta(days=1)
    assert world.app.dispatch._gate.holds("late_delivery", worded.version, now=later) == ""
    world.registry.write_text(text.replace(line, f"{line}\nrevoked = 2020-01-01T00:00:00Z"))
    assert world.app.dispatch._gate.holds("late_delivery", worded.version, now=later) == "data_not_agreed"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "refused: nobody in the registry of approvers is 'nobody'"),
        ("prue", "refused: 'prue' is none of its proposers (Delivery operations)"),
    ],
)
async def test_only_who_is_named_as_a_proposer_proposes(world: World, name: str, why: str) -> None:
    librarians = Librarians(world)
    loaded = world.library["late_delivery"]
    about = contract.library_id("late_delivery", loaded.version)
    given = LibraryProposal(text=loaded.text, proposer=name)
    result = await world.env.client.execute_workflow(
        contract.LIBRARY_CHANGE, given, id=about, task_queue=contract.QUEUE, result_type=str
    )
    assert result == why
    assert librarians.matters.get(about) is None
