"""Decisions that were sent but not confirmed: run again, the very same envelope is submitted, and counts once."""

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from tellfirst.contract import DecisionEnvelope
from tellfirst.signing.kinds import Decision


class Unconfirmed:
    """Keeps envelopes in `folder`, readable by their owner only, until they are answered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, document: Decision) -> DecisionEnvelope | None:
        """Returns the envelope of this decision that was sent before, whenever it was issued."""
        try:
            return DecisionEnvelope.model_validate_json(self._path(document).read_text())
        except (OSError, ValidationError):
            return None

    def keep(self, document: Decision, envelope: DecisionEnvelope) -> None:
        """Keeps an envelope that is about to be sent."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(document)
        path.touch(mode=0o600)
        path.write_text(envelope.model_dump_json())

    def drop(self, document: Decision) -> None:
        """Forgets a decision that was answered."""
        self._path(document).unlink(missing_ok=True)

    def _path(self, document: Decision) -> Path:
        said = {name: value for name, value in document.document().items() if name != "issued_at"}
        name = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"
