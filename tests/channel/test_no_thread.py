"""While no thread can be started: the caller gets Python's error and nothing was told, or it works; later all goes on."""

import threading

import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.channel import Behaviour, Broadcast, Channel, Crash, Join, Leave, Pool, Restart, Threads

REFUSED = "can't start new thread"


class Talker(Behaviour):
    pass


class Keeps(PooledActor):
    def __init__(self, pool):
        super().__init__(pool=pool)
        self.got = []

    def on_receive(self, message):
        self.got.append(message)
        return message


@pytest.fixture
def no_thread(monkeypatch):
    """Run a call while no thread can be started; whether it came through."""
    start = threading.Thread.start

    def run(call):
        def refuse(_thread):
            raise RuntimeError(REFUSED)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        try:
            call()
        except RuntimeError as error:
            if str(error) != REFUSED:
                raise
            return False
        finally:
            monkeypatch.setattr(threading.Thread, "start", start)
        return True

    return run


CALLS = {
    "tell": lambda channel: channel.tell(Join("d", "room", "u", 2)),
    "handle": lambda channel: channel.handle(Join("d", "room", "u", 2)),
    "broadcast": lambda channel: channel.handle(Broadcast("c", "room", "x")),
    "leave": lambda channel: channel.handle(Leave("c", "room")),
    "flush": lambda channel: channel.flush_outbox(),
    "read": lambda channel: channel.membership_count,
    "tree": lambda channel: channel.tree(),
    "crash": lambda channel: (channel.handle(Crash("x")), channel.handle(Restart())),
    "tell of a crash": lambda channel: (channel.tell(Crash("x")), channel.tell(Restart())),
    "close": lambda channel: channel.close(),
}
OPTIONS = {
    "outbox": {},
    "sink": {"on_outbound": lambda message: None},
    "behaviours": {"behaviours": {"*": Talker}},
    "own thread": {"own_thread": ("room",)},
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [Pool, Threads], ids=["pool", "threads"])
def test_a_call_of_a_channel_comes_through_or_was_not_made(kind, options, name, no_thread):
    channel = Channel(runtime=kind(), timeout_s=5, **options)
    channel.handle(Join("c", "room", "u", 1))
    came_through = no_thread(lambda: CALLS[name](channel))
    if name != "close":
        channel.handle(Join("e", "room", "u", 3))
        subscribers = channel.subscribers("room")
        assert "e" in subscribers
        assert ("d" in subscribers) == (came_through and name in ("tell", "handle"))
    channel.close()
    channel.flush_outbox()


@pytest.mark.parametrize("is_warm", [False, True], ids=["no worker yet", "a worker"])
@pytest.mark.parametrize("call", ["tell", "ask", "ask with a timeout", "ask and wait later"])
def test_a_pooled_actor_handles_once_what_came_through_and_never_what_was_refused(call, is_warm, no_thread):
    pool = ActorPool()
    ref = Keeps.start(pool)
    if is_warm:
        ref.tell("warm")
        ref.ask("warm", timeout=5)
    came_through = no_thread(
        {
            "tell": lambda: ref.tell(1),
            "ask": lambda: ref.ask(1),
            "ask with a timeout": lambda: ref.ask(1, timeout=5),
            "ask and wait later": lambda: ref.ask(1, block=False),
        }[call]
    )
    assert ref.ask(2, timeout=5) == 2
    assert ref._actor.got.count(1) == came_through
    assert ref.stop(timeout=5)
    assert pool.close() == []


def test_a_stop_is_answered_by_whoever_waits_for_it(no_thread):
    pool = ActorPool()
    ref = Keeps.start(pool)
    assert no_thread(lambda: ref.stop(timeout=5))
    assert not ref.is_alive()
    assert pool.close() == []
