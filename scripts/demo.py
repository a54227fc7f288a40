"""The driver of `scripts/demo`: sets the stage, plays a story, clears up; see there for what it shows."""

import argparse
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from demo_olist import OrdersStory, check, load
from demo_playbooks import DURATIONS
from demo_record import Record
from demo_screen import DemoError, Screen
from demo_stage import ROOT, Stage, Stopped, catch_signals, check_tools
from demo_story import Story, show_durations

from tellfirst.cli.wiring import opened
from tellfirst.errors import TellfirstError

ORDERS_PLAYBOOK = "retail/late_delivery"


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 when all that is promised was seen to hold, 1 when not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", usage="scripts/demo [--orders DIR] [--folder DIR] [--slower N] [--stay]", add_help=False
    )
    parser.add_argument("--orders", type=Path, metavar="DIR")
    parser.add_argument("--folder", type=Path, metavar="DIR", default=ROOT / ".demo")
    parser.add_argument("--slower", type=int, metavar="N", default=1, choices=range(1, 11))
    parser.add_argument("--stay", action="store_true")
    given = parser.parse_args(arguments)
    catch_signals()
    folder = given.folder.absolute()
    stage = Stage(folder, Screen())
    try:
        play(stage, given.orders and given.orders.absolute(), slower=given.slower, stay=given.stay)
    except Stopped as stopped:
        _note("stopping")
        return 128 + stopped.number
    except (DemoError, TellfirstError) as error:
        _note(f"{error}{_logs(stage)}")
        return error.exit_code
    except BrokenPipeError:
        # Whoever read us has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if stage.made:
            (stage.logs / "demo.log").write_text(traceback.format_exc())
        _note(f"this should not have happened: {type(error).__name__}{_logs(stage)}")
        return 1
    finally:
        stage.stop_all()
    return 0


def play(stage: Stage, orders: Path | None, *, slower: int = 1, stay: bool = False) -> None:
    """Plays one story from beginning to end, so many times `slower`; with `stay` all runs on until somebody ends it."""
    began, now, screen = time.monotonic(), datetime.now(UTC).replace(microsecond=0), stage.screen
    if orders:
        check(orders)
    check_tools()
    stage.make_folder()
    stage.enter()
    count = load(orders, now) if orders else 0
    screen.chapter("A place of its own")
    screen.say(
        f"Everything happens in {_short(stage.folder)}: a real Temporal server, SQLite, and a folder in place of the "
        "providers, so nobody is written to, and no hour is quiet. Ana decides, and Ben is on call; ssh-keygen "
        "has just made their keys."
    )
    stage.make_keys()
    show_durations(screen, [ORDERS_PLAYBOOK] if orders else list(DURATIONS), slower=slower)
    ui = stage.start_temporal()
    stage.start_worker()
    screen.say("Temporal, a worker and the web process run. You can watch every workflow, and the dashboard, here:")
    screen.verbatim(f"    {ui}\n    {stage.start_web(ui)}")
    with opened() as here:
        record = Record(here, stage)
        story = OrdersStory(stage, record, now, count) if orders else Story(stage, record)
        story.play()
    if stay:
        screen.chapter("All of it runs on")
        screen.say("Look at the dashboard and at Temporal, or use the tellfirst command. Ctrl-C ends it.")
        stage.stay()
    stage.stop_all()
    screen.chapter("Look at it")
    screen.verbatim(look(_short(stage.folder)))
    screen.say(f"It took {time.monotonic() - began:.0f} seconds.")


def look(folder: str) -> str:
    """Returns the lines that say how to look at what the demo left behind, as typed in the checkout."""
    command = ROOT / ".venv/bin/tellfirst"
    if not Path(folder).is_absolute():
        command = Path(os.path.relpath(command, ROOT / folder))
    return f"""\
Temporal and the worker are stopped; what they stored stays in {folder}. Every step, in the Temporal UI:

    TELLFIRST_DATA_DIR={folder} scripts/up
    http://127.0.0.1:8233/namespaces/default/workflows

The messages, and any command:

    ls {folder}/outbox
    cd {folder} && {command} report"""


def _short(path: Path) -> str:
    """Returns a path as one would type it in the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _logs(stage: Stage) -> str:
    return f"; the logs are in {_short(stage.logs)}" if stage.made else ""


def _note(sentence: str) -> None:
    sys.stdout.flush()
    print(f"\nscripts/demo: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
