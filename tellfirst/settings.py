"""Configuration: `TELLFIRST_*` variables or `.env`; Temporal keeps its own `TEMPORAL_*` names."""

import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import available_timezones

from babel.numbers import get_currency_precision
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from tellfirst.contract import DATA_CONVERTER
from tellfirst.domain.message import Channel
from tellfirst.encryption import encrypting, read_keys
from tellfirst.errors import SettingsError
from tellfirst.measurement.costs import CostRates
from tellfirst.policy.caps import FrequencyCap

TRIAL = re.compile(r"(ci|demo|dev|development|sandbox|stage|staging|test|testing)([-_.0-9].*)?", re.IGNORECASE)
"""Names of installations for trying things; every other name is taken for that of a live one."""
UNNAMED = ("local", "compose")
"""Names that nobody chose: they are for trying things too, as long as messages go to the outbox."""

Secrets = Annotated[tuple[SecretStr, ...], NoDecode]
"""Secrets of one source, separated by spaces: two of them while one replaces the other."""
SOURCES = ("contacts_secrets", "events_secrets", "conditions_secrets", "replies_secrets", "push_secrets")


class Settings(BaseSettings):
    """Is everything that differs between installations; the defaults are the embedded ones."""

    model_config = SettingsConfigDict(
        env_prefix="TELLFIRST_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    environment: str = Field(default="local", description="name of this installation; a decision holds only in its own")
    data_dir: Path = Field(default=Path(".data"), description="where the embedded database, outbox and secret live")
    database_url: str = Field(default="", description="sqlite:///file.db or postgresql://…; default a file in data_dir")
    source_url: str = Field(default="", description="operational database the detectors read, read-only")
    playbooks: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="further playbook folders, separated by colons; the shipped library comes first"
    )
    library: bool = Field(default=True, description="whether the shipped playbooks are loaded")
    library_gate: bool | None = Field(
        default=None,
        description="whether a playbook's version needs a signed library decision; default in a live environment",
    )
    prices: Path | None = Field(default=None, description="TOML file of what messages cost; default cost is unknown")
    currency: str = Field(
        default="", pattern=r"^([A-Z]{3})?$", description="currency of the two costs of time below, and of savings"
    )
    agent_hour: float | None = Field(
        default=None, gt=0, description="what an hour of handling contacts costs, in minor units; default unsaid"
    )
    approver_minute: float = Field(
        default=0, ge=0, description="what a minute of somebody who approves costs, in minor units"
    )
    approval_minutes: float = Field(default=5, ge=0, description="minutes that one decision is taken for")
    approvers: Path = Field(default=Path("approvers.toml"), description="the registry of people who may decide")
    audit_anchor: Path | None = Field(
        default=None, description="file outside the database that anchors the audit log; default in data_dir"
    )
    key: Path | None = Field(default=None, description="SSH key that `tellfirst approve` signs with; .pub for an agent")
    principal: str = Field(default="", description="your name in the registry, where your key does not tell it")
    secret: SecretStr = Field(default=SecretStr(""), description="keys the address digests; default a file in data_dir")
    holdout_salt: str = Field(default="holdout-v1", description="salt of the assignment; changing it reshuffles people")
    global_holdout: float = Field(
        default=0.0, ge=0, le=0.5, description="share of all accounts that no measured outreach tells, for a half-year"
    )
    cap_count: int = Field(default=3, ge=1, description="outreaches one customer may get in cap_days")
    cap_days: int = Field(default=7, ge=1, description="length of the frequency cap's rolling period")
    hours: Path | None = Field(
        default=None, description="TOML file of when people may be disturbed; default the shipped one"
    )
    default_zone: str = Field(default="", description="zone of customers of whom nothing tells theirs; default held")
    page_size: int = Field(default=500, ge=1, le=1000, description="recipients per page")
    lease_seconds: float = Field(default=11.0, gt=0, description="how long one worker may hold a page without a word")
    reconcile_seconds: float = Field(default=30.0, ge=0, description="wait before asking a provider about a message")
    provider_in_flight: int = Field(
        default=25, ge=1, le=50, description="requests to a provider at once, and rows per commit"
    )
    provider_timeout: float = Field(
        default=8.0, gt=0, description="seconds until a request to a provider counts as ambiguous"
    )
    sms: Literal["outbox", "twilio"] = Field(default="outbox", description="how texts leave")
    sms_sender: str = Field(default="", description="Twilio messaging service (MG…) or number that texts come from")
    sms_rate: float | None = Field(
        default=None, ge=0.01, description="segments of texts a second, from all processes; default as fast as answered"
    )
    whatsapp: Literal["outbox", "twilio"] = Field(default="outbox", description="how WhatsApp messages leave")
    whatsapp_sender: str = Field(
        default="", description="Twilio messaging service (MG…) or number that WhatsApp messages come from"
    )
    whatsapp_templates: Path | None = Field(
        default=None, description="TOML file of the ContentSid of each WhatsApp template"
    )
    voice: Literal["outbox", "twilio"] = Field(default="outbox", description="how calls leave")
    voice_sender: str = Field(default="", description="number of yours that calls come from")
    voice_human: str = Field(default="", description="number at which key 0 in a call reaches a person")
    email: Literal["outbox", "smtp", "sendgrid", "resend"] = Field(default="outbox", description="how mails leave")
    email_sender: str = Field(default="", description="whom mails come from: an address, or Name <address>")
    email_reply_to: str = Field(default="", description="where answers to mails go; default to the sender")
    email_unsubscribe: str = Field(
        default="", description="mailbox that a person reads, for those whose mail program unsubscribes by writing"
    )
    email_api_key: SecretStr = Field(default=SecretStr(""), description="key of SendGrid's or Resend's API")
    email_api_base: str = Field(default="", description="another server in place of SendGrid's or Resend's")
    email_batch: int = Field(
        default=100, ge=1, le=1000, description="mails of one request to SendGrid at most, and rows per commit"
    )
    postal_address: str = Field(
        default="", description="where you are, at the end of every mail; marketing by mail needs it"
    )
    smtp_host: str = Field(default="", description="server that mails leave through")
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="when its connection is encrypted; `none` on a trusted network alone"
    )
    smtp_username: str = Field(default="", description="its login; default none")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="its password")
    push: Literal["outbox", "fcm"] = Field(default="outbox", description="how push messages leave")
    push_link: str = Field(
        default="", description="where a tap leads in your app, before the send id: such as myapp://notice/"
    )
    fcm_credentials: Path | None = Field(
        default=None, description="JSON key of the service account that sends through FCM"
    )
    fcm_api_base: str = Field(default="", description="another server in place of FCM's")
    in_app: Literal["outbox", "inbox"] = Field(default="outbox", description="how messages in the app leave")
    person: Literal["outbox", "calls"] = Field(
        default="outbox", description="how calls by somebody of ours are asked for: a list that `tellfirst calls` shows"
    )
    twilio_api_base: str = Field(default="", description="another server in place of Twilio's")
    twilio_account_sid: str = Field(
        default="",
        validation_alias=AliasChoices("TWILIO_ACCOUNT_SID", "twilio_account_sid"),
        description="Twilio account that texts are sent from",
    )
    twilio_auth_token: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("TWILIO_AUTH_TOKEN", "twilio_auth_token"),
        description="its token: sends texts, and verifies receipts",
    )
    opt_out: Literal["everything", "channel"] = Field(
        default="everything",
        description="what an opt-out closes: everything, or the channel it came by (texts, WhatsApp and calls are one)",
    )
    link_days: int = Field(
        default=60, ge=30, le=3660, description="how long a link to unsubscribe or to choose is good after its message"
    )
    reply_days: int = Field(default=90, ge=1, description="how long the texts of replies are kept")
    retention_days: int = Field(
        default=365, ge=30, description="how long what is known of recipients is kept after their outreach has ended"
    )
    human: str = Field(
        default="", description="how a customer reaches a person, shown on the pages they open: a number or an address"
    )
    inbox_secret: SecretStr = Field(
        default=SecretStr(""), description="keys the tokens with which the app reads inboxes; 24 characters or more"
    )
    inbox_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins of pages that may read inboxes from a browser, by spaces"
    )
    inbox_days: int = Field(default=90, ge=1, description="how long a message stays in an inbox after it was due")
    events_out: Path | None = Field(
        default=None, description="file of the systems that are told what happens; default none"
    )
    inside_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="hosts of your own that webhooks may reach at private addresses, by spaces"
    )
    exceptions_webhook: str = Field(
        default="",
        description="where granted exceptions are posted; default files, and none are taken in a live environment",
    )
    exceptions_secret: SecretStr = Field(
        default=SecretStr(""), description="whsec_… secret that those posts are signed with (Standard Webhooks)"
    )
    notify: Path | None = Field(
        default=None, description="file that says how roles, teams and people are told; default the worker's log"
    )
    dashboard_token: SecretStr = Field(
        default=SecretStr(""),
        description="lets people see the dashboard from elsewhere; 24 characters or more; default this machine alone",
    )
    temporal_ui: str = Field(
        default="", description="where the Temporal UI lists workflows, for links: https://…/namespaces/NAME/workflows"
    )
    public_url: str = Field(default="", description="public base URL of the web process, for provider callbacks")
    contacts_secrets: Secrets = Field(default=(), description="whsec_… secrets of posted support contacts, by spaces")
    events_secrets: Secrets = Field(default=(), description="whsec_… secrets of posted events, by spaces")
    conditions_secrets: Secrets = Field(default=(), description="whsec_… secrets of posted conditions, by spaces")
    replies_secrets: Secrets = Field(default=(), description="whsec_… secrets of posted replies, by spaces")
    push_secrets: Secrets = Field(default=(), description="whsec_… secrets of posted push receipts, by spaces")
    resend_secrets: Secrets = Field(default=(), description="whsec_… secrets that Resend signs with, by spaces")
    sendgrid_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="public keys that SendGrid signs events with, by spaces"
    )
    payload_keys: Path | None = Field(
        default=None, description="file of the keys that payloads in Temporal are encrypted with; default none are"
    )
    codec_token: SecretStr = Field(
        default=SecretStr(""),
        description="lets the codec server listen beyond this machine, and who has it read; 24 characters or more",
    )
    codec_host: str = Field(default="127.0.0.1", description="address the codec server listens on")
    codec_port: int = Field(default=8091, description="port the codec server listens on")
    web_host: str = Field(default="127.0.0.1", description="address the web process listens on")
    web_port: int = Field(default=8090, description="port the web process listens on")

    @field_validator("playbooks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator(*SOURCES, "resend_secrets", "sendgrid_keys", "inbox_origins", "inside_hosts", mode="before")
    @classmethod
    def _by_spaces(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_secret_for_one_source(self) -> "Settings":
        # A signature does not cover the path: with one secret, what was signed for one could be posted to another.
        every = [secret for name in (*SOURCES, "resend_secrets") for secret in set(getattr(self, name))]
        if len(every) != len(set(every)):
            raise ValueError("each source of webhooks needs secrets of its own")
        return self

    @model_validator(mode="after")
    def _a_page_is_held_for_longer_than_a_request_takes(self) -> "Settings":
        # No request begins that could outlive its lease: without room between them none ever would.
        if self.lease_seconds < self.provider_timeout + 1:
            raise ValueError(
                "TELLFIRST_LEASE_SECONDS must be longer than TELLFIRST_PROVIDER_TIMEOUT by a second or more"
            )
        return self

    @model_validator(mode="after")
    def _time_costs_in_a_currency(self) -> "Settings":
        if (self.agent_hour or self.approver_minute) and not self.currency:
            raise ValueError("what time costs needs TELLFIRST_CURRENCY, such as EUR")
        return self

    @field_validator("inbox_secret", "dashboard_token", "codec_token")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if value and len(value.get_secret_value()) < 24:
            raise ValueError("it is shorter than 24 characters")
        return value

    @field_validator("default_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value and value not in available_timezones():
            raise ValueError("it is no time zone such as Europe/Berlin")
        return value

    @classmethod
    def load(cls, **given: object) -> "Settings":
        """Returns the settings of this environment; raises SettingsError naming the variable that is wrong."""
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            name = "TELLFIRST_" + "_".join(str(part) for part in first["loc"] or "*").upper()
            raise SettingsError(
                first["msg"].removeprefix("Value error, "), where=name, remedy="see docs/operations.md"
            ) from None

    @property
    def database(self) -> str:
        """Returns the URL of our own database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'tellfirst.db'}"

    @property
    def is_live(self) -> bool:
        """Returns whether this installation may speak to real customers: unless its name says that it does not."""
        if self.environment in UNNAMED:
            return any(provider != "outbox" for provider in self.providers.values())
        return TRIAL.fullmatch(self.environment) is None

    @property
    def providers(self) -> dict[str, str]:
        """Returns through what each channel leaves; `outbox` reaches nobody."""
        return {channel: getattr(self, channel) for channel in get_args(Channel)}

    @property
    def demands_library(self) -> bool:
        """Returns whether a playbook's version needs a signed library decision before it sends."""
        return self.is_live if self.library_gate is None else self.library_gate

    @property
    def carries_out(self) -> bool:
        """Returns whether granted exceptions are carried out, in earnest or, where nothing is live, into files."""
        return bool(self.exceptions_webhook) or not self.is_live

    @property
    def data_converter(self) -> DataConverter:
        """Returns how values become payloads here; raises SettingsError for keys that cannot be used."""
        return encrypting(read_keys(self.payload_keys)) if self.payload_keys else DATA_CONVERTER

    @property
    def outbox(self) -> Path:
        """Returns the folder into which the outbox channel writes."""
        return self.data_dir / "outbox"

    @property
    def inbox_keep(self) -> timedelta:
        """Returns how long a message stays in an inbox after it was due."""
        return timedelta(days=self.inbox_days)

    @property
    def rates(self) -> dict[str, float]:
        """Returns how much leaves in a second on channels that have a pace, while nobody has set another."""
        return {"sms": self.sms_rate} if self.sms_rate else {}

    @property
    def cost_rates(self) -> CostRates:
        """Returns what time costs here."""
        precision = get_currency_precision(self.currency) if self.currency else 2
        return CostRates(
            currency=self.currency,
            minor=10**precision,
            agent_hour=self.agent_hour,
            approver_minute=self.approver_minute,
            approval_minutes=self.approval_minutes,
        )

    @property
    def anchor(self) -> Path:
        """Returns the file that anchors the audit log."""
        return self.audit_anchor or self.data_dir / "audit.anchor"

    @property
    def frequency_cap(self) -> FrequencyCap:
        """Returns the frequency cap as a rule."""
        return FrequencyCap(count=self.cap_count, period=timedelta(days=self.cap_days))

    def digest_key(self) -> bytes:
        """Returns the key of the address digests; makes one in data_dir, readable by its owner only, if none is set."""
        if value := self.secret.get_secret_value():
            if len(value) < 16:
                raise SettingsError("the secret is shorter than 16 characters", where="TELLFIRST_SECRET")
            return value.encode()
        path = self.data_dir / "secret"
        if not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            draft = self.data_dir / f"secret.{secrets.token_hex(4)}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32))
            # A link fails where the name exists: of two processes starting at once, one wins and both read the same.
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().encode()


def temporal_connection() -> ClientConnectConfig:
    """Returns how to reach Temporal, from the standard `TEMPORAL_*` variables or profile; the default is local."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    return config
