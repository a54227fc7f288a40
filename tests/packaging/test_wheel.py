"""Builds the wheel, installs it alone, and shows what another service gets with it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(*arguments: str, path: Path | None = None, cwd: Path) -> str:
    """Runs Python in isolated mode, with `path` first where it may import from."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(path)} if path else {},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dist")
    python("-m", "hatchling", "build", "-t", "wheel", "-d", str(made), cwd=ROOT)
    [built] = made.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    python(*pip, "--no-index", "--no-deps", "--target", str(target), str(wheel), cwd=target)
    return target


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_one_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tellfirst"}


def test_data_and_the_marker_of_types_are_inside(wheel: Path) -> None:
    inside = set(names(wheel))
    assert "tellfirst/py.typed" in inside
    library = {str(path.relative_to(ROOT)) for path in (ROOT / "tellfirst/playbooks/library").rglob("*.toml")}
    assert library <= inside
    migrations = {str(path.relative_to(ROOT)) for path in (ROOT / "tellfirst/store").rglob("*.py")}
    assert migrations <= inside


def test_only_tellfirst_is_importable(installed: Path) -> None:
    # -S leaves out the environment's own packages, and with them the editable installation of this checkout.
    script = (
        "import importlib.util as u;"
        "print([n for n in ('tellfirst', 'workflows', 'activities', 'workers', 'tests', 'scripts') if u.find_spec(n)])"
    )
    assert python("-S", "-P", "-c", script, path=installed, cwd=installed.parent).strip() == "['tellfirst']"


@pytest.mark.parametrize("module", ["tellfirst.contract", "tellfirst.client"])
def test_a_starter_loads_only_what_it_needs(installed: Path, module: str) -> None:
    script = (
        f"import sys, {module} as m; print(m.__file__);"
        "print([n for n in ('sqlmodel', 'sqlalchemy', 'twilio', 'httpx', 'fastapi', 'typer') if n in sys.modules])"
    )
    file, loaded = python("-P", "-c", script, path=installed, cwd=installed.parent).split("\n")[:2]
    assert Path(file).is_relative_to(installed)
    assert loaded == "[]"
