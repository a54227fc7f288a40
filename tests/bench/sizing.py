"""`python -m tests.bench.sizing`: writes into docs/sizing.md what docs/figures/ says; look at the difference.

`scripts/bench --json > docs/figures/bench.json` measures anew, and docs/figures/prices.toml holds what others charge.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from tellfirst.domain.base import Frozen
from tests.architecture.documents import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from bench_report import Bench, Figure

PAGE, FIGURES = ROOT / "docs/sizing.md", ROOT / "docs/figures"
BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_YET = "not measured yet"
MILLIONS = (10, 100, 1_000)
"""Recipients a month that are reckoned with."""
MONTH = 30 * 24 * 3_600
AT_MOST = 12.0
"""Billable actions per 1,000 recipients that are taken where none are counted yet: the bound that is kept."""
USUAL = 20.0
"""Billable actions of an outreach to one that are taken where none are counted yet."""
COSTS = (
    ("sending to many, with receipts: recipients a second", "mass", "recipients per second"),
    ("the bare loop beside it", "mass", "bare loop"),
    ("ours to the bare loop", "mass", "ratio"),
    ("processor seconds per 1,000 recipients: workers", "mass", "processor seconds per 1,000, workers"),
    ("… web process, for two receipts each", "mass", "processor seconds per 1,000, web"),
    ("… Temporal server", "mass", "processor seconds per 1,000, Temporal server"),
    ("… database server", "mass", "processor seconds per 1,000, database"),
    ("outreaches to one a second", "single", "outreaches per second"),
    ("ours to a workflow that does nothing", "single", "ratio"),
    ("processor seconds per 1,000 outreaches: workers", "single", "processor seconds per 1,000, workers"),
    ("… Temporal server", "single", "processor seconds per 1,000, server"),
    ("history of one, events", "single", "history events"),
    ("history of one, bytes", "single", "history bytes"),
    ("billable actions of one", "single", "billable actions per outreach"),
    ("billable actions per 1,000 of many", "million", "billable actions per 1,000"),
    ("largest history of many, events", "million", "largest history, events"),
    ("database per 1,000 recipients, MB", "million", "database per 1,000"),
    ("worker, peak memory, MB", "million", "peak memory of a worker"),
    ("freezing an audience, seconds", "plan", "start to recorded revision"),
    ("worker with 2,000 open outreaches, MB", "idle", "worker memory, peak"),
    ("decision to first request, median, seconds", "latency", "decision to first request, median"),
    ("a killed worker's page goes on after, seconds", "recover", "until an interrupted page sends"),
)
"""What stands in the table: in words, the benchmark, and how its figure's name begins."""


class Use(Frozen):
    """Is how an installation is used: days, recipients of an outreach to many, and how busy its busiest hour is."""

    days_open: float
    days_kept: float
    audience: int
    peak: float


class Prices(Frozen):
    """Is what Temporal Cloud charges: for a million actions up to so many millions, for gigabyte hours, for a plan."""

    read: date
    source: str
    currency: str
    actions: tuple[tuple[float, float], ...]
    active_gbh: float
    retained_gbh: float
    plan_least: float
    plan_share: float
    use: Use

    def of_actions(self, actions: float) -> float:
        """Returns the price of so many actions in a month; beyond the last tier its price goes on."""
        total, below, millions = 0.0, 0.0, actions / 1e6
        for place, (upto, price) in enumerate(self.actions):
            top = millions if place == len(self.actions) - 1 else min(upto, millions)
            total, below = total + max(0.0, top - below) * price, upto
        return total

    def of_storage(self, outreaches: float, size: float) -> float:
        """Returns the price of so many histories in a month, `size` bytes each, while they are open and kept."""
        gb_days = outreaches * size / 1e9
        return gb_days * 24 * (self.use.days_open * self.active_gbh + self.use.days_kept * self.retained_gbh)

    def whole(self, consumed: float) -> float:
        """Returns what a month costs, the plan included."""
        return consumed + max(self.plan_least, self.plan_share * consumed)


