"""A mail made of an approved message: the same words as plain text and HTML, and the headers that mail is to have."""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path

from email_validator import EmailNotValidError, validate_email
from liquid import Environment

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Outbound
from tellfirst.errors import SettingsError
from tellfirst.signing.links import MailNames

FALLBACK = "en"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED = re.compile(r"([^<>]*)<([^<>]+)>")
# A full stop or a bracket at its end belongs to the sentence, not to the address.
_LINK = re.compile(r"(https://[^\s<>\"]*[^\s<>\".,;:!?)'\]])")


class Mailbox(Frozen):
    """Is one address of ours: a name that may be empty, and the address as it travels."""

    name: str
    address: str

    @property
    def header(self) -> str:
        """Returns it as a header writes it: `Name <address>`."""
        return str(Address(self.name, addr_spec=self.address))

    @property
    def domain(self) -> str:
        """Returns what stands behind its @."""
        return self.address.rpartition("@")[2]


class Mail(Frozen):
    """Is one mail before it is put into a provider's form; `headers` are those beyond From, To, Subject and Date."""

    to: str
    message_id: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


class Letterhead:
    """Writes mails from one sender.

    `sender` and `reply_to` are an address, or a name with an address in angle brackets. `unsubscribe` is a mailbox for
    those whose mail program writes instead of posting. `postal_address` stands at the end of every mail. `names` makes
    names of mails that nobody else can, by which replies are known; without them a mail is named after its send alone.
    """

    def __init__(
        self,
        *,
        sender: str,
        reply_to: str = "",
        unsubscribe: str = "",
        postal_address: str = "",
        names: MailNames | None = None,
    ) -> None:
        self.sender = read_mailbox(sender, "TELLFIRST_EMAIL_SENDER")
        self.reply_to = read_mailbox(reply_to, "TELLFIRST_EMAIL_REPLY_TO") if reply_to else None
        self._unsubscribe = read_mailbox(unsubscribe, "TELLFIRST_EMAIL_UNSUBSCRIBE").address if unsubscribe else ""
        self._postal_address, self._names = postal_address, names
        here = Path(__file__)
        self._sentences: dict[str, dict[str, str]] = tomllib.loads(here.with_suffix(".toml").read_text("utf-8"))
        self._html = Environment(autoescape=True).from_string(here.with_suffix(".html").read_text("utf-8"))

    def write(self, message: Outbound) -> Mail | None:
        """Returns the mail of a message, the same for every attempt; None when its address is not one.

        No header can break a line, whatever stands in it: all white space is folded into single spaces.
        """
        to = ascii_address(message.address)
        if to is None:
            return None
        subject, body = _folded(message.rendered.subject), message.rendered.body.strip()
        words = self._sentences.get(message.locale.replace("-", "_").partition("_")[0], self._sentences[FALLBACK])
        html = self._html.render(
            lang=message.locale.replace("_", "-"),
            subject=subject,
            paragraphs=[_pieces(paragraph) for paragraph in re.split(r"\n\s*\n", body)],
            preferences=words["preferences"],
            preferences_url=message.preferences_url,
            postal_address=self._postal_address,
        )
        name = self._names.of(message.send_id) if self._names is not None else message.send_id
        return Mail(
            to=to,
            message_id=f"{_folded(name)}@{self.sender.domain}",
            subject=subject,
            text=self._text(body, words["preferences"], message.preferences_url),
            html=html,
            headers=self._headers(message),
        )

    def _text(self, body: str, preferences: str, url: str) -> str:
        under = "\n".join(filter(None, [f"{preferences}\n{url}" if url else "", self._postal_address]))
        return f"{body}\n\n-- \n{under}\n" if under else f"{body}\n"

    def _headers(self, message: Outbound) -> dict[str, str]:
        # RFC 3834: what answers by itself does not answer this, while a person may.
        headers = {"Auto-Submitted": "auto-generated"}
        ways = [f"<{_folded(message.unsubscribe_url)}>"] if message.unsubscribe_url else []
        if self._unsubscribe:
            ways.append(f"<mailto:{self._unsubscribe}?subject={_folded(message.send_id)}>")
        if ways:
            headers["List-Unsubscribe"] = ", ".join(ways)
        if message.unsubscribe_url:
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return headers

    def mime(self, mail: Mail, *, now: datetime) -> bytes:
        """Returns the mail as it travels (RFC 5322), its lines ended by CR LF and none longer than 78 characters."""
        policy = SMTP if mail.to.isascii() else SMTPUTF8
        mime = EmailMessage(policy=policy)
        mime["From"], mime["To"] = self.sender.header, mail.to
        if self.reply_to is not None:
            mime["Reply-To"] = self.reply_to.header
        mime["Subject"] = mail.subject
        mime["Date"] = format_datetime(now)
        mime["Message-ID"] = f"<{mail.message_id}>"
        for name, value in mail.headers.items():
            mime[name] = value
        mime.set_content(mail.text, cte="quoted-printable")
        mime.add_alternative(mail.html, subtype="html", cte="quoted-printable")
        mime.set_boundary(f"=_{mail.message_id.partition('@')[0]}")  # the library's own is drawn by chance
        return mime.as_bytes()


def read_mailbox(text: str, where: str) -> Mailbox:
    """Returns a mailbox of ours; raises SettingsError naming `where` unless it is `address` or `Name <address>`."""
    found = _NAMED.fullmatch(text)
    name, given = (found[1].strip(' "'), found[2]) if found else ("", text)
    address = ascii_address(given)
    if address is None or not address.isascii() or _CONTROL.search(text):
        raise SettingsError(
            "it is not an address", where=where, remedy="write it as help@example.com or Help <help@example.com>"
        )
    return Mailbox(name=name, address=address)


def ascii_address(address: str) -> str | None:
    """Returns an address with its domain in letters that every server reads, None when it is not an address.

    What stands before the @ keeps its letters, and then needs a server that knows SMTPUTF8.
    """
    try:
        valid = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
    return valid.ascii_email or f"{valid.local_part}@{valid.ascii_domain}"


def _folded(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _pieces(paragraph: str) -> list[dict[str, object]]:
    """Returns a paragraph in pieces, the addresses of web pages apart from the words around them."""
    pieces = _LINK.split(" ".join(paragraph.split()))
    return [{"text": text, "link": bool(number % 2)} for number, text in enumerate(pieces) if text]
