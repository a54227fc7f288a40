"""The stage of the demo: a folder of its own, a Temporal server, a worker, and commands run as a person runs them."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from demo_screen import DemoError, Screen

from tellfirst import contract

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MARKER = "made-by-scripts-demo"
SETTINGS = """\
# The settings of the demo. Commands that are run in this folder use them.
TELLFIRST_ENVIRONMENT=demo
TELLFIRST_DATA_DIR=.
TELLFIRST_SOURCE_URL=sqlite:///shop.db
TELLFIRST_LIBRARY=false
TELLFIRST_PLAYBOOKS=playbooks
TELLFIRST_APPROVERS=approvers.toml
TELLFIRST_KEY=key
TELLFIRST_HOURS=hours.toml
TELLFIRST_SMS=outbox
"""
HOURS = """\
# No hour is quiet here, so that the demo runs at any time of day. Without this file the shipped hours hold.
allowed = []
"""
APPROVERS = """\
[[people]]
principal = "ana"
team = "Customer service"
internal = true
roles = ["Service lead", "Billing lead", "Duty manager"]

[[people.keys]]
key = "{ana}"

[[people]]
principal = "ben"
team = "Operations"
internal = true
roles = ["Incident lead"]

[[people.keys]]
key = "{ben}"
"""
KEYS = {"ana": "key", "ben": "key-ben"}


class Stopped(BaseException):
    """Is a signal that ends the demo."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Stage:
    """Starts and stops processes by their id, and runs commands in the folder; ends all that it started."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        self.folder, self.screen = folder, screen
        self.logs = folder / "logs"
        self.made = False
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._lock: int | None = None

    # -- the folder

    def make_folder(self) -> None:
        """Makes the folder, or empties one that an earlier run made; raises DemoError for any other."""
        marker = self.folder / MARKER
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise DemoError(f"{self.folder} is not a folder; choose another with --folder", exit_code=2)
        if self.folder.is_dir() and any(self.folder.iterdir()) and not marker.is_file():
            raise DemoError(
                f"{self.folder} holds something that this demo did not make, so it is left alone; "
                "move it away, or choose another folder with --folder",
                exit_code=2,
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(marker, os.O_CREAT | os.O_RDWR, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"another demo runs in {self.folder}; give this one its own with --folder") from None
        except OSError as error:
            raise DemoError(
                f"{self.folder} cannot be used ({error.strerror}); choose another with --folder", exit_code=2
            ) from None
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != marker:
                path.unlink()
        self.logs.mkdir()
        self.made = True
        (self.folder / ".env").write_text(SETTINGS)
        (self.folder / "hours.toml").write_text(HOURS)

    def enter(self) -> None:
        """Goes into the folder, with nothing of the settings that the person may have elsewhere."""
        for name in [n for n in os.environ if n.startswith(("TELLFIRST_", "TEMPORAL_", "TWILIO_"))]:
            del os.environ[name]
        os.environ |= {"PYTHONPATH": str(ROOT), "TEMPORAL_CONFIG_FILE": os.devnull, "TEMPORAL_NAMESPACE": "default"}
        os.chdir(self.folder)

    def make_keys(self) -> None:
        """Makes the keys of the people who sign, without a passphrase, and registers them."""
        for name, key in KEYS.items():
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@demo", "-f", key)
        lines = {name: Path(f"{key}.pub").read_text().strip() for name, key in KEYS.items()}
        (self.folder / "approvers.toml").write_text(APPROVERS.format(**lines))

    # -- processes

    def start_temporal(self) -> str:
        """Starts Temporal's development server on free ports and returns the address of its UI."""
        port, ui_port = _free_ports(2)
        os.environ["TEMPORAL_ADDRESS"] = f"127.0.0.1:{port}"
        attributes = [f"{key.name}={_type_of(key)}" for key in contract.SEARCH_ATTRIBUTES]
        self._start(
            "Temporal",
            *(str(BIN / "temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)),
            *("--ui-port", str(ui_port), "--db-filename", "temporal.db", "--log-level", "error"),
            *(part for attribute in attributes for part in ("--search-attribute", attribute)),
        )
        health = (str(BIN / "temporal"), "operator", "cluster", "health")
        self.wait("Temporal's answer", lambda: _quiet(*health), within=60, pause=0.3)
        return f"http://127.0.0.1:{ui_port}/namespaces/default/workflows"

    def start_worker(self) -> None:
        """Makes the database and starts a worker."""
        if not _quiet(sys.executable, "-m", "tellfirst.store", "migrate", log=self.logs / "migrate.log"):
            raise DemoError("the database could not be made")
        self._start("the worker", sys.executable, "-m", "workers")

    def start_web(self, ui: str) -> str:
        """Starts the web process on a free port and returns the address of its dashboard."""
        (port,) = _free_ports(1)
        os.environ |= {"TELLFIRST_WEB_PORT": str(port), "TELLFIRST_TEMPORAL_UI": ui}
        self._start("the web process", sys.executable, "-m", "tellfirst.web")
        self.wait("the dashboard", lambda: not _refused(port))
        return f"http://127.0.0.1:{port}/dashboard"

    def stay(self) -> None:
        """Waits until a signal ends the demo; raises DemoError when a process ends before."""
        self.wait("the end", lambda: False, within=float("inf"), pause=1)

    def _start(self, name: str, *command: str) -> None:
        with (self.logs / f"{name.split()[-1].lower()}.log").open("wb") as log:
            # In a session of its own: Ctrl-C is for us to pass on, in the right order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._running.append((name, process))

    def stop_all(self) -> None:
        """Stops what was started, the last one first; each gets 20 seconds and is then ended."""
        while self._running:
            _, process = self._running.pop()
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- commands

    def tellfirst(self, *arguments: str) -> None:
        """Shows and runs a tellfirst command; what it says goes to the screen. Raises DemoError when it fails."""
        self.shown("tellfirst", *arguments)

    def shown(self, program: str, *arguments: str) -> None:
        """Shows and runs a command of this installation."""
        self.screen.command([program, *arguments])
        self.run(str(BIN / program), *arguments)

    def run(self, *command: str) -> None:
        """Runs a command; raises DemoError when it fails or is not there."""
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=False)
        except FileNotFoundError:
            raise DemoError(f"{Path(command[0]).name} is not there; remove .venv and run it again") from None
        if done.returncode:
            words = " ".join([Path(command[0]).name, *command[1:3]])
            raise DemoError(f"`{words}` ended with {done.returncode}; what it said is above")

    def read(self, *arguments: str) -> str:
        """Runs a tellfirst command without showing it and returns what it prints."""
        command = [str(BIN / "tellfirst"), *arguments]
        with (self.logs / "commands.log").open("ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                check=False,
            )
        if done.returncode:
            raise DemoError(f"`tellfirst {' '.join(arguments[:2])}` ended with {done.returncode}")
        return done.stdout.decode()

    # -- waiting

    def wait(self, what: str, holds: Callable[[], object], *, within: float = 60, pause: float = 0.1) -> None:
        """Waits until something holds; raises DemoError when it does not in time or a process has ended."""
        end = time.monotonic() + within
        while not holds():
            for name, process in self._running:
                if process.poll() is not None:
                    raise DemoError(f"{name} has ended by itself (exit code {process.returncode})")
            if time.monotonic() >= end:
                raise DemoError(f"{what} did not come within {within:.0f} seconds")
            time.sleep(pause)


def check_tools() -> None:
    """Raises DemoError when something is missing that Python's packages do not bring."""
    if shutil.which("ssh-keygen") is None:
        raise DemoError(
            "decisions are signed with ssh-keygen, which is not here; install OpenSSH "
            "(on Debian and Ubuntu: apt-get install openssh-client)"
        )


def catch_signals() -> None:
    """Turns the signals that end a program into Stopped."""

    def stop(number: int, _: FrameType | None) -> None:
        # Once is enough: what follows is the orderly end.
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _quiet(*command: str, log: Path | None = None) -> bool:
    with (log or Path(os.devnull)).open("wb") as out:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, check=False
        )
    return done.returncode == 0


def _refused(port: int) -> bool:
    """Returns whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_ports(count: int) -> list[int]:
    """Returns ports that listen to nobody, from below the range in which other programs are given theirs."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        if port not in found and _refused(port):
            found.append(port)
    return found


def _type_of(key: Any) -> str:
    return str(key.indexed_value_type.name).title().replace("_", "")
