"""The documents keep up with the code: every setting, every command, every link, and the example for other services."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import typer

from tellfirst import contract
from tellfirst.cli.app import app
from tellfirst.signing.registry import Registry
from tests.architecture.documents import PAGES, ROOT, anchors, commands, links, settings_rows
from tests.world import World

OPERATIONS = (ROOT / "docs/operations.md").read_text()
README = (ROOT / "README.md").read_text()
SECURITY = (ROOT / "docs/security.md").read_text()
EVERYTHING = "\n".join(page.read_text() for page in PAGES)
ROWS = dict(settings_rows())


@pytest.mark.parametrize("name", ROWS)
def test_a_setting_is_explained_as_it_is(name: str) -> None:
    assert ROWS[name] in OPERATIONS, f"docs/operations.md needs the row: {ROWS[name]}"


def test_no_setting_is_explained_that_is_gone() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", OPERATIONS, re.MULTILINE)) == set(ROWS)


def test_what_scripts_read_is_explained() -> None:
    files = [*(ROOT / "scripts").rglob("*"), ROOT / "docker-compose.temporal.yml", ROOT / "Dockerfile"]
    used = {
        name
        for path in files
        if path.is_file() and path.suffix != ".pyc"
        for name in re.findall(r"TELLFIRST_[A-Z]+(?:_[A-Z]+)*", path.read_text())
    }
    assert {name for name in used if f"`{name}`" not in OPERATIONS and name not in ROWS} == set()


def test_every_command_is_explained() -> None:
    names = set(commands(typer.main.get_command(app), "tellfirst"))
    assert "tellfirst approve" in names
    assert "tellfirst playbooks check" in names
    assert {name for name in names if not re.search(rf"`{re.escape(name)}`", EVERYTHING)} == set()


def test_no_command_is_explained_that_is_not_there() -> None:
    known = {name.split()[1] for name in commands(typer.main.get_command(app), "tellfirst")}
    said = set(re.findall(r"(?<!@)\btellfirst ([a-z]+(?:-[a-z]+)*)", EVERYTHING))
    assert len(said) > 10
    assert said - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text()), target


def test_the_saved_query_is_the_contracts() -> None:
    assert f"```text\n{contract.STUCK}\n```" in README
    assert f"http://127.0.0.1:8233/namespaces/default/workflows?query={quote(contract.STUCK, safe='')}" in README


def test_the_registry_that_is_shown_can_be_read() -> None:
    shown = re.search(r"```toml\n(.*?)```", SECURITY, re.DOTALL)
    assert shown
    registry = Registry.parse(shown[1])
    assert registry.people[0].keys[0].revoked is not None


def test_the_tree_that_is_shown_is_there() -> None:
    tree = re.search(r"## Where things are\n.*?```text\n(.*?)```", README, re.DOTALL)
    assert tree
    for line in tree[1].splitlines():
        left = re.split(r" {2,}", line)[0]
        folder = ROOT / Path(left.split(",")[0]).parent
        for name in left.split(", "):
            assert (ROOT / name).exists() or (folder / name).exists(), name


async def test_the_python_example_starts_one(world: World) -> None:
    shown = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert shown
    space: dict[str, object] = {}
    exec(compile(shown[1].replace('"2026-11-22T08"', json.dumps(world.key)), "README.md", "exec"), space)
    world.customer("c-17")
    outreach = await space["tell"](world.env.client.service_client.config.target_host)  # type: ignore[operator]
    world._started.append(world.env.client.get_workflow_handle(outreach))
    assert outreach == contract.outreach_id("late_delivery", world.key, 1)
    await world.planned(outreach)
