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
    [
        ("--sim-seed", "1", "--sim-seeds", "2"),
        ("--sim-replay", "missing.trace"),
        ("--sim-replay", "."),
        ("--sim-replay", "test_one.py"),
    ],
)
def test_options_that_cannot_be_are_refused(pytester, arguments):
    pytester.makepyfile(test_one=FAILS_AT.format(seed=-1))
    assert pytester.runpytest(*arguments).ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        *(("--sim-seeds", value, "a whole number from 1 to 9999999") for value in ("0", "-1", "x", "", "1.5", "10000000")),
        *(("--sim-seed", value, "a whole number of at most 15 digits") for value in ("x", "", "1e3", "1" * 16)),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_its_rule(pytester, option, value, rule):
    result = pytester.runpytest(f"{option}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*argument {option}: must be {rule}, got '{value}'"])


@pytest.mark.parametrize("folder", ["taken", "taken/below"])
def test_a_trace_that_cannot_be_written_hides_no_failure(pytester, folder):
    pytester.makepyfile(FAILS_AT.format(seed=0), test_other=FAILS_AT.format(seed=-1))
    (pytester.path / "taken").write_text("a file")
    result = pytester.runpytest("--sim-traces", folder)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["again: pytest *", "trace: not written: *"])


def test_traces_go_where_they_are_wanted_wherever_a_test_has_gone(pytester):
    pytester.makepyfile(
        """
        def test_room(simulation, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            assert False
        """
    )
    pytester.runpytest("--sim-traces=kept").assert_outcomes(failed=1)
    assert len(traces_in(pytester.path / "kept")) == 1


def test_what_is_replayed_is_not_written_over(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    recorded = trace.read_bytes()
    file.write_text(FAILS_AT.format(seed=0).replace('"abc"', '"abd"'))
    for _ in range(2):
        pytester.runpytest("--sim-replay", trace).stdout.fnmatch_lines(["trace: *.again.trace"])
    assert trace.read_bytes() == recorded
    assert len(traces_in(pytester.path / ".lightspeed")) == 2


def test_a_test_that_cannot_be_found_any_more_is_said_to_have_asked_for_none(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    file.write_text("def test_another(simulation): pass")
    result = pytester.runpytest("--sim-replay", trace)
    result.stdout.fnmatch_lines(["*replay of a simulation*", "the test did not come to ask for a simulation"])


def test_it_runs_in_classes_with_parameters_and_in_tests_that_use_it_little_or_close_it(pytester):
    pytester.makepyfile(
        """
        import pytest

        class TestRoom:
            @pytest.mark.parametrize("name", ["a", "b c"])
            def test_room(self, name, simulation):
                simulation.client(simulation.channel(), name).join("x")

        @pytest.mark.simulation(seeds=2)
        class TestMarked:
            def test_room(self, simulation):
                simulation.client(simulation.channel(), "a").join("x")

        def test_nothing(simulation):
            pass

        def test_closed(simulation):
            simulation.channel()
            simulation.close()

        def test_error_of_odd_letters(simulation):
            assert False, chr(0xD83D)
        """
    )
    pytester.runpytest().assert_outcomes(passed=6, failed=1)
    pytester.runpytest("--sim-seeds", "3").assert_outcomes(passed=15, failed=3)


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
    quick = ("-p", "no:hypothesispytest")
    pytester.runpytest_subprocess("-n", "2", "--sim-seeds", "5", *quick).assert_outcomes(passed=8, failed=2)
    first, second = (pytester.path / ".lightspeed").glob("*.trace")
    result = pytester.runpytest_subprocess("-n", "1", "--sim-replay", first, *quick)
    result.stdout.fnmatch_lines(["it went the same way, * lines"])
    assert second.exists()


def test_a_recording_of_no_test_is_not_replayed_by_pytest(pytester):
    write_recording(play(Case(random_scenario(1))), pytester.path / "a.trace")
    result = pytester.runpytest("--sim-replay", "a.trace")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must be of a test*"])
