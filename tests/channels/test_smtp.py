"""SMTP against a server that others wrote: each mail arrives once, and every refusal means what it says."""

import asyncio
import email
import email.policy
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tellfirst.channels.mail import Letterhead
from tellfirst.channels.smtp import CODES, SUBJECTS, MailServer, SmtpMail, classify
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tests.channels.test_mail import NOON, message, part
from tests.figures import Figure
from tests.ports import free_port


class Sink:
    """Keeps what arrives; refuses by `refusals` and `reply`, and `breaks` off after it has a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusals: dict[str, str] = {}
        self.reply = ""
        self.breaks = 0
        self.pause = 0.0

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.reply:
            return self.reply
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        if self.breaks:
            self.breaks -= 1
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        time.sleep(self.pause)  # the server has a thread and a loop of its own
        return "250 OK"


@contextmanager
def serving(sink: Sink, **options: Any) -> Iterator[int]:
    controller = Controller(sink, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop(no_assert=True)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Sink, int]]:
    sink = Sink()
    with serving(sink) as port:
        yield sink, port


@pytest.fixture
def sink(running: tuple[Sink, int]) -> Sink:
    vars(running[0]).update(vars(Sink()))
    return running[0]


@pytest.fixture
def smtp(running: tuple[Sink, int]) -> SmtpMail:
    return adapter(running[1])


def adapter(port: int, **changes: object) -> SmtpMail:
    server = MailServer(host="127.0.0.1", port=port, **({"security": "none"} | changes))
    return SmtpMail(server, Letterhead(sender="Shop <help@shop.example.com>"), timeout=3.0)


def to(address: str, number: int = 0) -> Outbound:
    return message(address=address, send_id=f"{number:032x}", not_after=datetime.now(UTC) + timedelta(hours=1))


async def send(smtp: SmtpMail, *batch: Outbound) -> list[Answer]:
    return await smtp.send(batch, now=datetime.now(UTC))


async def test_each_recipient_has_a_mail_of_their_own_over_one_connection(
    sink: Sink, smtp: SmtpMail, figure: Figure
) -> None:
    people = ["ana@example.com", "ben@bücher.example", "jürgen@example.com"]
    answers = await send(smtp, *(to(address, n) for n, address in enumerate(people)))
    assert [a.kind for a in answers] == [AnswerKind.ACCEPTED] * 3
    assert [a.provider_id for a in answers] == [f"{n:032x}@shop.example.com" for n in range(3)]
    assert sink.recipients == ["ana@example.com", "ben@xn--bcher-kva.example", "jürgen@example.com"]
    assert [mail["To"] for mail in sink.mails] == sink.recipients
    assert all(part(mail, "plain").startswith("Ana, your parcel is late.") for mail in sink.mails)
    assert sink.mails[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    figure("e-mail, SMTP: 3 of 3 mails arrived at aiosmtpd, each with its own recipient, parts and headers")


REFUSALS = [
    ("450 4.2.1 busy", AnswerKind.UNREACHED, "450 4.2.1"),
    ("451 4.3.0 try later", AnswerKind.NOT_SENT, "451 4.3.0"),
    ("452 4.2.2 mailbox full", AnswerKind.UNREACHED, "452 4.2.2"),
    ("452 4.3.1 no space", AnswerKind.NOT_SENT, "452 4.3.1"),
    ("550 no such user", AnswerKind.PERMANENT, "550"),
    ("550 5.1.1 <ana@example.com> no such user", AnswerKind.PERMANENT, "550 5.1.1"),
    ("550 5.7.1 spam", AnswerKind.POLICY_BLOCK, "550 5.7.1"),
    ("551 5.1.6 moved", AnswerKind.PERMANENT, "551 5.1.6"),
    ("552 5.2.2 mailbox full", AnswerKind.UNREACHED, "552 5.2.2"),
    ("552 too much", AnswerKind.POLICY_BLOCK, "552"),
    ("553 5.1.3 bad address", AnswerKind.PERMANENT, "553 5.1.3"),
    ("554 5.7.1 blocked", AnswerKind.POLICY_BLOCK, "554 5.7.1"),
    ("556 5.1.10 takes no mail", AnswerKind.PERMANENT, "556 5.1.10"),
    ("530 5.7.0 log in first", AnswerKind.CONFIGURATION, "530 5.7.0"),
    ("535 5.7.8 wrong password", AnswerKind.CONFIGURATION, "535 5.7.8"),
    ("599 new", AnswerKind.UNREACHED, "unknown code 599"),
    ("499 new", AnswerKind.NOT_SENT, "unknown code 499"),
]


@pytest.mark.parametrize(("reply", "kind", "detail"), REFUSALS)
async def test_a_refused_recipient_leaves_the_others_alone(
    sink: Sink, smtp: SmtpMail, reply: str, kind: AnswerKind, detail: str
) -> None:
    sink.refusals["ana@example.com"] = reply
    first, second = await send(smtp, to("ana@example.com", 1), to("ben@example.com", 2))
    assert (first.kind, first.detail, first.provider_id) == (kind, detail, "")
    assert second.kind is AnswerKind.ACCEPTED
    assert sink.recipients == ["ben@example.com"]


async def test_a_server_that_hangs_up_took_nothing_of_what_comes_behind(sink: Sink, smtp: SmtpMail) -> None:
    sink.refusals["ana@example.com"] = "421 4.3.2 closing"
    answers = await send(smtp, to("ana@example.com", 1), to("ben@example.com", 2))
    assert [a.kind for a in answers] == ["not_sent", "not_sent"]
    assert sink.mails == []


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("451 4.3.0 later", AnswerKind.NOT_SENT),
        ("550 not with these words", AnswerKind.POLICY_BLOCK),
        ("550 5.1.1 no such user", AnswerKind.PERMANENT),
        ("552 5.3.4 too long", AnswerKind.POLICY_BLOCK),
        ("554 5.6.0 not with these words", AnswerKind.POLICY_BLOCK),
    ],
)
async def test_an_answer_to_the_text_is_about_the_text(
    sink: Sink, smtp: SmtpMail, reply: str, kind: AnswerKind
) -> None:
    sink.reply = reply
    (answer,) = await send(smtp, to("ana@example.com"))
    assert answer.kind is kind
    assert sink.mails == []


@pytest.mark.parametrize(("reply", "kind"), [("451 later", "not_sent"), ("553 not your address", "configuration")])
async def test_a_refused_sender_is_our_settings_unless_it_passes(
    sink: Sink, smtp: SmtpMail, reply: str, kind: str
) -> None:
    sink.refusals["MAIL"] = reply
    answers = await send(smtp, to("ana@example.com", 1), to("ben@example.com", 2))
    assert [a.kind for a in answers] == [kind, kind]


async def test_what_breaks_off_after_the_text_is_in_doubt_and_what_comes_behind_it_never_left(
    sink: Sink, smtp: SmtpMail, figure: Figure
) -> None:
    sink.breaks = 1
    answers = await send(smtp, *(to(f"c{n}@example.com", n) for n in range(3)))
    assert [a.kind for a in answers] == [AnswerKind.AMBIGUOUS, AnswerKind.NOT_SENT, AnswerKind.NOT_SENT]
    assert sink.recipients == ["c0@example.com"]
    figure("e-mail, SMTP: broken off after acceptance 1 of 1 in doubt, 2 of 2 behind it never begun")


@pytest.mark.parametrize("reply", ["251 taken, and sent on", "202 taken", "354 go on", "taken", "250 " + "x" * 70_000])
async def test_what_is_no_refusal_after_the_text_is_in_doubt(sink: Sink, smtp: SmtpMail, reply: str) -> None:
    sink.reply = reply
    answers = await send(smtp, to("ana@example.com", 1), to("ben@example.com", 2))
    assert [a.kind for a in answers] == [AnswerKind.AMBIGUOUS, AnswerKind.NOT_SENT]


async def test_a_server_that_is_not_there_took_nothing() -> None:
    (answer,) = await send(adapter(free_port()), to("ana@example.com"))
    assert answer.kind is AnswerKind.NOT_SENT


async def test_no_connection_is_made_for_what_cannot_leave() -> None:
    late = to("ana@example.com").model_copy(update={"not_after": datetime.now(UTC)})
    answers = await send(adapter(free_port()), late, to("not an address"))
    assert [(a.kind, a.detail) for a in answers] == [("not_sent", "too_late"), ("permanent", "no_address")]


async def test_a_slow_server_is_not_asked_for_more_than_a_pause_allows(sink: Sink, smtp: SmtpMail) -> None:
    sink.pause = 1.1
    answers = await send(smtp, *(to(f"c{n}@example.com", n) for n in range(4)))
    assert [a.kind for a in answers] == ["accepted", "accepted", "not_sent", "not_sent"]
    assert {a.retry_after for a in answers[2:]} == {0.1}


async def test_silence_after_the_text_is_in_doubt_when_the_time_is_up(sink: Sink, running: tuple[Sink, int]) -> None:
    sink.pause = 1.0
    server = MailServer(host="127.0.0.1", port=running[1], security="none")
    smtp = SmtpMail(server, Letterhead(sender="help@shop.example.com"), timeout=0.4)
    (answer,) = await send(smtp, to("ana@example.com"))
    assert answer.kind is AnswerKind.AMBIGUOUS


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_logins_and_certificates_are_our_settings(tmp_path: Path) -> None:
    def knows(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    context = certified(tmp_path)
    with serving(Sink(), tls_context=context, authenticator=knows, auth_required=True, require_starttls=True) as port:
        (unknown,) = await send(adapter(port, security="starttls", username="u", password="right"), to("a@example.com"))
        assert (unknown.kind, unknown.detail) == (AnswerKind.CONFIGURATION, "SSLCertVerificationError")
        (plain,) = await send(adapter(port), to("a@example.com"))
        assert (plain.kind, plain.detail) == (AnswerKind.CONFIGURATION, "530")
    with serving(Sink(), authenticator=knows, auth_required=True, auth_require_tls=False) as port:
        (wrong,) = await send(adapter(port, username="u", password="wrong"), to("a@example.com"))
        assert (wrong.kind, wrong.detail) == (AnswerKind.CONFIGURATION, "535")
        (right,) = await send(adapter(port, username="u", password="right"), to("a@example.com"))
        assert right.kind is AnswerKind.ACCEPTED
        (bare,) = await send(adapter(port, security="starttls"), to("a@example.com"))
        assert bare.kind is AnswerKind.CONFIGURATION


async def test_a_server_that_does_not_know_smtputf8_is_not_given_such_an_address() -> None:
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=False)
    controller.start()
    try:
        answers = await send(adapter(controller.port), to("jürgen@example.com", 1), to("ana@example.com", 2))
    finally:
        controller.stop(no_assert=True)
    assert [(a.kind, a.detail) for a in answers] == [("unreached", "no_smtputf8"), ("accepted", "250")]


async def test_no_answer_holds_an_address(sink: Sink, smtp: SmtpMail) -> None:
    sink.refusals["ana@example.com"] = "550 ana@example.com is unknown to secret@example.com"
    (answer,) = await send(smtp, to("ana@example.com"))
    assert "@" not in answer.detail


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_listed_code_means_what_the_list_says(code: int) -> None:
    assert classify(code, "words") == (CODES[code], str(code))


@pytest.mark.parametrize(("subject", "kind"), SUBJECTS)
def test_a_listed_subject_says_more_than_the_code(subject: str, kind: AnswerKind) -> None:
    enhanced = f"{subject}99" if subject.endswith(".") else subject
    code = 450 if enhanced.startswith("4") else 550
    assert classify(code, f"{enhanced} words")[0] is kind


def certified(folder: Path) -> ssl.SSLContext:
    """Returns the context of a server whose certificate nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOON).not_valid_after(NOON + timedelta(days=36_500))
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
