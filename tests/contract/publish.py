"""`python -m tests.contract.publish`: writes docs/contract/; look at the difference before committing it.

A field that is taken away, renamed or newly required breaks services that were written against the old form.
"""

import json
import sys
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import create_engine

from tellfirst.cli.report_document import ReportDocument
from tellfirst.contract import WIRE_MODELS
from tellfirst.domain.feed import HAPPENINGS, VERSION, Happening
from tellfirst.settings import Settings
from tellfirst.store.engine import Database
from tellfirst.web.app import create_app

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from bench_report import Bench  # noqa: E402 - scripts are no package

FOLDER = ROOT / "docs/contract"
PRINTED: tuple[type[BaseModel], ...] = (ReportDocument, Bench)
"""What commands print for machines, where it is too large for a line of the documentation."""
SENT_TO_US = {
    "Condition",
    "ExceptionAsked",
    "DecisionEnvelope",
    "Draft",
    "Event",
    "Pause",
    "Escalate",
    "Acknowledgement",
}


def published(model: type[BaseModel]) -> str:
    """Returns the JSON schema of a wire model as it is published: of what one sends, or of what one is sent."""
    mode = "validation" if model.__name__ in SENT_TO_US else "serialization"
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(mode=mode),  # type: ignore[arg-type]
    }
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def published_event(kind: type[Happening]) -> str:
    """Returns the JSON schema of one type of event as other systems are sent it; what they do not know they ignore."""
    data = kind.model_json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.type,
        "description": data.pop("description"),
        "type": "object",
        "required": ["type", "version", "timestamp", "data"],
        "properties": {
            "type": {"const": kind.type},
            "version": {"const": VERSION},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data,
        },
    }
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def published_api() -> str:
    """Returns the OpenAPI description of the web process, as it serves it too."""
    app = create_app(Settings.load(_env_file=None, secret="x" * 16), Database(create_engine("sqlite://")))
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    (FOLDER / "openapi.json").write_text(published_api(), encoding="utf-8")
    for kind in HAPPENINGS.values():
        (FOLDER / f"events/{kind.type}.json").write_text(published_event(kind), encoding="utf-8")
    for model in (*WIRE_MODELS, *PRINTED):
        (FOLDER / f"{model.__name__}.json").write_text(published(model), encoding="utf-8")
