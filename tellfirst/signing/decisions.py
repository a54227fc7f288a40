"""The one judgement of a signed decision: on receipt, and again at every dispatch from what was stored."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import AwareDatetime, ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.domain.base import Frozen
from tellfirst.errors import DecisionRefusedError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.documents import NAMESPACE, Choice, canonical, digest
from tellfirst.signing.kinds import DECISIONS, Bound, Decision, differences
from tellfirst.signing.registry import RegisteredKey, Registry
from tellfirst.signing.sshsig import verify

CLOCK_SKEW = timedelta(minutes=5)


class AcceptedDecision(Frozen):
    """Is a decision that holds now: what, by whom, with which key, until when, and the digest of its document."""

    decision: Choice
    approver: str
    fingerprint: str
    reason: str
    valid_until: AwareDatetime
    document_digest: str
    prior: str = ""
    roles: tuple[str, ...] = ()


def check(
    envelope: DecisionEnvelope,
    proposal: Bound,
    rule: ApprovalRule,
    registry: Registry,
    environment: str,
    received_at: datetime,
    now: datetime,
    first: AcceptedDecision | None = None,
) -> AcceptedDecision:
    """Returns the decision in `envelope` if it holds for `proposal`; raises DecisionRefusedError with a code if not.

    `received_at` (when it first arrived) judges the key's validity and `decide_by`; `now` judges revocation and
    `valid_until`; both are aware. `first` is the first approval that stands, where `rule` needs several: a further one
    names its digest. In this order: `malformed`, the codes of `sshsig.verify`, `unknown_key`, `wrong_person`,
    `key_not_yet_valid`, `key_expired`, `key_revoked`, `wrong_environment`, `wrong_kind`, `wrong_outreach`,
    `stale_content`, `not_an_approver`, `own_proposal`, `same_person`, `other_role_needed`, `wrong_prior`, `too_late`,
    `expired` (`own_proposal` to `wrong_prior` and `expired` an approval only), `issued_in_future`.
    """
    document = _read(envelope)
    key = verify(envelope.signature, canonical(envelope.document), NAMESPACE)
    held = registry.holder(key)
    if held is None:
        raise _refused(
            "unknown_key", f"nobody holds the key {key.fingerprint}", "ask for it to be added to the registry"
        )
    person, entry = held
    if document.approver != person.principal:
        raise _refused(
            "wrong_person", "the document names another person than the key's holder", "sign in your own name"
        )
    _check_key(entry, received_at, now)
    if document.environment != environment:
        raise _refused("wrong_environment", "the decision was made for another environment", "decide in this one")
    if document.kind != proposal.kind:
        raise _refused("wrong_kind", f"the decision is of kind '{document.kind}'", "decide the one you mean")
    if document.about != proposal.about:
        raise _refused("wrong_outreach", "the decision was made about something else", "decide the one you mean")
    if changed := differences(proposal, document):
        raise _refused(
            "stale_content",
            f"the decision binds something else than what would be sent: {', '.join(changed)}",
            "look at the present revision and decide that",
        )
    if not person.may(rule.roles):
        raise _refused(
            "not_an_approver", f"'{person.principal}' has none of the roles {', '.join(rule.roles)}", "ask one who has"
        )
    accepted = AcceptedDecision(
        decision=document.decision,
        approver=person.principal,
        fingerprint=key.fingerprint,
        reason=document.reason,
        valid_until=document.valid_until,
        document_digest=digest(envelope.document),
        prior=document.prior,
        roles=person.roles,
    )
    if document.decision == "approve":
        _check_distinct(accepted, rule, first)
    if received_at > document.decide_by:
        raise _refused("too_late", "the decision came after its deadline", "ask for a new revision")
    if document.decision == "approve" and now > document.valid_until:
        raise _refused("expired", "the approval is no longer valid", "ask for a new revision")
    if document.issued_at > received_at + CLOCK_SKEW:
        raise _refused("issued_in_future", "the decision was issued in the future", "set your clock and sign again")
    return accepted


class Received(Protocol):
    """Is a decision as it was kept when it came."""

    @property
    def envelope(self) -> dict[str, object] | None:
        """Returns the envelope's JSON, if it had one."""
        ...

    @property
    def received_at(self) -> datetime:
        """Returns when it came."""
        ...


