"""Walks the imports of every module, and shows that the walk sees a module that breaks a rule."""

from pathlib import Path

import pytest

from tests.architecture.rules import LAYERS, package_of, violations

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for top in ("tellfirst", "activities", "workflows", "workers")
    for path in (ROOT / top).rglob("*.py")
    if "migrations" not in path.parts
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = frozenset(module_of(path) for path in SOURCES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: module_of(path))
def test_a_module_keeps_the_rules(path: Path) -> None:
    assert violations(module_of(path), path.read_text(), KNOWN, is_package=path.name == "__init__.py") == []


def test_every_package_is_walked() -> None:
    assert {package_of(module) for module in KNOWN} >= {"tellfirst.domain", "tellfirst.contract", "tellfirst.store"}
    assert len(SOURCES) > 10


@pytest.mark.parametrize(
    ("module", "line", "says"),
    [
        # lower never imports higher
        ("tellfirst.domain.thing", "import tellfirst.contract", "layer 0 never imports layer 1"),
        ("tellfirst.policy.gate", "from tellfirst.store import tables", "layer 2 never imports layer 3"),
        ("tellfirst.policy.gate", "from tellfirst import store", "layer 2 never imports layer 3"),
        ("tellfirst.policy.gate", "from ..store.sends import Sends", "layer 2 never imports layer 3"),
        ("tellfirst.store", "from ..web import app", "layer 3 never imports layer 6"),
        ("tellfirst.store.sends", "from tellfirst.client import OutreachClient", "layer 3 never imports layer 6"),
        ("tellfirst.store.sends", "def f():\n    import tellfirst.cli", "layer 3 never imports layer 6"),
        ("tellfirst.store.sends", "import importlib\nimportlib.import_module('tellfirst.cli')", "layer 3 never"),
        ("activities.send", "from tellfirst.web import app", "layer 4 never imports layer 6"),
        ("activities.send", "import workflows.outreach", "layer 4 never imports layer 5"),
        # three packages that never meet
        ("tellfirst.store.sends", "from tellfirst.channels.base import Adapter", "never import each other"),
        ("tellfirst.channels.sms", "import tellfirst.detectors.sql", "never import each other"),
        ("tellfirst.detectors.sql", "import tellfirst.store", "never import each other"),
        # the package and the application
        ("tellfirst.cli.start", "from workflows.outreach import Outreach", "never imports the application"),
        ("tellfirst.web.app", "import activities", "never imports the application"),
        ("tellfirst.cli.start", "import workers", "nobody imports workers"),
        ("activities.send", "from workers.wiring import wire", "nobody imports workers"),
        ("workflows.outreach", "from tellfirst.playbooks.schema import Playbook", "domain, contract and activities"),
        ("workflows.outreach", "from tellfirst.policy import gate", "domain, contract and activities"),
        # settings and the environment
        ("tellfirst.policy.gate", "from tellfirst.settings import Settings", "handed down"),
        ("activities.send", "from tellfirst import settings", "handed down"),
        ("workers.wiring", "import os\nhome = os.environ['HOME']", "only settings reads"),
        ("tellfirst.store.engine", "import os\nhome = os.getenv('HOME')", "only settings reads"),
        ("tellfirst.store.engine", "from os import environ", "only settings reads"),
        # third parties
        ("tellfirst.web.app", "from sqlmodel import Session", "sqlmodel belongs in tellfirst.store"),
        ("activities.plan", "import sqlalchemy.orm", "sqlalchemy belongs in"),
        ("activities.send", "from twilio.rest import Client", "twilio belongs in"),
        ("tellfirst.cli.start", "import httpx", "httpx belongs in"),
        # purity
        ("tellfirst.signing.verify", "import subprocess", "it must be pure"),
        ("tellfirst.playbooks.loader", "import os.path", "it must be pure"),
        ("tellfirst.measurement.windows", "from temporalio import workflow", "it must be pure"),
        ("tellfirst.policy.quiet", "from datetime import datetime\nnow = datetime.now()", "time is a parameter"),
        ("tellfirst.policy.quiet", "import datetime\nnow = datetime.datetime.utcnow()", "time is a parameter"),
        ("tellfirst.policy.quiet", "from datetime import date\nday = date.today", "time is a parameter"),
        ("tellfirst.measurement.windows", "from time import time", "time is a parameter"),
        ("tellfirst.measurement.windows", "import time\ntime.monotonic()", "it must be pure"),
        ("tellfirst.store.sends", "from datetime import datetime\nx = datetime.now(None)", "time is a parameter"),
        # threads
        ("activities.send", "@activity.defn\ndef send(): ...", "the thread of 'send' can be interrupted"),
        ("activities.send", "class A:\n    @activity.defn(name='s')\n    def send(self): ...", "can be interrupted"),
        # shape
        ("tellfirst.policy.utils", "x = 1", "says nothing"),
        ("tellfirst.store.common.rows", "x = 1", "says nothing"),
        ("tellfirst.novelty", "x = 1", "stands in no layer"),
    ],
)
def test_a_broken_rule_is_seen(module: str, line: str, says: str) -> None:
    found = violations(module, f'"""Is a module."""\n{line}\n', is_package=module in LAYERS)
    assert len(found) == 1
    assert says in found[0]


def test_a_missing_docstring_is_seen() -> None:
    assert violations("tellfirst.policy.gate", "x = 1") == ["tellfirst.policy.gate: has no docstring"]
    assert violations("tellfirst.policy", "", is_package=True) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("tellfirst.policy.gate", "from tellfirst.playbooks.schema import Playbook"),
        ("tellfirst.playbooks.loader", "from pathlib import Path"),
        ("tellfirst.store.sends", "from sqlmodel import Session\nfrom sqlalchemy import text"),
        ("tellfirst.store.__main__", "from tellfirst.settings import Settings"),
        ("tellfirst.detectors.sql", "import time\nend = time.monotonic()"),
        ("activities.send", "from datetime import UTC, datetime\nnow = datetime.now(UTC)"),
        ("activities.send", "@activity.defn(no_thread_cancel_exception=True)\ndef send(): ..."),
        ("workflows.outreach", "from tellfirst.contract import OUTREACH\nfrom activities.plan import Plan"),
        ("tellfirst.cli.start", "from tellfirst.client import OutreachClient"),
        ("tellfirst.settings", "import os\nhome = os.environ"),
        ("workers.wiring", "from workflows.outreach import Outreach\nfrom tellfirst.settings import Settings"),
    ],
)
def test_what_is_allowed_passes(module: str, line: str) -> None:
    assert violations(module, f'"""Is a module."""\n{line}\n') == []
