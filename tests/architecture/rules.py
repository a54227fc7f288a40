"""The rules of who may import what, as a function over source text: an empty list means that a module keeps them."""

import ast
from collections.abc import Iterator

# Lower never imports higher; a package that is not here has no place yet.
LAYERS = {
    "tellfirst.errors": 0,
    "tellfirst.domain": 0,
    "tellfirst.payloads": 1,
    "tellfirst.contract": 1,
    "tellfirst.encryption": 1,
    "tellfirst.policy": 2,
    "tellfirst.playbooks": 2,
    "tellfirst.measurement": 2,
    "tellfirst.signing": 2,
    "tellfirst.settings": 3,
    "tellfirst.store": 3,
    "tellfirst.channels": 3,
    "tellfirst.detectors": 3,
    "activities": 4,
    "workflows": 5,
    "tellfirst.client": 6,
    "tellfirst.cli": 6,
    "tellfirst.web": 6,
    "workers": 7,
}
APPLICATION = {"activities", "workflows", "workers"}
APART = {"tellfirst.store", "tellfirst.channels", "tellfirst.detectors"}
WORKFLOWS_MAY = {"tellfirst.domain", "tellfirst.contract", "activities", "workflows"}
FENCES = {
    "twilio": {"tellfirst.channels", "tellfirst.web"},
    "sqlmodel": {"tellfirst.store"},
    "sqlalchemy": {"tellfirst.store", "tellfirst.detectors"},
    "httpx": {"tellfirst.channels", "tellfirst.detectors"},
}
IMPURE = {"os", "subprocess", "socket", "httpx", "requests", "urllib.request", "http.client", "temporalio"}
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
VAGUE = {"utils", "util", "common", "helpers", "helper", "services", "service", "manager", "managers", "misc"}


def package_of(module: str) -> str | None:
    """Returns the package of LAYERS that `module` belongs to, or None."""
    return next((name for name in LAYERS if module == name or module.startswith(name + ".")), None)


def violations(module: str, source: str, known: frozenset[str] = frozenset(), *, is_package: bool = False) -> list[str]:
    """Returns one sentence for each rule that `module` breaks; `known` names the modules of this project."""
    tree = ast.parse(source)
    home = package_of(module)
    broken = [f"{module}: the name '{part}' says nothing" for part in module.split(".") if part in VAGUE]
    if tree.body and not ast.get_docstring(tree):
        broken.append(f"{module}: has no docstring")
    if module == "tellfirst":
        home = "tellfirst.errors"
    if home is None:
        return [*broken, f"{module}: stands in no layer"]
    for imported in sorted(set(_imports(tree, module, known, is_package=is_package))):
        reason = _import_reason(module, home, imported)
        if reason:
            broken.append(f"{module} imports {imported}: {reason}")
    for name in sorted(set(_uses(tree))):
        if name in ENVIRONMENT and home != "tellfirst.settings":
            broken.append(f"{module} uses {name}: only settings reads the environment")
        if name in CLOCKS and LAYERS[home] <= 3:
            broken.append(f"{module} uses {name}: time is a parameter")
        if name in {"time.monotonic", "time.perf_counter", "time.sleep"} and LAYERS[home] <= 2:
            broken.append(f"{module} uses {name}: it must be pure")
    if home == "activities":
        broken += [f"{module}: the thread of '{name}' can be interrupted" for name in _interrupted(tree)]
    return broken


def _import_reason(module: str, home: str, imported: str) -> str | None:
    top = imported.partition(".")[0]
    if top in FENCES and home not in FENCES[top]:
        return f"{top} belongs in {' and '.join(sorted(FENCES[top]))}"
    pure = LAYERS[home] == 2 or LAYERS[home] == 0
    if pure and any(imported == name or imported.startswith(name + ".") for name in IMPURE):
        return "it must be pure"
    target = package_of(imported)
    if target is None or target == home:
        return None
    if target == "workers":
        return "nobody imports workers"
    if module.startswith("tellfirst") and target in APPLICATION:
        return "the package never imports the application"
    if home == "workflows" and target not in WORKFLOWS_MAY:
        return "workflows import domain, contract and activities only"
    if target == "tellfirst.settings":
        may = home in {"tellfirst.cli", "tellfirst.web", "workers"} or module.endswith(".__main__")
        return None if may else "settings are built in wiring and handed down"
    if {home, target} <= APART:
        return "store, channels and detectors never import each other"
    if LAYERS[target] > LAYERS[home]:
        return f"layer {LAYERS[home]} never imports layer {LAYERS[target]}"
    return None


def _imports(tree: ast.AST, module: str, known: frozenset[str], *, is_package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package=is_package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in known or package_of(whole) == whole else base
        elif isinstance(node, ast.Call) and _dotted(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
            yield from (
                arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )


def _base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    up = node.level - 1 if is_package else node.level
    kept = parts[: len(parts) - up]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _interrupted(tree: ast.AST) -> Iterator[str]:
    """Yields the activities into whose thread the SDK may raise an exception: those that do not ask it not to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                asked = ast.unparse(decorator)
                if asked.startswith("activity.defn") and "no_thread_cancel_exception=True" not in asked:
                    yield node.name


def _uses(tree: ast.AST) -> Iterator[str]:
    """Yields the last two parts of every dotted name, and `from`-imported names with their module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ".".join(_dotted(node).split(".")[-2:])
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "time"}:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
