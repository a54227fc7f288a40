from math import inf

import pytest

from tellfirst.measurement.multiple import benjamini_hochberg
from tellfirst.measurement.planning import detectable, sample_size


@pytest.mark.parametrize(
    ("share_c", "share_t", "holdout", "treated", "control"),
    # Two arms alike: Fleiss, Levin and Paik's formula as published planners give it; the unequal ones round down.
    [
        (0.10, 0.12, 0.5, 3_841, 3_841),
        (0.10, 0.08, 0.5, 3_213, 3_213),
        (0.10, 0.08, 0.1, 15_520, 1_724),
        (0.10, 0.08, 0.05, 30_896, 1_626),
    ],
)
def test_the_published_sizes(share_c: float, share_t: float, holdout: float, treated: int, control: int) -> None:
    found = sample_size(share_c, share_t, holdout=holdout)
    assert (found.treated, found.control) in {(treated, control), (treated + 1, control + 1)}


@pytest.mark.parametrize("holdout", [0.05, 0.1, 0.5])
def test_what_is_planned_is_what_is_seen(holdout: float) -> None:
    size = sample_size(0.1, 0.08, holdout=holdout)
    found = detectable(size.treated, size.control, 0.1)
    assert found.drop == pytest.approx(0.02, rel=1e-3)
    assert found.drop <= 0.02 * (1 + 1e-3)
    size = sample_size(0.1, 0.13, holdout=holdout)
    assert detectable(size.treated, size.control, 0.1).rise == pytest.approx(0.03, rel=1e-3)


def test_a_larger_holdout_sees_more_until_half() -> None:
    drops = [detectable(10_000 - held, held, 0.1).drop or inf for held in (100, 500, 1_000, 3_000, 5_000)]
    assert drops == sorted(drops, reverse=True)


def test_what_cannot_be_seen_is_said() -> None:
    assert detectable(27, 3, 0.1).drop is None
    assert detectable(9, 1, 0.5).model_dump() == {"drop": None, "rise": None}
    assert detectable(5_000, 5_000, 0.5).drop == pytest.approx(detectable(5_000, 5_000, 0.5).rise)


@pytest.mark.parametrize(
    ("share_c", "share_t", "holdout", "power", "level"),
    [
        (0, 0.1, 0.5, 0.8, 0.95),
        (0.1, 0.1, 0.5, 0.8, 0.95),
        (0.1, 1.1, 0.5, 0.8, 0.95),
        (0.1, 0.2, 0, 0.8, 0.95),
        (0.1, 0.2, 0.5, 1, 0.95),
        (0.1, 0.2, 0.5, 0.8, 1),
    ],
)
def test_impossible_plans_are_refused(
    share_c: float, share_t: float, holdout: float, power: float, level: float
) -> None:
    with pytest.raises(ValueError):
        sample_size(share_c, share_t, holdout=holdout, power=power, level=level)


def test_an_empty_arm_sees_nothing() -> None:
    for arms in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="sees nothing"):
            detectable(*arms, 0.1)


def test_many_reasons_are_judged_together() -> None:
    assert benjamini_hochberg([0.01, 0.5, 0.02, 0.04]) == pytest.approx((0.04, 0.5, 0.04, 0.16 / 3))
    assert benjamini_hochberg([0.021, 0.02]) == (0.021, 0.021)
    assert benjamini_hochberg([]) == ()
    assert benjamini_hochberg([0.3]) == (0.3,)
    with pytest.raises(ValueError, match="from 0 to 1"):
        benjamini_hochberg([0.3, 1.1])
