"""Our verifier and stock OpenSSH, each on the other's signatures."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tellfirst.cli.ssh_key import choose_key, sign
from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError, InputError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.settings import Settings
from tellfirst.signing.decisions import check
from tellfirst.signing.documents import NAMESPACE, canonical
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.kinds import decide
from tellfirst.signing.registry import Registry
from tellfirst.signing.sshsig import verify
from tests.signing.make import KEYS, NOON, Signer, armour, blob, proposal
from tests.signing.test_kinds import KINDS

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
MESSAGE = canonical({"v": 1, "decision": "approve"})


def keygen(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], input=given, capture_output=True, check=False)


MADE = [
    ("ed25519", "256"),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("ecdsa", "521"),
    ("rsa", "2048"),
    ("rsa", "3072"),
]


@pytest.fixture(params=MADE, ids="-".join)
def key(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind, bits = request.param
    path = tmp_path / "id"
    assert keygen("-q", "-t", kind, "-b", bits, "-N", "", "-C", "ana", "-f", path).returncode == 0
    return path


def signed(key: Path, message: bytes, *options: str) -> str:
    return keygen("-Y", "sign", "-f", key, "-n", NAMESPACE, *options, given=message).stdout.decode()


@pytest.mark.parametrize("options", [(), ("-O", "hashalg=sha256")])
def test_we_accept_what_ssh_keygen_signs(key: Path, options: tuple[str, ...]) -> None:
    line = key.with_suffix(".pub").read_text()
    found = verify(signed(key, MESSAGE, *options), MESSAGE, NAMESPACE)
    assert found == SigningKey.parse(line)
    assert found.fingerprint == keygen("-l", "-f", key.with_suffix(".pub")).stdout.decode().split()[1]


def test_we_refuse_what_ssh_keygen_signed_for_git(key: Path) -> None:
    text = keygen("-Y", "sign", "-f", key, "-n", "git", given=MESSAGE).stdout.decode()
    with pytest.raises(DecisionRefusedError) as caught:
        verify(text, MESSAGE, NAMESPACE)
    assert caught.value.code == "wrong_namespace"


@pytest.mark.parametrize("make", KEYS)
def test_ssh_keygen_accepts_what_the_tests_sign(make: Callable[[], Signer], tmp_path: Path) -> None:
    signer = make()
    allowed, signature = tmp_path / "allowed", tmp_path / "signature"
    allowed.write_text(f'ana namespaces="{NAMESPACE}" {signer.line}\n')
    signature.write_text(armour(blob(signer, MESSAGE)))
    command = ("-Y", "verify", "-f", allowed, "-I", "ana", "-n", NAMESPACE, "-s", signature)
    assert keygen(*command, given=MESSAGE).returncode == 0
    assert keygen(*command, given=MESSAGE + b" ").returncode != 0


def registry_of(line: str) -> Registry:
    return Registry.parse(
        '[[people]]\nprincipal = "ana"\nteam = "support"\ninternal = true\nroles = ["support-lead"]\n'
        f'[[people.keys]]\nkey = "{line}"\n'
    )


RULE = ApprovalRule(roles=("support-lead",))


@pytest.mark.parametrize("kind", KINDS)
def test_a_decision_of_every_kind_signed_with_ssh_keygen_holds(key: Path, kind: str) -> None:
    """The bytes that anybody can fetch are signed with the stock program alone, and our verifier accepts them."""
    document = decide(KINDS[kind], "approve", "ana", NOON, "checked with the carrier").document()
    envelope = DecisionEnvelope(document=document, signature=signed(key, canonical(document)))
    registry = registry_of(key.with_suffix(".pub").read_text().strip())
    accepted = check(envelope, KINDS[kind], RULE, registry, "production", NOON, NOON)
    assert (accepted.decision, accepted.approver, accepted.reason) == ("approve", "ana", "checked with the carrier")


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_accepts_a_decision_of_every_kind_that_our_command_signs(
    key: Path, kind: str, tmp_path: Path
) -> None:
    decision = decide(KINDS[kind], "approve", "ana", NOON, "checked with the carrier")
    envelope = sign(decision, key)
    allowed, signature = tmp_path / "allowed", tmp_path / "signature"
    allowed.write_text(f'ana namespaces="{NAMESPACE}" {key.with_suffix(".pub").read_text()}')
    signature.write_text(envelope.signature)
    command = ("-Y", "verify", "-f", allowed, "-I", "ana", "-n", NAMESPACE, "-s", signature)
    assert keygen(*command, given=canonical(envelope.document)).returncode == 0
    assert keygen(*command, given=canonical({**envelope.document, "decision": "reject"})).returncode != 0


# -- agents and certificates


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Is a real agent that alone holds the private key of the returned `.pub` file."""
    key = made(tmp_path / "held")
    # Not below tmp_path: the path of a socket has room for about a hundred characters.
    with TemporaryDirectory() as folder:
        running = subprocess.Popen(["ssh-agent", "-D", "-a", f"{folder}/agent"], stdout=subprocess.PIPE)
        assert running.stdout is not None
        running.stdout.readline()  # it says where it listens once it does
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{folder}/agent")
        try:
            subprocess.run(["ssh-add", "-q", key], check=True)
            key.unlink()
            yield key.with_suffix(".pub")
        finally:
            running.terminate()
            running.communicate()


