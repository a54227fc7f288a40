"""Standing permits: what is permitted in advance leaves at once, and whatever lies outside waits for people."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import ActivityEnvironment

from activities.planning import PlanRequest
from tellfirst import contract
from tellfirst.contract import DecisionAnswer, PermitProposal
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import decide
from tellfirst.store.chain import Chain
from tellfirst.store.matters import MatterRecord, Matters
from tellfirst.store.permits import Permits
from tests.signing.make import Signer, ed25519, envelope
from tests.world import World

STANDING = """
[approval.standing]
approvers = ["Head of service"]
per_outreach = 3
in_all = 4
longest = "P30D"

[measure]
"""


class Permitting:
    """Is what a world needs for permits: Hal and Hanna are one level up, Pat proposes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.signers: dict[str, Signer] = {"hal": ed25519(), "hanna": ed25519()}
        people = "".join(
            f'\n[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["Head of service"]\n'
            f'[[people.keys]]\nkey = "{signer.line}"\n'
            for name, signer in self.signers.items()
        )
        world.registry.write_text(world.registry.read_text() + people)
        world.override("late_delivery", {"\n[measure]\n": STANDING})

    @property
    def matters(self) -> Matters:
        assert self.world.app is not None
        return Matters(self.world.app.database)

    @property
    def permits(self) -> Permits:
        assert self.world.app is not None
        return Permits(self.world.app.database)

    async def propose(self, name: str = "p-1", **asked: object) -> str:
        """Proposes a permit as Pat and returns its name once it can be decided."""
        about = contract.permit_id(name)
        given = PermitProposal.model_validate({"playbook": "late_delivery", "proposer": "pat", **asked})
        with self.world.env.with_time_skipping_disabled():
            await self.world.env.client.start_workflow(
                contract.PERMIT,
                given,
                id=about,
                task_queue=contract.QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
            )
        await self.world.until(lambda: self.matters.get(about) is not None)
        return about

    def matter(self, about: str) -> MatterRecord:
        found = self.matters.get(about)
        assert found is not None
        return found

    async def give(
        self, about: str, name: str = "hal", choice: Choice = "approve", signer: Signer | None = None
    ) -> DecisionAnswer:
        document = decide(self.matter(about).proposal, choice, name, datetime.now(UTC), "because")
        return await self.world.client.submit(about, envelope(signer or self.signers[name], document.document()))

    async def permit(self, name: str = "p-1", **asked: object) -> str:
        about = await self.propose(name, **asked)
        answer = await self.give(about)
        assert answer.accepted, answer
        return about


@pytest.fixture
async def permitting(world: World) -> Permitting:
    made = Permitting(world)
    await world.with_settings()
    for number in range(1, 6):
        world.customer(f"c-{number}")
    return made


def why(permitting: Permitting, outreach: str) -> str:
    use = permitting.permits.of(outreach, 1)
    assert use is not None
    return use.reason


async def test_what_is_permitted_leaves_without_another_decision(world: World, permitting: Permitting) -> None:
    about = await permitting.permit()
    handle = await world.start(world.late("o-1", "o-2"))
    await world.until(lambda: len(world.sms.sent) == 2)
    assert world.decisions.received(handle.id) == []
    [use] = permitting.permits.uses(about)
    assert (use.outreach, use.revision, use.recipients) == (handle.id, 1, 2)
    assert world.app is not None
    [entry] = [e for e in Chain(world.app.database).entries() if e.kind == "permit_use"]
    assert (entry.about, entry.facts["outreach"], entry.facts["recipients"]) == (about, handle.id, 2)


async def test_what_a_permit_does_not_cover_waits_for_people_and_says_why(world: World, permitting: Permitting) -> None:
    await permitting.permit()
    large = await world.start(world.late("o-1", "o-2", "o-3", "o-4", key=f"{world.key}-large"))
    await world.stage(large, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, large.id) == "permit p-1 covers 3 of one outreach, this needs 4"
    first = await world.start(world.late("o-1", "o-2", "o-3", key=f"{world.key}-first"))
    await world.until(lambda: len(world.sms.sent) == 3)
    second = await world.start(world.late("o-4", "o-5", key=f"{world.key}-second"))
    await world.stage(second, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, second.id) == "permit p-1 has 1 left, this needs 2"
    assert (await world.approve(second.id)).accepted
    await world.until(lambda: len(world.sms.sent) == 5)
    assert why(permitting, first.id) == ""


async def test_a_revoked_permit_stops_what_is_on_its_way(world: World, permitting: Permitting) -> None:
    about = await permitting.permit()
    await world.without(contract.send_queue("sms"))
    handle = await world.start(world.late("o-1", "o-2"))
    await world.until(lambda: permitting.permits.of(handle.id, 1) is not None)
    permitting.matters.set_status(about, "revoked", at=datetime.now(UTC), only=("approved",), by="hanna")
    await world.rest()
    await world.work()
    await world.stage(handle, contract.Stage.NEEDS_ATTENTION)
    assert world.sms.sent == []
    assert "permit:revoked" in (await world.client.view(handle.id)).details
    # People may still let it go, by a decision of its own.
    assert (await world.client.submit(handle.id, world.envelope(handle.id))).accepted
    await world.until(lambda: len(world.sms.sent) == 2)
    later = await world.start(world.late("o-3", key=f"{world.key}-later"))
    await world.stage(later, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, later.id) == "permit p-1 was revoked"


