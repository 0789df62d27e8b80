"""docs/testing.md says what is so: its programs run, and every name, option, rule and kind of line stands on it."""

import argparse
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from model.random_scenario import random_scenario

import lightspeed.testing
from lightspeed.cli import pytest_plugin
from lightspeed.cli.main import _parser
from lightspeed.testing import Case, Observer, Simulation, play, strategies
from lightspeed.testing.machine import ChannelMachine
from lightspeed.testing.recording import Recording
from lightspeed.testing.scenario import ScenarioOptions
from lightspeed.testing.scenario_tree import BRANCH, ScenarioChild, ScenarioTree, TreeAct, What
from lightspeed.testing.workers import WORKERS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
PRINTED = re.findall(r"```text\n(.*?)```", PAGE, re.S)
WORDS = set(re.findall(r"`[^`\n]*`", PAGE))


def is_named(name):
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", word) for word in WORDS)


@pytest.mark.slow
@pytest.mark.skipif(sys.flags.optimize > 0, reason="their races are found by an assert, which -O removes")
def test_the_programs_run_and_print_what_they_say():
    for program, printed in zip((PROGRAMS[0], PROGRAMS[2]), PRINTED, strict=True):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == printed


@pytest.mark.parametrize("right", ["right", "wrong"])
def test_the_test_of_a_quiz_passes_and_fails_where_the_quiz_is_wrong(pytester, right):
    pytester.makepyfile(PROGRAMS[1].replace('"right" if', f'"{right}" if'))
    result = pytester.runpytest("--lightspeed-seeds=3")
    if right == "right":
        result.assert_outcomes(passed=3)
    else:
        result.assert_outcomes(failed=3)
        result.stdout.fnmatch_lines(["E*tab 1 was to be given a push with event 'result', payload 'right' within 1 s*"])


@pytest.mark.slow
def test_the_machine_finds_nothing():
    module = {"__name__": "rooms"}
    exec(PROGRAMS[3], module)
    quick = settings(max_examples=10, database=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(module["Rooms"], settings=quick)
    assert issubclass(module["TestRooms"], unittest.TestCase)


def test_there_is_no_program_that_is_not_run():
    assert len(PROGRAMS) == 4


@pytest.mark.parametrize(
    "names",
    [
        lightspeed.testing.__all__,
        strategies.__all__,
        [name for name in vars(Simulation) if not name.startswith("_") and name not in ("skips", "sends")],
        ["clients", "topics", "options", "at_rest", "simulation", "channel", ChannelMachine.__name__],
        [name for name in vars(Observer) if not name.startswith("_")],
        ScenarioOptions.__struct_fields__,
        [*ScenarioTree.__struct_fields__, *ScenarioChild.__struct_fields__, *TreeAct.__struct_fields__],
        [*WORKERS, BRANCH, *get_args(What)],
        Case.__struct_fields__,
        Recording.__struct_fields__,
    ],
)
def test_every_name_stands_there(names):
    assert [name for name in names if not is_named(name)] == []


def options_of(command):
    (commands,) = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return [action.option_strings[-1] for action in commands.choices[command]._actions if action.option_strings]


@pytest.mark.parametrize("command", ["simulate", "replay"])
def test_every_option_of_the_commands_stands_there(command):
    options = options_of(command)
    assert "--help" in options
    assert [option for option in options if option != "--help" and not is_named(option)] == []


def test_every_option_of_pytest_stands_there_with_what_it_takes():
    class Group:
        options = {}  # noqa: RUF012

        def addoption(self, name, **fields):
            self.options[name] = fields["metavar"]

        def getgroup(self, *_names):
            return self

    group = Group()
    pytest_plugin.pytest_addoption(group)
    assert [name for name, takes in group.options.items() if f"| `{name} {takes}` |" not in PAGE] == []


def test_no_option_stands_there_that_there_is_not():
    there = {
        *options_of("simulate"),
        *options_of("replay"),
        *re.findall(r"--lightspeed-\w+", Path(pytest_plugin.__file__).read_text()),
    }
    assert set(re.findall(r"--[a-z][\w-]+", PAGE)) - there == {"--dist"}


def test_every_kind_of_line_of_a_trace_stands_in_the_table():
    kinds = {line.split("\t")[0] for seed in range(20) for line in play(Case(random_scenario(seed), seed)).trace}
    table = PAGE.partition("| first field |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == kinds | {"draw"}


def test_it_is_linked_from_where_one_would_look():
    for path, link in (
        ("README.md", "docs/testing.md"),
        ("docs/breaking.md", "(testing.md)"),
        ("docs/design.md", "(testing.md)"),
    ):
        assert link in (ROOT / path).read_text(encoding="utf-8")
