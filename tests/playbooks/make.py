"""A small sound playbook as plain data, for tests to change and break."""

import tomllib
from typing import Any

from tellfirst.playbooks.schema import Playbook

TEXT = """
id = "late_train"
title = "A train is late"
industry = "travel"
reason_code = "where_is_my_train"
purpose = "service"
category = "operational"
urgency = "high"
shape = "batch"
channels = ["sms", "email"]

[owners]
owner = "Operations"
proposers = ["Dispatch"]
approvers = ["Duty manager"]
accountable = "Head of service"
team = "Passenger care"

[checklist]
facts = "The times are the dispatcher's."
tone = "It was read aloud."
exceptions = "Missed connections are foreseen."
replies = "Passenger care answers."

[detector]
kind = "sql"
max_age = "P1D"
group_by = ["train"]
sql.sqlite = "SELECT 1"

[data.train]
type = "text"
class = "operational"
source = "subject"
description = "The train"
max_length = 20

[data.first_name]
type = "text"
class = "personal"
source = "customer"
description = "The name"
max_length = 20
required = false

[approval]
remind_after = "PT5M"
escalate_after = "PT10M"
expires_after = "PT20M"

[measure]
window = "P1D"
holdout = 0.1

[[steps]]
id = "initial"
kind = "initial"
[steps.messages.sms.en]
know = "Your train {{ train }} is late."
doing = "We are finding you a seat."
now = "You don't need to do anything."
next = "You hear from us by {{ promise }}."
human = "Reply to reach a person."
why = "You booked it."
out = "Reply STOP to stop."
[steps.messages.email.en]
subject = "Train {{ train }}"
know = "Your train {{ train }} is late{% if first_name %}, {{ first_name }}{% endif %}."
doing = "We are finding you a seat."
now = "You don't need to do anything."
next = "You hear from us by {{ promise }}."
human = "Answer to reach a person."
why = "You booked it."
out = "Answer STOP to stop."

[[steps]]
id = "update-1"
kind = "update"
after = "PT1H"
lead = "PT10M"
[steps.messages.sms.en]
know = "Your train {{ train }} is still late."
doing = "We are finding you a seat."
now = "You don't need to do anything."
next = "This is our last text about it."
human = "Reply to reach a person."
why = "You booked it."
out = "Reply STOP to stop."
[steps.messages.email.en]
subject = "Train {{ train }}"
know = "Your train {{ train }} is still late."
doing = "We are finding you a seat."
now = "You don't need to do anything."
next = "This is our last message about it."
human = "Answer to reach a person."
why = "You booked it."
out = "Answer STOP to stop."

[[steps]]
id = "resolved"
kind = "resolved"
[steps.messages.sms.en]
know = "Your train {{ train }} runs."
doing = "Your seat is kept."
now = "You don't need to do anything."
next = "This is our last text about it."
human = "Reply to reach a person."
why = "You booked it."
out = "Reply STOP to stop."
[steps.messages.email.en]
subject = "Train {{ train }}"
know = "Your train {{ train }} runs."
doing = "Your seat is kept."
now = "You don't need to do anything."
next = "This is our last message about it."
human = "Answer to reach a person."
why = "You booked it."
out = "Answer STOP to stop."
"""


def content() -> dict[str, Any]:
    """Returns the playbook as data, fresh each time."""
    return tomllib.loads(TEXT)


def playbook(data: dict[str, Any] | None = None) -> Playbook:
    """Returns the playbook made of `data`."""
    return Playbook.model_validate(content() if data is None else data)


def field(type_: str, **more: object) -> dict[str, object]:
    """Returns the declaration of a field."""
    return {"type": type_, "class": "operational", "source": "subject", "description": "A field", **more}
