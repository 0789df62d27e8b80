import gc
import signal
import sys
import threading

import pykka
import pytest
from hypothesis import settings
from model.held_channel import Model

import lightspeed.channel.core
from lightspeed.actors import Pool, Threads
from lightspeed.actors.runtime import DECLINED
from lightspeed.actors.topics import TopicActor
from lightspeed.supervision.topics import TopicSupervisor
from lightspeed.testing import Simulation

Simulation.observers = (Model,)  # every simulation of the suite is held to what the library promises

# Their asserts count as those of the tests do, under -O too.
pytest.register_assert_rewrite("moved_clock", "stage", "wild")

# A deadline would turn a slow machine into a failing test; a test that hangs is ended by pytest-timeout.
# Of a hundred examples the second half finds next to nothing that is new; `--hypothesis-profile=thorough` draws a thousand.
settings.register_profile("ours", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("ours")


@pytest.fixture(autouse=True, scope="session")
def processes_of_their_own_are_quick(tmp_path_factory):
    """Those that tests start: a pytest does without the plugin of Hypothesis, which takes half a second to load; and where no
    compiled code may lie beside the sources, all of them share a folder for it: else each would compile all that it imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


def pytest_collection_finish():
    """What stands now, modules and thousands of tests, stays: no collection that a test asks for goes through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    """A shell without job control starts what runs beside it with SIGINT ignored, and children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After every test: no actor and no thread more than before it."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    assert not pykka.ActorRegistry.get_all()
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture
def short_grace(monkeypatch):
    """Whoever does not come back is waited for no longer than the close says, and a little."""
    monkeypatch.setattr(lightspeed.channel.channel, "GRACE_S", 0.25)


@pytest.fixture
def on_workers(monkeypatch):
    """No event is handled in the thread that tells it: what a test plants in a topic's state is to fail the topic."""
    monkeypatch.setattr(TopicSupervisor, "receive_inline", lambda _supervisor, _delivery: DECLINED)


@pytest.fixture(params=[Threads, Pool], ids=["threads", "pool"])
def runtime(request, monkeypatch):
    """Channels run on each kind of runtime in turn, and every topic actor can be found in Pykka's registry."""
    monkeypatch.setattr(lightspeed.channel.core, "DEFAULT_RUNTIME", request.param)
    monkeypatch.setattr(TopicActor, "registered", True)
    return request.param
