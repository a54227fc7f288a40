"""docs/playbooks.md cannot lie: its example loads, every key stands in it, and its errors are the ones that print."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from tellfirst.domain.base import Outside
from tellfirst.errors import PlaybookError
from tellfirst.playbooks import schema
from tellfirst.playbooks.loader import LIBRARY, parse

PAGE = (Path(__file__).parents[2] / "docs/playbooks.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def models() -> Iterator[type[BaseModel]]:
    for thing in vars(schema).values():
        if isinstance(thing, type) and issubclass(thing, Outside) and thing is not Outside:
            yield thing


KEYS = sorted({(model.__name__, f.alias or name) for model in models() for name, f in model.model_fields.items()})


def test_the_example_loads() -> None:
    assert parse(block("toml"), "late_train.toml").playbook.id == "late_train"


def test_the_schema_was_found() -> None:
    assert {model for model, _ in KEYS} >= {"Playbook", "Owners", "Detector", "DataField", "Step", "Parts", "Measure"}


@pytest.mark.parametrize(("model", "key"), KEYS)
def test_every_key_is_explained(model: str, key: str) -> None:
    assert re.search(rf"`\[*{key}[\].`]", PAGE), f"{model}.{key} is not in docs/playbooks.md"


def test_every_shipped_playbook_is_named() -> None:
    for path in LIBRARY.rglob("*.toml"):
        assert path.relative_to(LIBRARY).as_posix() in PAGE


BROKEN = [
    ('reason_code = "where_is_my_train"\n', ""),
    ('urgency = "high"', 'urgency = "soon"'),
    ('after = "PT1H"', "after = 1"),
    ('id = "initial"', 'id = "opening"'),
    ("by {{ promise }}", "soon"),
    ("Your train {{ train }} is late.", "We regret that your train {{ train }} is late."),
    ('expires_after = "PT20M"', 'expires_after = "PT50M"'),
]


def test_every_error_that_is_shown_is_tried() -> None:
    assert len(block("text").splitlines()) == len(BROKEN)


@pytest.mark.parametrize(("number", "old", "new"), [(number, *change) for number, change in enumerate(BROKEN)])
def test_errors_print_as_shown(number: int, old: str, new: str) -> None:
    text = block("toml")
    assert old in text
    with pytest.raises(PlaybookError) as refused:
        parse(text.replace(old, new, 1), "late_train.toml")
    assert str(refused.value) == block("text").splitlines()[number]
