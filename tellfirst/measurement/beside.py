"""Everything beside the main figure: what else an outreach did, to the same people, by the same draw."""

from collections.abc import Callable, Iterable, Sequence

from tellfirst.domain.base import Frozen
from tellfirst.domain.beside import BesideCounts, SettledCount
from tellfirst.domain.figures import ArmFigures
from tellfirst.domain.outcome import Arm, Grade
from tellfirst.measurement.costs import CostRates, Costs, costs, in_words
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.pooling import Stratum
from tellfirst.measurement.pools import Amount, Pair, Pool, pairs, pool
from tellfirst.measurement.rates import ByArm, Mean, Rate, by_arm, mean, rate
from tellfirst.measurement.retention import AccountRate, AccountValue, account_rates, account_values

TONES = ("thanks", "neutral", "why", "angry")
"""The tones of replies in the order they are shown."""
PER = 1_000


class ChannelReading(Frozen):
    """Is how one channel's messages were read; None where its provider reported nothing of the kind.

    `machine` were opened by nobody but what is, or may be, a machine. Never a result: an opened message helps nobody.
    """

    channel: str
    opened: Rate | None
    machine: Rate | None
    clicked: Rate | None


class ToneShare(Frozen):
    """Is how many of the replies with a tone had this one; a small classifier says so, and errs."""

    tone: str
    rate: Rate


class Beside(Frozen):
    """Is everything beside the main figure, of one outreach or of all of one reason code and grade.

    `replied` is how many of the treated arm's contacts about the reason were replies to the outreach. `displaced` is
    how many contacts about other reasons came for each one avoided, negative where those fell too, None where it is
    not known that any was avoided. `repeated` accounts came twice or more, `settled` ones never, and were affected no
    more when their window ended. Of accounts that came at all `resolved_first` came once; `resolution` is seconds from
    contact to resolution: both are of whoever chose to come, whom the draw did not choose, so they carry no difference.
    `opted_out_per_1000` is of told accounts.
    """

    outreaches: int
    channels: tuple[ChannelReading, ...]
    replied: Rate
    elsewhere: ByArm
    displaced: float | None
    repeated: ByArm
    resolved_first: dict[Arm, Rate]
    settled: ByArm | None
    resolution: dict[Arm, Mean]
    opted_out: ByArm
    opted_out_per_1000: Amount | None
    tones: tuple[ToneShare, ...]
    costs: Costs | None
    accounts: tuple[AccountRate, ...]
    values: tuple[AccountValue, ...]
    sentences: tuple[str, ...]


def beside(
    grade: Grade,
    outcomes: Iterable[tuple[str, Sequence[ArmFigures]]],
    *,
    counts: Sequence[BesideCounts] = (),
    rates: CostRates | None = None,
    reason_code: str = "",
    counted: bool = True,
) -> Beside:
    """Returns all of it for `outcomes`, pairs of an outreach and its figures, that have one grade.

    Arms are compared only where the main figure is: grades A and B. `counts` are of the same outreaches. Without
    `counted` contacts are missing: then, as with a broken split, no rate of an arm is given.
    """
    strata = [one for outreach, figures in outcomes for one in pairs(outreach, figures)]
    pooled = pool(grade, strata, counted=counted)
    compared, broken = pooled.difference is not None, pooled.grade == "X" or not counted
    told = round(_told(strata, lambda arm: arm.contacts.y))
    # What came after the figures were counted may be among the replies.
    replied = min(told, sum(one.replied for one in counts))
    opted_out = _both(strata, lambda arm: arm.opted_out, pooled.opted_out, broken=broken)
    arms: tuple[Arm, ...] = () if broken else ("treated", "control")
    found = costs(pooled, strata, counts, rates) if rates else None
    displaced = _displaced(pooled)
    return Beside(
        outreaches=len({one.outreach for one in strata}),
        channels=_channels(counts),
        replied=(Rate if broken else rate)(events=replied, n=told),
        elsewhere=_both(strata, lambda arm: arm.elsewhere, pooled.elsewhere, broken=broken),
        displaced=displaced,
        repeated=_both(strata, lambda arm: arm.repeated, pooled.repeated, broken=broken),
        resolved_first={arm: _resolved_first(strata, arm) for arm in arms},
        settled=None if broken else _settled(counts, compared=compared),
        resolution={arm: mean([one.resolution for one in _arms(strata, arm)]) for arm in arms},
        opted_out=opted_out,
        opted_out_per_1000=_per_thousand(opted_out.treated),
        tones=_tones(counts),
        costs=found,
        accounts=() if broken else account_rates(counts, compared=compared),
        values=account_values(counts) if compared else (),
        sentences=(
            *_displacement(pooled, displaced, reason_code),
            *_replies(0 if broken else replied, told),
            *(in_words(found) if found else ()),
        ),
    )


