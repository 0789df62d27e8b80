"""How many workers are started: a thread for nearly every message would go unseen otherwise."""

import threading
from contextlib import contextmanager

import pytest


@contextmanager
def count_starts():
    """Those that are started meanwhile: the length of what this gives."""
    started, start = [], threading.Thread.start

    def counted(thread):
        if thread.name == "ActorPool worker":
            started.append(thread)
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", counted)
        yield started
