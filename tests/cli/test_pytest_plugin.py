"""The plugin, in runs of pytest of its own."""

import subprocess
import sys

import pytest
from model.random_scenario import random_scenario

from lightspeed.testing import Case, play, write_recording
from lightspeed.testing.recording import read_recording

pytest_plugins = ["pytester"]

FAILS_AT = """
import pytest

@pytest.fixture
def seeds(lightspeed_simulation):
    return lightspeed_simulation.seed

def test_room(lightspeed_simulation, seeds):
    channel = lightspeed_simulation.channel()
    for name in "abc":
        lightspeed_simulation.client(channel, name).join("x")
    lightspeed_simulation.run()
    assert lightspeed_simulation.seed != {seed}
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


AWAITS = """
import asyncio
import pytest

class TestRoom:
    @pytest.mark.parametrize("seconds", [3600])
    async def test_waits(self, seconds, lightspeed_simulation):
        await asyncio.sleep(seconds)
        simulation = lightspeed_simulation
        assert asyncio.get_running_loop() is simulation.loop
        assert simulation.seed != {seed}
        await asyncio.sleep(seconds)

async def fail():
    raise ValueError("planted")

async def test_leaves_a_task_that_fails(lightspeed_simulation):
    lightspeed_simulation.kept = asyncio.create_task(fail())
    await asyncio.sleep(1)
