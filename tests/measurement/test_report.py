"""What is known about each reason: pooled as it may be, graded, and said in sentences that hold."""

from datetime import UTC, datetime

from tellfirst.domain.figures import ArmFigures, OutcomeRecord
from tellfirst.domain.outcome import Grade
from tellfirst.measurement.outcome import judge
from tellfirst.measurement.report import report

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
) -> OutcomeRecord:
    """Returns the recorded outcome of one outreach with one hold-out share."""
    judged = judge(treated, control, share, window_closed=True, watermark_passed=arrived, reason_code=reason)
    return OutcomeRecord(
        outreach=f"outreach/{reason}/{key}/1",
        trigger=reason,
        version=1,
        recorded_at=NOON,
        first_t0=NOON,
        last_t0=NOON,
        figures=figures(treated, control, share),
        counted=any(arm.rate is not None for arm in judged.arms),
        **{**judged.model_dump(exclude={"arms"}), **({"grade": grade} if grade else {})},
    )


REFERENCE = (
    outcome("where_is_my_order", (18_041, 1_314), (2_007, 241)),
    outcome("payment_failed", (2_712, 208), (298, 41)),
    outcome("onboarding", (884, 61), (96, 9)),
    outcome("appointment", (27, 2), (3, 1)),
)


def test_the_reference_counts_give_the_reference_report() -> None:
    found = report(REFERENCE)
    assert [(one.reason_code, one.grade) for one in found] == [
        ("where_is_my_order", "A"),
        ("payment_failed", "A"),
        ("onboarding", "A"),
        ("appointment", "B"),
    ]
