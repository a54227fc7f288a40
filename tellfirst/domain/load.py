"""What people are asked to do beside their work: decide, look into exceptions, answer escalations."""

from datetime import datetime

from tellfirst.domain.base import Frozen


class Decided(Frozen):
    """Is one accepted decision: by whom, on what, since when it waited and when it came; `since` None is not known."""

    person: str
    decision: str
    exception: bool
    since: datetime | None
    at: datetime


class Acknowledged(Frozen):
    """Is one escalation; `person` is empty while nobody is on it."""

    person: str
    opened_at: datetime
    acknowledged_at: datetime | None


class Duties(Frozen):
    """Is everything that people did, and who asked for exceptions."""

    decisions: tuple[Decided, ...] = ()
    escalations: tuple[Acknowledged, ...] = ()
    requests: tuple[str, ...] = ()
