"""How much of a channel a playbook uses up for one recipient: what its messages are billed by."""

from datetime import UTC, datetime

from tellfirst.domain.message import Channel
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.gsm import segments
from tellfirst.playbooks.render import compile_step, sample_facts
from tellfirst.playbooks.schema import Playbook

_A_PROMISE = datetime(2026, 9, 23, 18, tzinfo=UTC)


def most_units(playbook: Playbook, channel: Channel, locale: str) -> int:
    """Returns the most that everything promised to one recipient may take: segments of texts, or else messages.

    Everything promised is each of the steps; a text counts as long as it gets with the longest facts.
    """
    if channel != "sms":
        return sum(channel in step.messages for step in playbook.steps)
    return sum(_segments(playbook, step.id, locale) for step in playbook.steps if channel in step.messages)


def _segments(playbook: Playbook, step: str, locale: str) -> int:
    template = compile_step(playbook, step, "sms", locale)
    try:
        return segments(template.render(sample_facts(playbook), promise=_A_PROMISE, zone=playbook.timezone).body)
    except RenderError:
        return playbook.limits.sms_segments
