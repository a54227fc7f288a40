"""What codes of the database mean to whoever reads the dashboard."""

from urllib.parse import quote

from tellfirst.web.dashboard.access import PATH

WAITS = {
    "outreach": "approval",
    "continue": "go-ahead after the first few",
    "library": "playbook version to go live",
    "permit": "permit in advance",
    "resume": "end of the pause of everything",
    "exception": "exception",
    "attention": "escalation: it cannot go on",
    "harm": "escalation: it does harm",
    "overdue": "escalation: a decision is overdue",
    "promise_at_risk": "escalation: a promise is at risk",
    "negative_reply": "escalation: a customer answered badly",
    "raised": "escalation: somebody raised it",
    "calls_waiting": "escalation: calls wait to be made",
    "unknown_sends": "escalation: messages are unknown",
}
DECIDERS = {
    "permit": "one level above the approvers",
    "exception": "whoever's boundary covers it",
}
"""Who decides what names nobody itself."""
RISKS = {
    "late": "past its time",
    "blocked": "stopped by the provider",
    "paused": "paused",
    "escalated": "a person is asked",
}
SNAGS = {
    "blocked": "stopped by the provider",
    "paused": "paused",
    "harm": "it does more harm than its playbook allows",
    "unknown": "not known whether they arrived",
    "in_doubt": "in doubt for more than 5 minutes",
    "not_planned": "not planned after 15 minutes",
    "deadline_passed": "its deadline passed and nothing moved",
}
ADVICE = {
    "blocked": "look at its reason, mend it, then resume",
    "paused": "resume or abort it",
    "harm": "look at what crossed its limit; resume or abort it",
    "unknown": "ask the provider, then decide",
    "in_doubt": "check that workers run",
    "not_planned": "check that workers run; the Temporal UI shows what its planning fails on",
    "deadline_passed": "check that workers run",
}
HAPPENED = {
    "detected": "The condition was detected",
    "started": "The outreach started",
    "planned": "Revision {} was planned",
    "approve": "Approved by {}",
    "continue": "The rest was let go by {}",
    "reject": "Rejected by {}",
    "request-changes": "{} asked for changes",
    "refused": "A decision was refused ({})",
    "left": "The first message of step {} left",
    "promised": "Step {} is promised",
    "reminder": "{} was reminded",
    "acknowledged": "{} is on it",
    "cleared": "The condition was over",
    "measured": "The outcome was recorded, version {}",
    "closed": "It ended: {}",
}
GRADES = {
    "A": "A: randomised, closed",
    "B": "B: randomised, open or sparse",
    "C": "C: comparison series",
    "D": "D: before and after",
    "X": "X: split broken, number withheld",
    "E": "E: nothing to compare with",
}


def plain(code: str) -> str:
    """Returns a code as words."""
    return code.replace("_", " ")


def page_of(outreach: str) -> str:
    """Returns the address of an outreach's page, empty without an outreach."""
    return f"{PATH}/{quote(outreach)}" if outreach else ""


def short(outreach: str) -> str:
    """Returns an outreach's name without the word that all of them begin with."""
    return outreach.removeprefix("outreach/")


def happened(what: str, detail: str) -> str:
    """Returns one point of a timeline as a sentence."""
    if what in HAPPENED:
        return HAPPENED[what].format(detail or "somebody unknown")
    return f"{detail} was told: {plain(what)}" if detail else plain(what)
