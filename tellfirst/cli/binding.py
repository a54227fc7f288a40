"""Before a person signs: everything the proposal binds is recomputed here from what would really be sent."""

import hashlib
from collections import Counter

from tellfirst.cli.output import progress
from tellfirst.cli.picture import SAMPLES, render_row
from tellfirst.cli.wiring import Installation
from tellfirst.errors import RefusedError
from tellfirst.playbooks.addendum import adds_only_texts
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.render import Template, template_digests
from tellfirst.playbooks.schema import FIRST_FEW, Playbook
from tellfirst.signing.audience import content_digest, page_digest, root
from tellfirst.signing.leaves import leaf_of
from tellfirst.store.outreaches import RevisionRecord


def check_binding(here: Installation, revision: RevisionRecord) -> None:
    """Raises RefusedError when the proposal binds anything else than what the database holds and `show` renders."""
    proposal, plan = revision.proposal, revision.plan
    playbook = parse(revision.playbook_text, "the planned playbook").playbook
    if proposal.environment != here.settings.environment:
        raise _differs(f"the environment '{proposal.environment}', and this one is '{here.settings.environment}'")
    if (proposal.outreach, proposal.revision) != (revision.outreach, revision.number):
        raise _differs("another outreach or revision")
    version = hashlib.sha256(revision.playbook_text.encode()).hexdigest()
    if (proposal.playbook, proposal.playbook_version) != (playbook.id, version):
        raise _differs("another playbook than the one it was planned with")
    if proposal.addendum != playbook.adds or (playbook.addendum is not None and not _is_added(here, playbook)):
        raise _differs("more than texts added to the playbook that its customers were told by")
    if proposal.purpose != playbook.purpose:
        raise _differs("another purpose than its playbook's")
    for step in playbook.steps:
        bound = proposal.steps.get(step.id)
        texts = {
            name: digest
            for name, digest in template_digests(playbook, step.id).items()
            if name.partition(".")[0] in plan.channels
        }
        if bound is None or bound.templates != texts:
            raise _differs(f"another text of step '{step.id}' than its playbook's")
    if proposal.steps.keys() != {step.id for step in playbook.steps}:
        raise _differs("a step that its playbook does not have")
    if proposal.promises != {step.id: step.due for step in plan.updates}:
        raise _differs("other promises than the plan's")
    if (proposal.decide_by, proposal.valid_until) != (plan.decide_by, plan.valid_until.replace(microsecond=0)):
        raise _differs("other deadlines than the plan's")
    _check_canary(here, revision, playbook)
    _check_audience(here, revision)


def _check_canary(here: Installation, revision: RevisionRecord, playbook: Playbook) -> None:
    proposal = revision.proposal
    canary, few = proposal.canary, 0 if playbook.addendum else playbook.approval.first_few(proposal.audience_count)
    pages = [here.recipients.page(revision.outreach, revision.number, page) for page in range(min(canary, FIRST_FEW))]
    # Who was set aside after the few were counted makes them a little more than their share, never more than the most.
    too_many = canary > FIRST_FEW or sum(map(len, pages)) > FIRST_FEW
    if canary != revision.plan.canary or bool(few) > bool(canary) or too_many:
        raise _differs("another number of people who are told first than its playbook's")


def _is_added(here: Installation, playbook: Playbook) -> bool:
    version = playbook.addendum.version if playbook.addendum is not None else ""
    text = here.outreaches.playbook_text(version)
    loaded = None if text is None else parse(text, "the planned playbook")
    return loaded is not None and loaded.version == version and adds_only_texts(loaded.playbook, playbook)


def _check_audience(here: Installation, revision: RevisionRecord) -> None:
    proposal, plan = revision.proposal, revision.plan
    playbook = parse(revision.playbook_text, "the planned playbook").playbook
    digests: list[str] = []
    counts: Counter[str] = Counter()
    fallbacks: Counter[str] = Counter()
    templates: dict[str, Template] = {}
    with progress("checking the audience", sum(pages.count for pages in plan.pages)) as step:
        for pages in plan.pages:
            for number in range(pages.first, pages.first + pages.count):
                rows = here.recipients.page(revision.outreach, revision.number, number)
                digests.append(page_digest([leaf_of(row, row.content_digest) for row in rows]))
                (fallbacks if pages.alternate else counts)[pages.channel] += len(rows)
                if number == pages.first:
                    # What was shown as samples is what the root covers, word for word.
                    for row in [row for row in rows if not row.leaf][:SAMPLES]:
                        if content_digest(render_row(playbook, plan, row, templates)) != row.content_digest:
                            raise _differs("other words than its samples show")
                step(1)
    if root(digests) != proposal.audience_root:
        raise _differs("another audience than the one that would be written to")
    told = (proposal.channels, proposal.fallbacks, proposal.audience_count)
    if (counts, fallbacks, sum(counts.values())) != told:
        raise _differs("another number of recipients")


def _differs(what: str) -> RefusedError:
    return RefusedError(
        f"the proposal binds {what}, so it must not be signed",
        remedy="tell the person who runs this installation: its data was changed after planning",
    )
