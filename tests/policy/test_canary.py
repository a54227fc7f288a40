"""The first few: how many they are, and how they are spread over the channels."""

import pytest

from tellfirst.playbooks.schema import Approval
from tellfirst.policy.canary import spread


def approval(**more: object) -> Approval:
    given = {"remind_after": "PT1H", "escalate_after": "PT2H", "expires_after": "PT3H", **more}
    return Approval.model_validate(given)


@pytest.mark.parametrize(
    ("recipients", "few"),
    [(0, 0), (1, 0), (2, 1), (39, 1), (40, 2), (999, 49), (1_000, 50), (1_000_000, 50)],
)
def test_always_a_twentieth_at_least_one_and_at_most_fifty(recipients: int, few: int) -> None:
    assert approval(canary=True).first_few(recipients) == few


@pytest.mark.parametrize(("recipients", "few"), [(100, 0), (101, 5)])
def test_above_the_tripwire_alone_unless_always(recipients: int, few: int) -> None:
    assert approval(tripwire=100).first_few(recipients) == few


@pytest.mark.parametrize(
    ("few", "counts", "shares"),
    [
        (50, {"sms": 1_000, "email": 1_000}, {"sms": 25, "email": 25}),
        (50, {"sms": 10, "email": 9_990}, {"sms": 0, "email": 50}),
        (1, {"sms": 10, "email": 10}, {"sms": 0, "email": 1}),
        (0, {"sms": 0}, {"sms": 0}),
    ],
)
def test_spread_in_proportion_and_never_more(few: int, counts: dict[str, int], shares: dict[str, int]) -> None:
    assert spread(few, counts) == shares


def test_every_split_adds_up_and_fits() -> None:
    for first in range(0, 400, 7):
        counts = {"sms": first, "email": 13, "in_app": 400 - first}
        few = approval(canary=True).first_few(sum(counts.values()))
        shares = spread(few, counts)
        assert sum(shares.values()) == few
        assert all(shares[channel] <= counts[channel] for channel in counts)