def holding(
    received: Sequence[Received],
    proposal: Bound,
    rule: ApprovalRule,
    registry: Registry,
    environment: str,
    now: datetime,
) -> tuple[list[int], list[AcceptedDecision], str]:
    """Returns which approvals hold together at `now`: their places in `received`, what they say, and the first refusal.

    The refusal is a code of `check`, empty when all hold. Distinct people count, and each further one must have
    named the first.
    """
    places: list[int] = []
    good: list[AcceptedDecision] = []
    refusal = ""
    for place, one in enumerate(received):
        try:
            envelope = DecisionEnvelope.model_validate(one.envelope)
            first = good[0] if good else None
            accepted = check(envelope, proposal, rule, registry, environment, one.received_at, now, first)
        except ValidationError:
            refusal = refusal or "malformed"
        except DecisionRefusedError as error:
            refusal = refusal or error.code
        else:
            if accepted.decision == "approve" and accepted.approver not in {other.approver for other in good}:
                places.append(place)
                good.append(accepted)
    return places, good, refusal


def _check_distinct(accepted: AcceptedDecision, rule: ApprovalRule, first: AcceptedDecision | None) -> None:
    if accepted.approver in rule.excluded:
        raise _refused("own_proposal", "nobody approves what they proposed or wrote themselves", "ask somebody else")
    if first is not None and first.approver == accepted.approver:
        raise _refused("same_person", "the first approval is yours already", "another person gives the second")
    if first is not None and not rule.covers([first.roles, accepted.roles]):
        raise _refused(
            "other_role_needed",
            f"one person for each of {', '.join(rule.each)} must agree, and the first approval leaves another open",
            "ask one who has that role",
        )
    if accepted.prior != ("" if first is None else first.document_digest):
        raise _refused(
            "wrong_prior", "the decision names another first approval than the one that stands", "sign again"
        )


def _read(envelope: DecisionEnvelope) -> Decision:
    message = canonical(envelope.document)
    model = DECISIONS.get(str(envelope.document.get("kind")))
    if model is None:
        raise _refused("malformed", "the decision document is wrong at 'kind'", "fetch it again")
    try:
        document = model.model_validate(envelope.document)
    except ValidationError as error:
        # Only our own names: an unknown key may hold anything, even an address.
        first = error.errors(include_input=False, include_url=False)[0]["loc"][:1]
        field = f"'{first[0]}'" if first and first[0] in model.model_fields else "an unknown field"
        raise _refused("malformed", f"the decision document is wrong at {field}", "fetch it again") from None
    # The model reads "3" as 3 and fills in what is left out; what was signed must be what we understand.
    if canonical(document.document()) != message:
        raise _refused("malformed", "the decision document is not written in full and exactly", "fetch it again")
    return document


def _check_key(entry: RegisteredKey, received_at: datetime, now: datetime) -> None:
    if entry.valid_from and received_at < entry.valid_from:
        raise _refused("key_not_yet_valid", f"the key {entry.key.fingerprint} is not valid yet", "use a valid key")
    if entry.valid_until and received_at >= entry.valid_until:
        raise _refused("key_expired", f"the key {entry.key.fingerprint} had expired", "use a valid key")
    if entry.revoked and now >= entry.revoked:
        raise _refused("key_revoked", f"the key {entry.key.fingerprint} is revoked", "decide again with another key")


def _refused(code: str, what: str, remedy: str) -> DecisionRefusedError:
    return DecisionRefusedError(code, what, remedy=remedy)