async def test_a_permit_whose_key_was_revoked_covers_nothing(world: World, permitting: Permitting) -> None:
    await permitting.permit()
    text = world.registry.read_text()
    line = permitting.signers["hal"].line
    world.registry.write_text(text.replace(f'key = "{line}"', f'key = "{line}"\nrevoked = "2020-01-01T00:00:00Z"'))
    handle = await world.start(world.late("o-1"))
    await world.stage(handle, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, handle.id) == "permit p-1 does not hold (key_revoked)"


async def test_a_permit_is_for_one_version(world: World, permitting: Permitting) -> None:
    await permitting.permit()
    world.override("late_delivery", {"when it was promised": "when it was due"})
    handle = await world.start(world.late("o-1"))
    await world.stage(handle, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, handle.id) == "permit p-1 is for another version of the playbook"


async def test_nobody_but_one_level_up_permits_and_never_who_proposed(world: World, permitting: Permitting) -> None:
    about = await permitting.propose()
    assert (await permitting.give(about, "ana", signer=world.ana)).code == "not_an_approver"
    other = await permitting.propose("p-2", proposer="hal")
    assert (await permitting.give(other, "hal")).code == "own_proposal"
    assert (await permitting.give(other, "hanna")).accepted
    handle = await world.start(world.late("o-1"))
    await world.until(lambda: permitting.permits.of(handle.id, 1) is not None)
    assert [use.outreach for use in permitting.permits.uses(other)] == [handle.id]
    assert permitting.permits.uses(about) == []


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"per_outreach": 9}, "one outreach of 'late_delivery' may be permitted for 1 to 3 recipients"),
        ({"in_all": 9}, "'late_delivery' may be permitted for 3 to 4 recipients in all"),
        ({"playbook": "payment_failed"}, "no playbook 'payment_failed' lets anything be permitted in advance"),
        ({"valid_until": datetime(2100, 1, 1, tzinfo=UTC)}, "'late_delivery' may be permitted until"),
        ({"playbook": "LATE"}, "the proposal is malformed"),
    ],
)
async def test_no_permit_goes_beyond_its_playbook(
    world: World, permitting: Permitting, asked: dict[str, object], reason: str
) -> None:
    given = {"playbook": "late_delivery", "proposer": "pat", **asked}
    ended = await world.env.client.execute_workflow(
        contract.PERMIT, given, id="permit/p-9", task_queue=contract.QUEUE, result_type=str
    )
    assert ended.startswith(f"refused: {reason}")


async def test_a_permit_edited_in_the_database_covers_nothing(world: World, permitting: Permitting) -> None:
    about = await permitting.permit()
    assert world.app is not None
    with world.app.database.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE matters SET proposal = json_set(proposal, '$.in_all', 4000, '$.per_outreach', 3) WHERE about = ?",
            (about,),
        )
    handle = await world.start(world.late("o-1"))
    await world.stage(handle, contract.Stage.AWAITING_APPROVAL)
    assert why(permitting, handle.id) == "permit p-1 does not hold (stale_content)"
    assert world.sms.sent == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE permit_uses SET recipients = 1", "permit:audience_changed"),
        ("UPDATE revisions SET proposal = json_set(proposal, '$.audience_count', 1)", "permit:stale_content"),
        ("UPDATE permit_uses SET permit = 'permit/p-2'", "permit:not_approved"),
        (
            "INSERT INTO permit_uses SELECT 'o/x', 1, permit, 3, 0, digest, '', at FROM permit_uses",
            "permit:not_covered",
        ),
        ("DELETE FROM permit_uses", "not_approved"),
    ],
)
async def test_rows_edited_after_the_plan_send_nothing(
    world: World, permitting: Permitting, statement: str, code: str
) -> None:
    await permitting.permit()
    await world.without(contract.send_queue("sms"))
    handle = await world.start(world.late("o-1", "o-2"))
    await world.until(lambda: permitting.permits.of(handle.id, 1) is not None)
    assert world.app is not None
    with world.app.database.write() as session:
        session.connection().exec_driver_sql(statement)
    await world.rest()
    await world.work()
    await world.stage(handle, contract.Stage.NEEDS_ATTENTION)
    assert world.sms.sent == []
    assert code in (await world.client.view(handle.id)).details


async def test_a_permit_that_ends_before_the_last_message_may_leave_covers_nothing(
    world: World, permitting: Permitting
) -> None:
    await permitting.permit(valid_until=datetime.now(UTC) + timedelta(hours=2))
    handle = await world.start(world.late("o-1"))
    await world.stage(handle, contract.Stage.AWAITING_APPROVAL)
    assert "before the last of these messages may leave" in why(permitting, handle.id)


async def test_nobody_rejects_what_was_permitted_but_anybody_may_end_it(world: World, permitting: Permitting) -> None:
    await permitting.permit()
    await world.without(contract.send_queue("sms"))
    handle = await world.start(world.late("o-1"))
    await world.until(lambda: permitting.permits.of(handle.id, 1) is not None)
    answer = await world.client.submit(handle.id, world.envelope(handle.id, "reject"))
    assert (answer.accepted, answer.code) == (False, "already_decided")
    await world.client.tell(handle.id, "abort", by="ben")
    assert (await world.finish(handle)).accepted == 0


async def test_whom_a_permitted_revision_told_are_not_planned_for_again(world: World, permitting: Permitting) -> None:
    """Somebody who can give work to our workers asks for another revision in place of the one that was sent."""
    await permitting.permit()
    handle = await world.start(world.late("o-1"))
    await world.until(lambda: len(world.sms.sent) == 1)
    assert world.app is not None
    request = PlanRequest(outreach=handle.id, run="another", revision=2, replaces=1)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    answer = await asyncio.to_thread(environment.run, world.app.planning.plan, request)
    assert (answer.status, answer.reason, answer.permit) == ("nothing_to_do", "nobody_to_tell", "")
