"""The front page, section by section, in the order in which a morning begins."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from tellfirst.measurement.load import PersonLoad, TeamLoad, Waited
from tellfirst.measurement.report import ReasonReport
from tellfirst.playbooks.harm import Harm
from tellfirst.store.dashboard import Front
from tellfirst.store.dashboard_sending import Live, Promised
from tellfirst.store.dashboard_waits import Snag, Wait
from tellfirst.store.dashboard_warnings import Answered, Warned
from tellfirst.web.dashboard.sheet import (
    Cell,
    Section,
    Table,
    cell,
    instant,
    length,
    points,
    progress,
    spans,
    trend,
)
from tellfirst.web.dashboard.words import ADVICE, DECIDERS, GRADES, RISKS, SNAGS, WAITS, page_of, plain, short

LINES = 50
"""A list is cut there and says so."""

Row = tuple[Cell, ...]
Limits = Callable[[str], Harm]
"""The bounds of harm of a playbook's version."""


def front_sections(
    front: Front, reports: Sequence[ReasonReport], load: TeamLoad, limits: Limits, now: datetime
) -> tuple[Section, ...]:
    """Returns the sections of the front page; `load` is of the last seven days."""
    return (
        _section(
            "warnings",
            "Early warnings",
            "Nothing is wrong that we know of. Conditions that are open stand here, by trigger, with how many customers"
            " they touch and how that went over the last seven days.",
            "Conditions open now, by trigger",
            ("trigger", "open", "affected", "newly found, last 7 days", "open since", "latest"),
            [_warned(one, now) for one in front.warnings],
        ),
        _section(
            "waiting",
            "Waiting for people",
            "Nobody is waited for. Decisions and escalations stand here, with whom they wait for and until when.",
            "What waits for people, the most pressing first",
            ("what", "for whom", "since", "deadline", "who is on it"),
            [_wait(one, now) for one in front.waits],
        ),
        _section(
            "promises",
            "Promises due",
            "No promise is open. What customers were told they would hear next stands here, with when it is due and"
            " what may come in its way.",
            "The next promised message of each outreach; what is at risk first",
            ("outreach", "step", "due", "customers", "at risk"),
            [_promised(one, now) for one in front.promises],
        ),
        _section(
            "sending",
            "Sending now",
            "Nothing is leaving. Outreaches that still have somebody to tell stand here, with how far they are and how"
            " long the rest takes.",
            "Outreaches that still have somebody to tell",
            ("outreach", "progress", "told", "held out", "deferred", "failed", "set aside", "pace"),
            [_live(one) for one in front.live],
        ),
        _section(
            "stuck",
            "Stuck and unknown",
            "Nothing is stuck as far as the database tells; a failing task shows in Temporal alone.",
            "What does not move, and what to do",
            ("outreach", "what", "messages", "since", "what to do"),
            [_snag(one, now) for one in front.snags],
        ),
        _section(
            "answers",
            "Opt-outs and tone",
            "Nobody answered in the last seven days. Opt-outs and the tone of replies stand here, beside the limits at"
            " which an outreach is paused.",
            "How those told answered in the last seven days; shares are of those told",
            ("outreach", "told", "opted out", "angry or asking why", "thanks", "other replies"),
            [_answered(one, limits) for one in front.answers],
        ),
        _outcomes(reports),
        _section(
            "load",
            "Team load",
            "Nobody had to decide or answer anything in the last seven days. Who did, how often, and how long it waited"
            " for them stands here.",
            "What telling first asked of people in the last seven days",
            ("who", "decisions", "waited", "after hours", "exceptions", "escalations", "answered after"),
            [_person(one) for one in (*load.people, load.everyone)] if load.people else (),
            count=len(load.people),
        ),
    )


def _section(
    id_: str,
    title: str,
    nothing: str,
    caption: str,
    columns: tuple[str, ...],
    rows: Sequence[Row],
    *,
    count: int | None = None,
) -> Section:
    more = (f"{len(rows) - LINES:,} more are not shown.",) if len(rows) > LINES else ()
    table = Table(caption=caption, columns=columns, rows=tuple(rows[:LINES])) if rows else None
    return Section(
        id=id_, title=title, count=len(rows) if count is None else count, nothing=nothing, table=table, more=more
    )


def _warned(one: Warned, now: datetime) -> Row:
    latest = one.outreaches[0] if one.outreaches else ""
    return (
        cell(plain(one.trigger)),
        cell(one.conditions),
        cell(one.affected),
        trend(one.days),
        instant(one.since, now),
        cell(short(latest) or "not started", href=page_of(latest)),
    )


