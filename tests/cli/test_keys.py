"""The registry on the command line: read by everybody, changed by nobody; what is printed is what to deploy."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tellfirst.cli.registry_change import NewKey, RegistryText
from tellfirst.errors import RefusedError, SettingsError
from tellfirst.signing.registry import Person, RegisteredKey, Registry
from tests.cli.conftest import Approver, Done, Shell, make_approver, register
from tests.signing.make import Signer, ed25519, rsa_key

ROLES = '"Service lead", "Billing lead", "Duty manager", "Library approver", "Privacy owner"'
DAY = timedelta(days=1)
NEW = ("--team", "Delivery support", "--role", "Service lead")


def instant(days: float) -> str:
    return (datetime.now(UTC) + days * DAY).isoformat(timespec="seconds")


@pytest.fixture
def ana(shell: Shell) -> Approver:
    return make_approver(shell.folder, "ana")


@pytest.fixture
def ben(shell: Shell) -> Approver:
    return make_approver(shell.folder, "ben")


def path(shell: Shell) -> Path:
    return shell.folder / "approvers.toml"


def deploy(shell: Shell, done: Done) -> Registry:
    """Applies the printed change as a person would, and returns the registry after it."""
    assert done.code == 0, done.err
    assert "nothing is changed: deploy this" in done.err
    subprocess.run(["patch", "-s", path(shell)], input=done.out.encode(), check=True)
    return Registry.load(path(shell))


def public(ana: Approver) -> Path:
    return ana.key.with_suffix(".pub")


def written(shell: Shell, signer: Signer) -> Path:
    return shell.file("other.pub", signer.line + "\n")


def test_the_first_person_makes_the_file(shell: Shell, ana: Approver) -> None:
    done = shell("keys", "add", "ana", "--key", public(ana), *NEW, "--outsourced", "--valid-until", instant(90))
    assert not path(shell).exists(), "it only prints"
    person = deploy(shell, done).people[0]
    assert (person.principal, person.team, person.internal) == ("ana", "Delivery support", False)
    assert (person.roles, person.can_sign(datetime.now(UTC))) == (("Service lead",), True)


def test_rotation_adds_a_key_and_revocation_keeps_the_entries(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, ben)
    path(shell).write_text("# ours\n" + path(shell).read_text().replace("[[people]]", "\n# a person\n[[people]]"))
    done = shell("keys", "add", "ana", "--key", written(shell, ed25519()), "--valid-from", instant(1))
    people = deploy(shell, done).people
    assert [len(person.keys) for person in people] == [2, 1]
    assert path(shell).read_text().count("# a person") == 2
    done = shell("keys", "revoke", people[0].keys[0].key.fingerprint, "--at", "2026-01-01T10:00")
    people = deploy(shell, done).people
    assert [key.revoked for key in people[0].keys] == [datetime(2026, 1, 1, 10, tzinfo=UTC), None]
    people = deploy(shell, shell("keys", "revoke", "ana")).people
    assert [len(person.keys) for person in people] == [2, 1]
    assert [key.state(datetime.now(UTC)) for person in people for key in person.keys] == ["revoked", "revoked", "valid"]
    assert people[0].keys[0].revoked == datetime(2026, 1, 1, 10, tzinfo=UTC), "it stays revoked since then"
    again = shell("keys", "revoke", "ana")
    assert (again.code, again.out, again.err) == (1, "", "ana: revoked already; nothing is to be done\n")


def test_a_revocation_to_come_can_be_brought_forward(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, ben)
    deploy(shell, shell("keys", "revoke", "ben", "--at", instant(5)))
    assert "ben: the key" in shell("keys", "check").out
    assert deploy(shell, shell("keys", "revoke", "ben")).people[1].keys[0].state(datetime.now(UTC)) == "revoked"
    assert path(shell).read_text().count("revoked") == 1


def test_whoever_is_taken_away_is_missed(shell: Shell, ana: Approver) -> None:
    register(path(shell), ana)
    done = shell("keys", "revoke", "ana")
    assert (
        "then late_delivery: nobody who is Service lead has a valid key, so nothing of it can be approved" in done.err
    )


def test_what_cannot_be_added_is_refused_in_a_sentence(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana)
    before = path(shell).read_bytes()
    weak, nonsense = written(shell, rsa_key(1024)), shell.file("nonsense.pub", "nonsense")
    for words, code, said in (
        (("ana", "--key", public(ana)), 1, "'ana' has this key already"),
        (("ben", "--key", public(ana), *NEW), 1, "'ana' has this key already"),
        (("ana", "--key", public(ben), *NEW), 2, "'ana' is there already; leave --role"),
        (("ben", "--key", public(ben)), 2, "'ben' is new; give --team and at least one --role"),
        (("Ben", "--key", public(ben), *NEW), 2, "this is no principal; lower case letters"),
        (("*", "--key", public(ben), *NEW), 2, "this is no principal"),
        (("ben", "--key", public(ben), "--team", "x" * 101, "--role", "r"), 2, "this is no team"),
        (("ben", "--key", public(ben), "--team", "a\nb", "--role", "r"), 2, "cannot be printed"),
        (("ben", "--key", ben.key, *NEW), 2, "this is a private key; give its .pub file"),
        (("ben", "--key", shell.folder / "absent", *NEW), 2, "cannot be read (FileNotFoundError)"),
        (("ben", "--key", nonsense, *NEW), 2, "a public key is one line"),
        (("ben", "--key", weak, *NEW), 2, "the RSA key of 1024 bits is outside 2048"),
        (("ben", "--key", public(ben), *NEW, "--valid-until", instant(-1)), 2, "the key would never be valid"),
        (("ben", "--key", public(ben), *NEW, "--valid-from", instant(2), "--valid-until", instant(1)), 2, "never be"),
        (("ben", "--key", public(ben), *NEW, "--valid-from", "soon"), 2, "'--valid-from' is not an ISO 8601 instant"),
    ):
        done = shell("keys", "add", *words)
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), words
        assert said in done.err
    for words, code, said in (
        (("zoe",), 1, "zoe: nobody of that name, and no such key"),
        (("ana", "--at", "soon"), 2, "'--at' is not an ISO 8601 instant"),
    ):
        done = shell("keys", "revoke", *words)
        assert (done.code, done.out) == (code, "")
        assert said in done.err
    assert path(shell).read_bytes() == before


def test_a_file_of_another_form_is_left_to_an_editor(shell: Shell, ana: Approver, ben: Approver) -> None:
    path(shell).write_text(
        'people = [{ principal = "ana", team = "support", internal = true, roles = ["Service lead"],'
        f' keys = [{{ key = "{ana.line}" }}] }}]\n'
    )
    for words in (("add", "ana", "--key", public(ben)), ("revoke", "ana")):
        done = shell("keys", *words)
        assert (done.code, done.out) == (1, "")
        assert "is written in another form than docs/security.md shows; change it with an editor" in done.err


def test_the_people_and_the_state_of_their_keys_are_listed(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, ben)
    text = path(shell).read_text()
    path(shell).write_text(
        text + f'revoked = "{instant(-1)}"\n[[people.keys]]\nkey = "{ed25519().line}"\n'
        f'valid_until = "{instant(-2)}"\n[[people.keys]]\nkey = "{ed25519().line}"\n'
        f'valid_from = "{instant(3)}"\n'
    )
    table = shell("keys", "list").out.splitlines()
    assert table[0].split() == ["who", "team", "roles", "type", "fingerprint", "state"]
    assert [line.split("  ")[-1].strip().split(" ")[0] for line in table[1:]] == [
        "valid",
        "revoked",
        "expired",
        "valid",
    ]
    assert "valid from" in table[4]
    document = shell("keys", "list", "--json").document
    assert [one["state"] for one in document] == ["valid", "revoked", "expired", "not_yet_valid"]
    assert document[0]["fingerprint"].startswith("SHA256:")


def test_a_key_tells_whose_it_is_and_what_it_may(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, roles='"Service lead", "Library approver", "Delivery operations"')
    told = dict(line.split(maxsplit=1) for line in shell("keys", "whoami", "--key", ana.key).out.splitlines()[:9])
    assert (told["who"], told["state"]) == ("ana", "valid")
    assert (told["approves"], told["proposes"], told["library"]) == (
        "late_delivery",
        "late_delivery",
        "Library approver",
    )
    assert told["resumes"] == "everything, as one of two"
    document = shell("keys", "whoami", "--key", public(ana), "--json").document
    assert document["may"]["approves"] == ["late_delivery"]
    assert "late_delivery: refund, 100.00 EUR alone, 300.00 EUR with a second" in document["may"]["exceptions"]
    done = shell("keys", "whoami", "--key", ben.key)
    assert (done.code, done.out) == (1, "")
    assert "nobody in" in done.err
    assert shell("keys", "whoami").err.startswith("there is no key to sign with")
    deploy(shell, shell("keys", "revoke", "ana"))
    done = shell("keys", "whoami", "--key", ana.key)
    assert (done.code, "the key is revoked since" in done.err) == (1, True)


def test_a_check_passes_where_everybody_is_there(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, ben, roles=ROLES)
    done = shell("keys", "check")
    assert (done.code, done.out) == (0, f"{path(shell)}: 2 people, 2 keys\n")


def test_a_check_names_who_is_missing(shell: Shell, ana: Approver, ben: Approver) -> None:
    register(path(shell), ana, roles='"Service lead", "Duty manager", "Tea maker"')
    text = path(shell).read_text()
    old = f'[[people.keys]]\nkey = "{rsa_key(2048).line}"\n'
    path(shell).write_text(text + f'valid_until = "{instant(29)}"\n' + old)
    done = shell("keys", "check")
    lines = done.out.splitlines()
    assert done.code == 1
    assert (
        "missing: payment_failed: nobody who is Billing lead has a valid key, so nothing of it can be approved" in lines
    )
    assert any("late_delivery: nobody else than 'ana' can approve it" in line for line in lines)
    assert any(" expires on " in line for line in lines)
    assert any(" has 2,048 bits" in line for line in lines)
    assert "note: no playbook names the role 'Tea maker'" in lines
    assert not any("'Service lead'" in line for line in lines)
    assert "note: the library: nobody who is Privacy owner has a valid key" in lines
    shell.environment["TELLFIRST_LIBRARY_GATE"] = "true"
    assert "missing: the library: nobody who is Privacy owner has a valid key" in shell("keys", "check").out
    register(path(shell), ana, roles=ROLES)
    assert "'ana' alone is Library approver and Privacy owner" in shell("keys", "check").out
    document = shell("keys", "check", "--json").document
    assert [finding["grave"] for finding in document["findings"]].count(True) == 1


def test_a_person_whose_keys_all_ended_counts_for_nobody(shell: Shell, ana: Approver) -> None:
    register(path(shell), ana, roles=ROLES)
    path(shell).write_text(path(shell).read_text() + f'valid_until = "{instant(-1)}"\n')
    done = shell("keys", "check")
    assert (done.code, "note: ana: no key is valid now" in done.out) == (1, True)


def test_a_file_with_a_mistake_is_refused(shell: Shell, ana: Approver) -> None:
    for command in (("list",), ("check",), ("whoami", "--key", ana.key), ("revoke", "ana")):
        assert shell("keys", *command).code in (1, 2)
    path(shell).write_text("[[people]]\nprincipal = 'ana'\n")
    for command in (("list",), ("check",), ("whoami", "--key", ana.key), ("revoke", "ana")):
        done = shell("keys", *command)
        assert (done.code, done.out) == (2, "")
        assert "people[0]" in done.err


KEYS = [ed25519() for _ in range(4)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["# c", "", "   ", "[[people]] # x", "  [[people.keys]]", "roles = []"]), max_size=3),
    st.data(),
)
def test_whatever_the_file_looks_like_only_what_was_meant_changes(between: list[str], data: st.DataObject) -> None:
    """Odd lines between the entries make the change right or refused, never wrong."""
    entries = [
        f'[[people]]\nprincipal = "p{n}"\nteam = "t"\ninternal = true\nroles = []\n\n'
        f'[[people.keys]]\nkey = "{one.line}"'
        for n, one in enumerate(KEYS[:3])
    ]
    text = "\n".join([*between, entries[0], *between, entries[1], entries[2]]) + data.draw(
        st.sampled_from(["", "\n", "\n\n"])
    )
    new = NewKey(line=KEYS[3].line, entry=RegisteredKey.model_validate({"key": KEYS[3].line}))
    try:
        file = RegistryText(text, "approvers.toml")
        before = file.registry
        assert before is not None
        number = data.draw(st.integers(0, 2))
        with_key = Registry.parse(file.with_key(f"p{number}", new), where="x")
        fingerprint = before.people[number].keys[0].key.fingerprint
        revoked = Registry.parse(file.with_revoked([fingerprint], datetime(2026, 1, 1, tzinfo=UTC)), where="x")
        person = Person(principal="z", team='a "b" \\', internal=False, roles=("r",), keys=(new.entry,))
        added = Registry.parse(file.with_person(person, new), where="x")
    except (SettingsError, RefusedError):
        return
    assert [len(p.keys) for p in with_key.people] == [1 + (n == number) for n in range(3)]
    assert [p.keys[0].revoked is not None for p in revoked.people] == [n == number for n in range(3)]
    assert added.people == (*before.people, person)


def test_too_few_to_end_a_pause_of_everything_are_told(shell: Shell) -> None:
    people = [make_approver(shell.folder, name) for name in ("ida", "max")]
    register(shell.folder / "approvers.toml", people[0], roles='"Incident lead"')
    assert "only 'ida' can sign as Incident lead or Service lead or Duty manager" in str(shell("keys", "check"))
    register(shell.folder / "approvers.toml", *people, roles='"Incident lead"')
    assert "to end a pause of everything" not in str(shell("keys", "check"))


def test_who_permits_in_advance_is_listed_and_missed(shell: Shell) -> None:
    register(shell.folder / "approvers.toml", make_approver(shell.folder, "ida"), roles='"Incident lead"')
    told = shell("playbooks", "owners", "--json")
    (permitted,) = {one["playbook"]: one["permitted_by"] for one in told.document if one["permitted_by"]}.values()
    assert f"nobody has the role '{permitted[0]}' of those who permit it in advance" in told.err
