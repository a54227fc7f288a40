"""A mail says in both its parts what was approved, and nothing in it can break out of where it stands."""

import email
import email.policy
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tellfirst.channels.mail import Letterhead, ascii_address
from tellfirst.domain.message import Outbound, Rendered
from tellfirst.errors import SettingsError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNSUBSCRIBE, PREFERENCES = "https://tell.example.com/u/t0k3n", "https://tell.example.com/p/t0k3n"
BODY = "Ana, your parcel is late.\n\nSee https://shop.example.com/o?id=1&x=2.\n\nYou don't need to do anything."
EVIL = ["\r\nBcc: x@evil.example", "\nBcc: x@evil.example", "\r\n\r\n<p>hi</p>", "\u2028Bcc: x@evil.example"]
FIELDS = ["subject", "body", "send_id", "unsubscribe_url", "preferences_url", "locale", "address"]
NO_SENDERS = ["", "Shop", "Shop <help@nowhere>", "Shop\r\nBcc: x <help@example.com>", "jürgen@example.com"]


def message(**changes: object) -> Outbound:
    given: dict[str, object] = {
        "send_id": "a1" * 16,
        "channel": "email",
        "address": "ana@example.com",
        "rendered": Rendered(subject="Your order is late", body=BODY),
        "locale": "en",
        "not_after": NOON + timedelta(hours=2),
        "unsubscribe_url": UNSUBSCRIBE,
        "preferences_url": PREFERENCES,
    }
    return Outbound(**(given | changes))


def letterhead(**changes: str) -> Letterhead:
    return Letterhead(**({"sender": "Shop <help@shop.example.com>"} | changes))