def _wait(one: Wait, now: datetime) -> Row:
    what = WAITS.get(one.kind, plain(one.kind))
    name = short(one.outreach or one.about)
    signed = f"{one.signed} of {one.needed} signed" if one.needed > 1 else ""
    late = one.deadline is not None and one.deadline < now
    return (
        cell(name, note=what, href=page_of(one.outreach)),
        cell(", ".join(one.who) or DECIDERS.get(one.kind, "nobody named"), note=signed),
        instant(one.since, now),
        instant(one.deadline, now, mark="bad" if late else "") if one.deadline else cell("none"),
        cell(
            one.taken_by or ("nobody yet" if one.overdue else "–"),
            mark="wait" if one.overdue and not one.taken_by else "",
        ),
    )


def _promised(one: Promised, now: datetime) -> Row:
    return (
        cell(short(one.outreach), href=page_of(one.outreach)),
        cell(one.step),
        instant(one.due, now),
        cell(one.people),
        cell(RISKS[one.risk], mark="bad") if one.risk else cell("no", mark="good"),
    )


def _live(one: Live) -> Row:
    parts = (
        ("told", one.told),
        ("held", one.held),
        ("deferred", one.deferred),
        ("failed", one.failed),
        ("set_aside", one.set_aside),
    )
    done = one.people - one.waiting - one.deferred
    pace = "paused" if one.stopped else f"{one.rate:,} in the last minute"
    return (
        cell(short(one.outreach), href=page_of(one.outreach)),
        progress(one.people, parts, f"{done:,} of {one.people:,}"),
        cell(one.told),
        cell(one.held),
        cell(one.deferred),
        cell(one.failed, mark="bad" if one.failed else ""),
        cell(one.set_aside),
        cell(pace, note=f"{length(one.left)} left" if one.left else "", mark="wait" if one.stopped else ""),
    )


def _snag(one: Snag, now: datetime) -> Row:
    return (
        cell(short(one.outreach), href=page_of(one.outreach)),
        cell(SNAGS[one.what], note=plain(one.detail), mark="bad"),
        cell(one.count or "–"),
        instant(one.since, now) if one.since else cell("–"),
        cell(ADVICE[one.what]),
    )


def _answered(one: Answered, limits: Limits) -> Row:
    harm = limits(one.version)
    return (
        cell(short(one.outreach), href=page_of(one.outreach)),
        cell(one.told),
        _against(one.opted_out, one.told, harm.opt_out),
        _against(one.angry + one.why, one.told, harm.negative_tone),
        cell(one.thanks),
        cell(one.other),
    )


def _against(count: int, told: int, limit: float) -> Cell:
    share = count / told if told else 0.0
    over = share > limit
    words = f"{100 * share:.1f} %, limit {100 * limit:.1f} %" + (", above it" if over else "")
    return cell(count, note=words, mark="bad" if over else "")


def _person(one: PersonLoad) -> Row:
    return (
        cell(one.person or "everyone"),
        cell(one.decisions, note=f"{one.approvals:,} approvals"),
        _waited(one.waited),
        cell(one.after_hours),
        cell(one.exceptions, note=f"{one.asked:,} asked for"),
        cell(one.escalations),
        _waited(one.acknowledged),
    )


def _waited(one: Waited | None) -> Cell:
    if one is None:
        return cell("–")
    longest = length(timedelta(seconds=one.longest))
    return cell(length(timedelta(seconds=one.median)), note=f"at most {longest}")


def _outcomes(reports: Sequence[ReasonReport]) -> Section:
    found = [one for one in reports if one.found and one.found.difference]
    drawn = spans(tuple((d.difference, d.low, d.high) for one in found if one.found and (d := one.found.difference)))
    by_reason = dict(zip((one.reason_code for one in found), drawn, strict=True))
    rows = []
    for one in reports:
        pool = one.found
        span, difference = by_reason.get(one.reason_code), pool.difference if pool else None
        told = Cell(text="none", note="withheld or nothing to compare")
        if difference is not None:
            told = Cell(
                text=f"{points(difference.difference)} points",
                note=f"95 % interval {points(difference.low)} to {points(difference.high)}",
            )
        rows.append(
            (
                cell(plain(one.reason_code)),
                cell(GRADES[one.grade]),
                told,
                Cell(text="" if span else "–", span=span),
                cell(len(one.outreaches), note=f"{len(one.early)} still open" if one.early else ""),
                cell(one.sentences[0] if one.sentences else "–"),
            )
        )
    return _section(
        "outcomes",
        "Outcomes by reason",
        "No outcome is recorded yet. Once the windows of an outreach have closed, the difference between those told and"
        " those held out stands here, by reason, with its interval and grade.",
        "Share who contacted about the reason, told minus held out: left of the dashed line fewer of those told did",
        ("reason", "grade", "difference", "interval drawn", "outreaches", "in words"),
        rows,
    )