def made(path: Path) -> Path:
    assert keygen("-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", path).returncode == 0
    return path


def certified(key: Path) -> Path:
    """Returns the certificate of a key, made beside it."""
    authority = made(key.with_name("authority"))
    public = key if key.suffix == ".pub" else key.with_suffix(".pub")
    assert keygen("-q", "-s", authority, "-I", "ana", "-n", "ana", "-V", "+1h", public).returncode == 0
    return public.with_name(f"{public.stem}-cert.pub")


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="ssh-agent is not installed")
@pytest.mark.parametrize("given", ["the public key", "its certificate"])
def test_an_agent_signs_what_only_it_can(agent: Path, given: str) -> None:
    path = agent if given == "the public key" else certified(agent)
    decision = decide(KINDS["permit"], "approve", "ana", NOON)
    registry = registry_of(agent.read_text().strip())
    envelope = sign(decision, choose_key(path, Settings(_env_file=None)))
    assert check(envelope, KINDS["permit"], RULE, registry, "production", NOON, NOON).approver == "ana"


def test_a_certificate_beside_the_key_changes_nothing(tmp_path: Path) -> None:
    key = made(tmp_path / "id")
    certificate = certified(key)
    for path in (key, certificate):
        chosen = choose_key(path, Settings(_env_file=None))
        assert chosen == key
        assert verify(sign(decide(proposal(), "approve", "ana", NOON), chosen).signature, *SIGNED).type == "ssh-ed25519"


SIGNED = (canonical(decide(proposal(), "approve", "ana", NOON).document()), NAMESPACE)


def test_a_certificate_away_from_its_key_cannot_be_signed_with(tmp_path: Path) -> None:
    certificate = certified(made(tmp_path / "id"))
    (tmp_path / "id").unlink()
    (tmp_path / "id.pub").unlink()
    with pytest.raises(InputError, match="is a certificate, and its key is not beside it"):
        choose_key(certificate, Settings(_env_file=None))


def test_a_signature_that_carries_a_certificate_is_refused_and_says_how_to_sign(tmp_path: Path) -> None:
    key = made(tmp_path / "id")
    document = decide(proposal(), "approve", "ana", NOON).document()
    text = signed(certified(key), canonical(document))
    envelope = DecisionEnvelope(document=document, signature=text)
    with pytest.raises(DecisionRefusedError, match=r"sign with -f KEY or KEY.pub, not KEY-cert.pub") as caught:
        check(
            envelope, proposal(), RULE, registry_of((tmp_path / "id.pub").read_text().strip()), "production", NOON, NOON
        )
    assert caught.value.code == "unsupported_key"
