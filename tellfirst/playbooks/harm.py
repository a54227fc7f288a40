"""Harm: what an outreach may do to customers and to the team before it is paused and a person is asked."""

from collections.abc import Iterator

from pydantic import Field

from tellfirst.domain.base import Outside


class Harm(Outside):
    """Bounds the harm of an outreach; what is not said holds as it stands here, for every playbook.

    `opt_out` and `negative_tone` are shares of the accounts told: of those that opted out since, and of those that
    wrote back angrily or asked why they get this. `induced_contacts` is how many more of those told may make contact,
    about anything, than of those held out. `team_load` is what the outreach brings to its team in an hour: replies,
    exceptions and escalations. Once a person has let it go on, a rule pauses it again only when what they accepted has
    grown by more than `step`, a fraction of it.
    """

    opt_out: float = Field(default=0.05, gt=0, le=0.5)
    negative_tone: float = Field(default=0.05, gt=0, le=0.5)
    induced_contacts: float = Field(default=0.0, ge=0, le=0.5)
    team_load: float = Field(default=60.0, gt=0, le=100_000)
    step: float = Field(default=0.5, gt=0, le=10)


def harm_findings(harm: Harm, *, held_out: bool) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy of a limit that can never be judged; `held_out` is whether anybody may be."""
    if not held_out and "induced_contacts" in harm.model_fields_set:
        yield (
            "harm.induced_contacts",
            "has nothing to compare with, because after this category nobody is held out",
            "leave it out; the other three limits hold",
        )
