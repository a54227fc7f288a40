"""Recorded outcomes as reports take them: made up from counts, judged as at the close."""

from datetime import UTC, datetime
from typing import Any

from tellfirst.domain.figures import ArmFigures, OutcomeRecord
from tellfirst.domain.outcome import Grade
from tellfirst.measurement.outcome import judge

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Counts = tuple[int, int]


def figures(treated: Counts, control: Counts, share: float = 0.1, **both: object) -> tuple[ArmFigures, ArmFigures]:
    """Returns both arms from (clusters, contacted)."""
    (n_t, x_t), (n_c, x_c) = treated, control
    return (
        ArmFigures.model_validate({"arm": "treated", "share": share, "clusters": n_t, "contacted": x_t, **both}),
        ArmFigures.model_validate({"arm": "control", "share": share, "clusters": n_c, "contacted": x_c, **both}),
    )


def outcome(
    reason: str,
    treated: Counts,
    control: Counts,
    *,
    share: float = 0.1,
    key: str = "k",
    arrived: bool = True,
    grade: Grade | None = None,
    more: tuple[ArmFigures, ...] = (),
) -> OutcomeRecord:
    """Returns the recorded outcome of one outreach with one hold-out share, and the figures of `more`."""
    judged = judge(treated, control, share, window_closed=True, watermark_passed=arrived, reason_code=reason)
    values: dict[str, Any] = judged.model_dump(exclude={"arms"}) | ({"grade": grade} if grade else {})
    return OutcomeRecord(
        outreach=f"outreach/{reason}/{key}/1",
        trigger=reason,
        version=1,
        recorded_at=NOON,
        first_t0=NOON,
        last_t0=NOON,
        figures=(*figures(treated, control, share), *more),
        counted=any(arm.rate is not None for arm in judged.arms),
        **values,
    )


# Counts of the reference: where is my order, failed payments, onboarding, appointments.
REFERENCE = (
    outcome("where_is_my_order", (18_041, 1_314), (2_007, 241)),
    outcome("payment_failed", (2_712, 208), (298, 41)),
    outcome("onboarding", (884, 61), (96, 9)),
    outcome("appointment", (27, 2), (3, 1)),
)
