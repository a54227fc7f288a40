"""Runs scripts/demo for real, as a new user does, and looks at what it leaves behind."""

import csv
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from tellfirst.channels.outbox import read_outbox
from tellfirst.detectors.sql import SqlSource
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.sends import Sends

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NOW = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
ORDERS = """\
order_id,customer_id,order_status,order_purchase_timestamp,order_delivered_customer_date,order_estimated_delivery_date
old,c1,shipped,1/2/2018 9:05,,1/20/2018 0:00
late,c2,shipped,3/1/2018 9:05,,3/29/2018 0:00
arrived,c3,delivered,3/1/2018 9:05,3/30/2018 12:00,3/28/2018 0:00
early,c4,shipped,3/1/2018 9:05,,3/31/2018 0:00
"""


def demo(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [ROOT / "scripts/demo", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    process = demo(*arguments, **environment)
    out, err = process.communicate()
    assert out == ""
    return process.returncode, err


def ui_port(text: str) -> int:
    found = re.search(r"http://127\.0\.0\.1:(\d+)/namespaces", text)
    assert found
    return int(found[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the demo, which is run as a script and is no package."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    (tmp_path / "olist_orders_dataset.csv").write_text(ORDERS)
    return tmp_path


# -- the whole of it


@pytest.mark.slow
def test_the_demo_does_what_it_says(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    # What the person has configured elsewhere must not reach the demo.
    elsewhere = {"TELLFIRST_SMS": "twilio", "TEMPORAL_ADDRESS": "127.0.0.1:1", "TEMPORAL_API_KEY": "x"}
    process = demo("--folder", folder, "--slower", "2", **elsewhere)  # other tests run beside it
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert "\033" not in out
    assert f"TELLFIRST_DATA_DIR={folder} scripts/up" in out
    assert "1 opted out" in out
    assert "every promise held" in out
    assert " is over, signed by ana and ben\n" in out
    assert not listens(ui_port(out))

    with closing(Database(open_engine(f"sqlite:///{folder / 'tellfirst.db'}"))) as database:
        outreaches, sends = Outreaches(database), Sends(database)
        names = sorted(set(re.findall(r"outreach/[a-z_]+/[\w-]+/1", out)))
        records = {name.split("/")[1]: outreaches.get(name) for name in names}
        steps = {
            trigger: {s.step: s.count for s in sends.states(record.id) if s.state == "accepted"}
            for trigger, record in records.items()
            if record
        }
    endings = {trigger: record and record.ending for trigger, record in records.items()}
    assert endings == {"late_delivery": "measured", "payment_failed": "rejected", "service_disruption": "measured"}
    assert steps["payment_failed"] == {}
    assert set(steps["late_delivery"]) == {"initial", "update-1"}
    assert set(steps["service_disruption"]) == {"initial", "resolved"}

    report = subprocess.run([BIN / "tellfirst", "report", "--json"], cwd=folder, capture_output=True, check=True)
    arms = {one["trigger"]: one["arms"] for one in json.loads(report.stdout)["outreaches"]}
    assert set(arms) == {"late_delivery", "service_disruption"}
    assert arms["late_delivery"]["treated"]["n"] + arms["late_delivery"]["control"]["n"] == 599
    assert arms["late_delivery"]["control"]["n"] > 20
    _nothing_personal_in_temporal(folder)


def _nothing_personal_in_temporal(folder: Path) -> None:
    with (folder / "customers.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    addresses = {person["sms"] or person["email"] for person in people}
    told = {message.address for message in read_outbox(folder / "outbox")}
    opted_out = {person["sms"] or person["email"] for person in people if person["opt_out"]}
    assert len(opted_out) == 1
    assert told < addresses - opted_out
    stored = b"".join(path.read_bytes() for path in folder.glob("temporal.db*"))
    assert b"late_delivery" in stored
    assert [address for address in addresses if address.encode() in stored] == []
    # Shorter names may stand in a signature by chance.
    names = {person["first_name"] for person in people if len(person["first_name"]) > 5}
    assert [name for name in names if name.encode() in stored] == []


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    process = demo("--folder", tmp_path / "demo")
    assert process.stdout
    assert process.stderr
    text = ""
    for line in process.stdout:
        text += line
        if "2. The customers" in line:
            break
    port = ui_port(text)
    assert listens(port)
    process.send_signal(signal.SIGINT)
    err = process.stderr.read()
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    assert not listens(port)
    assert "stopping" in err
    assert "Traceback" not in err
    process.stdout.close()
    process.stderr.close()


# -- what it refuses


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    code, err = refused("--folder", tmp_path)
    assert code == 2
    assert "did not make" in err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_without_orders_is_named_before_anything_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "made-by-scripts-demo").touch()
    (folder / "tellfirst.db").touch()
    code, err = refused("--folder", folder, "--orders", tmp_path / "nowhere")
    assert code == 2
    assert "there is no olist_orders_dataset.csv" in err
    assert (folder / "tellfirst.db").exists()


def test_order_files_of_another_kind_are_refused(tmp_path: Path, orders: Path) -> None:
    (orders / "olist_orders_dataset.csv").write_text("order,bought\n1,yesterday\n")
    code, err = refused("--folder", tmp_path / "demo", "--orders", orders)
    assert code == 2
    assert "cannot be read" in err
    assert len(err.strip().splitlines()) == 1


def test_help_is_plain_and_needs_nothing() -> None:
    said = subprocess.run(
        [ROOT / "scripts/demo", "--help"], capture_output=True, text=True, check=True, env={"PATH": os.defpath}
    )
    assert said.stdout.startswith("usage: scripts/demo")
    assert "--orders DIR" in said.stdout


# -- its parts


def test_orders_are_moved_so_that_the_last_day_is_now(
    part: Callable[[str], ModuleType], orders: Path, tmp_path: Path
) -> None:
    olist, loader = part("demo_olist"), part("demo_orders")
    days = olist.sweeps(NOW)
    assert [(days[0].day, days[-1].day), len(days)] == [(date(2018, 2, 15), date(2018, 3, 31)), 45]
    assert days[-1].at == NOW
    assert {later.at - earlier.at for earlier, later in pairwise(days)} == {timedelta(days=1)}
    moved = olist.moved_by(NOW)
    assert datetime(2018, 3, 31, tzinfo=UTC) + moved == NOW
    loader.load_olist(orders, tmp_path / "then.db")
    loader.load_olist(orders, tmp_path / "now.db", moved=moved)
    detector = load_library([LIBRARY])["late_delivery"].playbook.detector
    found = {}
    for name in ("then", "now"):
        with SqlSource(f"sqlite:///{tmp_path / f'{name}.db'}") as source:
            found[name] = [
                sorted(f.subject_key for f in source.sweep(detector, at=at, parameters={"threshold_hours": 24}))
                for at in (day.at - (moved if name == "then" else timedelta(0)) for day in days)
            ]
    assert found["now"] == found["then"]
    assert found["now"][0] == ["old"]
    assert found["now"][-2:] == [["arrived", "late", "old"], ["late", "old"]]


def test_durations_are_replaced_and_nothing_else(part: Callable[[str], ModuleType]) -> None:
    playbooks = part("demo_playbooks")
    text = (LIBRARY / "retail/late_delivery.toml").read_text()
    changed = playbooks.replaced(text, {"steps.update-1.after": "PT45S", "measure.window": "PT40S"})
    different = [new for old, new in zip(text.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert different == ['window = "PT40S"', 'after = "PT45S"']


def test_durations_can_be_cut_less(part: Callable[[str], ModuleType], tmp_path: Path) -> None:
    playbooks = part("demo_playbooks")
    told = {}
    for slower in (1, 3):
        folder = tmp_path / str(slower)
        playbooks.shorten(LIBRARY, folder, ["retail/late_delivery"], slower=slower)
        told[slower] = tomllib.loads((folder / "late_delivery.toml").read_text())
    quick, slow = (playbooks.durations(told[slower]) for slower in (1, 3))
    for key in playbooks.DURATIONS["retail/late_delivery"]:
        assert int(slow[key][2:-1]) == 3 * int(quick[key][2:-1])


def test_a_duration_that_is_not_there_is_not_passed_over(part: Callable[[str], ModuleType]) -> None:
    playbooks, screen = part("demo_playbooks"), part("demo_screen")
    text = (LIBRARY / "retail/late_delivery.toml").read_text()
    with pytest.raises(screen.DemoError, match=r"no duration 'steps.update-9.after'"):
        playbooks.replaced(text, {"steps.update-9.after": "PT45S"})
