"""What everything promised to one recipient is billed by."""

import pytest

from tellfirst.domain.message import Channel
from tellfirst.playbooks.gsm import segments
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.render import compile_step, sample_facts
from tellfirst.playbooks.units import most_units, units
from tests.signing.make import NOON

BOOK = load_library([LIBRARY])["late_delivery"].playbook


def test_a_text_counts_by_its_segments_in_every_step() -> None:
    longest = [
        segments(compile_step(BOOK, step.id, "sms", "de").render(sample_facts(BOOK), promise=NOON, zone="UTC").body)
        for step in BOOK.steps
    ]
    assert most_units(BOOK, "sms", "de") == sum(longest) > len(BOOK.steps)


@pytest.mark.parametrize("channel", ["email", "in_app"])
def test_others_count_by_the_message(channel: Channel) -> None:
    assert most_units(BOOK, channel, "en") == sum(channel in step.messages for step in BOOK.steps)


def test_a_text_that_its_longest_facts_make_too_long_counts_as_long_as_it_may_be() -> None:
    tight = BOOK.model_copy(update={"limits": BOOK.limits.model_copy(update={"sms_segments": 1})})
    assert most_units(tight, "sms", "de") == len(BOOK.steps)


def test_a_step_that_the_playbook_does_not_have_counts_as_long_as_it_may_be() -> None:
    assert units(BOOK, "correction-1", "sms", "en") == BOOK.limits.sms_segments
    assert units(BOOK, "correction-1", "email", "en") == 1
