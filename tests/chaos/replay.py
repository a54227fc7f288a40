"""`python -m tests.chaos.replay FOLDER…`: replays recorded lives with the workflows on the path; tells which do not."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.replay.reading import failure
from workflows.exception import ExceptionWorkflow
from workflows.ladder import NoticeWorkflow
from workflows.matter import LibraryChangeWorkflow, PermitWorkflow, ResumeWorkflow
from workflows.outreach import OutreachWorkflow
from workflows.survey import SurveyWorkflow

STRANGE = "does not replay: "
"""Begins the lines that count: the SDK prints more."""
KINDS = (
    *(OutreachWorkflow, SurveyWorkflow, ExceptionWorkflow, NoticeWorkflow),
    *(LibraryChangeWorkflow, PermitWorkflow, ResumeWorkflow),
)


async def replay(folders: Sequence[Path]) -> None:
    """Replays what is recorded in some folders and below them."""
    for path in sorted(path for folder in folders for path in folder.rglob("*.json")):
        if await failure(path, *KINDS) is not None:
            sys.stdout.write(f"\n{STRANGE}{path.parent.name}/{path.name}\n")


if __name__ == "__main__":
    asyncio.run(replay([Path(folder) for folder in sys.argv[1:]]))
