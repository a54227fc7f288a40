"""Whom a playbook may leave untold: the rule of its category and purpose over every share that somebody has set."""

from tellfirst.measurement.assignment import Holdouts
from tellfirst.playbooks.schema import NO_HOLDOUT, Playbook


def holdouts_of(playbook: Playbook, everywhere: float) -> Holdouts:
    """Returns what its outreaches hold out, where the installation holds `everywhere` (0 to below 1) of all accounts.

    The schema refuses a hold-out for the categories of NO_HOLDOUT; here they have none whatever a playbook says.
    """
    if playbook.category in NO_HOLDOUT:
        return Holdouts(everyone=True)
    return Holdouts(own=playbook.measure.holdout, everywhere=0.0 if playbook.purpose == "transactional" else everywhere)