class Measured:
    """Is a run of `scripts/bench`, looked up by names."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def figure(self, benchmark: str, name: str, database: str | None = None) -> Figure | None:
        """Returns the first figure whose name begins so; None where it was not measured."""
        for one in self.bench.benchmarks:
            if one.name == benchmark and database in (None, one.database):
                exact = [f for f in one.figures if f.name == name]
                begun = [f for f in one.figures if f.name.startswith(name + ",")]
                if found := exact or begun:
                    return found[0]
        return None

    def value(self, benchmark: str, name: str) -> float | None:
        """Returns the larger value of both databases."""
        found = [self.figure(benchmark, name, database) for database in ("sqlite", "postgres")]
        return max((one.value for one in found if one is not None), default=None)


def pages(measured: Measured, prices: Prices) -> dict[str, str]:
    """Returns what stands in each marked place of the page."""
    made: dict[str, Callable[[Measured, Prices], str]] = {
        "machine": _machine,
        "costs": _costs,
        "cloud": _cloud,
        "cluster": _cluster,
        "growth": _growth,
    }
    return {name: make(measured, prices) for name, make in made.items()}


def written(page: str, parts: dict[str, str]) -> str:
    """Returns the page with its marked places filled; raises KeyError for a mark that nothing belongs to."""
    return BLOCK.sub(lambda mark: f"{mark[1]}{parts[mark[2]]}\n{mark[3]}", page)


def _machine(measured: Measured, _: Prices) -> str:
    one, sizes = measured.bench.machine, {b.name: b.recipients for b in measured.bench.benchmarks}
    said = ", ".join(f"{name} {count:,}" for name, count in sorted(sizes.items()))
    return (
        f"Measured on {one.cores} cores with {one.memory_gib:g} GiB, Python {one.python}, temporalio "
        f"{one.temporalio};\na synced write takes {one.fsync_ms:g} ms. Recipients or outreaches: {said}."
    )


def _costs(measured: Measured, _: Prices) -> str:
    rows = []
    for words, benchmark, name in COSTS:
        both = [measured.figure(benchmark, name, database) for database in ("sqlite", "postgres")]
        told = [_plain(one.value) if one else NOT_YET for one in both]
        if name.endswith(", database"):
            told[0] = "in the others"  # a database file costs whoever opens it
        rows.append((words, f"`{benchmark}`", *told))
    return _table(("", "benchmark", "SQLite", "PostgreSQL"), rows)


def _cloud(measured: Measured, prices: Prices) -> str:
    one = measured.value("single", "billable actions per outreach")
    many = measured.value("million", "billable actions per 1,000")
    size = measured.value("single", "history bytes") or 10_240
    great = measured.value("million", "largest history, bytes") or 1_000_000
    rows = []
    for millions in MILLIONS:
        people = millions * 1e6
        for words, actions, outreaches, bytes_ in (
            ("many", people / 1_000 * (many or AT_MOST), people / prices.use.audience, great),
            ("one", people * (one or USUAL), people, size),
        ):
            cost, storage = prices.of_actions(actions), prices.of_storage(outreaches, bytes_)
            whole = prices.whole(cost + storage)
            rows.append(
                (f"{millions:,} million", words, f"{actions / 1e6:,.1f}", *(_money(x) for x in (cost, storage, whole)))
            )
    columns = ("recipients a month", "outreaches to", "million actions", "actions", "storage", "in all")
    assumed = [f"{AT_MOST:g} per 1,000 of many"] * (many is None) + [f"{USUAL:g} of one"] * (one is None)
    note = f" Actions that are not measured yet are taken as {' and '.join(assumed)}." if assumed else ""
    by = f"In {prices.currency} a month, by <{prices.source}> as read on {prices.read:%-d %B %Y}."
    return f"{_table(columns, rows)}\n\n{by}{note}"


def _cluster(measured: Measured, prices: Prices) -> str:
    of_one = measured.value("single", "processor seconds per 1,000, server")
    of_many = measured.value("mass", "processor seconds per 1,000, Temporal server")
    workers_of_one = measured.value("single", "processor seconds per 1,000, workers")
    workers_of_many = measured.value("mass", "processor seconds per 1,000, workers")
    rows = []
    for millions in MILLIONS:
        per_second = millions * 1e6 / MONTH * prices.use.peak
        for words, server, workers in (("many", of_many, workers_of_many), ("one", of_one, workers_of_one)):
            cores = [NOT_YET if one is None else f"{one * per_second / 1_000:,.1f}" for one in (server, workers)]
            rows.append((f"{millions:,} million", words, f"{per_second:,.0f}", *cores))
    return _table(
        ("recipients a month", "outreaches to", "a second, at peak", "Temporal server, cores", "workers, cores"), rows
    )


def _growth(measured: Measured, _: Prices) -> str:
    rows = []
    for words, database in (("SQLite", "sqlite"), ("PostgreSQL", "postgres")):
        one = measured.figure("million", "database per 1,000", database)
        rows.append((words, NOT_YET if one is None else f"{one.value:,.1f} GB"))
    return _table(("database", "a million recipients"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:,.2f}"


def read() -> tuple[Measured, Prices]:
    """Returns what docs/figures/ holds."""
    bench = Bench.model_validate_json((FIGURES / "bench.json").read_text(encoding="utf-8"))
    prices = Prices.model_validate(tomllib.loads((FIGURES / "prices.toml").read_text(encoding="utf-8")))
    return Measured(bench), prices


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), pages(*read())), encoding="utf-8")
