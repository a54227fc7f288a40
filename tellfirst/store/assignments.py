"""The ledger of draws: who was drawn once, by whichever attempt, revision or share, stays where that draw put them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.measurement.assignment import EVERYWHERE, Draw, Holdouts, draw_everywhere, draw_in, half_year
from tellfirst.signing.documents import digest
from tellfirst.store.statements import chunks, insert_new
from tellfirst.store.tables_assignments import AssignmentRow
from tellfirst.store.tables_contacts import MergeRow


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
    phase_seconds: int = 0

    @property
    def told_at(self) -> datetime:
        """Returns when its phase begins."""
        return self.t0 + timedelta(seconds=self.phase * self.phase_seconds)


def assign(session: Session, units: Sequence[str], by: Drawing, place: Place) -> dict[str, Assigned]:
    """Returns the draw of each unit (account clusters), and keeps those that are new, within this transaction."""
    accounts = _accounts(session, units)
    ends = sorted({accounts.get(unit, unit) for unit in units})
    epoch, holdouts = half_year(by.t0), Holdouts(everyone=True) if by.holdouts.everyone else by.holdouts
    everywhere: dict[str, Assigned] = {}
    if holdouts.everywhere:
        draws = {unit: draw_everywhere(by.salt, epoch, unit, holdouts.everywhere) for unit in ends}
        everywhere = _settled(session, EVERYWHERE, epoch, draws, accounts, by, place)
    draws = {unit: draw_in(by.salt, place.outreach, unit, holdouts, everywhere.get(unit)) for unit in ends}
    settled = _settled(session, place.outreach, "", draws, accounts, by, place)
    return {unit: settled[accounts.get(unit, unit)] for unit in units}


def salt_id(salt: str) -> str:
    """Returns what the ledger calls a salt: the salt itself would let its readers foretell who is held out."""
    return digest({"salt": salt})[:12]


def _accounts(session: Session, units: Sequence[str]) -> dict[str, str]:
    """Returns what the units were merged into, and whatever else was merged into the same accounts."""
    ends = select(MergeRow.into).where(col(MergeRow.old).in_(units))
    query = select(MergeRow.old, MergeRow.into).where(col(MergeRow.into).in_(units) | col(MergeRow.into).in_(ends))
    return dict(session.exec(query).all())


def _settled(
    session: Session,
    scope: str,
    epoch: str,
    draws: dict[str, Draw],
    accounts: dict[str, str],
    by: Drawing,
    place: Place,
) -> dict[str, Assigned]:
    names = {unit: unit for unit in draws} | accounts
    known = {} if by.holdouts.everyone else _known(session, scope, epoch, names)
    new = {unit: drawn for unit, drawn in draws.items() if unit not in known}
    seconds = int(by.holdouts.phase.total_seconds())
    origin = {
        "scope": scope,
        "epoch": epoch,
        "t0": by.t0,
        "phases": by.holdouts.phases,
        "phase_seconds": seconds,
        "salt_id": salt_id(by.salt),
        "eligibility": place.eligibility,
        "outreach_id": place.outreach,
        "revision": place.revision,
        "playbook_version": by.playbook_version,
        "run": by.run,
        "code_version": by.code_version,
    }
    rows = [{"unit": unit, **drawn.model_dump(), **origin} for unit, drawn in new.items()]
    made = insert_new(session, AssignmentRow, rows)
    if made < len(new) and not by.holdouts.everyone:
        # Another page with a member of the same account was quicker, and has committed: its draw stands.
        known |= _known(session, scope, epoch, names)
    return {
        unit: Assigned(**drawn.model_dump(), t0=by.t0, phase_seconds=seconds) for unit, drawn in new.items()
    } | known


def _known(session: Session, scope: str, epoch: str, names: dict[str, str]) -> dict[str, Assigned]:
    found: dict[str, Assigned] = {}
    for chunk in chunks(names):
        query = select(AssignmentRow).where(
            AssignmentRow.scope == scope, AssignmentRow.epoch == epoch, col(AssignmentRow.unit).in_(chunk)
        )
        for row in session.exec(query):
            drawn, unit = Assigned.model_validate(row, from_attributes=True), names[row.unit]
            # Of two accounts that turned out to be one the first draw stands.
            if unit not in found or drawn.t0 < found[unit].t0:
                found[unit] = drawn
    return found
