"""How much of a channel a playbook uses up for one recipient: what its messages are billed by."""

from datetime import UTC, datetime

from tellfirst.domain.message import Channel
from tellfirst.errors import NotFoundError
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.gsm import segments
from tellfirst.playbooks.render import compile_step, sample_facts
from tellfirst.playbooks.schema import Playbook

_A_PROMISE = datetime(2026, 9, 23, 18, tzinfo=UTC)


def most_units(playbook: Playbook, channel: Channel, locale: str) -> int:
    """Returns the most that everything promised to one recipient may take: segments of texts, or else messages.

    Everything promised is each of the steps; a text counts as long as it gets with the longest facts.
    """
    return sum(units(playbook, step.id, channel, locale) for step in playbook.steps if channel in step.messages)


def units(playbook: Playbook, step: str, channel: Channel, locale: str) -> int:
    """Returns the most that one step may take for one recipient; a text of a step that is not there counts whole."""
    if channel != "sms":
        return 1
    try:
        template = compile_step(playbook, step, "sms", locale)
        return segments(template.render(sample_facts(playbook), promise=_A_PROMISE, zone=playbook.timezone).body)
    except (NotFoundError, RenderError):
        return playbook.limits.sms_segments