"""


def test_a_test_that_is_a_coroutine_is_run_by_its_simulation(pytester):
    file = pytester.makepyfile(AWAITS.format(seed=1))
    result = pytester.runpytest("--lightspeed-seeds", "2", "-k", "waits")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*assert 1 != 1*", "seed 1, * steps, 3600 s of virtual time"])
    (trace,) = traces_in(pytester.path / ".lightspeed")
    result = pytester.runpytest("--lightspeed-replay", f".lightspeed/{trace}")
    result.stdout.fnmatch_lines(["it went the same way, * lines"])
    assert file.stem in trace


def test_a_task_that_nobody_awaited_fails_its_test(pytester):
    pytester.makepyfile(AWAITS.format(seed=-1))
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*ValueError: planted", "E*in task fail, which nobody awaited"])


def test_a_coroutine_without_a_simulation_is_left_to_others(pytester):
    pytester.makepyfile(
        conftest="""
        def pytest_pyfunc_call(pyfuncitem):
            pyfuncitem.obj().close()
            return True
        """,
        test_other="async def test_other():\n    pass\n",
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_with_as_many_seeds_as_are_asked_for_and_a_failing_one_says_how_to_repeat_it(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=3))
    result = pytester.runpytest("--lightspeed-seeds", "5")
    result.assert_outcomes(passed=4, failed=1)
    again = f"pytest '{file.name}::test_room[[]seed-3]' --lightspeed-seed 3"
    result.stdout.fnmatch_lines(
        ["*- lightspeed_simulation -*", "seed 3, * steps, 0 s of virtual time", f"again: {again}", "trace: *.trace"]
    )
    assert traces_in(pytester.path / ".lightspeed") == [f"{file.stem}.py_test_room_seed-3.trace"]
    pytester.runpytest(f"{file.name}::test_room[seed-3]", "--lightspeed-seed", "3").assert_outcomes(failed=1)
    pytester.runpytest("--lightspeed-seed", "4").assert_outcomes(passed=1)


def test_traces_go_where_they_are_wanted(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest("--lightspeed-traces=kept/here").assert_outcomes(failed=1)
    (name,) = traces_in(pytester.path / "kept" / "here")
    header, lines = read_recording(pytester.path / "kept" / "here" / name)
    assert (header.seed, "::test_room[seed-0]" in header.play) == (0, True)
    assert header.error.startswith("AssertionError")
    assert lines


def test_a_trace_is_replayed_to_the_letter_by_the_test_that_wrote_it_alone(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=3), test_other=FAILS_AT.format(seed=-1))
    pytester.runpytest("--lightspeed-seeds", "5")
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    result = pytester.runpytest(f"--lightspeed-replay={trace}")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*replay of a lightspeed simulation*", "it went the same way, * lines"])


def test_a_test_that_goes_another_way_is_shown_where(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    file.write_text(FAILS_AT.format(seed=0).replace('"abc"', '"abd"'))
    result = pytester.runpytest(f"--lightspeed-replay={trace}")
    result.stdout.fnmatch_lines(
        ["it goes another way at line * of the trace:", "*recorded: *client c*", "*this time: *client d*"]
    )


def test_a_breach_at_the_end_of_a_test_is_a_failure_of_it(pytester):
    pytester.makepyfile(
        """
        def test_rule(lightspeed_simulation):
            lightspeed_simulation.eventually(lambda: False, within_s=5, name="it comes")
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
        def room(lightspeed_simulation):
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

        def test_skipped(lightspeed_simulation):
            pytest.skip("not now")

        @pytest.mark.xfail
        def test_expected(lightspeed_simulation):
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
        from lightspeed.faults import Raise
        from lightspeed.testing.schedulers import RoundRobin

        @pytest.mark.lightspeed_simulation(scheduler="round_robin", faults=FaultPlan((Raise(at=1),)), seeds=3)
        def test_room(lightspeed_simulation):
            channel = lightspeed_simulation.channel()
            lightspeed_simulation.client(channel, "a").join("x")
            lightspeed_simulation.run()
            assert [message.status for message in lightspeed_simulation.client(channel, "a").received] == ["error"]
        """
    )
    pytester.runpytest("--strict-markers").assert_outcomes(passed=3)
    pytester.runpytest("--lightspeed-seeds", "2").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("'priority'", "lightspeed_simulation takes faults, scheduler, seeds"),
        ("speed=3", "takes*'speed'"),
        ("scheduler='best'", "scheduler must"),
    ],
)
def test_a_marker_that_cannot_be_is_refused(pytester, arguments, text):
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.lightspeed_simulation({arguments})
        def test_room(lightspeed_simulation):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{text}*"])


def test_seeds_of_a_marker_must_be_a_number(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.lightspeed_simulation(seeds=0)\ndef test_room(lightspeed_simulation): pass")
    pytester.runpytest().stdout.fnmatch_lines(["*seeds of the marker lightspeed_simulation must be an int from 1 up, got 0*"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--lightspeed-seed", "1", "--lightspeed-seeds", "2"),
        ("--lightspeed-replay", "missing.trace"),
        ("--lightspeed-replay", "."),
        ("--lightspeed-replay", "test_one.py"),
    ],
)
def test_options_that_cannot_be_are_refused(pytester, arguments):
    pytester.makepyfile(test_one=FAILS_AT.format(seed=-1))
    assert pytester.runpytest(*arguments).ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        *(("--lightspeed-seeds", value, "a whole number from 1 to 9999999") for value in ("0", "-1", "x", "", "1.5", "10000000")),
        *(("--lightspeed-seed", value, "a whole number of at most 15 digits") for value in ("x", "", "1e3", "1" * 16)),
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
    result = pytester.runpytest("--lightspeed-traces", folder)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["again: pytest *", "trace: not written: *"])


def test_traces_go_where_they_are_wanted_wherever_a_test_has_gone(pytester):
    pytester.makepyfile(
        """
        def test_room(lightspeed_simulation, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            assert False
        """
    )
    pytester.runpytest("--lightspeed-traces=kept").assert_outcomes(failed=1)
    assert len(traces_in(pytester.path / "kept")) == 1


def test_what_is_replayed_is_not_written_over(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    recorded = trace.read_bytes()
    file.write_text(FAILS_AT.format(seed=0).replace('"abc"', '"abd"'))
    for _ in range(2):
        pytester.runpytest("--lightspeed-replay", trace).stdout.fnmatch_lines(["trace: *.again.trace"])
    assert trace.read_bytes() == recorded
    assert len(traces_in(pytester.path / ".lightspeed")) == 2


def test_a_test_that_cannot_be_found_any_more_is_said_to_have_asked_for_none(pytester):
    file = pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest()
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    file.write_text("def test_another(lightspeed_simulation): pass")
    result = pytester.runpytest("--lightspeed-replay", trace)
    result.stdout.fnmatch_lines(["*replay of a lightspeed simulation*", "the test did not come to ask for a simulation"])


def test_it_runs_in_classes_with_parameters_and_in_tests_that_use_it_little_or_close_it(pytester):
    pytester.makepyfile(
        """
        import pytest

        class TestRoom:
            @pytest.mark.parametrize("name", ["a", "b c"])
            def test_room(self, name, lightspeed_simulation):
                lightspeed_simulation.client(lightspeed_simulation.channel(), name).join("x")

        @pytest.mark.lightspeed_simulation(seeds=2)
        class TestMarked:
            def test_room(self, lightspeed_simulation):
                lightspeed_simulation.client(lightspeed_simulation.channel(), "a").join("x")

        def test_nothing(lightspeed_simulation):
            pass

        def test_closed(lightspeed_simulation):
            lightspeed_simulation.channel()
            lightspeed_simulation.close()

        def test_error_of_odd_letters(lightspeed_simulation):
            assert False, chr(0xD83D)
        """
    )
    pytester.runpytest().assert_outcomes(passed=6, failed=1)
    pytester.runpytest("--lightspeed-seeds", "3").assert_outcomes(passed=15, failed=3)


def test_a_rule_of_sometimes_may_hold_with_any_seed_of_a_test(pytester):
    pytester.makepyfile(
        """
        def test_seen(lightspeed_simulation):
            lightspeed_simulation.sometimes(lambda: lightspeed_simulation.seed == 1, name="seen")

        def test_never_seen(lightspeed_simulation):
            lightspeed_simulation.sometimes(lambda: False, name="never seen")
        """
    )
    result = pytester.runpytest("--lightspeed-seeds", "3")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*_ test_never_seen?seed-2? _*", "*never seen: it never held, with any seed*"])
    pytester.runpytest("--lightspeed-seed", "0").assert_outcomes(failed=2)


def test_a_simulation_that_is_asked_for_by_name_has_the_first_seed(pytester):
    pytester.makepyfile(
        """
        def test_room(request):
            lightspeed_simulation = request.getfixturevalue("lightspeed_simulation")
            lightspeed_simulation.eventually(lambda: False, within_s=5, name="it comes")
        """
    )
    pytester.runpytest("--lightspeed-seeds", "3").assert_outcomes(failed=1)


@pytest.mark.slow
@pytest.mark.long
def test_workers_of_xdist_write_traces_of_their_own(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=3), test_other=FAILS_AT.format(seed=4))
    pytester.runpytest_subprocess("-n", "2", "--lightspeed-seeds", "5").assert_outcomes(passed=8, failed=2)
    assert len(traces_in(pytester.path / ".lightspeed")) == 2


@pytest.mark.slow
def test_a_worker_of_xdist_writes_a_trace_too_and_what_came_of_a_replay_comes_home(pytester):
    pytester.makepyfile(FAILS_AT.format(seed=0))
    pytester.runpytest().assert_outcomes(failed=1)
    (trace,) = (pytester.path / ".lightspeed").glob("*.trace")
    result = pytester.runpytest_subprocess("-n", "1", "--lightspeed-replay", trace)
    result.stdout.fnmatch_lines(["it went the same way, * lines"])
    assert len(traces_in(pytester.path / ".lightspeed")) == 2


def test_a_recording_of_no_test_is_not_replayed_by_pytest(pytester):
    write_recording(play(Case(random_scenario(1))), pytester.path / "a.trace")
    result = pytester.runpytest("--lightspeed-replay", "a.trace")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must be of a test*"])


OF_OTHERS = {
    "a parameter": """
        import pytest

        @pytest.mark.parametrize("simulation, steps", [(1, 2), (2, 3)])
        def test_it(simulation, steps):
            assert steps == simulation + 1
        """,
    "a fixture with parameters": """
        import pytest

        @pytest.fixture(params=["x", "y"])
        def simulation(request):
            return request.param

        def test_it(simulation):
            assert simulation in "xy"
        """,
    "a fixture of a class, and a marker": """
        import pytest

        @pytest.mark.simulation("theirs", seeds="theirs")
        class TestIt:
            @pytest.fixture
            def simulation(self, request):
                return request.node.get_closest_marker("simulation").args

            @pytest.mark.parametrize("times", [1, 2])
            def test_it(self, simulation, times):
                assert simulation == ("theirs",)
        """,
    "a hook that makes parameters, and options": """
        def test_hook(simulation, request):
            assert simulation in range(2)
            assert request.config.getoption("--seed") == request.config.getoption("--sim-seed") == "theirs"
        """,
    "ours by its name with parameters of their own": """
        import pytest

        @pytest.mark.parametrize("lightspeed_simulation", [1, 2])
        def test_it(lightspeed_simulation):
            assert lightspeed_simulation in (1, 2)
        """,
    "ours by its name as a fixture of their own with parameters": """
        import pytest

        @pytest.fixture(params=[1, 2])
        def lightspeed_simulation(request):
            return request.param

        def test_it(lightspeed_simulation):
            assert lightspeed_simulation in (1, 2)
        """,
    "ours by its name as a plain fixture of their own": """
        import unittest
        import pytest

        @pytest.fixture
        def lightspeed_simulation():
            return 1

        def test_it(lightspeed_simulation, request):
            assert (lightspeed_simulation, request.node.name) == (1, "test_it")

        @pytest.mark.usefixtures("lightspeed_simulation")
        class TestIt(unittest.TestCase):
            def test_it(self):
                self.simulation = 1
        """,
}
CONFTEST_OF_OTHERS = """
    def pytest_addoption(parser):
        for name in ("--seed", "--sim-seed", "--sim-seeds"):
            parser.addoption(name, default="theirs")

    def pytest_configure(config):
        config.addinivalue_line("markers", "simulation: of theirs")

    def pytest_generate_tests(metafunc):
        if metafunc.definition.name == "test_hook":
            metafunc.parametrize("simulation", range(2))
    """


@pytest.mark.parametrize("arguments", [(), ("-p", "no:lightspeed"), ("--lightspeed-seeds", "3")])
@pytest.mark.parametrize("whose", OF_OTHERS)
def test_nothing_of_the_same_name_of_others_is_disturbed(pytester, whose, arguments):
    pytester.makeconftest(CONFTEST_OF_OTHERS)
    pytester.makepyfile(OF_OTHERS[whose])
    result = pytester.runpytest("--strict-markers", "-rA", *arguments)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*seed-*")


def test_a_fixture_that_leads_on_to_ours_has_its_seeds(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def lightspeed_simulation(lightspeed_simulation):
            lightspeed_simulation.channel()
            return lightspeed_simulation

        @pytest.fixture
        def simulation(lightspeed_simulation):
            return lightspeed_simulation

        def test_it(simulation, request):
            assert request.node.name == f"test_it[seed-{simulation.seed}]"
        """
    )
    pytester.runpytest("--lightspeed-seeds", "3").assert_outcomes(passed=3)


