"""The approver's SSH key: its public part, its holder in the registry, and signing with ssh-keygen.

`ssh-keygen -Y sign` is given a private key, or a `.pub` file whose key an agent or a security key holds.
"""

import subprocess
import sys
from pathlib import Path

from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import DecisionRefusedError, InputError, RefusedError, SettingsError
from tellfirst.settings import Settings
from tellfirst.signing.documents import NAMESPACE, canonical
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.kinds import Decision
from tellfirst.signing.registry import Registry

CERTIFICATE = "-cert.pub"


def choose_key(given: Path | None, settings: Settings) -> Path:
    """Returns the file of the key to sign with; raises InputError when there is none."""
    path = given or settings.key
    if path is None:
        raise InputError("there is no key to sign with", remedy="give --key PATH or set TELLFIRST_KEY to your SSH key")
    path = path.expanduser()
    if not path.is_file():
        raise InputError("the key is not a file", where=str(path), remedy="give the path of your SSH key")
    if path.name.endswith(CERTIFICATE):
        return _certified(path)
    return path


def principal_of(key: Path, given: str, settings: Settings) -> str:
    """Returns in whose name to sign: the given one, the key's holder in the registry, or the configured one.

    Raises RefusedError when nobody is known to hold the key.
    """
    if given:
        return given
    try:
        held = Registry.load(settings.approvers).holder(public_part(key))
    except SettingsError:
        held = None  # the registry is deployed where the workers run, which may be elsewhere
    if held is not None:
        return held[0].principal
    if settings.principal:
        return settings.principal
    raise RefusedError(
        "the registry does not tell who holds this key",
        where=str(settings.approvers),
        remedy="give your name in the registry with --as, or ask for the key to be added",
    )


def public_part(key: Path) -> SigningKey:
    """Returns the public key of a key file; raises InputError when it cannot be told."""
    beside = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    if beside.is_file():
        line = beside.read_text(encoding="utf-8", errors="replace")
    else:
        line = _ssh_keygen("-y", "-f", str(key)).decode(errors="replace")
    try:
        return SigningKey.parse(line.strip())
    except DecisionRefusedError as error:
        raise InputError(error.what, where=str(beside), remedy=error.remedy) from None


def sign(document: Decision, key: Path) -> DecisionEnvelope:
    """Returns the document with its signature; a passphrase, an agent or a touch is asked for by ssh-keygen itself."""
    plain = document.document()
    signature = _ssh_keygen("-Y", "sign", "-n", NAMESPACE, "-f", str(key), stdin=canonical(plain))
    return DecisionEnvelope(document=plain, signature=signature.decode())


def _certified(path: Path) -> Path:
    # The registry names keys, so a certificate would add nothing to a signature: the key it is about signs.
    key = path.with_name(path.name.removesuffix(CERTIFICATE))
    for beside in (key, key.with_name(f"{key.name}.pub")):
        if beside.is_file():
            return beside
    raise InputError(
        "this is a certificate, and its key is not beside it", where=str(path), remedy="give the key or its .pub file"
    )


def _ssh_keygen(*arguments: str, stdin: bytes = b"") -> bytes:
    # Where a person sits, ssh-keygen may speak to them: "confirm user presence".
    stderr = None if sys.stderr.isatty() else subprocess.PIPE
    try:
        done = subprocess.run(
            ["ssh-keygen", *arguments],  # noqa: S607 - the user's own OpenSSH
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=False,
        )
    except OSError:
        raise RefusedError("ssh-keygen cannot be run", remedy="install OpenSSH 8.2 or newer") from None
    if done.returncode:
        said = (done.stderr or b"").decode(errors="replace").strip().splitlines()
        raise RefusedError(
            f"ssh-keygen could not sign{f' ({said[-1]})' if said else ''}",
            remedy="check the key, its passphrase and that its agent or security key is there",
        )
    return done.stdout
