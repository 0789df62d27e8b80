"""The plugin of pytest: the fixture `lightspeed_simulation`, its options and its marker; and `lightspeed_asserts`.

Every run of pytest in the environment loads it, so all that it brings has a name of its own, and but for what checks its
options nothing of ours is imported before a test asks for a simulation.
"""

import argparse
import inspect
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from lightspeed.cli.arguments import size

if TYPE_CHECKING:
    from lightspeed.testing.simulation import Simulation
    from lightspeed.testing.trial import Trial, Trials

_TRIAL: "pytest.StashKey[Trial]" = pytest.StashKey()
_TRIALS: "pytest.StashKey[Trials]" = pytest.StashKey()
__tracebackhide__ = True  # to pytest, our code says nothing about a test's failure
_NAME = "lightspeed_simulation"  # of the fixture and of the marker
_VERDICT = "replay of a lightspeed simulation"
_MARKER = (
    f"{_NAME}(scheduler, faults, seeds): for the fixture of this name: `random`, `priority` or `round_robin`; "
    "a FaultPlan for every channel; with how many seeds this test runs where --lightspeed-seeds does not say"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lightspeed", "simulation by lightspeed")
    group.addoption(
        "--lightspeed-seeds", type=size, metavar="N", help=f"run each test that asks for `{_NAME}` with N seeds; default 1"
    )
    group.addoption("--lightspeed-seed", type=_seed, metavar="S", help="run each with this seed alone")
    group.addoption(
        "--lightspeed-traces", metavar="DIR", help="where traces of tests that fail go; default .lightspeed in the root folder"
    )
    group.addoption(
        "--lightspeed-replay", metavar="TRACE", help="run the test that wrote this trace once more, and say where it diverges"
    )


def _seed(text: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,15}", text) is None:
        raise argparse.ArgumentTypeError(f"must be a whole number of at most 15 digits, got {text!r}")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)
    given = [
        name for name in ("--lightspeed-seeds", "--lightspeed-seed", "--lightspeed-replay") if config.getoption(name) is not None
    ]
    if len(given) > 1:
        raise pytest.UsageError(f"{' and '.join(given)} can't go together")
    if config.getoption("--lightspeed-replay") is not None:
        _trials(config)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _has_seeds(metafunc):
        seeds = _seeds(metafunc.config, metafunc.definition.get_closest_marker(_NAME))
        metafunc.parametrize(_NAME, seeds, indirect=True, ids=[f"seed-{seed}" for seed in seeds])


def _has_seeds(metafunc: pytest.Metafunc) -> bool:
    """Whether it asks for our fixture, directly or through one of the same name, and nobody has said with what parameters."""
    line: Any = metafunc._arg2fixturedefs.get(_NAME) or ()  # each overrides the one before it
    is_asked_for = bool(line) and line[0].func is _simulate and all(_NAME in fixture.argnames for fixture in line[1:])
    return is_asked_for and not any(_NAME in call.params for call in metafunc._calls)


def _seeds(config: pytest.Config, marker: pytest.Mark | None) -> list[int]:
    if config.getoption("--lightspeed-replay") is not None:
        return [_trials(config).replayed_seed]
    seed: Any = config.getoption("--lightspeed-seed")
    if seed is not None:
        return [seed]
    count = config.getoption("--lightspeed-seeds")
    if count is None:
        count = 1 if marker is None else marker.kwargs.get("seeds", 1)
    if type(count) is not int or count < 1:
        raise pytest.UsageError(f"seeds of the marker {_NAME} must be an int from 1 up, got {count!r}")
    return list(range(count))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--lightspeed-replay") is not None:
        others = [item for item in items if item.nodeid != _trials(config).replayed_test]
        items[:] = [item for item in items if item.nodeid == _trials(config).replayed_test]
        config.hook.pytest_deselected(items=others)


def pytest_collection_finish(session: pytest.Session) -> None:
    asking = [item for item in session.items if _NAME in getattr(item, "fixturenames", ())]
    if asking:
        _trials(session.config).expect(item.nodeid for item in asking)


def _simulate(request: pytest.FixtureRequest) -> Iterator["Simulation"]:
    """A `Simulation` with a seed of its own. When the test has returned it is closed, which holds it to its invariants."""
    seed = getattr(request, "param", None)  # not there for a test that asks for it by `getfixturevalue`
    config = request.config
    seed = _seeds(config, None)[0] if seed is None else seed
    marker = request.node.get_closest_marker(_NAME) or getattr(pytest.mark, _NAME).mark
    trial = _trials(config).begin(request.node.nodeid, seed, marker.args, marker.kwargs)
    request.node.stash[_TRIAL] = trial
    yield trial.simulation
    trial.simulation.abandon()  # harmless where it was closed


lightspeed_simulation = pytest.fixture(_simulate, name=_NAME)


@pytest.fixture
def lightspeed_asserts() -> ModuleType:
    """The asserts and refutes of `lightspeed.testing` about what channels' clients are told: `lightspeed_asserts.assert_push`."""
    from lightspeed.testing import asserts

    return asserts


@pytest.fixture
def lightspeed_async_asserts() -> ModuleType:
    """The same for clients of an `AsyncChannel`: `await lightspeed_async_asserts.assert_push(client)`."""
    from lightspeed.testing import async_asserts

    return async_asserts


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """An `async def` that asks for a simulation is its play: it runs on the simulation's own loop."""
    if _TRIAL not in pyfuncitem.stash or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    args = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.stash[_TRIAL].simulation.loop.run_until_complete(pyfuncitem.obj(**args))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        result = yield
    except BaseException as error:
        if _TRIAL in item.stash:
            item.stash[_TRIAL].fail(error)
        raise
    if _TRIAL in item.stash:
        item.stash[_TRIAL].close()  # here, and not in the fixture's end, where it would be an error and no failure of the test
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report: Any = yield
    trial = item.stash.get(_TRIAL, None)
    if trial is not None and not trial.is_written and (report.failed or (trial.is_replay and report.when == "call")):
        error = None if call.excinfo is None else call.excinfo.value
        report.sections.append((_NAME, trial.write(_folder(item.config), error)))
        if trial.is_replay:
            report.user_properties.append((_VERDICT, _trials(item.config).verdict))  # the way home from a worker of xdist
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--lightspeed-replay") is not None:
        reports = [report for reports in terminalreporter.stats.values() for report in reports]
        told = (text for report in reports for name, text in getattr(report, "user_properties", ()) if name == _VERDICT)
        terminalreporter.section(_VERDICT)
        terminalreporter.write_line(next(told, "the test did not come to ask for a simulation"))


def _folder(config: pytest.Config) -> Path:
    given = config.getoption("--lightspeed-traces")  # from where pytest was called, wherever a test has gone since
    return config.rootpath / ".lightspeed" if given is None else config.invocation_params.dir / given


def _trials(config: pytest.Config) -> "Trials":
    if _TRIALS not in config.stash:
        from lightspeed.testing.trial import Trials  # with all that a simulation takes

        try:
            config.stash[_TRIALS] = Trials(config.getoption("--lightspeed-replay"))
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"--lightspeed-replay: {error}") from None
    return config.stash[_TRIALS]
