"""That everything is paused, told beside whatever a person looks at meanwhile."""

import secrets
from datetime import datetime

from tellfirst.cli.output import note, when
from tellfirst.cli.wiring import Installation


def tell_pause(here: Installation) -> None:
    """Says on stderr who has paused everything and since when; says nothing where nobody has."""
    if (pause := here.controls.pause()) is not None:
        note(
            f"everything is paused by {pause.by} since {when(pause.at)}; it goes on once two people have signed "
            "`tellfirst resume --all`"
        )


def name_pause(now: datetime) -> str:
    """Returns the name of a pause that begins now, which those who end it sign."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
