"""What is an opt-out, what may be one, and what is none: every word of the lists, and what people made of them."""

import tomllib

import pytest

from tellfirst.policy.optout import SHIPPED, Wish, Wording, plain_words

WORDING = Wording.load()
TABLES = tomllib.loads(SHIPPED.read_text())
LANGUAGES = [name for name in TABLES if name != "carrier"]

FCC = ("stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe")
CARRIERS = ("STOPALL", "OPTOUT", "OPT-OUT", "ARRET", "REMOVE", "TD", "REVOKE", "END")
OPT_OUTS = [
    *FCC,
    *CARRIERS,
    "Stop",
    " STOP ",
    "stop.",
    "STOP!!!",
    "“Stop”",
    "S.T.O.P.",
    "S T O P",
    "Stop 🛑😡",
    "🛑 STOP 🛑",
    "STOP STOP STOP",
    "stop, unsubscribe",
    "ＳＴＯＰ",
    "Stop. Thank you",
    "Please stop.",
    "please, STOP now",
    "Unsubscribe please!",
    "Thanks, but stop",
    "STOP\n\nJane Doe\nHead of Something\n+1 415 555 0100",
    "Stop please\n\nSent from my iPhone",
    "Stop texting me!",
    "Please do not contact me again.",
    "don't text me",
    "don’t text me",
    "Take me off your list, please",
    "leave me alone",
    "Stopp!",
    "Stop bitte",
    "Bitte abmelden. Danke!",
    "ABMELDEN",
    "bitte keine SMS mehr",
    "Aufhören!",
    "Ich widerrufe.",
    "BAJA",
    "Baja, por favor",
    "cancelar",
    "arrêt",
    "ARRÊTEZ s'il vous plaît",
    "STOP SVP, merci",
]
DOUBTS = [
    "We have got to STOP this bill",
    "cancelar agendamento",
    "Please cancel my order",
    "Can you stop the delivery at the depot?",
    "How do I unsubscribe from this?",
    "I want to opt out of the marketing ones",
    "why don't you stop sending me the same text",
    "This is spam",
    "I have had enough, please remove me from whatever this is",
    "don't stop, I like these",
    "Ich möchte das abbestellen, wie geht das?",
    "Hören Sie auf mir zu schreiben",
    "Ich kündige den Vertrag",
    "Bestellung bitte stoppen",
    "Je voudrais annuler ma commande",
    "quiero dar de baja el servicio",
]
REPLIES = [
    "Thanks for letting me know",
    "When will it arrive at last?",
    "I need it by the end of the week",
    "It should end well",
    "ok",
    "👍",
    "",
    "   ",
    "No",
    "Yes but where is it",
    "start over with the delivery please",
    "Ich brauche es bis Ende der Woche",
    "Am Ende wird alles gut",
    "Danke für die Info!",
    "nonstop",
    "the unstoppable courier",
    "Para mi madre, gracias",
    "Enfin, merci",
]


@pytest.mark.parametrize("text", OPT_OUTS)
def test_an_opt_out_however_it_is_written(text: str) -> None:
    assert WORDING.read(text) is Wish.OPT_OUT


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_listed_word_opts_out_with_every_politeness(language: str) -> None:
    polite = TABLES[language]["polite"]
    for word in TABLES[language]["stop"]:
        for text in (word, word.upper(), f"{word}.", *(f"{word.title()}, {kind}!" for kind in polite)):
            assert WORDING.read(text) is Wish.OPT_OUT, text


@pytest.mark.parametrize("text", DOUBTS)
def test_doubtful_words_wait_for_a_person(text: str) -> None:
    assert WORDING.read(text) is Wish.DOUBTFUL


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_doubtful_word_is_overheard_in_a_sentence(language: str) -> None:
    for word in TABLES[language]["doubtful"]:
        assert WORDING.read(f"xx {word} xx") is Wish.DOUBTFUL, word


@pytest.mark.parametrize("text", REPLIES)
def test_anything_else_is_a_reply(text: str) -> None:
    assert WORDING.read(text) is Wish.REPLY


@pytest.mark.parametrize("text", ["START", "start.", "Unstop", "YES", "yes please", "Yes!"])
def test_the_way_back(text: str) -> None:
    assert WORDING.read(text) is Wish.OPT_IN


@pytest.mark.parametrize("text", ["HELP", "Help!", "info", "Hilfe", "Ayuda"])
def test_what_the_carrier_answers(text: str) -> None:
    assert WORDING.read(text) is Wish.HELP


def test_the_lists_are_written_as_they_are_compared() -> None:
    for name, table in TABLES.items():
        for phrases in table.values():
            for phrase in phrases:
                assert plain_words(phrase) == phrase, (name, phrase)


@pytest.mark.parametrize("text", ["stop " * 3_000, "a" * 60_000, "please " * 9_000 + "x", "sto p" * 9_000])
def test_long_texts_are_read_at_once(text: str) -> None:
    assert WORDING.read(text) in Wish
