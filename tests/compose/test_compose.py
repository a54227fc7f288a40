"""Checks docker-compose.temporal.yml and the image's recipe, without Docker."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tellfirst import contract
from tests.architecture.documents import settings_rows

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.temporal.yml"
FILE: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
ONE_SHOT = {"schema", "init", "migrate"}
SCRIPTS = sorted((ROOT / "scripts/temporal").glob("*.sh"))


def binds(service: dict[str, Any]) -> list[tuple[str, bool]]:
    """Returns (host path, read-only) of each bind mount."""
    found = []
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            if volume["type"] == "bind":
                found.append((volume["source"], volume.get("read_only", False)))
        elif volume.startswith("."):
            found.append((volume.split(":")[0], volume.endswith(":ro")))
    return found


def test_the_file_keeps_the_compose_specification() -> None:
    command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_is_there() -> None:
    assert set(SERVICES) == {"postgresql", "schema", "temporal", "init", "ui", "migrate", "worker", "web"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    tag = re.sub(r"\$\{\w+:-(.+)\}", r"\1", image).partition(":")[2]
    assert re.match(r"\d", tag), image
    assert "auto-setup" not in image


def test_temporal_is_the_version_that_was_tried() -> None:
    assert SERVICES["temporal"]["image"] == "temporalio/server:1.32.0"
    assert SERVICES["schema"]["image"] == SERVICES["init"]["image"] == "temporalio/admin-tools:1.32.0"
    assert SERVICES["ui"]["image"] == "temporalio/ui:2.54.1"
    assert SERVICES["temporal"]["environment"]["BIND_ON_IP"] == "0.0.0.0"
    assert SERVICES["temporal"]["environment"]["NUM_HISTORY_SHARDS"] == "512"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_the_loopback_address_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert isinstance(port, str)
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_a_long_running_service_has_a_health_check_and_a_one_shot_has_none(name: str) -> None:
    service = SERVICES[name]
    assert ("healthcheck" in service) == (name not in ONE_SHOT)
    assert (
        service["restart"] == "unless-stopped" if name not in ONE_SHOT else service["restart"].startswith("on-failure")
    )


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_a_state_that_will_come(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected


@pytest.mark.parametrize("name", SERVICES)
def test_a_mount_exists_and_is_read_only(name: str) -> None:
    for source, read_only in binds(SERVICES[name]):
        assert read_only, source
        if "$" not in source:
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("name", SERVICES)
def test_a_script_that_runs_is_there(name: str) -> None:
    words = [*SERVICES[name].get("entrypoint", []), *SERVICES[name].get("healthcheck", {}).get("test", [])]
    for word in words:
        if word.startswith("/scripts/"):
            path = ROOT / "scripts/temporal" / word.removeprefix("/scripts/")
            assert path.is_file()


def test_volumes_have_names() -> None:
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and not volume.startswith(".")
    }
    assert named == set(FILE["volumes"]) == {"postgresql", "data"}


def test_no_secret_is_written_down_and_none_is_shared() -> None:
    secret = re.compile(r"PASSWORD|PWD|SECRET|TOKEN")
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable):
                assert value is None or re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{name}: {variable}"
    assert "TEMPORAL_DB_PASSWORD" not in str(SERVICES["worker"]["environment"])
    assert "TELLFIRST_DB_PASSWORD" not in str(SERVICES["temporal"]["environment"])
    assert "POSTGRES_PASSWORD" not in str([service for name, service in SERVICES.items() if name != "postgresql"])


def test_every_setting_reaches_the_application() -> None:
    """A provider whose settings stop at the compose file would leave its channel in the outbox, without a word."""
    by_whoever_signs = {"TELLFIRST_KEY", "TELLFIRST_PRINCIPAL"}
    of_workers_alone = {"TELLFIRST_EMAIL_API_KEY", "TELLFIRST_SMTP_PASSWORD", "TELLFIRST_EXCEPTIONS_SECRET"}
    of_the_codec_server = {"TELLFIRST_CODEC_TOKEN", "TELLFIRST_CODEC_HOST", "TELLFIRST_CODEC_PORT"}
    known = dict(settings_rows()).keys() - of_the_codec_server
    for name in ("migrate", "worker", "web"):
        given = {variable for variable in SERVICES[name]["environment"] if not variable.startswith("TEMPORAL_")}
        assert given == known - by_whoever_signs - (set() if name == "worker" else of_workers_alone)


def test_the_application_runs_without_privileges() -> None:
    for name in ("migrate", "worker", "web"):
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_posix_shell_and_executable(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "set -eu\n" in script.read_text()
    assert subprocess.run(["sh", "-n", script], capture_output=True, check=False).returncode == 0
    for bashism in ("[[", "pipefail", "function ", "<<<", "local "):
        assert bashism not in script.read_text()


def test_init_registers_the_search_attributes_of_the_contract() -> None:
    script = (ROOT / "scripts/temporal/init.sh").read_text()
    registered = set(re.findall(r"^(Outreach\w+) (\w+)$", script, re.MULTILINE))
    assert registered == {
        (key.name, key.indexed_value_type.name.title().replace("_", "")) for key in contract.SEARCH_ATTRIBUTES
    }


def test_init_schedules_the_workflow_of_the_contract() -> None:
    script = (ROOT / "scripts/temporal/init.sh").read_text()
    assert f"--type {contract.DETECTION} " in script
    assert f"--task-queue {contract.QUEUE} " in script
    assert f'QUEUE = "{contract.QUEUE}"' in (ROOT / "scripts/temporal/worker_polls.py").read_text()


def test_the_dynamic_configuration_is_the_one_the_server_reads() -> None:
    path = SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    values = YAML(typ="safe").load(ROOT / "scripts/temporal" / path.removeprefix("config/"))
    assert values == {"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": [{"value": 2}]}


def test_the_image_installs_from_the_lock_and_runs_as_nobody_in_particular() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    lines = recipe.splitlines()
    assert (ROOT / "requirements-server.lock").is_file()
    assert "--require-hashes -r requirements-server.lock" in recipe
    assert [line.split()[1] for line in lines if line.startswith("FROM")] == ["python:3.12-slim", "python:3.12-slim"]
    assert next(line for line in lines if line.startswith("USER")) == "USER 10001:10001"
    assert not re.search(r"PASSWORD|TOKEN|SECRET", recipe)
    copied = {line.split()[1] for line in lines if line.startswith("COPY") and "--from" not in line}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in == {"requirements-server.lock", "tellfirst", "workflows", "activities", "workers"}


def test_the_image_has_the_commands(tmp_path: Path) -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    written = re.search(r"^RUN (printf .* >)(/opt/venv/bin/tellfirst) \\\n    && (chmod .*) \2$", recipe, re.MULTILINE)
    assert written
    command = tmp_path / "tellfirst"
    subprocess.run(["sh", "-c", f"{written[1]}{command} && {written[3]} {command}"], check=True)
    command.write_text(command.read_text().replace("/opt/venv/bin/python", sys.executable))
    environment = {"PYTHONPATH": str(ROOT)}
    assert "PYTHONPATH=/app" in recipe
    ran = subprocess.run([command, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "pending" in ran.stdout
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert entry_points == {"tellfirst": "tellfirst.cli:main"}
    assert "from tellfirst.cli import main\nmain()\n" in command.read_text()


def test_nothing_is_swept_without_a_source() -> None:
    assert SERVICES["init"]["environment"]["TELLFIRST_DETECT"] == (
        "${TELLFIRST_SOURCE_URL:+${TELLFIRST_DETECT:-late_delivery}}"
    )
    assert "TELLFIRST_SOURCE_URL" not in SERVICES["init"]["environment"]
