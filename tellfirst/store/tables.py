"""The tables; they never leave this folder, the classes beside them return domain models or plain values."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from tellfirst.store.engine import Instant


def _instant(*, nullable: bool = True, index: bool = False) -> Any:
    return Field(sa_column=Column(Instant, nullable=nullable, index=index))


def _json() -> Any:
    return Field(sa_column=Column(JSON, nullable=False))


class CustomerRow(SQLModel, table=True):
    """Is one customer: the least we need to speak to them."""

    __tablename__: ClassVar[Any] = "customers"

    id: str = Field(primary_key=True)
    first_name: str | None = None
    locale: str = "en"
    timezone: str | None = None
    region: str | None = None  # ISO 3166, a country or one of its parts: whose quiet hours hold
    business: bool = False  # reached at work, in business hours
    high_value: bool = False  # a person calls, where the playbook says so
    preferred: str | None = None  # the channel they asked for; what they chose themselves goes before it
    cluster: str = Field(index=True)  # household or account: randomised together
    created_at: datetime = _instant(nullable=False)


class ContactPointRow(SQLModel, table=True):
    """Is one address of one customer on one channel; `usable` ends when a provider says it will never work."""

    __tablename__: ClassVar[Any] = "contact_points"
    __table_args__: ClassVar[Any] = (UniqueConstraint("customer_id", "channel"),)

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(foreign_key="customers.id", index=True)
    channel: str
    address: str = Field(index=True)  # whoever writes back is looked up by it
    usable: bool = True


class ConsentRow(SQLModel, table=True):
    """Is one statement about consent, append-only: the latest for (channel, purpose) holds; `*` means all."""

    __tablename__: ClassVar[Any] = "consents"
    __table_args__: ClassVar[Any] = (Index("consents_refused", "allowed", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(foreign_key="customers.id", index=True)
    channel: str
    purpose: str
    allowed: bool
    at: datetime = _instant(nullable=False)
    source: str


class ConditionRow(SQLModel, table=True):
    """Is one condition; unique by its identity."""

    __tablename__: ClassVar[Any] = "conditions"
    __table_args__: ClassVar[Any] = (UniqueConstraint("trigger", "key", "episode"),)

    id: int | None = Field(default=None, primary_key=True)
    trigger: str
    key: str
    episode: int
    detected_at: datetime = _instant(nullable=False)
    cleared_at: datetime | None = _instant()
    facts: dict[str, Any] = _json()
    parameters: dict[str, Any] = _json()


class AdmissionRow(SQLModel, table=True):
    """Is the ledger: each subject is admitted once an episode, whatever a later sweep finds."""

    __tablename__: ClassVar[Any] = "admissions"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("trigger", "subject_key", "episode"),
        Index("admissions_condition", "trigger", "condition_key", "condition_episode", "id"),
        Index("admissions_open", "trigger", "closed_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    trigger: str
    subject_key: str
    episode: int
    condition_key: str  # empty when too late to be told
    condition_episode: int = 0
    customer_ref: str
    since: datetime = _instant(nullable=False)
    facts: dict[str, Any] = _json()
    admitted_at: datetime = _instant(nullable=False)
    missing_since: datetime | None = _instant()  # not found any more; the episode closes after the hold-down
    closed_at: datetime | None = _instant()
    too_late: bool = False


class OutreachRow(SQLModel, table=True):
    """Is one outreach; the unique condition makes a second workflow a duplicate, whoever started it."""

    __tablename__: ClassVar[Any] = "outreaches"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("trigger", "key", "episode"),
        Index(
            "outreaches_kept",
            "closed_at",
            sqlite_where=text("emptied_at IS NULL"),
            postgresql_where=text("emptied_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    trigger: str
    key: str
    episode: int
    first_run: str
    started_at: datetime = _instant(nullable=False)
    detected_at: datetime = _instant(nullable=False)
    facts: dict[str, Any] = _json()
    audience: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    paused: bool = False
    blocked: str | None = None  # the breaker: why nothing more leaves
    cleared_at: datetime | None = _instant()
    closed_at: datetime | None = _instant()
    ending: str | None = None
    reason: str = ""
    proposer: str = ""  # the person who asked for it; a sweep has none
    reason_code: str = ""  # what its windows count, as its plan says
    emptied_at: datetime | None = _instant()  # when what is known of its recipients had gone for its age


class PlaybookVersionRow(SQLModel, table=True):
    """Is the exact text of a playbook that a plan was made from."""

    __tablename__: ClassVar[Any] = "playbook_versions"

    version: str = Field(primary_key=True)
    playbook: str
    text: str
    seen_at: datetime = _instant(nullable=False)


class RevisionRow(SQLModel, table=True):
    """Is one plan revision; frozen once its plan is set."""

    __tablename__: ClassVar[Any] = "revisions"

    outreach_id: str = Field(foreign_key="outreaches.id", primary_key=True)
    number: int = Field(primary_key=True)
    playbook_version: str = Field(foreign_key="playbook_versions.version")
    planned_at: datetime = _instant(nullable=False)
    plan: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    proposal: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    status: str = "planning"  # empty, pending, or what became of it


class SubjectRow(SQLModel, table=True):
    """Is one affected thing given inline with a condition, kept so that a plan can be made again."""

    __tablename__: ClassVar[Any] = "subjects"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("outreach_id", "key"),
        Index("subjects_outreach", "outreach_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    outreach_id: str = Field(foreign_key="outreaches.id")
    key: str
    customer_ref: str
    facts: dict[str, Any] = _json()


class PageRow(SQLModel, table=True):
    """Is one page of a revision: up to a few hundred recipients of one channel, with the digest that was approved."""

    __tablename__: ClassVar[Any] = "pages"

    outreach_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    channel: str
    rows: int
    digest: str


class RecipientRow(SQLModel, table=True):
    """Is one recipient of a revision, or one who is not, with the reason."""

    __tablename__: ClassVar[Any] = "recipients"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("outreach_id", "revision", "position"),
        Index("recipients_page", "outreach_id", "revision", "page", "position"),
        Index("recipients_customer", "outreach_id", "customer_id"),
        Index("recipients_subject", "outreach_id", "subject_key"),
        Index("recipients_cluster", "outreach_id", "cluster", "arm"),
        Index("recipients_window", "cluster", "t0", postgresql_where=text("arm IS NOT NULL")),
    )

    id: int | None = Field(default=None, primary_key=True)
    outreach_id: str
    revision: int
    position: int
    page: int | None = None
    customer_id: str
    subject_key: str
    channel: str | None = None
    locale: str | None = None
    timezone: str | None = None
    cluster: str
    facts: dict[str, Any] = _json()
    others: int = 0
    address_digest: str | None = None
    content_digest: str | None = None
    leaf: str | None = None  # of one whose customer was forgotten: all that is left of what was signed
    verdict: str  # eligible, or why not
    # Promised instants by step, where an hour that suits this recipient differs from the plan's.
    promises: dict[str, str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    withheld: str | None = None  # why an eligible recipient was set aside before randomisation
    arm: str | None = None
    share: float | None = None  # the probability of control, all hold-outs together
    held_by: str | None = None  # which hold-out, of control
    t0: datetime | None = _instant()
    window_end: datetime | None = _instant()
    cleared_at: datetime | None = _instant()


class SendRow(SQLModel, table=True):
    """Is the effect log: this recipient, this step, this channel; never two rows, never two messages."""

    __tablename__: ClassVar[Any] = "sends"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("recipient_id", "step", "channel"),
        Index("sends_step", "outreach_id", "step", "state"),
        Index("sends_page", "outreach_id", "revision", "step", "page", "state"),
        Index("sends_provider", "provider_id"),
        Index("sends_settled", "state", "settled_at"),
    )

    id: str = Field(primary_key=True)
    outreach_id: str
    revision: int
    recipient_id: int = Field(foreign_key="recipients.id")
    customer_id: str = Field(index=True)
    step: str
    channel: str
    page: int
    state: str
    reason: str = ""
    deferred_until: datetime | None = _instant()  # the hour that it waits for
    token: int = 0
    attempts: int = 0
    nonce: str = ""  # of the decision that let it leave
    intent_at: datetime | None = _instant()
    settled_at: datetime | None = _instant()
    not_after: datetime | None = _instant()
    adapter: str = ""
    provider_id: str = ""
    body_digest: str = ""


class LeaseRow(SQLModel, table=True):
    """Is the right to send one page now; the token fences off whoever held it before."""

    __tablename__: ClassVar[Any] = "leases"

    outreach_id: str = Field(primary_key=True)
    revision: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    page: int = Field(primary_key=True)
    token: int
    expires_at: datetime = _instant(nullable=False)


class ReceiptRow(SQLModel, table=True):
    """Is one raw provider event; the state of a send is derived from all of them by rank."""

    __tablename__: ClassVar[Any] = "receipts"
    __table_args__: ClassVar[Any] = (UniqueConstraint("provider", "provider_id", "status", "error"),)

    id: int | None = Field(default=None, primary_key=True)
    provider: str
    provider_id: str
    send_id: str | None = Field(default=None, index=True)
    status: str
    error: str = ""
    received_at: datetime = _instant(nullable=False)


class ContactRow(SQLModel, table=True):
    """Is one inbound support contact as its source last told it; what it said before is in `contact_versions`.

    Contacts are written by store/contacts.py alone. What was withdrawn is not here.
    """

    __tablename__: ClassVar[Any] = "contacts"
    __table_args__: ClassVar[Any] = (
        Index("contacts_customer", "customer_id", "occurred_at", "reason_code"),
        # Closing windows reads nothing but this.
        Index(
            "contacts_cluster",
            *("cluster", "occurred_at", "reason_code"),
            postgresql_include=["handle_seconds", "resolved_at"],
        ),
        Index("contacts_imported", "imported_at"),
    )

    source: str = Field(primary_key=True)  # whose id it is: two systems may count from one
    id: str = Field(primary_key=True)
    version: int = 1
    customer_id: str
    cluster: str  # the account of the customer when it came, or what that was merged into; a stranger is their own
    reason_code: str  # ours
    given_code: str | None = Field(default=None, index=True)  # the source's; None where the reason is ours already
    channel: str = ""
    occurred_at: datetime = _instant(nullable=False)
    handle_seconds: int | None = None
    resolved_at: datetime | None = _instant()
    imported_at: datetime = _instant(nullable=False)  # when this version came


class WatermarkRow(SQLModel, table=True):
    """Says up to which instant all contacts of a source are here, None while it never said so."""

    __tablename__: ClassVar[Any] = "watermarks"

    source: str = Field(primary_key=True)
    at: datetime | None = _instant()
    heard_at: datetime | None = _instant()  # when it last sent anything


class DecisionRow(SQLModel, table=True):
    """Is one decision that was received, accepted or refused, with the envelope as it came."""

    __tablename__: ClassVar[Any] = "decisions"
    __table_args__: ClassVar[Any] = (Index("decisions_about", "about", "revision", "accepted"),)

    id: int | None = Field(default=None, primary_key=True)
    about: str
    revision: int = 0
    decision: str
    approver: str
    fingerprint: str = ""
    accepted: bool
    code: str = ""
    envelope: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    received_at: datetime = _instant(nullable=False)


class MatterRow(SQLModel, table=True):
    """Is what people decide apart from plan revisions: a permit, a library change, an exception, a resume."""

    __tablename__: ClassVar[Any] = "matters"

    about: str = Field(primary_key=True)
    kind: str = Field(index=True)
    proposal: dict[str, Any] = _json()
    status: str = "pending"
    proposer: str = ""
    opened_at: datetime = _instant(nullable=False)
    closed_at: datetime | None = _instant()


class ReservationRow(SQLModel, table=True):
    """Is a place under the frequency cap, held for all promised steps of one outreach, in both arms."""

    __tablename__: ClassVar[Any] = "reservations"
    __table_args__: ClassVar[Any] = (UniqueConstraint("customer_id", "outreach_id"),)

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str
    outreach_id: str = Field(index=True)
    at: datetime = _instant(nullable=False)
    urgency: str = "normal"  # of the outreach: less urgent ones do not take its place


class OutcomeRow(SQLModel, table=True):
    """Is the recorded outcome of one arm; a correction is a new version, never an edit."""

    __tablename__: ClassVar[Any] = "outcomes"

    outreach_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    arm: str = Field(primary_key=True)
    reason_code: str = Field(index=True)
    clusters: int
    contacted: int
    rate: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    grade: str
    sentence: str
    recorded_at: datetime = _instant(nullable=False)
    first_t0: datetime | None = _instant()  # when the first and the last of them were drawn
    last_t0: datetime | None = _instant()
    figures: list[dict[str, Any]] = _json()  # of this arm, by hold-out share: what reports pool, and of nobody


class ControlRow(SQLModel, table=True):
    """Is a switch that every process reads before it sends."""

    __tablename__: ClassVar[Any] = "controls"

    name: str = Field(primary_key=True)
    value: str
    by: str
    at: datetime = _instant(nullable=False)
