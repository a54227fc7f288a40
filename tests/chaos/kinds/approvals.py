"""Decisions that do not count: doubled, racing, stale, late, replayed, by strangers, by keys revoked since."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tellfirst import contract
from tellfirst.client import OutreachClient
from tellfirst.contract import DecisionAnswer, DecisionEnvelope, Stage
from tellfirst.domain.base import Frozen
from tellfirst.errors import NotFoundError
from tellfirst.signing.documents import digest
from tellfirst.store.outreaches import RevisionRecord
from tests.chaos.deciding import CLOSED, Approver, Case, case, join, planned, signed, submit, together, told_of
from tests.chaos.place import Place
from tests.chaos.report import Tallies
from tests.faults.installation import until
from tests.signing.make import ed25519

VICTIMS, TIMES = 4, 3
"""Outreaches that all kinds of decisions are tried on, and how often each is on each of them."""
CASES = 10
"""Outreaches of each other kind of fault in one round."""
CROWDED, CROWD = 10, 20
"""Outreaches that many people approve at once in one round, and how many they are."""
Make = Callable[[], DecisionEnvelope]


class Victim(Frozen):
    """Is an outreach whose first revision was sent back: its second one waits for a decision."""

    case: Case
    revision: RevisionRecord
    proposer: str


async def refusals(place: Place, seen: Tallies, dice: Random) -> None:
    """Tries decisions that bind something else, or that the wrong people signed, and then one that counts."""
    people = join(place, 3)
    victims = await together(*(_victim(place, *people[:2]) for _ in range(VICTIMS)))
    gone = join(place, 1)[0]
    gone.revoke()
    tried = [
        (victim, kind, make, code)
        for number, victim in enumerate(victims)
        for kind, (make, code) in _wrong(victim, victims[number - 1], people, gone).items()
        for _ in range(TIMES)
    ]
    dice.shuffle(tried)
    by_signal = dict.fromkeys((victim.case.id for victim in victims), 0)
    for victim, kind, make, code in tried:
        if dice.random() < 1 / 3:
            await OutreachClient(place.client).decide(victim.case.id, make())
            by_signal[victim.case.id] += 1
        else:
            answer = await submit(place, victim.case.id, make())
            if answer.accepted or answer.code != code:
                seen.wrong(f"a decision {kind} was answered with '{answer.code}' and not with '{code}'")
        seen.fault(f"decision {kind}")
    for victim in victims:
        count = len([one for one in tried if one[0] is victim]) + 1  # that which sent it back
        await until(lambda v=victim, n=count: len(place.decisions.received(v.case.id)) == n, 60)
    accepted = [one for victim in victims for one in place.decisions.approvals(victim.case.id, 2)]
    _nobody(place, seen, [victim.case for victim in victims])
    if accepted:
        seen.wrong(f"{len(accepted)} decisions that do not count were accepted")
    for victim in victims:
        answer = await submit(place, victim.case.id, people[2].decides(victim.revision))
        assert answer.accepted, answer
    await _everybody(place, seen, [victim.case for victim in victims])
    await _control(place, seen)


async def deadlines(place: Place, seen: Tallies, dice: Random) -> None:
    """Decides when it is too late to, and lets go what was approved in time when it is too late to send."""
    few = asyncio.Semaphore(4)  # they have six seconds

    async def late(after: float, *, by_signal: bool) -> Case:
        async with few:
            one = await case(place, trigger="brief_delivery")
        await _decide_late(place, seen, one, after, by_signal=by_signal)
        return one

    async def held() -> Case:
        while True:
            async with few:
                one = await case(place, trigger="brief_delivery")
                in_time = await _held(place, one, signed(place.ana, "ana", one.revision))
            if in_time:
                await _send_late(place, seen, one)
                return one

    cases = await together(
        *(late(dice.uniform(0.02, 0.5), by_signal=dice.random() < 1 / 3) for _ in range(CASES)),
        *(held() for _ in range(CASES)),
    )
    _nobody(place, seen, cases)


async def races(place: Place, seen: Tallies, dice: Random) -> None:
    """Lets many people decide at once, and the same decision come by every way there is."""
    crowd = join(place, CROWD)
    doubled = await together(*(case(place, trigger="pair_delivery") for _ in range(CASES)))
    await together(*(_double(place, seen, one, *dice.sample(crowd, 2)) for one in doubled))
    crowded = await together(*(case(place) for _ in range(CROWDED)))
    for one in crowded:
        await _crowd(place, seen, one, crowd)
    contested = await together(*(case(place) for _ in range(CASES)))
    won = await together(*(_contest(place, seen, one, dice.sample(crowd, 2)) for one in contested))
    approved = [one for one, wins in zip(contested, won, strict=True) if wins == "approve"]
    await _everybody(place, seen, [*doubled, *crowded, *approved])
    _nobody(place, seen, [one for one in contested if one not in approved])


async def withdrawals(place: Place, seen: Tallies, dice: Random) -> None:
    """Revokes the key of approvals that wait to be sent."""
    one, other = join(place, 2)
    cases = await together(*(case(place) for _ in range(CASES)))
    assert all(await together(*(_held(place, each, one.decides(each.revision)) for each in cases)))
    one.revoke()
    client = OutreachClient(place.client)
    for each in cases:
        await client.pause(each.id, paused=False)
        seen.fault("decision by a key that was revoked since")
    for each in cases:
        await _stage(place, each, Stage.NEEDS_ATTENTION)
    _nobody(place, seen, cases)
    for each in cases:
        answer = await submit(place, each.id, other.decides(each.revision))
        assert answer.accepted, answer
    await _everybody(place, seen, cases)


ROUNDS = (refusals, deadlines, races, withdrawals)


# -- decisions that do not count


async def _victim(place: Place, proposer: Approver, editor: Approver) -> Victim:
    given = await case(place, 2, proposer=proposer.name)
    answer = await submit(place, given.id, editor.decides(given.revision, "request_changes"))
    assert answer.accepted, answer
    return Victim(case=given, revision=await planned(place, given.id, number=2), proposer=proposer.name)


def _wrong(victim: Victim, other: Victim, people: Sequence[Approver], gone: Approver) -> Mapping[str, tuple[Make, str]]:
    """Returns what makes each kind of decision that does not count for a victim, with the code of its refusal."""
    proposer, _, person = people
    now = victim.revision

    def changed() -> DecisionEnvelope:
        honest = person.decides(now)
        return honest.model_copy(update={"document": {**honest.document, "audience_count": 1}})

    def by(one: Approver, **fields: Any) -> Make:
        return lambda: signed(one.signer, one.name, now, **fields)

    return {
        "of an earlier revision": (lambda: person.decides(victim.case.revision), "stale_content"),
        "of another outreach": (lambda: person.decides(other.revision), "wrong_outreach"),
        "of another environment": (by(person, environment="production"), "wrong_environment"),
        "of another nonce": (by(person, nonce=victim.case.revision.proposal.nonce), "stale_content"),
        "of more time": (by(person, decide_by="2099-01-01T00:00:00Z"), "stale_content"),
        "changed after it was signed": (changed, "bad_signature"),
        "by a stranger": (lambda: signed(ed25519(), person.name, now), "unknown_key"),
        "in another's name": (lambda: signed(proposer.signer, person.name, now), "wrong_person"),
        "by the proposer": (by(proposer), "own_proposal"),
        "by a revoked key": (by(gone), "key_revoked"),
    }


async def _control(place: Place, seen: Tallies) -> None:
    """Shows that nothing but the registry stands between a stranger and the customers."""
    name = "a stranger who stands in the registry"
    if name in seen.controls:
        return
    stranger, given = Approver(place.approvers), await case(place)
    before = await submit(place, given.id, stranger.decides(given.revision))
    stranger.join()
    after = await submit(place, given.id, stranger.decides(given.revision))
    await place.settled(given.told)
    told = set(told_of(place, [given]).values()) == {1}
    seen.controls[name] = (before.accepted, after.accepted, told) == (False, True, True)


# -- deadlines


async def _decide_late(place: Place, seen: Tallies, one: Case, after: float, *, by_signal: bool) -> None:
    late = one.revision.plan.decide_by + timedelta(seconds=after)
    given = signed(place.ana, "ana", one.revision)
    await asyncio.sleep((late - datetime.now(UTC)).total_seconds())
    if not by_signal:
        answer = await submit(place, one.id, given)
        if answer.accepted or answer.code not in (CLOSED, "too_late", "already_decided"):
            seen.wrong(f"a decision after its deadline was answered with '{answer.code}'")
    else:
        await _signal(place, one, given)
    seen.fault("decision after its deadline")
    result = await place.result(one.told)
    if result.ending != "expired":
        seen.wrong(f"an outreach that nobody decided in time ended {result.ending}")


async def _send_late(place: Place, seen: Tallies, one: Case) -> None:
    late = one.revision.plan.initial.not_after
    await asyncio.sleep((late - datetime.now(UTC)).total_seconds() + 0.1)
    await OutreachClient(place.client).pause(one.id, paused=False)
    seen.fault("approval that is no longer valid")
    result = await place.result(one.told)
    if result.ending != "nothing_to_do":
        seen.wrong(f"an outreach that was let go too late ended {result.ending}")


async def _held(place: Place, one: Case, given: DecisionEnvelope) -> bool:
    """Pauses an outreach and submits a decision about it; returns whether that came in time."""
    with suppress(NotFoundError):
        await OutreachClient(place.client).pause(one.id, paused=True)
        await until(lambda: (row := place.outreaches.get(one.id)) is not None and (row.paused or row.ending), 60)
    answer = await submit(place, one.id, given)
    assert answer.accepted or answer.code in (CLOSED, "too_late", "already_decided"), answer
    return answer.accepted


# -- many at once


async def _double(place: Place, seen: Tallies, one: Case, first: Approver, second: Approver) -> None:
    """Gives each of two approvals by all ways at once."""
    given = first.decides(one.revision)
    answers = await _all_ways(place, one, given)
    if {(answer.accepted, answer.approvals) for answer in answers} != {(True, 1)}:
        seen.wrong("an approval that came by several ways was not one")
    seen.fault("decision doubled")
    await _all_ways(place, one, second.decides(one.revision, prior=digest(given.document)))
    people = {record.approver for record in place.decisions.approvals(one.id, 1)}
    if people != {first.name, second.name}:
        seen.wrong(f"{len(people)} people count where two approved")


async def _all_ways(place: Place, one: Case, given: DecisionEnvelope) -> list[DecisionAnswer]:
    """Submits a decision twice as our client does, once as any other client may, and leaves it as a signal."""
    handle = place.client.get_workflow_handle(one.id)
    *answers, _ = await together(
        submit(place, one.id, given),
        submit(place, one.id, given),
        handle.execute_update(contract.SUBMIT_DECISION, given, result_type=DecisionAnswer),
        _signal(place, one, given),
    )
    return answers


async def _crowd(place: Place, seen: Tallies, one: Case, crowd: Sequence[Approver]) -> None:
    answers = await together(*(submit(place, one.id, person.decides(one.revision)) for person in crowd))
    accepted = sum(answer.accepted for answer in answers)
    refused = {answer.code for answer in answers if not answer.accepted}
    if accepted != 1 or refused - {"already_decided", CLOSED}:
        seen.wrong(f"of {len(crowd)} who approved at once {accepted} were accepted, others refused as {refused}")
    seen.fault(f"{len(crowd)} decisions at once")


async def _contest(place: Place, seen: Tallies, one: Case, people: Sequence[Approver]) -> str:
    """Lets one approve while the other rejects, and returns what counts."""
    first, second = people
    answers = await together(
        submit(place, one.id, first.decides(one.revision)),
        submit(place, one.id, second.decides(one.revision, "reject")),
    )
    if sum(answer.accepted for answer in answers) != 1:
        seen.wrong("of one who approved and one who rejected not exactly one was accepted")
    seen.fault("approved against rejected")
    return "approve" if answers[0].accepted else "reject"


async def _signal(place: Place, one: Case, given: DecisionEnvelope) -> None:
    """Leaves a decision as a signal, unless there is nothing any more to leave it with."""
    with suppress(NotFoundError):
        await OutreachClient(place.client).decide(one.id, given)


# -- what became of it


def _nobody(place: Place, seen: Tallies, cases: Sequence[Case]) -> None:
    """Counts texts of outreaches that nobody approved."""
    seen.saw({"unauthorised": sum(told_of(place, cases).values())})


async def _everybody(place: Place, seen: Tallies, cases: Sequence[Case]) -> None:
    """Waits until outreaches have settled, and looks whether each customer was told once."""
    seen.saw(await place.outcome([one.told for one in cases]))


async def _stage(place: Place, one: Case, stage: Stage) -> None:
    async with asyncio.timeout(60):
        while (await OutreachClient(place.client).view(one.id)).stage is not stage:
            await asyncio.sleep(0.1)
