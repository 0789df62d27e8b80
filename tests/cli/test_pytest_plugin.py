"""The plugin, in runs of pytest of its own."""

import subprocess
import sys

import pytest

from lightspeed.testing import Case, play, random_scenario, write_recording
from lightspeed.testing.recording import read_recording

pytest_plugins = ["pytester"]

FAILS_AT = """
import pytest

@pytest.fixture
def seeds(simulation):
    return simulation.seed

def test_room(simulation, seeds):
    channel = simulation.channel()
    for name in "abc":
        simulation.client(channel, name).join("x")
    simulation.run()
    assert simulation.seed != {seed}
"""


def traces_in(folder):
    return sorted(path.name for path in folder.glob("*.trace"))


def test_it_imports_nothing_of_ours_before_it_is_asked():
    code = "import sys; import lightspeed.cli.pytest_plugin; print(sorted({'pykka', 'loguru', 'msgspec'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_a_test_that_asks_for_a_simulation_runs_with_one_seed(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=-1))
    result = pytester.runpytest("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_room?seed-0? PASSED*"])
    assert not (pytester.path / ".lightspeed").exists()


def test_with_as_many_seeds_as_are_asked_for_and_a_failing_one_says_how_to_repeat_it(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=3))
    result = pytester.runpytest("--sim-seeds", "5")
    result.assert_outcomes(passed=4, failed=1)
    again = f"pytest '{file.name}::test_room[[]seed-3]' --sim-seed 3"
    result.stdout.fnmatch_lines(["*- simulation -*", "seed 3, * steps, 0 s of virtual time", f"again: {again}", "trace: *.trace"])
    assert traces_in(pytester.path / ".lightspeed") == [f"{file.stem}.py_test_room_seed-3.trace"]
    pytester.runpytest(f"{file.name}::test_room[seed-3]", "--sim-seed", "3").assert_outcomes(failed=1)
    pytester.runpytest("--sim-seed", "4").assert_outcomes(passed=1)


def test_traces_go_where_they_are_wanted(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest("--sim-traces=kept/here").assert_outcomes(failed=1)
    (name,) = traces_in(pytester.path / "kept" / "here")
    header, lines = read_recording(pytester.path / "kept" / "here" / name)
    assert (header.seed, "::test_room[seed-0]" in header.play) == (0, True)
    assert header.error.startswith("AssertionError")
    assert lines


def test_a_trace_is_replayed_to_the_letter_by_the_test_that_wrote_it_alone(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=3), test_other=FAILS_AT.format(seed=-1))
    pytester.runpytest("--sim-seeds", "5")
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    result = pytester.runpytest(f"--sim-replay={trace}")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*replay of a simulation*", "it went the same way, * lines"])


def test_a_test_that_goes_another_way_is_shown_where(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    file.write_text(FAILS_AT.format(seed=0).replace('"abc"', '"abd"'))
    result = pytester.runpytest(f"--sim-replay={trace}")
    result.stdout.fnmatch_lines(
        ["it goes another way at line * of the trace:", "*recorded: *client c*", "*this time: *client d*"]
    )


def test_a_breach_at_the_end_of_a_test_is_a_failure_of_it(pytester):
    pytester.makepyfile(
        """
        def test_rule(simulation):
            simulation.eventually(lambda: False, within_s=5, name="it comes")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1, errors=0)
    result.stdout.fnmatch_lines(["*InvariantBroken: it comes: it never held*", "again: pytest *"])


def test_a_failure_in_a_fixture_that_asks_for_a_simulation_is_reported_with_its_seed(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def room(simulation):
            raise ValueError("no room")

        def test_room(room):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["seed 0, *", "again: pytest *"])


def test_skipped_and_expected_failures_write_nothing(pytester):
    pytester.makepyfile(
        """
        import pytest

        def test_skipped(simulation):
            pytest.skip("not now")

        @pytest.mark.xfail
        def test_expected(simulation):
            assert False
        """
    )
    pytester.runpytest().assert_outcomes(skipped=1, xfailed=1)
    assert not (pytester.path / ".lightspeed").exists()


def test_the_marker_sets_the_scheduler_the_faults_and_the_seeds(pytester):
    pytester.makepyfile(
        """
        import pytest
        from lightspeed.channel import FaultPlan, Join
        from lightspeed.supervision import Raise
        from lightspeed.testing.schedulers import RoundRobin

        @pytest.mark.simulation(scheduler="round_robin", faults=FaultPlan((Raise(at=1),)), seeds=3)
        def test_room(simulation):
            channel = simulation.channel()
            simulation.client(channel, "a").join("x")
            simulation.run()
            assert [message.status for message in simulation.client(channel, "a").received] == ["error"]
        """
    )
    pytester.runpytest("--strict-markers").assert_outcomes(passed=3)
    pytester.runpytest("--sim-seeds", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("'priority'", "simulation takes faults, scheduler, seeds"),
        ("speed=3", "takes*'speed'"),
        ("scheduler='best'", "scheduler must"),
    ],
)
def test_a_marker_that_cannot_be_is_refused(pytester, arguments, text):
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.simulation({arguments})
        def test_room(simulation):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{text}*"])


def test_seeds_of_a_marker_must_be_a_number(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.simulation(seeds=0)\ndef test_room(simulation): pass")
    pytester.runpytest().stdout.fnmatch_lines(["*seeds of the marker simulation must be an int from 1 up, got 0*"])


@pytest.mark.parametrize(
    "arguments",
    [("--sim-seeds", "0"), ("--sim-seeds", "x"), ("--sim-seed", "1", "--sim-seeds", "2"), ("--sim-replay", "missing.trace")],
)
def test_options_that_cannot_be_are_refused(pytester, arguments):
    pytester.makepyfile(FAILS_AT.format(seed=-1))
    assert pytester.runpytest(*arguments).ret == pytest.ExitCode.USAGE_ERROR


def test_a_rule_of_sometimes_may_hold_with_any_seed_of_a_test(pytester):
    pytester.makepyfile(
        """
        def test_seen(simulation):
            simulation.sometimes(lambda: simulation.seed == 1, name="seen")

        def test_never_seen(simulation):
            simulation.sometimes(lambda: False, name="never seen")
        """
    )
    result = pytester.runpytest("--sim-seeds", "3")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*_ test_never_seen?seed-2? _*", "*never seen: it never held, with any seed*"])
    pytester.runpytest("--sim-seed", "0").assert_outcomes(failed=2)


def test_a_simulation_that_is_asked_for_by_name_has_the_first_seed(pytester):
    pytester.makepyfile(
        """
        def test_room(request):
            simulation = request.getfixturevalue("simulation")
            simulation.eventually(lambda: False, within_s=5, name="it comes")
        """
    )
    pytester.runpytest("--sim-seeds", "3").assert_outcomes(failed=1)


@pytest.mark.slow
def test_workers_of_xdist_write_traces_of_their_own(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=3), test_other=FAILS_AT.format(seed=4))
    pytester.runpytest_subprocess("-n", "2", "--sim-seeds", "5").assert_outcomes(passed=8, failed=2)
    assert len(traces_in(pytester.path / ".lightspeed")) == 2


def test_a_recording_of_no_test_is_not_replayed_by_pytest(pytester):
    write_recording(play(Case(random_scenario(1))), pytester.path / "a.trace")
    result = pytester.runpytest("--sim-replay", "a.trace")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must be of a test*"])
