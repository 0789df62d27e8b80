import threading

import pykka
import pytest

from lightspeed.actors import Threads


class Echo:
    def __init__(self, hold=None):
        super().__init__()
        self.hold = hold

    def on_receive(self, message):
        if self.hold is not None:
            self.hold.wait(10)
        return message


def test_a_role_becomes_a_pykka_actor_on_a_daemon_thread():
    threads = Threads()
    ref = threads.start(Echo)
    assert ref.ask("hello") == "hello"
    assert ref.actor_class.__name__ == "Echo"
    assert [thread.daemon for thread in threading.enumerate() if thread.name.startswith("Echo")] == [True]
    ref.stop()
    assert threads.join(5) == []


def test_join_names_who_is_still_busy():
    threads, hold = Threads(), threading.Event()
    ref = threads.start(Echo, hold)
    ref.tell("wait")
    ref.stop(block=False)
    assert [name[:5] for name in threads.join(0.01)] == ["Echo "]
    hold.set()
    assert threads.join(5) == []


def test_an_actor_that_can_not_be_started_leaves_nothing(monkeypatch):
    def no_more(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(RuntimeError):
        Threads().start(Echo)
    assert pykka.ActorRegistry.get_all() == []


def test_a_timer_calls_once_and_a_cancelled_one_never():
    threads, called = Threads(), threading.Event()
    late = threads.call_later(60, called.set)
    late.cancel()
    late.cancel()
    assert not called.is_set()
    soon = threads.call_later(0.001, called.set)
    assert called.wait(10)
    soon.cancel()
