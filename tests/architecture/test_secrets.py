"""What must stay secret: compared in constant time, and in no file of the repository."""

import ast
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = re.compile(
    r"(?:^|_)(?:secrets?|tokens?|signatures?|hmac|mac|password|passphrase|cookie|credentials?|api_key)$"
)
# Not what proves somebody, but a number that counts on (leases), and whether something is configured at all.
OPEN = {
    "tellfirst/store/leases.py": {"token"},
    "tellfirst/store/repeats.py": {"token"},
}
SOURCES = sorted(
    path for name in ("tellfirst", "activities", "workflows", "workers") for path in (ROOT / name).rglob("*.py")
)


def compared(source: str) -> Iterator[tuple[int, str]]:
    """Yields the line and name of each secret that `==`, `!=` or `in` compares with something."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            continue  # whether there is one
        for side in sides:
            name = _name(side)
            if SECRET.search(name.lower().replace("-", "_")):
                yield node.lineno, name


def _name(side: ast.expr) -> str:
    """Returns what one side of a comparison is called: `given.token`, `token(x)`, `given["token"]` and the like."""
    match side:
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(
            func=ast.Attribute(value=inner, attr="get_secret_value" | "encode" | "strip" | "hexdigest" | "digest")
        ):
            return _name(inner) or "digest"
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def test_what_proves_somebody_is_compared_in_constant_time() -> None:
    found = [
        f"{name}:{line}: {what}"
        for path in SOURCES
        for line, what in compared(path.read_text())
        if what not in OPEN.get(name := str(path.relative_to(ROOT)), set())
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "given == self._token",
        "inbox_token(secret, who) != shown",
        "signature in signatures",
        "request.cookie == x",
        "webhook_secret == given.secret",
        "request.headers['x-signature'] == made",
        "form.get('token', '') != self._token_of(x)",
        "settings.inbox_secret.get_secret_value() == shown",
        "given in tokens",
        "made == signature[7:]",
    ],
)
def test_a_comparison_that_tells_is_seen(line: str) -> None:
    assert list(compared(line))


@pytest.mark.parametrize("line", ["token == ''", "hmac.compare_digest(token, given)", "body_digest == text"])
def test_other_comparisons_pass(line: str) -> None:
    assert not list(compared(line))


SHAPES = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\n|\bAKIA[0-9A-Z]{16}\b|\bSK[0-9a-f]{32}\b|\bSG\.[\w-]{22}\.[\w-]{43}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bxox[abpr]-[\w-]{10,}|\bAIza[\w-]{35}\b|\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"
    r"|\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}"
)
"""Keys of those whom an installation has accounts with, and private keys."""
GIVEN = re.compile(
    r"""(?i)(?:secret|token|password|api_?key|whsec_)[\w-]*["']?\s*[:=]?\s*["']?([A-Za-z0-9+/=_-]{24,})"""
)
SHOWN = {
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # the example of Standard Webhooks
    "bmV3IHNlY3JldCBvZiB0aGUgaGVscGRlc2s=",  # it says "new secret of the helpdesk"
}
"""What looks like a secret and is an example that anybody may know."""
SKIPPED = {".json", ".lock", ".png", ".svg", ".woff2", ".gz", ".ico", ".xlsx", ".parquet"}


def seems(text: str) -> Iterator[str]:
    """Yields what in a text has the shape of a key, or is called a secret and looks drawn by chance."""
    yield from (found.group() for found in SHAPES.finditer(text))
    for found in GIVEN.finditer(text):
        word = found.group(1)
        if (
            not any(word in shown or shown in word for shown in SHOWN)
            and _chance(word) > 3.9
            and re.search(r"\d", word)
        ):
            yield word


def _chance(word: str) -> float:
    return -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())


def tracked() -> list[Path]:
    """Returns the files of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name] or [
        path for path in ROOT.rglob("*.*") if path.is_file()
    ]


def test_no_secret_stands_in_the_repository() -> None:
    found = []
    for path in tracked():
        if path.suffix in SKIPPED or path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {word[:12]}…" for word in seems(text)]
    assert found == [], "take it out and change it; an example that anybody may know goes into SHOWN"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaA",
        "TWILIO = 'SK" + "0123456789abcdef" * 2 + "'",
        "key: AKIA" + "ABCDEFGHIJKLMNOP",
        'auth_token = "' + "9f8e7d6c5b4a39281706f5e4d3c2b1a0" + '"',
        "TELLFIRST_SECRET=" + "qL7vX2mT9wR4kZ8nB3cJ6hYd",
        "SG." + "a" * 22 + "." + "b" * 43,
    ],
)
def test_a_secret_is_seen(text: str) -> None:
    assert list(seems(text))
