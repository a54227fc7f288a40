"""Payloads: what we read again is written without its defaults, what others read is written whole."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

import activities
from activities.pages import PageReport
from tellfirst import contract
from tellfirst.contract import DATA_CONVERTER, DecisionAnswer, Ending, Result
from tellfirst.domain.base import Answer, Frozen
from tellfirst.store.retention import Emptied

ASSUMED = {
    ("Condition", "episode"): 1,
    ("DecisionAnswer", "kind"): "outreach",
    ("Draft", "kind"): "correction",
    ("Draft", "step"): "initial",
    ("Plan", "needed"): 1,
    ("Plan", "fallback_after"): timedelta(minutes=15),
    ("Plan", "call_within"): timedelta(hours=1),
    ("SurveyRequest", "after"): -1,
    ("UpkeepReport", "emptied"): Emptied(),
    ("OnRecord", "status"): "pending",
    ("OpenedRest", "status"): "pending",
}
"""What histories leave out and mean nevertheless: no value here ever changes; another meaning is a new field."""


async def written(value: object) -> Any:
    (payload,) = await DATA_CONVERTER.encode([value])
    assert payload.metadata["encoding"] == b"json/plain"
    return json.loads(payload.data)


async def test_what_we_read_again_is_written_without_its_defaults() -> None:
    report = PageReport(accepted=1, next_at=None)
    assert await written(report) == {"accepted": 1}
    assert await DATA_CONVERTER.decode(await DATA_CONVERTER.encode([report]), [PageReport]) == [report]


async def test_what_others_read_is_written_whole() -> None:
    result = await written(Result(ending=Ending.MEASURED))
    assert result == {
        "ending": "measured",
        "reason": "",
        "recipients": 0,
        **dict.fromkeys(("accepted", "withheld", "failed", "unknown"), 0),
        "grade": "",
    }
    assert (await written(DecisionAnswer(accepted=False)))["code"] == ""


@pytest.mark.parametrize(
    "name", ["DecisionAnswer", "DraftAnswer", "View", "Result", "ExceptionView", "ExceptionResult"]
)
def test_what_updates_queries_and_workflows_answer_is_an_answer(name: str) -> None:
    assert issubclass(getattr(contract, name), Answer)


def test_what_is_left_out_keeps_its_meaning() -> None:
    assumed = {
        (model.__name__, name): field.get_default(call_default_factory=True)
        for model in set(recorded())
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    assert {where: value for where, value in assumed.items() if value} == ASSUMED


def recorded() -> Iterator[type[BaseModel]]:
    """Yields every model that an activity takes or returns, and those within them."""
    for module in pkgutil.iter_modules(activities.__path__, "activities."):
        for _, kept in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            for _, method in inspect.getmembers(kept, inspect.isfunction):
                if hasattr(method, "__temporal_activity_definition"):
                    for hint in get_type_hints(method).values():
                        yield from _within(hint)


def _within(hint: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        assert issubclass(hint, Frozen)
        yield hint
        for field in hint.model_fields.values():
            yield from _within(field.annotation)
    for part in get_args(hint):
        yield from _within(part)