def test_seeds_that_a_project_gives_itself_are_those_that_count(pytester):
    pytester.makeconftest(
        """
        def pytest_generate_tests(metafunc):
            if metafunc.definition.name == "test_hook":
                metafunc.parametrize("lightspeed_simulation", [7, 8], indirect=True)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        def test_hook(lightspeed_simulation):
            assert lightspeed_simulation.seed in (7, 8)

        @pytest.mark.parametrize("lightspeed_simulation", [7, 8], indirect=True)
        def test_mark(lightspeed_simulation):
            assert lightspeed_simulation.seed in (7, 8)
        """
    )
    pytester.runpytest("--lightspeed-seeds", "5").assert_outcomes(passed=4)


def test_without_the_plugin_there_is_nothing_of_it(pytester):
    pytester.makepyfile("def test_it(lightspeed_simulation): pass")
    result = pytester.runpytest("-p", "no:lightspeed")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'lightspeed_simulation' not found*"])
    assert pytester.runpytest("-p", "no:lightspeed", "--lightspeed-seeds", "2").ret == pytest.ExitCode.USAGE_ERROR


def test_a_failing_test_of_a_unittest_class_is_one_failure_with_its_seed(pytester):
    pytester.makepyfile(
        """
        import unittest
        import pytest

        class TestIt(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def simulate(self, lightspeed_simulation):
                self.simulation = lightspeed_simulation

            def test_it(self):
                self.simulation.eventually(lambda: False, within_s=5, name="it comes")
                self.fail("something else")

            def test_rule(self):
                self.simulation.eventually(lambda: False, within_s=5, name="it comes")
        """
    )
    result = pytester.runpytest("-rN")  # the summary repeats whole messages where CI is set, and their heads elsewhere
    result.assert_outcomes(failed=2)
    out = result.stdout.str()
    assert out.count("something else") == 2  # the line of code and the error
    assert out.count("again: pytest") == 2
    result.stdout.fnmatch_lines(["*InvariantBroken: it comes: it never held*"])