def sent(one: Outbound, head: Letterhead | None = None) -> EmailMessage:
    head = head or letterhead()
    mail = head.write(one)
    assert mail is not None
    parsed = email.message_from_bytes(head.mime(mail, now=NOON), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


class Words(HTMLParser):
    """Reads what a person reads of a page, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.links, self.tags, self.lang = "", list[str](), set[str](), ""
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._hidden = tag == "title" or self._hidden
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))
        if tag == "html":
            self.lang = str(dict(attrs)["lang"])

    def handle_endtag(self, tag: str) -> None:
        self._hidden = self._hidden and tag != "title"
        if tag in ("p", "div"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def words(text: str) -> str:
    return " ".join(text.split())


def test_both_parts_say_the_approved_words_and_lead_to_the_same_places() -> None:
    mail = sent(message())
    assert mail["Subject"] == "Your order is late"
    assert (mail["From"], mail["To"]) == ("Shop <help@shop.example.com>", "ana@example.com")
    html = Words(part(mail, "html"))
    assert part(mail, "plain").startswith(BODY + "\n\n-- \n")
    assert words(html.text).startswith(words(BODY))
    assert words(html.text) == words(part(mail, "plain").replace("-- \n", ""))
    assert html.links == ["https://shop.example.com/o?id=1&x=2", PREFERENCES]
    assert html.lang == "en"
    assert [p.get_content_type() for p in mail.iter_parts()] == ["text/plain", "text/html"]


def test_the_furniture_speaks_the_language_of_the_words() -> None:
    german = sent(message(locale="de_AT"), letterhead(postal_address="Weg 1, 10115 Berlin"))
    assert "Wählen Sie" in part(german, "plain")
    assert part(german, "plain").endswith("Weg 1, 10115 Berlin\n")
    assert Words(part(german, "html")).lang == "de-AT"
    assert "Weg 1" in part(german, "html")
    assert "Choose what" in part(sent(message(locale="fr")), "plain")


def test_without_a_web_address_and_a_place_nothing_stands_under_the_words() -> None:
    mail = sent(message(unsubscribe_url="", preferences_url=""))
    assert part(mail, "plain") == BODY + "\n"
    assert words(Words(part(mail, "html")).text) == words(BODY)
    assert "List-Unsubscribe" not in mail


def test_one_click_unsubscribes_as_rfc_8058_says() -> None:
    mail = sent(message(), letterhead(unsubscribe="stop@shop.example.com"))
    assert mail["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>, <mailto:stop@shop.example.com?subject={'a1' * 16}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    by_mail_alone = sent(message(unsubscribe_url=""), letterhead(unsubscribe="stop@shop.example.com"))
    assert by_mail_alone["List-Unsubscribe"].strip().startswith("<mailto:")
    assert "List-Unsubscribe-Post" not in by_mail_alone


def test_a_mail_is_known_by_its_send_and_the_same_at_every_attempt() -> None:
    head, one = letterhead(reply_to="Desk <desk@shop.example.com>"), message()
    mail = head.write(one)
    assert mail is not None
    assert head.write(one) == mail
    assert head.mime(mail, now=NOON) == head.mime(mail, now=NOON)
    parsed = sent(one, head)
    assert parsed["Message-ID"] == f"<{'a1' * 16}@shop.example.com>"
    assert parsed["Date"].datetime == NOON
    assert parsed["Reply-To"] == "Desk <desk@shop.example.com>"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert "Precedence" not in parsed


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("where", FIELDS)
def test_no_field_breaks_out_of_where_it_stands(where: str, evil: str) -> None:
    plain = message()
    if where in ("subject", "body"):
        one = plain.model_copy(update={"rendered": plain.rendered.model_copy(update={where: f"Ana{evil} late"})})
    else:
        one = plain.model_copy(update={where: getattr(plain, where) + evil})
    if where == "address":
        assert letterhead().write(one) is None
        return
    mail = sent(one)
    assert [name for name in mail if name in ("Bcc", "Cc", "To")] == ["To"]
    assert mail["To"] == "ana@example.com"
    assert len(list(mail.iter_parts())) == 2


@pytest.mark.parametrize("where", ["body", "subject", "locale", "preferences_url", "postal_address"])
def test_no_words_are_taken_for_markup(where: str) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=y> & &amp; https://a.example/"onclick="x'
    rendered = {"subject": "Late", "body": BODY} | ({where: evil} if where in ("body", "subject") else {})
    one = message(rendered=Rendered(**rendered))
    if where in ("locale", "preferences_url"):
        one = one.model_copy(update={where: evil})
    page = part(sent(one, letterhead(postal_address=evil if where == "postal_address" else "")), "html")
    assert Words(page).tags == {"html", "head", "meta", "title", "body", "div", "p", "a"}
    if where == "body":
        assert evil in words(Words(page).text)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=1_500))
def test_whatever_the_words_are_both_parts_hold_them_as_text(subject: str, body: str) -> None:
    mail = sent(message(rendered=Rendered(subject=subject, body=body), preferences_url="", unsubscribe_url=""))
    plain, html = part(mail, "plain"), part(mail, "html")
    assert Words(html).tags <= {"html", "head", "meta", "title", "body", "div", "p", "a"}
    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"
    }  # fmt: skip
    assert plain.split() == body.split()


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=60), st.sampled_from(["Größe & Co", "O'Neil, Inc.", 'A "B" C', "絵文字 🎉"]))
def test_every_line_that_leaves_is_short_and_seven_bits_wide(subject: str, name: str) -> None:
    head = letterhead(sender=f"{name} <help@shop.example.com>")
    mail = head.write(message(rendered=Rendered(subject=subject * 20, body="ü🎉" * 600 + "\n.\n" + "x" * 2_000)))
    assert mail is not None
    raw = head.mime(mail, now=NOON)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    # RFC 5322, 2.1.1: a header that cannot be folded any further may take up to 998.
    assert max(map(len, raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n"))) <= 78
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_the_words_of_a_family_of_signs_stay_together() -> None:
    assert sent(message(rendered=Rendered(subject="Für 👨‍👩‍👧 da", body="x")))["Subject"] == "Für 👨‍👩‍👧 da"


@pytest.mark.parametrize(
    ("address", "travels"),
    [
        ("ana@example.com", "ana@example.com"),
        ("Ana@EXAMPLE.com", "Ana@example.com"),
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
        ("ana@example.com\r\n", None),
        ("Ana <ana@example.com>", None),
        ("ana@nowhere", None),
        ("a@b@example.com", None),
        ("", None),
    ],
)
def test_an_address_travels_in_letters_that_servers_read(address: str, travels: str | None) -> None:
    assert ascii_address(address) == travels


def test_a_name_that_only_a_modern_server_reads_stays_as_it_is() -> None:
    head = letterhead()
    mail = head.write(message(address="jürgen@example.com"))
    assert mail is not None
    assert "To: jürgen@example.com\r\n".encode() in head.mime(mail, now=NOON)


@pytest.mark.parametrize("sender", NO_SENDERS)
def test_a_sender_that_is_no_address_is_refused_at_once(sender: str) -> None:
    with pytest.raises(SettingsError):
        letterhead(sender=sender)


def test_the_page_is_made_for_phones_and_dark_rooms() -> None:
    page = part(sent(message()), "html")
    assert 'name="viewport"' in page
    assert 'content="light dark"' in page
    assert not re.search(r"color:|background|<img|<script|<link|url\(", page)
    assert len(page) < 3_000
