import gc
import logging
import types
import weakref

import msgspec
import pytest

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    Capsules,
    Channel,
    Crash,
    FaultPlan,
    Join,
    Leave,
    Pool,
    Restart,
    Restarts,
    Threads,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nobody_keeps_records")]
KINDS = {"pool": Pool, "threads": Threads}


@pytest.fixture
def nobody_keeps_records(monkeypatch):
    """As pytest does: with the tracebacks in them, which lead to everything."""
    monkeypatch.setattr(logging.getLogger("pykka"), "disabled", True)


class Talker(Behaviour):
    def on_join(self, room, client, *_args):
        if client == "breaker":
            raise ValueError("planted")

    def on_stop(self, *_args):
        pass


class Sink:
    def __init__(self):
        self.got = []

    def __call__(self, message):
        self.got.append(message)


def options(folder):
    return {
        "outbox": {},
        "behaviours": {"behaviours": {"*": Talker}},
        "gives up": {"behaviours": {"*": Talker}, "restarts": Restarts(intensity=0)},
        "brings back": {"behaviours": {"*": Talker}, "rejoin": "supervisor"},
        "capsules": {"behaviours": {"*": Talker}, "capsules": Capsules(str(folder))},
        "faults": {"faults": FaultPlan(())},
        "own thread": {"own_thread": ("room:1",), "behaviours": {"*": Talker}},
    }


def lived(kind, has_sink, folder, name):
    """A channel that has seen a little of everything, and what of it is to go."""
    runtime = kind()
    sink = Sink() if has_sink else None
    channel = Channel(runtime=runtime, on_outbound=sink, **options(folder)[name])
    for client in ("a", "b", "breaker", "c"):
        channel.handle(Join(client, "room:1", "u", 1))
    channel.tell(Broadcast("a", "room:1", "x"))
    channel.handle(Join("a", "room:2", "u", 1))
    channel.handle(Crash("planted"))
    channel.handle(Restart())
    channel.handle(Join("a", "room:1", "u", 1))
    channel.handle(Leave("a", "room:1"))
    channel.tree()
    watched = [channel, runtime, channel._ingress, channel._outlet, channel._dead_letters]
    watched += [] if sink is None else [sink]
    watched += [runtime._pool] if kind is Pool else []
    return channel, [weakref.ref(what) for what in watched]


def left_of(refs):
    for _ in range(3):
        gc.collect()
    return [ref() for ref in refs if ref() is not None]


@pytest.mark.parametrize("name", list(options("unused")))
@pytest.mark.parametrize("has_sink", [False, True], ids=["outbox", "sink"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_channel_goes_whatever_it_had(kind, has_sink, name, tmp_path):
    channel, refs = lived(KINDS[kind], has_sink, tmp_path, name)
    channel.close()
    del channel
    assert left_of(refs) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("has_sink", [False, True], ids=["outbox", "sink"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_forgotten_channel_is_closed_and_goes(kind, has_sink, tmp_path):
    channel, refs = lived(KINDS[kind], has_sink, tmp_path, "behaviours")
    runtime = channel._runtime
    done = channel._done
    del channel
    gc.collect()
    done.get(timeout=5)
    runtime.join(5)
    del runtime, done
    assert left_of(refs) == []


def test_a_channel_that_lives_is_not_taken_for_one_that_went(tmp_path):
    channel, refs = lived(Pool, True, tmp_path, "behaviours")
    assert len(left_of(refs)) == len(refs)
    channel.close()


# Not walked into: what belongs to the process, and to no channel.
SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.FrameType, logging.Logger)


def is_hidden(what):
    """Whether the collector does not look at it."""
    return isinstance(what, msgspec.Struct) and not type(what).__struct_config__.gc


def led_to(what):
    if isinstance(what, msgspec.Struct):
        return [getattr(what, field) for field in what.__struct_fields__]
    if isinstance(what, types.FunctionType):
        return [cell.cell_contents for cell in what.__closure__ or () if cell != types.CellType()]
    return [] if isinstance(what, SHARED) else gc.get_referents(what)


def reached_from(what):
    seen, waiting = {}, led_to(what)
    while waiting:
        other = waiting.pop()
        if id(other) not in seen:
            seen[id(other)] = other
            waiting += led_to(other)
    return seen


@pytest.mark.parametrize("name", list(options("unused")))
@pytest.mark.parametrize("has_sink", [False, True], ids=["outbox", "sink"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_the_collector_does_not_look_at_leads_back_to_itself(kind, has_sink, name, tmp_path):
    channel, _refs = lived(KINDS[kind], has_sink, tmp_path, name)
    channel.close()
    hidden = [what for what in reached_from(channel).values() if is_hidden(what)]
    assert hidden
    assert [type(what).__name__ for what in hidden if id(what) in reached_from(what)] == []


def test_a_hidden_ring_is_found():
    class Hidden(msgspec.Struct, gc=False, eq=False):
        held: list

    ring = Hidden([])
    assert id(ring) not in reached_from(ring)
    ring.held.append(lambda: ring)
    assert id(ring) in reached_from(ring)
    ring.held.clear()
