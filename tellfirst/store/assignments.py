"""The ledger of draws: who was drawn once, by whichever attempt, revision or share, stays where that draw put them."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.measurement.assignment import EVERYWHERE, Draw, Holdouts, draw_everywhere, draw_in, half_year
from tellfirst.signing.documents import digest
from tellfirst.store.statements import chunks, insert_new
from tellfirst.store.tables_assignments import AssignmentRow


class Drawing(Frozen):
    """Is what a draw is made with, at the instant `t0`, and what the ledger keeps of where it was made."""

    holdouts: Holdouts
    salt: str
    t0: datetime
    playbook_version: str = ""
    run: str = ""
    code_version: str = ""


class Place(Frozen):
    """Says for which page of which outreach is drawn; `eligibility` is its digest, as it was approved."""

    outreach: str
    revision: int
    eligibility: str


class Assigned(Draw):
    """Is a draw as the ledger has it."""

    t0: datetime


def assign(session: Session, units: Sequence[str], by: Drawing, place: Place) -> dict[str, Assigned]:
    """Returns the draw of each unit (account clusters, sorted), and keeps those that are new, in this transaction."""
    epoch, holdouts = half_year(by.t0), by.holdouts
    everywhere: dict[str, Assigned] = {}
    if holdouts.everywhere and not holdouts.everyone:
        draws = {unit: draw_everywhere(by.salt, epoch, unit, holdouts.everywhere) for unit in units}
        everywhere = _settled(session, EVERYWHERE, epoch, draws, by, place)
    draws = {unit: draw_in(by.salt, place.outreach, unit, holdouts, everywhere.get(unit)) for unit in units}
    return _settled(session, place.outreach, "", draws, by, place)


def salt_id(salt: str) -> str:
    """Returns what the ledger calls a salt: the salt itself would let its readers foretell who is held out."""
    return digest({"salt": salt})[:12]


def _settled(
    session: Session, scope: str, epoch: str, draws: dict[str, Draw], by: Drawing, place: Place
) -> dict[str, Assigned]:
    known = {} if by.holdouts.everyone else _known(session, scope, epoch, list(draws))
    new = {unit: drawn for unit, drawn in draws.items() if unit not in known}
    origin = {
        "scope": scope,
        "epoch": epoch,
        "t0": by.t0,
        "salt_id": salt_id(by.salt),
        "eligibility": place.eligibility,
        "outreach_id": place.outreach,
        "revision": place.revision,
        "playbook_version": by.playbook_version,
        "run": by.run,
        "code_version": by.code_version,
    }
    made = insert_new(
        session, AssignmentRow, [{"unit": unit, **drawn.model_dump(), **origin} for unit, drawn in new.items()]
    )
    if made < len(new) and not by.holdouts.everyone:
        # Another page with a member of the same account was quicker, and has committed: its draw stands.
        known |= _known(session, scope, epoch, list(new))
    return {unit: Assigned(**drawn.model_dump(), t0=by.t0) for unit, drawn in new.items()} | known


def _known(session: Session, scope: str, epoch: str, units: Sequence[str]) -> dict[str, Assigned]:
    found: dict[str, Assigned] = {}
    for chunk in chunks(units):
        query = select(AssignmentRow).where(
            AssignmentRow.scope == scope, AssignmentRow.epoch == epoch, col(AssignmentRow.unit).in_(chunk)
        )
        found |= {row.unit: Assigned.model_validate(row, from_attributes=True) for row in session.exec(query)}
    return found
