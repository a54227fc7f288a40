"""What `report --json` prints: the reasons with everything known about them, and each outreach's recorded outcome."""

from collections.abc import Sequence
from datetime import datetime

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Arm, Grade
from tellfirst.measurement.report import OutreachLine, ReasonReport


class ArmCount(Frozen):
    """Is one arm: `n` accounts, how many `contacted` about the reason, and the share, 0 to 1; None where withheld."""

    n: int
    contacted: int
    rate: float | None


class OutreachDocument(Frozen):
    """Is the recorded outcome of one outreach; `difference` is treated minus control as a fraction, with its interval.

    The three are null where the grade withholds them.
    """

    outreach: str
    trigger: str
    reason_code: str
    arms: dict[Arm, ArmCount]
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    grade: Grade
    sentence: str
    recorded_at: datetime


class ReportDocument(Frozen):
    """Is the report for machines: what is known about each reason code, and the outcomes it was taken from."""

    reasons: tuple[ReasonReport, ...]
    outreaches: tuple[OutreachDocument, ...]


def document(reasons: Sequence[ReasonReport]) -> ReportDocument:
    """Returns the document of a report."""
    return ReportDocument(
        reasons=tuple(reasons),
        outreaches=tuple(_outreach(one.reason_code, line) for one in reasons for line in one.outreaches),
    )


def _outreach(reason: str, line: OutreachLine) -> OutreachDocument:
    found = line.difference
    return OutreachDocument(
        outreach=line.outreach,
        trigger=line.trigger,
        reason_code=reason,
        arms={arm.arm: ArmCount(n=arm.clusters, contacted=arm.contacted, rate=arm.rate) for arm in line.arms},
        difference=found and found.difference,
        ci_low=found and found.low,
        ci_high=found and found.high,
        grade=line.grade,
        sentence=line.sentence,
        recorded_at=line.recorded_at,
    )
