"""Wording the linter knows, by language: openings that speak of the company first, and ways to say what to do.

A language without a table is not checked for wording; every other rule holds for it.
"""

import re

_COMPANY_FIRST = {
    "en": r"(?i:we\b|we'\w+|us\b|our\b|dear\b|(?:hello|hi|dear)?,? ?valued\b|as a valued\b"
    r"|thank you for\b|thanks for\b|we regret\b)|At [A-Z]\w+",
    "de": r"(?i:wir\b|unser\w*\b|sehr geehrte\w*\b|lieber? kund\w+|liebe kund\w+|geschätzte\w*\b|als geschätzte\w*\b"
    r"|vielen dank für\b|danke für\b)|Bei [A-ZÄÖÜ]\w+",
}
_ACTION = {
    "en": r"(?:don't|do not|won't|will not) (?:need|have) to\b|no action\b|nothing (?:you need|for you|else)? ?to do\b"
    r"|nothing is needed\b|\bplease\b|\byou can\b|\byou may\b|\byou need to\b|what you can do\b",
    "de": r"\b(?:sie|du|ihr) (?:müssen|musst|müsst|brauchen|brauchst|können|kannst|könnt)\b|\bbitte\b"
    r"|\b(?:müssen|musst|brauchen|brauchst|können|kannst) (?:sie|du)\b|nichts (?:weiter )?(?:zu )?tun\b",
}


def opens_with_company(text: str, locale: str) -> bool:
    """Says whether `text` opens with who writes instead of what happened to the customer."""
    pattern = _COMPANY_FIRST.get(locale[:2])
    return pattern is not None and re.match(pattern, text) is not None


def says_what_to_do(text: str, locale: str) -> bool:
    """Says whether `text` tells if the customer needs to do something; true for a language without a table."""
    pattern = _ACTION.get(locale[:2])
    return pattern is None or re.search(pattern, text, re.IGNORECASE) is not None