def _arms(strata: Sequence[Pair], arm: Arm) -> list[ArmFigures]:
    return [one.treated if arm == "treated" else one.control for one in strata]


def _told(strata: Sequence[Pair], of: Callable[[ArmFigures], float]) -> float:
    return sum(of(arm) for arm in _arms(strata, "treated"))


def _both(
    strata: Sequence[Pair], of: Callable[[ArmFigures], int], difference: Difference | None, *, broken: bool
) -> ByArm:
    made = Rate if broken else rate
    treated, control = (
        made(events=sum(map(of, some)), n=sum(arm.clusters for arm in some))
        for some in (_arms(strata, "treated"), _arms(strata, "control"))
    )
    return ByArm(treated=treated, control=control, difference=difference)


def _channels(counts: Sequence[BesideCounts]) -> tuple[ChannelReading, ...]:
    found = []
    every = [one for of in counts for one in of.channels]
    for channel in sorted({one.channel for one in every}):
        some = [one for one in every if one.channel == channel]
        sent = sum(one.sent for one in some)
        opened, machine, clicked = (
            sum(getattr(one, name) for one in some) for name in ("opened", "machine", "clicked")
        )
        heard = bool(opened or machine or clicked)
        found.append(
            ChannelReading(
                channel=channel,
                opened=rate(opened, sent) if heard else None,
                machine=rate(machine, sent) if machine else None,
                clicked=rate(clicked, sent) if clicked else None,
            )
        )
    return tuple(found)


def _displaced(pooled: Pool) -> float | None:
    about, every = pooled.contacts, pooled.all_contacts
    if about is None or every is None or about.high >= 0:
        return None
    return (every.difference - about.difference) / -about.difference


def _resolved_first(strata: Sequence[Pair], arm: Arm) -> Rate:
    came = sum(one.contacted for one in _arms(strata, arm))
    return rate(came - sum(one.repeated for one in _arms(strata, arm)), came)


def _settled(counts: Sequence[BesideCounts], *, compared: bool) -> ByArm | None:
    arms: dict[tuple[str, float], dict[Arm, SettledCount]] = {}
    for of in counts:
        for one in of.settled:
            arms.setdefault((of.outreach, one.share), {})[one.arm] = one
    if not any(one.settled for some in arms.values() for one in some.values()):
        return None
    strata = []
    for some in arms.values():
        treated, control = some.get("treated"), some.get("control")
        strata.append(
            Stratum(
                events_t=treated.settled if treated else 0,
                n_t=treated.clusters if treated else 0,
                events_c=control.settled if control else 0,
                n_c=control.clusters if control else 0,
            )
        )
    return by_arm(strata, compared=compared)


def _per_thousand(of: Rate) -> Amount | None:
    if of.rate is None or of.low is None or of.high is None:
        return None
    return Amount(value=PER * of.rate, low=PER * of.low, high=PER * of.high)


def _tones(counts: Sequence[BesideCounts]) -> tuple[ToneShare, ...]:
    found = {tone: sum(one.tones.get(tone, 0) for one in counts) for tone in TONES}
    n = sum(found.values())
    return tuple(ToneShare(tone=tone, rate=rate(events, n)) for tone, events in found.items()) if n else ()


def _displacement(pooled: Pool, displaced: float | None, reason: str) -> tuple[str, ...]:
    if displaced is None:
        return ()
    avoided = f"contacts avoided about {reason}" if reason else "contacts avoided about the reason"
    count = f"{abs(10 * displaced):.1f}"
    said = (
        f"Of each 10 {avoided}, {count} came back about other reasons."
        if displaced >= 0
        else f"For each 10 {avoided}, {count} fewer came about other reasons too."
    )
    within = pooled.elsewhere is None or pooled.elsewhere.low <= 0 <= pooled.elsewhere.high
    return (f"{said} Chance alone may have made that difference elsewhere." if within else said,)


def _replies(replied: int, told: int) -> tuple[str, ...]:
    if not replied:
        return ()
    were = "was a reply" if replied == 1 else "were replies"
    return (f"Of the contacts of accounts told first, {replied:,} of {told:,} {were} to it; they count as contacts.",)
