"""`verify`: whether what was promised on paper held in fact, recomputed from the records."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.output import Json, counted, note, print_json, print_table, progress, say
from tellfirst.cli.proof import Prover
from tellfirst.cli.provider_log import ProviderLog
from tellfirst.cli.wiring import opened
from tellfirst.signing.registry import Registry


def verify(
    provider_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The provider's record of texts: JSON lines of sid, to, body.")
    ] = None,
    anchor: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Another anchor file: of another machine, or a copy kept from before."),
    ] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Check the promises against the records.

    No message was lost, doubled, unapproved or sent after an opt-out, what was promised was kept, and the audit log
    is as it was written. Reads the database, the outbox, the anchors and the registry of approvers; a key that was
    revoked has to stay in the registry.
    Exits with 1 when anything is broken.
    """
    with opened() as here:
        log = None
        if provider_log is not None:
            log = ProviderLog(here.audit)
            log.read(provider_log)
        with progress("verifying pages", here.audit.pages()) as step:
            proof = Prover(
                here,
                cache(lambda: Registry.load(here.settings.approvers)),
                now=datetime.now(UTC),
                log=log,
                step=step,
                anchors=anchor or (),
            ).prove()
    figures = proof.model_dump()
    if as_json:
        print_json(figures)
    else:
        broken = figures.pop("promises_broken")
        rows = [(_words(name), _told(figure)) for name, figure in figures.items()]
        print_table(("what", "count"), rows, numbers=("count",))
        for sentence in broken:
            note(sentence)
        say("every promise held" if not broken else f"broken: {counted(len(broken), 'kind')} of promises")
    if proof.promises_broken:
        raise typer.Exit(1)


def _words(name: str) -> str:
    return name.replace("optout", "opt-out").replace("_", " ")


def _told(figure: object) -> str:
    return {True: "yes", False: "no"}[figure] if isinstance(figure, bool) else str(figure)
