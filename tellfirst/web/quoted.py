"""What somebody wrote in a mail, without what they quoted: an opt-out word of ours is none of theirs."""

from mailparser_reply import EmailReplyParser  # type: ignore[import-untyped]

LANGUAGES = ["en", "de", "fr", "es", "it", "nl"]
LONGEST = 10_000
"""So many characters are read: whoever answers above a quotation has said it by then."""
WIDEST = 160
"""Longer lines are broken: the time that the library takes grows with the third power of a line's length."""


def without_quotes(text: str) -> str:
    """Returns the text that its writer wrote, empty when all of it is quoted."""
    lines = text.replace("\x00", "").replace("\r\n", "\n")[:LONGEST].split("\n")
    short = [line[at : at + WIDEST] for line in lines for at in range(0, max(len(line), 1), WIDEST)]
    latest = EmailReplyParser(languages=LANGUAGES).parse_reply("\n".join(short)) or ""
    # Of a mail that is nothing but a quotation the library returns the quotation.
    return "\n".join(line for line in latest.split("\n") if not line.lstrip().startswith(">")).strip()
