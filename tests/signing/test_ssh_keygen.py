"""Our verifier and stock OpenSSH, each on the other's signatures."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.decisions import check
from tellfirst.signing.documents import NAMESPACE, canonical
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.registry import Registry
from tellfirst.signing.sshsig import verify
from tests.signing.make import NOON, Signer, armour, blob, ed25519, nistp256, proposal, rsa_key, security_key

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
MESSAGE = canonical({"v": 1, "decision": "approve"})


def keygen(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, arguments)], input=given, capture_output=True, check=False)


@pytest.fixture(params=[("ed25519", "256"), ("ecdsa", "256"), ("rsa", "2048"), ("rsa", "3072")], ids="-".join)
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


@pytest.mark.parametrize("make", [ed25519, security_key, nistp256, rsa_key])
def test_ssh_keygen_accepts_what_the_tests_sign(make: Callable[[], Signer], tmp_path: Path) -> None:
    signer = make()
    allowed, signature = tmp_path / "allowed", tmp_path / "signature"
    allowed.write_text(f'ana namespaces="{NAMESPACE}" {signer.line}\n')
    signature.write_text(armour(blob(signer, MESSAGE)))
    command = ("-Y", "verify", "-f", allowed, "-I", "ana", "-n", NAMESPACE, "-s", signature)
    assert keygen(*command, given=MESSAGE).returncode == 0
    assert keygen(*command, given=MESSAGE + b" ").returncode != 0


def test_a_decision_signed_with_ssh_keygen_holds(key: Path) -> None:
    registry = Registry.parse(
        '[[people]]\nprincipal = "ana"\nteam = "support"\ninternal = true\nroles = ["support-lead"]\n'
        f'[[people.keys]]\nkey = "{key.with_suffix(".pub").read_text().strip()}"\n'
    )
    document = proposal().decide("approve", "ana", NOON, "checked with the carrier").document()
    envelope = DecisionEnvelope(document=document, signature=signed(key, canonical(document)))
    accepted = check(envelope, proposal(), ApprovalRule(roles=("support-lead",)), registry, "production", NOON, NOON)
    assert (accepted.decision, accepted.approver, accepted.reason) == ("approve", "ana", "checked with the carrier")
