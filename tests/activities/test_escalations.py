"""What a notice tells people to run."""

import pytest

from activities.escalations import alert_of
from tellfirst.store.notices import Notice
from tests.store.make import NOON


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("outreach/late_delivery/k/1", "tellfirst show outreach/late_delivery/k/1"),
        ("exception/r-1", "tellfirst exceptions show r-1"),
        ("permit/late-1", "tellfirst permits show late-1"),
        ("library/late_delivery/0a1b", "tellfirst playbooks history late_delivery"),
        ("resume/20261122T111504Z-eb0c8d73", "tellfirst resume --all"),
    ],
)
def test_a_notice_names_the_command_that_shows_what_it_is_about(about: str, command: str) -> None:
    notice = Notice(id="n", outreach=about, kind="reminder", to="Service lead", text="Please decide.", at=NOON)
    assert alert_of(notice).what_to_do == command
    climbing = notice.model_copy(update={"level": 1})
    assert alert_of(climbing).what_to_do == f"{command}; tellfirst ack {about}"
