import threading

import pykka
import pytest
from hypothesis import settings

# A deadline would turn a slow machine into a failing test; a test that hangs is ended by pytest-timeout.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


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
