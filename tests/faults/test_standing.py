"""From a condition to its first message under a standing permit, on the embedded default: SQLite and the outbox."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest
from sqlmodel import col, func, select

from tellfirst import contract
from tellfirst.client import OutreachClient
from tellfirst.contract import PermitProposal
from tellfirst.domain.condition import Condition, Subject
from tellfirst.signing.kinds import decide
from tellfirst.store.matters import Matters
from tellfirst.store.tables import SendRow
from tests.faults.installation import Installation, until
from tests.figures import Figure
from tests.signing.make import ed25519, envelope

RUNS = 20
SUBJECTS = 5
STANDING = """
[approval.standing]
approvers = ["Head of service"]
per_outreach = 1000
in_all = 10000
longest = "P30D"

[measure]
"""


@pytest.mark.slow
async def test_a_permitted_message_begins_within_a_second_of_its_condition(tmp_path: Path, figure: Figure) -> None:
    async with Installation(tmp_path, replace={"\n[measure]\n": STANDING}) as place:
        place.environment["TELLFIRST_SMS"] = "outbox"
        place.people((RUNS + 2) * SUBJECTS)
        await permit(place)
        client = OutreachClient(place.client)
        took: list[timedelta] = []
        for run in range(RUNS + 2):
            begun = datetime.now(UTC)
            started = await client.start(condition(run, begun))
            await until(lambda: first_send(place, started.outreach) is not None, 30)  # noqa: B023 - awaited here
            at = first_send(place, started.outreach)
            assert at is not None
            took.append(at - begun)
            await asyncio.sleep(0.2)  # what follows the first message is over: each condition comes by itself
        seconds = sorted(one.total_seconds() for one in took[2:])  # the first two warm up
        figure(
            f"standing: condition to first message accepted, {RUNS} runs: median {median(seconds):.3f} s, "
            f"fastest {seconds[0]:.3f} s, slowest {seconds[-1]:.3f} s"
        )
        assert median(seconds) < 3, "a generous bound; the figure above is what counts"


def condition(run: int, now: datetime) -> Condition:
    subjects = tuple(
        Subject(key=f"s-{n}", customer=f"c-{n}", facts={"order_id": f"o-{n}", "promised_at": "2026-11-20"})
        for n in range(run * SUBJECTS, (run + 1) * SUBJECTS)
    )
    return Condition(trigger="late_delivery", key=f"standing-{run}", detected_at=now, subjects=subjects)


async def permit(place: Installation) -> None:
    """Has Hal permit outreaches in advance, once a worker is there."""
    hal, about = ed25519(), contract.permit_id("standing")
    place.approvers.write_text(
        place.approvers.read_text()
        + '[[people]]\nprincipal = "hal"\nteam = "support"\ninternal = true\nroles = ["Head of service"]\n'
        f'[[people.keys]]\nkey = "{hal.line}"\n'
    )
    place.worker()
    client, matters = OutreachClient(place.client), Matters(place.database)
    await client.propose_permit(PermitProposal(playbook="late_delivery", proposer="pat"), about)
    await until(lambda: matters.get(about) is not None, 60)
    matter = matters.get(about)
    assert matter is not None
    document = decide(matter.proposal, "approve", "hal", datetime.now(UTC)).document()
    assert (await client.submit(about, envelope(hal, document))).accepted


def first_send(place: Installation, outreach: str) -> datetime | None:
    """Returns when the first message of an outreach was accepted."""
    query = select(func.min(col(SendRow.settled_at))).where(SendRow.outreach_id == outreach)
    with place.database.read() as session:
        return session.exec(query).one()
