"""The house by its own rules: rooms, purity, names."""

import ast
import configparser
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = [  # from the ground up: a room imports from itself and from those before it, and none imports the face of one after it
    *("actors", "actors.topics.rules", "actors.topics", "supervision", "supervision.topics"),
    *("faults", "capsules", "clients", "metrics", "cluster", "channel", "testing", "cli"),
]
KIT = ("actors", "supervision")  # for any program: they know of no channel
FLOORS = [
    "actors",
    "supervision",
    "faults",
    "capsules",
    "clients",
    "metrics",
    "cluster",
    "channel",
    "testing",
    "cli",
]  # the folders at the root
PURE = [
    *("actors.text", "actors.checks", "actors.errors"),
    *("actors.topics.rules.events", "actors.topics.rules.outbound", "actors.topics.rules.presence"),
    *("actors.topics.rules.topic", "actors.topics.rules.life", "actors.topics.rules.union"),
    *("cluster.frames", "cluster.peers", "cluster.sending", "cluster.engine"),
    "testing.clock",
    *("supervision.rules", "supervision.tree"),
    *("faults.fault", "faults.plan", "faults.network"),
    *("capsules.redaction", "capsules.capsule"),
]
IMPURE = {"pykka", "threading", "queue", "time", "socket", "random", "logging", "loguru", "asyncio", "datetime", "uuid", "os"}
SOURCES = [path for floor in FLOORS for path in sorted((ROOT / floor).glob("**/*.py"))]


def room_of(module):
    """The room in which this module lies, or that it is the face of."""
    return max((room for room in ROOMS if module == room or module.startswith(f"{room}.")), key=len)


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_its_room_and_those_below(path):
    room = room_of(module_of(path))
    known = KIT[: KIT.index(room) + 1] if room in KIT else ROOMS[: ROOMS.index(room) + 1]
    for name in imports_of(path):
        assert name.split(".")[0] not in FLOORS, f"a bare import of {name}"
        if name.startswith("lightspeed."):
            assert room_of(name.removeprefix("lightspeed.")) in known, f"{name} is above"


def test_no_files_import_one_another_in_a_circle():
    modules = {f"lightspeed.{module_of(path)}": path for path in SOURCES}
    left = {module: set(run_at_import(path)) & set(modules) - {module} for module, path in modules.items()}
    while free := [module for module, imported in left.items() if not imported & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


def run_at_import(path):
    """What a file imports from other files when it is loaded itself: not what a function or a type checker asks for."""
    waiting = list(ast.parse(path.read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            waiting += node.body + node.orelse


@pytest.mark.parametrize("room", KIT)
def test_an_ordinary_pykka_program_loads_nothing_of_channels(room):
    code = f"import sys, lightspeed.{room}; print(*(name for name in sys.modules if name.startswith('lightspeed.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {room_of(name.removeprefix("lightspeed.")) for name in loaded} <= set(KIT[: KIT.index(room) + 1])


def test_every_file_stands_in_the_design():
    page = (ROOT / "docs" / "design.md").read_text()
    assert [path.name for path in SOURCES if path.name != "__init__.py" and f"`{path.name}`" not in page] == []


@pytest.mark.parametrize("name", PURE)
def test_what_decides_imports_nothing_that_waits_draws_or_logs(name):
    """But for what a layer's `over` loads, to be carried out."""
    seen, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for imported in run_at_import(ROOT / f"{module.replace('.', '/')}.py"):
            parts = imported.split(".")
            assert parts[0] not in IMPURE
            if parts[0] == "lightspeed" and (ROOT / f"{'/'.join(parts[1:])}.py").exists():
                pure = ".".join(parts[1:])
                waiting += [pure] if pure not in seen else []
    assert seen <= set(PURE)


def test_a_topics_life_imports_no_thread():
    assert "threading" not in set(imports_of(ROOT / "actors" / "topics" / "actor.py"))


def test_nothing_anywhere_imports_a_mapped_package_by_its_bare_name():
    for folder in ("tests", "examples", "benchmarks"):
        for path in (ROOT / folder).glob("**/*.py"):
            assert not {name.split(".")[0] for name in imports_of(path)} & set(FLOORS), path


def test_ruff_bans_the_bare_name_of_every_mapped_package():
    banned = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert sorted(banned) == sorted(FLOORS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_in_all_exists_once(room):
    module = importlib.import_module(f"lightspeed.{room}")
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(module, name) is not None


def test_no_file_is_larger_than_the_ceiling():
    assert {str(path): n for path in SOURCES if (n := len(path.read_text().splitlines())) > 600} == {}


def test_the_links_for_tools_lead_to_the_rooms_and_to_nothing_else_and_checkers_read_the_examples_too():
    links = {path.name: path.resolve() for path in (ROOT / "src" / "lightspeed").iterdir()}
    assert links == {floor: ROOT / floor for floor in FLOORS}
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert sorted(tools["pyright"]["include"]) == ["examples", *sorted(f"src/lightspeed/{floor}" for floor in FLOORS)]
    assert sorted(tools["mypy"]["files"]) == ["examples", "src/lightspeed"]


def test_the_packages_of_setup_cfg_are_the_folders():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    packages = {f"lightspeed.{module_of(path)}" for path in SOURCES if path.name == "__init__.py"}
    assert set(config["options"]["packages"].split()) == packages
    assert config["options"]["package_dir"].split("\n")[1:] == [f"lightspeed.{floor} = {floor}" for floor in sorted(FLOORS)]
