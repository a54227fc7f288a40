"""An installation whose audiences went for their age: every promise still verifies, and what is left can be shown."""

from datetime import UTC, datetime, timedelta

from tellfirst.store.retention import Retention
from tests.cli.conftest import Office
from tests.cli.test_verify import tell


async def test_an_emptied_outreach_verifies_and_can_be_shown(office: Office) -> None:
    told = await tell(office)
    assert office.world.app is not None
    database, now = office.world.app.database, datetime.now(UTC)
    samples = (await office.run("show", told.outreach)).out
    office.world.outreaches.close(told.outreach, ending="measured", reason="", at=now)
    emptied = Retention(database, kept=timedelta(days=365)).tidy(now=now + timedelta(days=366), batches=9)
    assert (emptied.recipients, emptied.found) == (3, 3)
    figures = await told.verify("--provider-log", told.log())
    assert (figures["audit_ok"], figures["sends"], figures["accepted"]) == (True, 3, 3)
    shown = await office.run("show", told.outreach)
    assert shown.code == 0
    assert "o-1" in samples
    assert "o-1" not in shown.out
    told.change("UPDATE outreaches SET closed_at = NULL")
    assert (await told.verify())["promises_broken"] == ["audit log: 3 erasures are not as they were written down"]
