"""The tone of replies that the classifier has never seen, and requests for a person."""

import pytest

from tellfirst.policy.optout import plain_words
from tellfirst.policy.tone import SHIPPED, TONES, LearnedReader, Tone
from tests.figures import Figure

READER = LearnedReader.load()

HELD_OUT: dict[Tone, tuple[str, ...]] = {
    "thanks": (
        "Thanks for the heads-up!",
        "Thank you very much for telling me so early.",
        "ok cool, thanks",
        "That's kind, I appreciate it",
        "Great, thank you for the quick update",
        "Really helpful, cheers!",
        "No problem at all, thank you for letting us know",
        "👍 thank you all",
        "Thanks, I'll wait.",
        "Danke Ihnen für die Nachricht!",
        "Super, vielen Dank für die schnelle Info",
        "Alles klar, besten Dank!",
        "Nett von Ihnen, danke",
        "Kein Problem, danke fürs Melden",
        "Vielen lieben Dank 🙂",
        "Danke, das hilft mir weiter",
    ),
    "neutral": (
        "When is the new delivery date?",
        "Please leave the parcel at the back door.",
        "I'm at home on Saturday",
        "Can I collect it at the depot?",
        "I paid with another card yesterday",
        "How long is it going to be down?",
        "It arrived this morning",
        "My new address is on the account",
        "Do I have to change anything?",
        "Wann wird geliefert?",
        "Bitte an der Hintertür abstellen",
        "Ich bin ab Donnerstag wieder zu Hause",
        "Kann ich das Paket im Depot abholen?",
        "Ich habe gestern mit einer anderen Karte bezahlt",
        "Wie lange ist der Dienst noch weg?",
        "Heute Morgen angekommen",
    ),
    "why": (
        "Who is this please?",
        "Why am I receiving this message?",
        "I haven't ordered anything from you",
        "You've got the wrong number",
        "Is this some kind of scam?",
        "I'm not your customer",
        "Where do you have my number from?",
        "I don't have an account with you",
        "why do you text me",
        "Wer ist das bitte?",
        "Warum bekomme ich diese Nachricht?",
        "Ich habe bei Ihnen nichts bestellt",
        "Sie haben die falsche Nummer",
        "Ist das ein Betrug?",
        "Ich bin gar kein Kunde bei Ihnen",
        "Woher haben Sie meine Adresse?",
    ),
    "angry": (
        "This is the worst company I have ever dealt with!!",
        "Absolutely unacceptable, third time now",
        "Are you serious? What a joke.",
        "I'm fed up with your excuses",
        "You are completely useless",
        "I am never ordering from you again!",
        "WHERE THE HELL IS MY ORDER",
        "I'm really disappointed and angry",
        "disgusting service, shame on you",
        "Das ist eine absolute Frechheit!!",
        "Ihr seid der schlechteste Laden aller Zeiten",
        "Ich bin richtig sauer und wütend",
        "Schon wieder! Ich habe die Nase voll",
        "Nie wieder kaufe ich bei Ihnen",
        "Unverschämt, ich werde mich beschweren",
        "Was für ein Witz, seit Wochen warte ich",
    ),
}


def test_phrases_it_has_never_seen(figure: Figure) -> None:
    right = {tone: sum(READER.tone(text) == tone for text in texts) for tone, texts in HELD_OUT.items()}
    tried = sum(len(texts) for texts in HELD_OUT.values())
    by_tone = ", ".join(f"{tone} {right[tone]} of {len(texts)}" for tone, texts in HELD_OUT.items())
    figure(f"tone of replies: {sum(right.values())} of {tried} held-out phrases read rightly ({by_tone})")
    assert sum(right.values()) >= 0.85 * tried
    assert min(right.values()) >= 0.75 * 16
    assert set(right) == set(TONES)


def test_no_held_out_phrase_is_learned() -> None:
    learned = SHIPPED.read_text()
    assert not [text for texts in HELD_OUT.values() for text in texts if f'"{plain_words(text)}"' in learned]


@pytest.mark.parametrize("text", ["", "🤷", "zxqv", "7"])
def test_what_says_nothing_is_neutral(text: str) -> None:
    assert READER.tone(text) == "neutral"


@pytest.mark.parametrize(
    "text",
    [
        "Can I speak to a human?",
        "Please call me back",
        "I want to talk to someone about this.",
        "agent please",
        "Let me speak to your manager!",
        "Ich möchte mit einem Menschen sprechen",
        "Bitte um Rückruf",
        "Kann mich jemand anrufen?",
        "Rufen Sie mich bitte zurück... rufen Sie mich an",
    ],
)
def test_a_person_is_asked_for(text: str) -> None:
    assert READER.asks_for_person(text)


@pytest.mark.parametrize("text", ["the courier called me", "I called twice", "ich rufe an", "personal data", "ok", ""])
def test_nobody_is_asked_for(text: str) -> None:
    assert not READER.asks_for_person(text)