def test_a_failure_is_printed_once_without_our_code_and_without_what_failed_in_the_simulation(pytester):
    pytester.makepyfile(
        """
        from lightspeed.channel import Behaviour
        from lightspeed.testing import search

        class Picky(Behaviour):
            def on_push(self, room, client_id, event, payload):
                int(payload)

        def play(simulation):
            channel = simulation.channel(behaviours={"r": Picky})
            client = simulation.client(channel, "a")
            client.join("r")
            client.push("r", "e", "no number")
            simulation.run()

        def test_play(lightspeed_simulation):
            assert search(play, range(20)) is None
            play(lightspeed_simulation)
            assert False, "something else"

        def test_rule(lightspeed_simulation):
            lightspeed_simulation.eventually(lambda: False, within_s=5, name="it comes")

        def test_rule_on_the_way(lightspeed_simulation):
            lightspeed_simulation.always(lambda: False, name="it is")
            play(lightspeed_simulation)

        def test_outcome():
            assert search(lambda simulation: 1 / 0, range(3)) is None
        """
    )
    result = pytester.runpytest("-rN", "-o", "log_level=DEBUG")
    result.assert_outcomes(failed=4)
    out = result.stdout.str()
    assert [
        text for text in ("Captured", "invalid literal", "pykka", "_look", "raise_broken", "pytest_runtest") if text in out
    ] == []
    assert [out.count(text) for text in ("Error: something else", "Broken: it comes: ", "Broken: it is: ")] == [1, 1, 1]
    result.stdout.fnmatch_lines(["E *assert Outcome(seed 0: ZeroDivisionError in <lambda>) is None"])
    assert len(out.splitlines()) < 100


def test_the_asserts_are_a_fixture_too_and_a_failure_shows_the_line_of_the_test_and_none_of_ours(pytester):
    pytester.makepyfile("""
        def test_room(lightspeed_simulation, lightspeed_asserts):
            client = lightspeed_simulation.channel().client("a", "ann")
            client.join("x")
            lightspeed_asserts.assert_presence(client, "x", {"ann": 1})
            lightspeed_asserts.refute_push(client, within_s=3600)
            lightspeed_asserts.assert_push(client, event="never")
    """)
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*lightspeed_asserts.assert_push(client, event="never")',
            "E*ExpectationFailed: a was to be given a push with event 'never' within 1 s, and was not; in its inbox are*",
            "E*PresenceDiff(topic='x',*",
            "*test_the_asserts_are_a_fixture*.py:6: ExpectationFailed",
            "seed 0, * steps, 3601 s of virtual time",
        ]
    )
    result.stdout.no_fnmatch_line("*asserts.py:*")
