"""An experiment that somebody else ran: rows of (arm, did it, unit) in, each arm against control out."""

from collections.abc import Hashable, Mapping

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Grade
from tellfirst.measurement.grades import BROKEN_RATIO, FEW_CLUSTERS, FEW_CONTACTS
from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.scores import koopman
from tellfirst.measurement.srm import split_p


class Share(Frozen):
    """Is one arm: its units, how many of them did it, and the share, 0 to 1; None where it is withheld."""

    n: int
    events: int
    rate: float | None


class Effect(Frozen):
    """Is an arm and what it changed: treated minus control as a fraction, and relative to control.

    `relative` is `difference` over the rate of control, so -0.2 means a fifth fewer; both with 95 % intervals. None
    where the grade withholds it, or where there is no bound because nobody in control did it.
    """

    arm: str
    n: int
    events: int
    rate: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    relative: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None


class Estimate(Frozen):
    """Is what an experiment says: `srm_p` is the probability of its split, None where no split was expected."""

    control: Share
    arms: tuple[Effect, ...]
    srm_p: float | None
    grade: Grade
    sentence: str


class Tally:
    """Counts units per arm, each once: by intention to treat in its first arm, and as having done it if it ever did."""

    def __init__(self) -> None:
        self.crossed = 0
        """Units that were met in another arm than their first."""
        self._n: dict[str, int] = {}
        self._events: dict[str, int] = {}
        self._units: dict[Hashable, tuple[str, bool, bool]] = {}

    def add(self, arm: str, did: bool, unit: Hashable = None) -> None:
        """Counts one row; rows of one `unit` are one, and a row without it is a unit of its own."""
        if unit is None:
            self._n[arm] = self._n.get(arm, 0) + 1
            self._events[arm] = self._events.get(arm, 0) + did
            return
        known = self._units.get(unit)
        if known is None:
            self._units[unit] = (arm, did, False)
            self.add(arm, did)
            return
        first, had, crossed = known
        self.crossed += arm != first and not crossed
        self._events[first] += did and not had
        self._units[unit] = (first, had or did, crossed or arm != first)

    @property
    def arms(self) -> dict[str, tuple[int, int]]:
        """Returns (units, of them with the outcome) per arm, by name."""
        return {arm: (self._n[arm], self._events[arm]) for arm in sorted(self._n)}


def estimate(
    arms: Mapping[str, tuple[int, int]], control: str, *, expected: Mapping[str, float] | None = None, crossed: int = 0
) -> Estimate:
    """Returns each arm of `arms` (name to units and events) against the arm `control`, Newcombe's and Koopman's 95 %.

    `expected` names every arm's share (together 1) and so asserts that chance drew them; `crossed` units stood in two
    arms. Grade X: the split is not as expected (p below 0.001), the figures are withheld. A: it is, and nobody
    crossed. B: the rest. Raises ValueError for an arm without units, or without a share when shares are expected.
    """
    if control not in arms or len(arms) < 2:
        raise ValueError("a comparison takes control and another arm")
    p = None
    if expected is not None:
        if set(expected) != set(arms):
            raise ValueError("when shares are expected every arm has one")
        p = split_p([arms[arm][0] for arm in arms], [expected[arm] for arm in arms])
    broken = p is not None and p < BROKEN_RATIO
    n_c, x_c = arms[control]
    grade, sentence = _grade(p, crossed)
    sizes = [n for n, _ in arms.values()]
    if not broken and (min(sizes) < FEW_CLUSTERS or sum(x for _, x in arms.values()) < FEW_CONTACTS):
        sentence += " There are too few units, or too few with the outcome, to conclude anything from them alone."
    return Estimate(
        control=Share(n=n_c, events=x_c, rate=None if broken else x_c / n_c),
        arms=tuple(
            Effect(arm=arm, n=n, events=x) if broken else _effect(arm, x, n, x_c, n_c)
            for arm, (n, x) in arms.items()
            if arm != control
        ),
        srm_p=p,
        grade=grade,
        sentence=sentence,
    )


def _grade(p: float | None, crossed: int) -> tuple[Grade, str]:
    if p is None:
        return "B", (
            "Nothing says how the arms were drawn; the figures compare them, and only if chance drew them"
            " is the difference an effect."
        )
    if p < BROKEN_RATIO:
        return "X", (
            "The units are not split between the arms as expected, so any difference may come from the split itself:"
            " the figures are withheld until the cause is found."
        )
    if crossed:
        return "B", (
            "The split is as expected, but some units stand in more than one arm and count in their first:"
            " the figures hold only if those are few."
        )
    return "A", "Chance drew the arms, and the split agrees: the intervals bound what each arm changed."


def _effect(arm: str, events: int, n: int, events_c: int, n_c: int) -> Effect:
    found, ratio = newcombe(events, n, events_c, n_c), koopman(events, n, events_c, n_c)
    return Effect(
        arm=arm,
        n=n,
        events=events,
        rate=events / n,
        difference=found.difference,
        ci_low=found.low,
        ci_high=found.high,
        relative=None if ratio.ratio is None else ratio.ratio - 1,
        relative_ci_low=ratio.low - 1 if events_c else None,
        relative_ci_high=None if ratio.high is None else ratio.high - 1,
    )
