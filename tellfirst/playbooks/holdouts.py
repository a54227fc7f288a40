"""Whom a playbook may leave untold: the rule of its category and purpose over every share that somebody has set."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tellfirst.measurement.assignment import Holdouts
from tellfirst.playbooks.promises import planned_steps
from tellfirst.playbooks.schema import NO_HOLDOUT, Playbook


def holdouts_of(playbook: Playbook, everywhere: float) -> Holdouts:
    """Returns what its outreaches hold out, where the installation holds `everywhere` (0 to below 1) of all accounts.

    The schema refuses a hold-out for the categories of NO_HOLDOUT; here they have none whatever a playbook says.
    """
    if playbook.category in NO_HOLDOUT:
        return Holdouts(everyone=True)
    measure, everywhere = playbook.measure, 0.0 if playbook.purpose == "transactional" else everywhere
    if measure.phased and measure.phase is not None:
        return Holdouts(everywhere=everywhere, phases=measure.phases, phase=measure.phase)
    return Holdouts(own=measure.holdout, everywhere=everywhere)


def phase_findings(playbook: Playbook) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy where those of the last phase could not be told in time any more."""
    measure = playbook.measure
    if measure.phase is None:
        return
    if not 60 <= measure.phase.total_seconds() <= measure.window.total_seconds():
        yield "measure.phase", "is not between a minute and 'window'", 'give a duration such as "P1D"'
    planned = datetime(2026, 1, 1, tzinfo=UTC)
    latest = planned_steps(playbook, planned)[0].not_after - planned - playbook.approval.expires_after
    if (measure.phases - 1) * measure.phase >= latest:
        yield (
            "measure.phase",
            "is so long that the last phase begins when it is too late for the opening step",
            "shorten it, or let the step expire later and the first update come later",
        )
