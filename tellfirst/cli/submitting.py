"""Signing and submitting a decision: asked for once, counted once, whoever else decides at the same time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tellfirst.cli.output import note
from tellfirst.cli.ssh_key import sign
from tellfirst.cli.unconfirmed import Unconfirmed
from tellfirst.cli.wiring import Installation, with_outreaches
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.errors import UnreachableError
from tellfirst.signing.kinds import Decision


def submit(
    here: Installation, workflow: str, document: Callable[[], Decision], key: Path
) -> tuple[DecisionAnswer, DecisionEnvelope]:
    """Signs and submits what `document` makes of how things stand; signs anew, once, when somebody else was first."""
    answer, envelope = _submit(here, workflow, document(), key)
    if answer.code == "wrong_prior":
        note("somebody else decided meanwhile: signing again, beside the first approval that stands now")
        answer, envelope = _submit(here, workflow, document(), key)
    return answer, envelope


def _submit(
    here: Installation, workflow: str, document: Decision, key: Path
) -> tuple[DecisionAnswer, DecisionEnvelope]:
    kept = Unconfirmed(here.settings.data_dir / "unconfirmed")
    envelope = kept.find(document) or sign(document, key)
    with may_count("the decision is not confirmed: you did not wait, and it may still be applied", workflow):
        kept.keep(document, envelope)
        answer = with_outreaches(lambda client: client.submit(workflow, envelope))
    kept.drop(document)
    return answer, envelope


@contextmanager
def may_count(what: str, where: str) -> Iterator[None]:
    """Tells whoever does not wait for an answer `what` that leaves open; raises UnreachableError in place of Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise UnreachableError(what, where=where, remedy="run the same command again; it counts once") from None
