"""The house by its own rules: floors, purity, names."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ["actors", "supervision", "channel", "testing", "cli"]  # from the ground up
PURE = [
    *("actors.text", "actors.plain", "actors.seconds"),
    *("actors.errors", "actors.exits", "actors.events", "actors.outbound", "actors.patterns", "actors.presence"),
    *("actors.recipients", "actors.topic", "actors.channel_state"),
    *("testing.invariants.books", "testing.clock", "testing.invariants.downs", "testing.invariants.reference"),
    *("supervision.backoff", "supervision.restart_window", "supervision.rules", "supervision.tree"),
    *("supervision.faults.fault", "supervision.faults.kinds", "supervision.faults.fault_plan"),
    *("supervision.capsules.redaction", "supervision.capsules.capsule", "supervision.capsules.secret_text"),
]
IMPURE = {"pykka", "threading", "queue", "time", "socket", "random", "logging", "loguru", "asyncio", "datetime", "uuid", "os"}
APART = ("lightspeed.supervision.faults", "lightspeed.supervision.capsules")  # they come in by the runtime
SOURCES = [path for floor in FLOORS for path in sorted((ROOT / floor).glob("**/*.py"))]


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_its_floor_and_below(path):
    above = FLOORS[FLOORS.index(path.relative_to(ROOT).parts[0]) + 1 :]
    for name in imports_of(path):
        parts = name.split(".")
        assert parts[0] not in FLOORS, f"a bare import of {name}"
        assert not (parts[0] == "lightspeed" and parts[1] in above), f"{name} is above"


def test_every_file_stands_in_the_design():
    page = (ROOT / "docs" / "design.md").read_text()
    assert [path.name for path in SOURCES if path.name != "__init__.py" and f"`{path.name}`" not in page] == []


@pytest.mark.parametrize("name", PURE)
def test_what_decides_imports_nothing_that_waits_draws_or_logs(name):
    seen, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for imported in imports_of(ROOT / f"{module.replace('.', '/')}.py"):
            parts = imported.split(".")
            assert parts[0] not in IMPURE
            if parts[0] == "lightspeed":
                pure = ".".join(parts[1:])
                waiting += [pure] if pure not in seen else []
    assert seen <= set(PURE)


def test_supervision_knows_of_no_fault_and_no_capsule():
    for path in (ROOT / "supervision").glob("*.py"):
        if path.name != "__init__.py":
            assert not [name for name in imports_of(path) if name.startswith(APART)], path


def test_a_topics_life_imports_no_thread():
    assert "threading" not in set(imports_of(ROOT / "actors" / "topic_actor.py"))


def test_nothing_anywhere_imports_a_mapped_package_by_its_bare_name():
    for folder in ("tests", "examples", "benchmarks"):
        for path in (ROOT / folder).glob("**/*.py"):
            assert not {name.split(".")[0] for name in imports_of(path)} & set(FLOORS), path


def test_ruff_bans_the_bare_name_of_every_mapped_package():
    banned = tomllib.loads((ROOT / "ruff.toml").read_text())["lint"]["flake8-tidy-imports"]["banned-api"]
    assert sorted(banned) == sorted(FLOORS)


@pytest.mark.parametrize("floor", FLOORS)
def test_every_name_in_all_exists_and_stands_in_order(floor):
    module = importlib.import_module(f"lightspeed.{floor}")
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(module, name) is not None


def test_no_file_is_larger_than_the_ceiling():
    assert {str(path): n for path in SOURCES if (n := len(path.read_text().splitlines())) > 600} == {}
