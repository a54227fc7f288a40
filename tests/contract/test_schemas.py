"""What is published is what is true: schemas, names, and every example in docs/contract/README.md."""

import json
import re

import jsonschema
import pytest
from pydantic import BaseModel
from temporalio import workflow

from tellfirst import contract
from tellfirst.contract import WIRE_MODELS
from tellfirst.domain.feed import HAPPENINGS
from tests.contract.publish import FOLDER, PRINTED, published, published_api, published_event
from workflows.detection import DetectionWorkflow
from workflows.outreach import OutreachWorkflow

PAGE = (FOLDER / "README.md").read_text()
EXAMPLES = re.findall(r"`(\w+)`:\n+```json\n(.*?)```", PAGE, re.DOTALL)
MODELS = {model.__name__: model for model in WIRE_MODELS}


@pytest.mark.parametrize("model", [*WIRE_MODELS, *PRINTED], ids=lambda model: model.__name__)
def test_the_published_schema_is_the_models(model: type[BaseModel]) -> None:
    assert (FOLDER / f"{model.__name__}.json").read_text() == published(model), (
        "the wire contract changed: if that is meant, run `python -m tests.contract.publish` and say so in CHANGELOG.md"
    )


def test_nothing_else_is_published() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*MODELS, *(model.__name__ for model in PRINTED), "openapi"}


def test_the_published_api_is_the_web_processs() -> None:
    assert (FOLDER / "openapi.json").read_text() == published_api(), (
        "the web API changed: if that is meant, run `python -m tests.contract.publish` and say so in CHANGELOG.md"
    )


def test_the_workflow_answers_to_the_published_names() -> None:
    outreach = workflow._Definition.must_from_class(OutreachWorkflow)
    assert outreach.name == contract.OUTREACH
    assert set(outreach.updates) == {contract.SUBMIT_DECISION, contract.DRAFT}
    assert set(outreach.queries) == {contract.VIEW}
    assert set(outreach.signals) == {
        contract.DECIDE,
        contract.CONDITION_CHANGED,
        contract.CONDITION_CLEARED,
        contract.PAUSE,
        contract.ABORT,
        contract.ESCALATE,
        contract.ESCALATION_ACKNOWLEDGED,
    }
    assert workflow._Definition.must_from_class(DetectionWorkflow).name == contract.DETECTION


def test_every_name_is_on_the_page() -> None:
    outreach = workflow._Definition.must_from_class(OutreachWorkflow)
    names = {*outreach.updates, *outreach.queries, *outreach.signals, contract.OUTREACH, contract.QUEUE}
    names |= {key.name for key in contract.SEARCH_ATTRIBUTES} | {str(stage) for stage in contract.Stage}
    names |= {str(ending) for ending in contract.Ending}
    assert {name for name in names if name and f"`{name}`" not in PAGE} == set()
    assert contract.STUCK in PAGE


def test_every_message_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_what_the_schema_and_the_model_take(name: str, text: str) -> None:
    example = json.loads(text)
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example)
    MODELS[name].model_validate(example)


@pytest.mark.parametrize("name", ["Condition", "DecisionEnvelope", "Draft", "Event", "Pause"])
def test_a_typing_error_is_heard(name: str) -> None:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    example = json.loads(dict(EXAMPLES)[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**example, "typo": 1}, schema)


@pytest.mark.parametrize("type_", HAPPENINGS)
def test_the_published_event_is_the_models(type_: str) -> None:
    assert (FOLDER / f"events/{type_}.json").read_text() == published_event(HAPPENINGS[type_]), (
        "run `python -m tests.contract.publish` and look at the difference"
    )


def test_no_event_is_published_that_is_not_told() -> None:
    assert {path.stem for path in (FOLDER / "events").iterdir()} == set(HAPPENINGS)
