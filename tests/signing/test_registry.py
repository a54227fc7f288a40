import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tellfirst.errors import SettingsError
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.registry import Registry
from tests.signing.make import Signer, ed25519, rsa_key

ANA, BEN = ed25519(), ed25519()


def person(principal: str = "ana", *keys: str, rest: str = "") -> str:
    head = f'[[people]]\nprincipal = "{principal}"\nteam = "support"\ninternal = true\nroles = ["support-lead"]\n{rest}'
    return head + "".join(f"[[people.keys]]\n{key}\n" for key in keys)


def key(signer: Signer, rest: str = "") -> str:
    return f'key = "{signer.line}"\n{rest}'


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Registry.parse(text, where="/etc/tellfirst/approvers.toml")
    assert caught.value.where == "/etc/tellfirst/approvers.toml"
    assert caught.value.remedy
    return caught.value.what


def test_a_registry_names_the_holder_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "approvers.toml"
    rest = 'valid_from = 2026-01-01T00:00:00+01:00\nvalid_until = 2027-01-01T00:00:00\nrevoked = "2026-06-01T00:00:00Z"'
    path.write_text(person("ana", key(ANA, rest)) + person("ben", key(BEN)))
    registry = Registry.load(path)
    held = registry.holder(SigningKey.parse(ANA.line))
    assert held is not None
    holder, entry = held
    assert (holder.principal, holder.team, holder.internal, holder.roles) == ("ana", "support", True, ("support-lead",))
    assert entry.valid_from == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert entry.valid_until == datetime(2027, 1, 1, tzinfo=UTC)  # without a zone: UTC
    assert entry.revoked == datetime(2026, 6, 1, tzinfo=UTC)
    assert registry.holder(SigningKey.parse(ed25519().line)) is None


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
def test_an_instant_without_a_zone_is_utc_wherever_the_machine_stands() -> None:
    entry = Registry.parse(person("ana", key(ANA, "revoked = 2026-06-01T00:00:00"))).people[0].keys[0]
    assert entry.revoked == datetime(2026, 6, 1, tzinfo=UTC)


def test_roles_say_what_a_person_may() -> None:
    found = Registry.parse(person("ana", key(ANA))).people[0]
    assert found.may(["legal", "support-lead"])
    assert not found.may(["legal"])
    assert not found.may(["support"])
    assert not found.may([])


def test_the_digest_follows_the_meaning() -> None:
    text = person("ana", key(ANA))
    digest = Registry.parse(text).digest
    assert Registry.parse("# a comment\n" + text.replace("someone's key", "another comment")).digest == digest
    for other in (
        text.replace("support-lead", "legal"),
        text.replace("ana", "eve"),
        text + "revoked = 2026-01-01T00:00:00Z\n",
        person("ana", key(BEN)),
    ):
        assert Registry.parse(other).digest != digest


@pytest.mark.parametrize(
    "principal", ["*", "a*", "?", "ana smith", " ana", "ana\\n", "Ana", "ana@example.com", "", "änä", "a" * 65, "!ana"]
)
def test_principals_are_exact(principal: str) -> None:
    assert "people[0].principal" in refusal(person(principal, key(ANA)))


def test_a_key_has_one_holder() -> None:
    what = refusal(person("ana", key(ANA)) + person("ben", key(BEN), key(ANA)))
    assert "'ana' and 'ben'" in what
    assert SigningKey.parse(ANA.line).fingerprint in what
    assert "lists a key twice" in refusal(person("ana", key(ANA), key(ANA, "revoked = 2026-01-01T00:00:00Z")))
    assert "listed twice" in refusal(person("ana", key(ANA)) + person("ana", key(BEN)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "people"),
        ("people = []", "people"),
        ("[[people", "not TOML"),
        (person("ana"), "people[0].keys"),
        (person("ana", key(ANA), rest="admin = true\n"), "people[0].admin"),
        (person("ana", key(ANA, "comment = 'x'")), "people[0].keys[0].comment"),
        ("anyone = true\n" + person("ana", key(ANA)), "anyone"),
        (person("ana", "key = 'nonsense'"), "people[0].keys[0].key"),
        (person("ana", "key = 5"), "people[0].keys[0].key"),
        (person("ana", key(rsa_key(1024))), "outside 2048"),
        (person("ana", key(ANA, "valid_until = 2026-01-01")), "people[0].keys[0].valid_until"),
        (person("ana", key(ANA, "valid_until = 'soon'")), "people[0].keys[0].valid_until"),
        (
            person("ana", key(ANA, "valid_from = 2026-02-01T00:00:00Z\nvalid_until = 2026-02-01T00:00:00Z")),
            "valid_from lies before",
        ),
        (person("ana", key(ANA)).replace("true", "'perhaps'"), "people[0].internal"),
    ],
)
def test_a_registry_with_a_mistake_is_refused_where_it_stands(text: str, said: str) -> None:
    assert said in refusal(text)


def test_a_registry_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "absent.toml", tmp_path, binary):
        with pytest.raises(SettingsError) as caught:
            Registry.load(path)
        assert caught.value.where == str(path)
