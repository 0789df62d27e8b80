"""What is written is a test that fails as the case did, whatever stands in its events, its names and its error."""

import subprocess
import sys

import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import Broadcast, FaultPlan, Join, Push
from lightspeed.faults import Full, Raise
from lightspeed.testing import Case, Scenario, ScenarioOptions, Sending, play, pytest_file

TEXTS = [
    "plain",
    "'''",
    '"""',
    "' \" ''' \"\"\" \\ \\' \\\" \\\\ \\n {braces} %s",
    "a\nb\r\nc\td\x00e\x0bf\x0cg\x1ch\x85i\u2028j\u2029k",
    "ends in a backslash \\",
    'ends in a quote "',
    "ends in an apostrophe '",
    "\U0001f600 é Ω \ufeff \u202e",
    "# coding: klingon",
]


def echo(simulation):
    """Fails with what the client was given last."""
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    client.join("x")
    client.push("x", "e", simulation.random.choice(TEXTS))
    simulation.run()
    raise ValueError(client.received[-1].payload)


def written(outcome, play_name=None):
    """The test of the file: what the file itself does when pytest imports it."""
    text = pytest_file(outcome, play_name)
    module = {}
    exec(compile(text.encode(), "test_found.py", "exec"), module)
    (test,) = [value for name, value in module.items() if name.startswith("test_")]
    return test


def failure_of(test):
    with pytest.raises(Exception) as error:  # noqa: PT011
        test()
    return f"{type(error.value).__name__}: {error.value}"


def failing(text):
    """A scenario with the text wherever there may be one; its plan fails at the start, for ever."""
    events = [Join(text, text, text, 1), Broadcast(text, text, text), Push(text, text, text, text)]
    plan = FaultPlan((Raise("on_start", text="planned"), Full(match={"payload": text})))
    return Scenario(tuple(Sending(event, 0.5) for event in events), plan, ScenarioOptions(rejoin="supervisor"))


@pytest.mark.parametrize("text", TEXTS)
def test_a_scenario_is_the_same_to_the_letter_whatever_its_events_hold(text, monkeypatch):
    played = []
    monkeypatch.setattr("lightspeed.testing.play", lambda case: played.append(case) or outcome)
    case = Case(failing(text), seed=3, choices=(0, 1, 2), plan=FaultPlan((Full(match={"payload": text}),)))
    outcome = play(case)
    written(outcome)()
    assert played == [case]


@pytest.mark.parametrize("seed", range(30))
def test_the_error_of_a_play_is_raised_again_whatever_it_says(seed):
    outcome = play(Case(echo, seed))
    assert failure_of(written(outcome, f"{__file__}:echo")) == f"ValueError: {outcome.error}"


@pytest.mark.parametrize("rule", ['at most ² of "them"', "", "\ud800 \x00", "Порядок", "1", "x" * 5000, "İ", "a\nimport os"])
def test_a_rule_of_any_name_gives_a_test_of_a_name(rule):
    def scenario(simulation):
        simulation.always(lambda: False, rule)
        simulation.run_for(1)

    test = written(play(Case(scenario)), "lightspeed.testing:Scenario.of")
    assert len(test.__name__) <= 100


def race(simulation):
    channel = simulation.channel()
    for name in "ab":
        simulation.client(channel, name).join("x")
    simulation.sometimes(lambda: False, "all are there")
    simulation.run()
    if channel.subscribers("x") == ("b", "a"):
        raise AssertionError("the wrong way round")  # no assert: under -O it would be gone where pytest does not import this


def found_race():
    return next(outcome for outcome in (play(Case(race, seed), asks_for_sometimes=False) for seed in range(50)) if outcome.error)


def test_choices_skipped_events_and_faults_are_written_and_without_its_bug_it_passes():
    outcome = found_race()
    test = written(outcome, f"{__file__}:race")
    assert failure_of(test).startswith("AssertionError: the wrong way round")
    case = Case(race, 4, choices=(), skip=frozenset([1]), plan=FaultPlan((Full(times=1),)))
    text = pytest_file(play(case), f"{__file__}:race")
    assert "skip=frozenset([1])," in text
    assert "plan=FaultPlan.from_json(" in text


def test_what_the_whole_run_was_for_is_not_asked_of_what_is_left_of_it():
    healed = play(found_race().exact, asks_for_sometimes=False)
    assert "asks_for_sometimes=False," in pytest_file(healed, f"{__file__}:race")
    never = play(Case(race, choices=()))
    assert never.failure == "all are there"
    assert failure_of(written(never, f"{__file__}:race")) == "InvariantBroken: all are there: it never held"


def test_a_play_that_is_called_as_what_the_file_imports_hides_nothing(tmp_path):
    (tmp_path / "plays.py").write_text("def play(simulation):\n    raise KeyError('planted')\nCase = play\n")
    for name in ("play", "Case"):
        outcome = play(Case(lambda simulation: {}["planted"]))
        assert failure_of(written(outcome, f"{tmp_path / 'plays.py'}:{name}")) == "KeyError: 'planted'"


def test_a_play_that_cannot_be_found_is_refused(monkeypatch):
    def inner(simulation):
        raise ValueError

    with pytest.raises(InvalidOption, match="scenario must be a function of a module, or play_name must say where it is"):
        pytest_file(play(Case(inner)))
    with pytest.raises(InvalidOption, match=r"play_name must be module:name or file\.py:name, got 'inner'"):
        pytest_file(play(Case(inner)), "inner")
    monkeypatch.setattr(sys.modules["__main__"], "script", inner, raising=False)
    monkeypatch.setattr(inner, "__module__", "__main__")
    monkeypatch.setattr(inner, "__qualname__", "script")
    with pytest.raises(InvalidOption, match="must be a function of a module"):  # when pytest runs, that is another one
        pytest_file(play(Case(inner)))


def test_a_plan_with_a_callable_of_no_name_is_refused():
    plan = FaultPlan((Full(when=lambda event, members: True),))
    with pytest.raises(InvalidOption, match="when must be a function of a module"):
        pytest_file(play(Case(race, plan=plan)), f"{__file__}:race")


@pytest.mark.slow
def test_pytest_itself_runs_what_was_written_and_it_fails_with_the_same_errors(tmp_path):
    """One run for all of them: each takes a second to begin."""
    told = []
    for number in range(len(TEXTS)):
        outcome = play(Case(echo, number))
        (tmp_path / f"test_echo_{number}.py").write_text(pytest_file(outcome, f"{__file__}:echo"), encoding="utf-8")
        told.append(f"test_echo_{number}.py::test_valueerror_in_echo")
    (tmp_path / "test_race.py").write_text(pytest_file(found_race(), f"{__file__}:race"), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1].startswith(f"{len(TEXTS) + 1} failed")
    assert "test_race.py::test_assertionerror_in_race - AssertionError: the wrong" in done.stdout
    assert [name for name in told if f"FAILED {name} - ValueError" not in done.stdout] == []
