"""What several outreaches of one reason and grade did together: each compared within itself, then pooled."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import ArmFigures, Sums
from tellfirst.domain.outcome import Arm, ArmOutcome, Grade
from tellfirst.measurement.grades import BROKEN_RATIO, FEW_CLUSTERS, FEW_CONTACTS
from tellfirst.measurement.intervals import Difference, newcombe
from tellfirst.measurement.means import MeanDifference, pooled_means
from tellfirst.measurement.numerics import normal_p
from tellfirst.measurement.planning import Detectable, detectable
from tellfirst.measurement.pooling import (
    Pooled,
    Spread,
    Stratum,
    heterogeneity,
    mantel_haenszel,
    mantel_haenszel_ratio,
)
from tellfirst.measurement.scores import Ratio, difference_p, koopman
from tellfirst.measurement.srm import sample_ratio_p

SEVERAL = 3
"""So many outreaches it takes to say whether they differ."""

Count = Callable[[ArmFigures], int]


class Amount(Frozen):
    """Is a number with its 95 % interval; a bound is None where there is none."""

    value: float
    low: float | None
    high: float | None


class Pair(Frozen):
    """Is one stratum: both arms of one outreach, as far as they were drawn with one hold-out share (0 to 1)."""

    outreach: str
    share: float
    treated: ArmFigures
    control: ArmFigures

    @property
    def ratio_p(self) -> float:
        """Returns the probability (0 to 1) of such a split."""
        return sample_ratio_p(self.treated.clusters, self.control.clusters, self.share)

    @property
    def comparable(self) -> bool:
        """Returns whether both arms have clusters."""
        return bool(self.treated.clusters and self.control.clusters)


class Pool(Frozen):
    """Is what outreaches of one reason code and one grade did together, treated minus control.

    Differences are of shares of accounts, as fractions from -1 to 1: `difference` of those who contacted about the
    reason, `elsewhere` about another one, `anyhow` about any, `repeated` twice or more, `opted_out` who left. The rates
    of `arms` are weighted as the difference is, so that they differ by it. `relative` is the ratio of the shares less 1
    (-0.2: a fifth fewer). `avoided` counts treated accounts that did not contact for it, `net_avoided` contacts about
    any reason; `contacts`, `all_contacts` and `seconds` (of handling) are means per account, adjusted by the time
    before t0. `left_out` names outreaches of which an arm is empty, `ratio_p` is the probability of the split of all
    together. What the grade withholds (X, E) is None.
    """

    grade: Grade
    outreaches: int
    strata: int
    left_out: tuple[str, ...]
    arms: tuple[ArmOutcome, ...]
    crossed: int
    ratio_p: float
    enough: bool = False
    """Whether both arms and the contacts are as many as grade A asks of one outreach."""
    difference: Difference | None = None
    p: float | None = None
    relative: Amount | None = None
    avoided: Amount | None = None
    elsewhere: Difference | None = None
    anyhow: Difference | None = None
    repeated: Difference | None = None
    opted_out: Difference | None = None
    contacts: MeanDifference | None = None
    all_contacts: MeanDifference | None = None
    seconds: MeanDifference | None = None
    net_avoided: Amount | None = None
    spread: Spread | None = None
    power: Detectable | None = None
    sentences: tuple[str, ...] = ()
    """What may be repeated of it, the first before all others."""

    @property
    def treated(self) -> ArmOutcome:
        """Returns the arm that was told first."""
        return next(arm for arm in self.arms if arm.arm == "treated")

    @property
    def control(self) -> ArmOutcome:
        """Returns the arm that was held out."""
        return next(arm for arm in self.arms if arm.arm == "control")


def pairs(outreach: str, figures: Iterable[ArmFigures]) -> list[Pair]:
    """Returns the strata of one outreach, one per hold-out share; an arm without figures is empty."""
    arms: dict[float, dict[Arm, ArmFigures]] = defaultdict(dict)
    for one in figures:
        arms[one.share][one.arm] = one
    return [
        Pair(
            outreach=outreach,
            share=share,
            treated=of.get("treated") or ArmFigures(arm="treated", share=share, clusters=0, contacted=0),
            control=of.get("control") or ArmFigures(arm="control", share=share, clusters=0, contacted=0),
        )
        for share, of in sorted(arms.items())
    ]


def pool(grade: Grade, strata: Sequence[Pair], *, counted: bool = True) -> Pool:
    """Returns what `strata` of one grade say together; X when their split together is not the one that was drawn.

    A single stratum is compared by Newcombe and Koopman, several by Mantel and Haenszel. Without `counted` contacts
    are missing and no rate is given.
    """
    ratio_p = together_p(strata)
    if grade in ("A", "B") and ratio_p < BROKEN_RATIO:
        grade = "X"
    used = [one for one in strata if one.comparable]
    found = difference(used, contacted) if grade in ("A", "B") else None
    treated, control = both_arms(grade, strata, counted=counted)
    pooled = Pool(
        grade=grade,
        outreaches=len({one.outreach for one in strata}),
        strata=len(strata),
        left_out=tuple(sorted({one.outreach for one in strata if not one.comparable})) if found else (),
        arms=(treated, control),
        crossed=sum(one.treated.crossed + one.control.crossed for one in strata),
        ratio_p=ratio_p,
    )
    if found is None:
        return pooled
    means = {
        name: _means(used, lambda arm, name=name: getattr(arm, name))  # type: ignore[misc]
        for name in ("contacts", "all_contacts", "seconds")
    }
    # Whoever contacted about the reason contacted; figures that say otherwise were counted without other reasons.
    told = all(arm.anyhow >= arm.contacted for one in used for arm in (one.treated, one.control))
    n = treated.clusters
    every = means["all_contacts"]
    return pooled.model_copy(
        update={
            "enough": min(n, control.clusters) >= FEW_CLUSTERS
            and treated.contacted + control.contacted >= FEW_CONTACTS,
            "difference": Difference(difference=found.difference, low=found.low, high=found.high),
            "p": _p(used, found),
            "relative": _relative(used),
            "avoided": _less(found.difference, found.low, found.high, n),
            "elsewhere": _plain(difference(used, lambda arm: arm.elsewhere)) if told else None,
            "anyhow": _plain(difference(used, lambda arm: arm.anyhow)) if told else None,
            "repeated": _plain(difference(used, lambda arm: arm.repeated)),
            "opted_out": _plain(difference(used, lambda arm: arm.opted_out)),
            **means,
            "net_avoided": every and _less(every.difference, every.low, every.high, n),
            "spread": _spread(used),
            "power": _power(used, treated, control),
        }
    )


def both_arms(grade: Grade, strata: Sequence[Pair], *, counted: bool = True) -> tuple[ArmOutcome, ArmOutcome]:
    """Returns treated and control of `strata`, of those alone that compare something where the grade compares."""
    used = [one for one in strata if one.comparable]
    weighted = bool(used) and grade in ("A", "B")
    treated, control = (_arm(arm, used if weighted else strata, weighted=weighted) for arm in ("treated", "control"))
    if grade == "X" or not counted:
        treated, control = (arm.model_copy(update={"rate": None}) for arm in (treated, control))
    return treated, control


def together_p(strata: Iterable[Pair]) -> float:
    """Returns the probability (0 to 1) of the split of all `strata`: the least of any share, times how many there are.

    Outreaches of one share are added up, for each account was drawn with it; Bonferroni's inequality for several.
    """
    sizes: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for one in strata:
        sizes[one.share][0] += one.treated.clusters
        sizes[one.share][1] += one.control.clusters
    each = [sample_ratio_p(treated, control, share) for share, (treated, control) in sizes.items()]
    return min(1.0, len(each) * min(each)) if each else 1.0


def difference(strata: Sequence[Pair], of: Count) -> Difference | Pooled | None:
    """Returns treated minus control of the share of clusters that `of` counts; None when no stratum has both arms."""
    used = [one for one in strata if one.comparable]
    if len(used) == 1:
        [one] = used
        return newcombe(of(one.treated), one.treated.clusters, of(one.control), one.control.clusters)
    return mantel_haenszel([_stratum(one, of) for one in used])


def contacted(arm: ArmFigures) -> int:
    """Returns how many clusters contacted about the reason."""
    return arm.contacted


def _stratum(one: Pair, of: Count) -> Stratum:
    return Stratum(
        events_t=of(one.treated), n_t=one.treated.clusters, events_c=of(one.control), n_c=one.control.clusters
    )


def _arm(name: Arm, strata: Sequence[Pair], *, weighted: bool) -> ArmOutcome:
    arms = [(one.treated if name == "treated" else one.control, _weight(one)) for one in strata]
    clusters, events = sum(arm.clusters for arm, _ in arms), sum(arm.contacted for arm, _ in arms)
    if weighted:
        # By the weights of the difference: added up, the arms of unlike hold-outs would differ by something else.
        rate: float | None = sum(w * arm.contacted / arm.clusters for arm, w in arms) / sum(w for _, w in arms)
    else:
        rate = events / clusters if clusters else None
    return ArmOutcome(arm=name, clusters=clusters, contacted=events, rate=rate)


def _weight(one: Pair) -> float:
    n = one.treated.clusters + one.control.clusters
    return one.treated.clusters * one.control.clusters / n if n else 0.0


def _p(strata: Sequence[Pair], found: Difference | Pooled) -> float:
    if not isinstance(found, Pooled):
        [one] = strata
        return difference_p(one.treated.contacted, one.treated.clusters, one.control.contacted, one.control.clusters)
    if not found.error:
        return 0.0 if found.difference else 1.0
    return normal_p(found.difference / found.error)


def _relative(strata: Sequence[Pair]) -> Amount | None:
    ratio: Ratio | None
    if len(strata) == 1:
        [one] = strata
        ratio = koopman(one.treated.contacted, one.treated.clusters, one.control.contacted, one.control.clusters)
    else:
        ratio = mantel_haenszel_ratio([_stratum(one, contacted) for one in strata])
    if ratio is None or ratio.ratio is None:
        return None
    return Amount(value=ratio.ratio - 1, low=ratio.low - 1, high=None if ratio.high is None else ratio.high - 1)


def _less(change: float, low: float, high: float, n: int) -> Amount:
    return Amount(value=-change * n, low=-high * n, high=-low * n)


def _plain(found: Difference | Pooled | None) -> Difference | None:
    return found and Difference(difference=found.difference, low=found.low, high=found.high)


def _means(strata: Sequence[Pair], of: Callable[[ArmFigures], Sums]) -> MeanDifference | None:
    # Accounts drawn with one share are one experiment; so the smallest outreaches take part, which alone have no error.
    shares: dict[float, list[tuple[Sums, Sums]]] = defaultdict(list)
    for one in strata:
        shares[one.share].append((of(one.treated), of(one.control)))
    summed = [(_sum(t for t, _ in some), _sum(c for _, c in some)) for some in shares.values()]
    return pooled_means(summed, adjust=True)


def _sum(sums: Iterable[Sums]) -> Sums:
    some = list(sums)
    return Sums(
        n=sum(one.n for one in some),
        **{name: sum(getattr(one, name) for one in some) for name in ("y", "yy", "x", "xx", "xy")},
    )


def _spread(strata: Sequence[Pair]) -> Spread | None:
    outreaches: dict[str, list[Pair]] = defaultdict(list)
    for one in strata:
        outreaches[one.outreach].append(one)
    effects = []
    for some in outreaches.values():
        least = min(sum(one.treated.contacted for one in some), sum(one.control.contacted for one in some))
        found = mantel_haenszel([_stratum(one, contacted) for one in some])
        if found and found.error and least >= FEW_CONTACTS:
            effects.append((found.difference, found.error))
    return heterogeneity(effects) if len(effects) >= SEVERAL else None


def _power(strata: Sequence[Pair], treated: ArmOutcome, control: ArmOutcome) -> Detectable | None:
    if not control.rate or control.rate == 1:
        return None
    # Many small outreaches see less than one as large: as much as one whose arms weigh as theirs do together.
    one = treated.clusters * control.clusters / (treated.clusters + control.clusters)
    scale = min(1.0, sum(_weight(pair) for pair in strata) / one)
    return detectable(max(1, round(treated.clusters * scale)), max(1, round(control.clusters * scale)), control.rate)
