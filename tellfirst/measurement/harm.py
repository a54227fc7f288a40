"""Harm while an outreach runs: each rule of its playbook held against bounds that hold at every look."""

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.measurement.bounds import pace_bound, share_bound
from tellfirst.measurement.sequential import EARLY, careful_variance, confidence_margin
from tellfirst.playbooks.harm import Harm

Rule = Literal["opt_out", "negative_tone", "induced_contacts", "team_load"]
RULES: tuple[Rule, ...] = get_args(Rule)


class ArmSoFar(Frozen):
    """Counts the accounts of one arm, and those that made contact about anything since they were drawn."""

    accounts: int = Field(default=0, ge=0)
    contacted: int = Field(default=0, ge=0)


class SoFar(Frozen):
    """Is what an outreach did so far, in accounts; `load` counts what came to its team in the `hours` of one day.

    That is its `day`th, counted from 1 at the first message.
    """

    told: int = Field(default=0, ge=0)
    opted_out: int = Field(default=0, ge=0)
    negative: int = Field(default=0, ge=0)
    treated: ArmSoFar = ArmSoFar()
    control: ArmSoFar = ArmSoFar()
    load: int = Field(default=0, ge=0)
    hours: float = Field(default=0.0, ge=0)
    day: int = Field(default=1, ge=1)


class Standing(Frozen):
    """Is one rule: the figure, what it surely exceeds at all looks together, and its limit now.

    `figure` and `bound` are None while it is too early to say. All are fractions of accounts, of `team_load` events an
    hour. `accepted` is what a person let it go on with, None where nobody had to.
    """

    rule: Rule
    figure: float | None
    bound: float | None
    limit: float
    accepted: float | None = None
    words: str

    @property
    def crossed(self) -> bool:
        """Says whether it does more harm than it may."""
        return self.bound is not None and self.bound > self.limit


def standings(so_far: SoFar, harm: Harm, accepted: Mapping[Rule, float]) -> tuple[Standing, ...]:
    """Returns how every rule stands at this look; `accepted` is what people let it go on with, by rule.

    Each rule by itself is crossed falsely, ever, with a probability of at most 5 %: shares of those told by the mixture
    of `share_bound`, induced contacts by the confidence sequence of `induced`, so only from 100 accounts with a contact
    and with some held out, and the load by `pace_bound`, begun anew every day at a level that makes all days one.
    """
    return (
        _share("opt_out", so_far.opted_out, so_far.told, harm, accepted, "opted out"),
        _share("negative_tone", so_far.negative, so_far.told, harm, accepted, "wrote back angrily or asked why"),
        _induced(so_far.treated, so_far.control, harm, accepted),
        _load(so_far, harm, accepted),
    )


def induced(treated: ArmSoFar, control: ArmSoFar) -> tuple[float, float] | None:
    """Returns treated minus control and what that surely exceeds at all looks together, as fractions from -1 to 1.

    None below 100 accounts with a contact. Source: as `confidence_margin`.
    """
    n_t, n_c, contacted = treated.accounts, control.accounts, treated.contacted + control.contacted
    if not n_t or not n_c or contacted < EARLY:
        return None
    difference = treated.contacted / n_t - control.contacted / n_c
    variance = careful_variance(treated.contacted, n_t, control.contacted, n_c)
    return difference, max(-1.0, difference - confidence_margin(variance, n_t + n_c))


def _share(
    rule: Literal["opt_out", "negative_tone"],
    events: int,
    told: int,
    harm: Harm,
    accepted: Mapping[Rule, float],
    did: str,
) -> Standing:
    given: float = getattr(harm, rule)
    limit = _limit(rule, given, harm, accepted)
    if not told:
        return _told(rule, None, None, limit, accepted, "nobody is told yet")
    figure, bound = events / told, share_bound(events, told)
    words = f"{events:,} of {told:,} told {did}: {figure:.1%}{_surely(bound, '.1%')}, limit {limit:.1%}"
    return _told(rule, figure, bound, limit, accepted, words)


def _induced(treated: ArmSoFar, control: ArmSoFar, harm: Harm, accepted: Mapping[Rule, float]) -> Standing:
    rule: Rule = "induced_contacts"
    limit = _limit(rule, harm.induced_contacts, harm, accepted)
    if not treated.accounts or not control.accounts:
        return _told(rule, None, None, limit, accepted, "no contacts to compare: nobody is held out, or none are here")
    now = induced(treated, control)
    if now is None:
        words = "too few contacts so far to compare those told with those held out"
        return _told(rule, None, None, limit, accepted, words)
    figure, bound = now
    words = (
        f"contacts about anything: {treated.contacted:,} of {treated.accounts:,} told, "
        f"{control.contacted:,} of {control.accounts:,} held out; "
        f"{figure * 100:+.1f} points, surely above {bound * 100:+.1f}, limit {limit * 100:+.1f}"
    )
    return _told(rule, figure, bound, limit, accepted, words)


def _load(so_far: SoFar, harm: Harm, accepted: Mapping[Rule, float]) -> Standing:
    rule: Rule = "team_load"
    limit = _limit(rule, harm.team_load, harm, accepted)
    if not so_far.hours:
        return _told(rule, None, None, limit, accepted, "nobody is told yet")
    # 0.05 may be wrong over all days: half of it on the first, a sixth on the second, 1 / (k (k + 1)) on the kth.
    level = 1 - 0.05 / (so_far.day * (so_far.day + 1))
    figure = so_far.load / so_far.hours
    bound = pace_bound(so_far.load, so_far.hours, around=harm.team_load, level=level)
    words = (
        f"{so_far.load:,} replies, exceptions and escalations in {so_far.hours:.1f} h: "
        f"{figure:.0f} an hour{_surely(bound, '.0f')}, limit {limit:.0f}"
    )
    return _told(rule, figure, bound, limit, accepted, words)


def _surely(bound: float, form: str) -> str:
    return f", surely above {bound:{form}}" if bound else ""


def _limit(rule: Rule, given: float, harm: Harm, accepted: Mapping[Rule, float]) -> float:
    return max(given, accepted[rule] * (1 + harm.step)) if rule in accepted else given


def _told(
    rule: Rule, figure: float | None, bound: float | None, limit: float, accepted: Mapping[Rule, float], words: str
) -> Standing:
    return Standing(rule=rule, figure=figure, bound=bound, limit=limit, accepted=accepted.get(rule), words=words)
