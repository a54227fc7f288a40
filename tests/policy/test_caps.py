"""The frequency cap has room for exactly `count` places."""

from datetime import timedelta

import pytest

from tellfirst.policy.caps import FrequencyCap


@pytest.mark.parametrize(("held", "room"), [(0, True), (2, True), (3, False), (4, False)])
def test_room_ends_at_the_count(held: int, room: bool) -> None:
    assert FrequencyCap(count=3, period=timedelta(days=7)).has_room(held) is room
