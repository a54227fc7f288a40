"""What anybody who reaches the Temporal server can send to a running outreach: nothing of it sends a message."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowUpdateFailedError

from tellfirst import contract
from tests.figures import Told
from tests.signing.make import Signer, ed25519, envelope
from tests.world import World

SIGNALS = ("decide", "pause", "abort", "condition_changed", "escalation_acknowledged", "draft", "nonsense")
FORGED: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1.5, "", "yes", "approved", [], [[]], {}, {"status": "approved"}, {"accepted": True},
    {"revision": 1, "status": "approved", "decision": "approve"}, {"stage": "sending"}, {"document": {}},
    {"document": {"kind": "outreach"}, "signature": "x"}, {"document": [], "signature": ""}, {"document": None},
    {"event_id": ""}, {"event_id": "e" * 9_000}, {"event_id": {"$ne": 1}}, {"event_id": "e", "status": "approved"},
    {"event_id": "r", "paused": False}, {"event_id": "é\u202e"}, "x" * 100_000, {"a": {"b": {"c": {"d": [1] * 99}}}},
)  # fmt: skip


async def test_raw_signals_and_updates_send_nothing(world: World, told: Told) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    tried = []
    for forged in FORGED:
        for name in SIGNALS:
            if name != "abort":  # well-formed, anybody may end it: that is no message
                await handle.signal(name, forged)
                tried.append(f"signal:{name}")
        try:
            answer = await handle.execute_update(contract.SUBMIT_DECISION, forged, result_type=contract.DecisionAnswer)
            tried.append("" if answer.accepted else f"update:{answer.code}")
        except WorkflowUpdateFailedError:
            tried.append("update:malformed")
    for signer, name in ((ed25519(), "ana"), (world.ben, "ana"), (world.ana, "ben")):
        answer = await world.client.submit(handle.id, world.envelope(handle.id, signer=signer, approver=name))
        tried.append("" if answer.accepted else f"update:{answer.code}")
    told("raw signals and updates", tried, len(world.sms.sent))
    assert all(not one.accepted for one in world.decisions.received(handle.id))
    view = await world.client.view(handle.id)
    assert [revision.status for revision in view.revisions] == ["pending"]
    await world.client.pause(handle.id, paused=False)  # some of the forged ones were well-formed enough to pause it
    assert (await world.approve(handle.id)).accepted, "it is still there to be decided"
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_twenty_approvers_at_once_make_one_decision(world: World, told: Told) -> None:
    people: dict[str, Signer] = {f"p{number}": ed25519() for number in range(20)}
    world.registry.write_text(
        "".join(
            f'[[people]]\nprincipal = "{name}"\nteam = "support"\ninternal = true\nroles = ["Service lead"]\n'
            f'[[people.keys]]\nkey = "{signer.line}"\n'
            for name, signer in people.items()
        )
    )
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    record = world.outreaches.revision(handle.id, 1)
    assert record is not None
    given = [
        envelope(signer, record.proposal.decide("approve", name, datetime.now(UTC))) for name, signer in people.items()
    ]
    answers = await asyncio.gather(*(world.client.submit(handle.id, one) for one in given))
    assert [answer.accepted for answer in answers].count(True) == 1
    told("of 20 at once, those who came second", [a.code for a in answers if not a.accepted], 0)
    assert {answer.code for answer in answers if not answer.accepted} == {"already_decided"}
    received = world.decisions.received(handle.id)
    assert sum(one.accepted for one in received) == 1
    # A judgement that is cut off is made, and recorded, again.
    assert {one.approver for one in received} == set(people), "every attempt is recorded"
    await world.until(lambda: len(world.sms.sent) == 1)
