"""Topics that fail, and the capsules that they leave."""

import os
import threading
from pathlib import Path

import pytest
from loguru import logger

from lightspeed.actors.logs import settle
from lightspeed.actors.runtime import RuntimeWrapper
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.capsules import file as capsule_file
from lightspeed.capsules.pickler import unpickled
from lightspeed.capsules.recorded import Recorded
from lightspeed.capsules.replay import RejoinStep, StopStep, TimerStep, difference, run
from lightspeed.channel import (
    Behaviour,
    Broadcast,
    Capsules,
    Channel,
    ChannelTimeout,
    Crash,
    InvalidOption,
    Join,
    Leave,
    Pool,
    Push,
    Rejoin,
    Reply,
    Restart,
    Restarts,
    System,
    Threads,
)

pytestmark = pytest.mark.usefixtures("runtime")


@pytest.fixture
def log():
    """What loguru gets, with lightspeed enabled."""
    got = []
    sink = logger.add(lambda message: got.append(message.record), format="{message}")
    logger.enable("lightspeed")
    yield got
    logger.disable("lightspeed")
    logger.remove(sink)


def capsules_in(folder):
    return [capsule_file.read(str(path)) for path in sorted(folder.glob("*.capsule"))]


def replayed(capsule):
    """In this process: the capsules of these tests are their own."""
    outcome = run(capsule.state, capsule.steps)
    assert outcome.broken == ""
    return difference(capsule, outcome)


class Touchy(Behaviour):
    """Fails where it is told to, and counts."""

    def __init__(self):
        self.count = 0

    def on_start(self, room):
        if room.topic == "bad:start":
            raise ValueError("in on_start")

    def on_restart(self, room, reason):
        if room.topic == "bad:restart":
            raise ValueError("in on_restart")

    def on_push(self, room, client_id, event, payload):
        self.count += 1
        if event == "tick":
            room.start_timer(payload, 0.001)
        if event == "fail":
            raise ValueError(f"{payload} at {self.count} with {len(room.members)}")

    def on_timer(self, room, name):
        if name == "bad":
            raise KeyError(name)

    def on_stop(self, room):
        if room.topic == "bad:stop":
            raise OSError("in on_stop")


def push(channel, *events, topic="x", client_id="a"):
    for event in events:
        channel.handle(Push(client_id, topic, event, "planted"))


@pytest.mark.parametrize("every", [1, 3, 100])
@pytest.mark.parametrize("members", [1, 40])
def test_a_capsule_of_a_failure_fails_again_in_the_same_way(tmp_path, every, members):
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path, every=every), rejoin="supervisor") as channel:
        for number in range(members):
            channel.handle(Join(f"c{number}", "x", "u", number))
        push(channel, "e", "e", "e", "e", "fail", "e", "fail", client_id="c0")
    first, second = capsules_in(tmp_path)
    assert first.header.failure.text == f"planted at 5 with {members}"
    assert first.header.handled == members + 4
    assert first.header.since == first.header.handled % every if every < 100 else first.header.handled
    assert first.header.behaviour.endswith("test_recorded.Touchy")
    assert (first.header.failed_on, first.header.topic, first.header.incarnation) == ("push", "x", 1)
    assert second.header.failure.text == f"planted at 2 with {members}"
    assert [replayed(capsule) for capsule in (first, second)] == ["", ""]


@pytest.mark.parametrize(
    ("topic", "failed_on", "text"),
    [("bad:start", "join", "in on_start"), ("bad:stop", "stop", "in on_stop"), ("bad:timer", "timer bad", "'bad'")],
)
def test_failures_in_other_hooks_leave_one_too(tmp_path, topic, failed_on, text):
    failed = threading.Event()

    def sink(message):
        if getattr(message, "label", "").startswith("topic_restarted"):
            failed.set()

    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path), on_outbound=sink) as channel:
        channel.handle(Join("a", topic, "u", 1))
        if topic == "bad:timer":
            channel.handle(Push("a", topic, "tick", "good"))
            channel.handle(Push("a", topic, "tick", "bad"))
            assert failed.wait(20)
        channel.handle(Leave("a", topic))
    (capsule,) = capsules_in(tmp_path)
    assert (capsule.header.failed_on, capsule.header.failure.text) == (failed_on, text)
    assert replayed(capsule) == ""


def test_a_failure_on_the_way_back_is_repeated_with_the_members_who_were_brought_back(tmp_path):
    options = {"behaviours": {"*": Touchy}, "capsules": Capsules(tmp_path), "rejoin": "supervisor"}
    with Channel(**options, restarts=Restarts(intensity=2)) as channel:
        channel.handle(Join("a", "bad:restart", "u", 1))
        push(channel, "fail", topic="bad:restart")
        channel.flush_outbox()
    first, *later = capsules_in(tmp_path)
    assert first.header.failure.text == "planted at 1 with 1"
    assert {capsule.header.failure.text for capsule in later} == {"in on_restart"}
    assert unpickled(later[0].steps)[2] == RejoinStep((Rejoin("a", "bad:restart", "u", 1),))
    assert {replayed(capsule) for capsule in later} == {""}


def test_what_was_ordered_leaves_nothing(tmp_path):
    with Channel(behaviours={"b:*": Touchy}, capsules=Capsules(tmp_path)) as channel:
        for topic in ("b:1", "b:2", "x", "y"):
            channel.handle(Join("a", topic, "u", 1))
        channel.handle(Crash("r", "b:1"))
        channel.handle(Crash("r", "x"))
        channel.handle(Leave("a", "y"))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        channel.handle(Join("a", "y", "u", 1))
    assert os.listdir(tmp_path) == []


def test_a_failure_of_the_plain_relay_leaves_one(tmp_path, monkeypatch):
    handle = TopicState.handle

    def taste(state, event):
        if isinstance(event, Push) and event.payload == "planted":
            raise ValueError("a bug of ours")
        return handle(state, event)

    with Channel(capsules=Capsules(tmp_path, every=2)) as channel, monkeypatch.context() as bug:
        bug.setattr(TopicState, "handle", taste)
        for number in range(5):
            channel.handle(Join(f"c{number}", "x", "u", 1))
        push(channel, "e", client_id="c0")
        (capsule,) = wait_for(channel, tmp_path)
        assert (capsule.header.behaviour, capsule.header.since, capsule.header.handled) == (None, 1, 5)
        assert replayed(capsule) == ""
    assert replayed(capsule).startswith("it raised nothing in 2 steps; then it was builtins.ValueError: a bug of ours")


def wait_for(channel, folder):
    channel.flush_outbox()
    assert channel._runtime._writer.join(20) == []
    return capsules_in(folder)


class Held(Behaviour):
    go_on: threading.Event
    inside: threading.Event

    def on_push(self, room, client_id, event, payload):
        if event == "hold":
            self.inside.set()
            assert self.go_on.wait(20)
        if event in ("hold", "fail"):
            raise ValueError(payload)


@pytest.fixture
def held():
    return type("Held", (Held,), {"go_on": threading.Event(), "inside": threading.Event()})


def test_what_waited_in_the_inbox_is_in_it(tmp_path, held):
    with Channel(behaviours={"*": held}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "hold", "planted"))
        assert held.inside.wait(20)
        waiting = [Push("a", "x", "e", str(number)) for number in range(3)]
        for event in waiting:
            channel.tell(event)
        assert not channel.crashed  # the supervisor has passed them on
        held.go_on.set()
        (capsule,) = wait_for(channel, tmp_path)
    assert capsule.header.waiting == 3
    assert list(unpickled(capsule.body[-capsule.header.sizes.waiting :])) == waiting


def test_one_that_is_stuck_leaves_one_with_the_place_where_it_is_and_none_when_it_comes_back(tmp_path, held):
    with Channel(behaviours={"*": held}, capsules=Capsules(tmp_path), event_timeout_s=0.05) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "hold", "planted"))
        (capsule,) = wait_for(channel, tmp_path)
        held.go_on.set()
    failure = capsule.header.failure
    assert (failure.type, failure.stuck, capsule.header.failed_on) == ("lightspeed.actors.errors.TopicStuck", True, "push")
    assert "in on_push" in failure.traceback
    assert len(capsules_in(tmp_path)) == 1


@pytest.mark.usefixtures("short_grace")
def test_one_that_close_gives_up_leaves_one(tmp_path, held):
    channel = Channel(behaviours={"*": held}, capsules=Capsules(tmp_path))
    channel.handle(Join("a", "x", "u", 1))
    channel.tell(Push("a", "x", "hold", "planted"))
    assert held.inside.wait(20)
    with pytest.raises(ChannelTimeout):
        channel.close(0.1)
    held.go_on.set()
    channel.close()
    (capsule,) = capsules_in(tmp_path)
    assert capsule.header.failure.stuck


class Stubborn(Behaviour):
    """Can be pickled at its start, and no more."""

    def on_push(self, room, client_id, event, payload):
        self.me = Leaving()
        if event == "fail":
            raise ValueError(payload)


class Leaving:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_a_state_that_can_not_be_pickled_works_as_ever_and_all_steps_are_kept(tmp_path):
    with Channel(behaviours={"*": Stubborn}, capsules=Capsules(tmp_path, every=2)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "e", "e", "e", "e", "e", "fail")
    (capsule,) = capsules_in(tmp_path)
    assert (capsule.header.snapshot, capsule.header.since) == ("start", 6)
    assert replayed(capsule) == ""


def test_steps_without_a_snapshot_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("lightspeed.capsules.journal.MOST_STEPS", 5)
    with Channel(behaviours={"*": Stubborn}, capsules=Capsules(tmp_path, every=2)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, *"eeeeeeee", "fail")
    (capsule,) = capsules_in(tmp_path)
    assert capsule.header.snapshot.startswith("none: none could be taken for 5 messages")
    assert capsule.header.since < 6


def test_a_behaviour_that_can_not_even_be_made_elsewhere_leaves_a_capsule_that_says_so(tmp_path):
    class Maker:
        def __call__(self):
            return Touchy()

        def __reduce__(self):
            raise KeyboardInterrupt

    with Channel(behaviours={"*": Maker()}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "fail")
    (capsule,) = capsules_in(tmp_path)
    assert capsule.header.snapshot.startswith("none: ")
    assert capsule.header.failure.text == "planted at 1 with 1"


def test_files_are_bounded_in_size_and_number(tmp_path):
    restarts = Restarts(intensity=1000)
    for max_bytes, count in ((10_000_000, 2), (100, 0)):
        folder = tmp_path / str(max_bytes)
        capsules = Capsules(folder, max_bytes=max_bytes, max_files=2)
        with Channel(behaviours={"*": Touchy}, capsules=capsules, rejoin="supervisor", restarts=restarts) as channel:
            channel.handle(Join("a", "x", "u", 1))
            for _ in range(4):
                push(channel, "fail")
                wait_for(channel, folder)
        assert len(capsules_in(folder)) == count


def test_one_that_is_too_large_goes_without_what_waited_and_says_so(tmp_path, held):
    with Channel(behaviours={"*": held}, capsules=Capsules(tmp_path, max_bytes=100_000)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "hold", "planted"))
        assert held.inside.wait(20)
        channel.tell(Push("a", "x", "e", "p" * 100_000))
        assert not channel.crashed  # the supervisor has passed it on
        held.go_on.set()
        (capsule,) = wait_for(channel, tmp_path)
    assert (capsule.header.cut, capsule.header.waiting, capsule.header.sizes.waiting) == (("waiting",), 1, 0)


def test_a_directory_that_can_not_be_written_hurts_nobody(tmp_path):
    (tmp_path / "file").touch()
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path / "file"), rejoin="supervisor") as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "fail")
        assert channel.subscribers("x") == ("a",)


def test_it_is_signed_with_the_key_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(capsule_file.KEY, "k")
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "fail")
    (capsule,) = capsules_in(tmp_path)
    assert (capsule.header.signed, capsule.signature) == (True, "good")


class Vault(Behaviour):
    def on_push(self, room, client_id, event, payload):
        self.password = payload
        if event == "fail":
            raise ValueError(f"bad {self.password!r}")


def test_the_header_tells_no_secret_that_the_exception_speaks_of(tmp_path):
    with Channel(behaviours={"*": Vault}, capsules=Capsules(tmp_path, every=1)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "fail")
    (capsule,) = capsules_in(tmp_path)
    assert capsule.header.failure.text == "bad '[redacted]'"
    assert b"planted" not in capsule.line
    assert replayed(capsule) == ""


def test_a_topic_with_a_thread_of_its_own_is_recorded_too(tmp_path):
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path), own_thread=["*"]) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "fail")
    assert replayed(*capsules_in(tmp_path)) == ""


def test_what_a_runtime_over_it_injects_is_seen(tmp_path):
    class Injects:
        def on_receive(self, mail):
            if getattr(getattr(mail, "request", None), "payload", "") == "inject":
                self.cell.in_flight[self.cell] = mail  # as it does before it handles it
                raise LookupError("injected")
            super().on_receive(mail)

    class Faulty(RuntimeWrapper):
        def begin(self, start, role, args):
            return start(type(role.__name__, (Injects, role), {}) if issubclass(role, TopicActor) else role, *args)

    for topic, behaviours in (("relay", {}), ("room", {"*": Touchy})):
        folder = tmp_path / topic
        with Channel(behaviours=behaviours, runtime=Faulty(Recorded(Pool(), Capsules(folder)))) as channel:
            channel.handle(Join("a", topic, "u", 1))
            channel.handle(Push("a", topic, "e", "inject"))
        (capsule,) = capsules_in(folder)
        assert (capsule.header.failure.text, capsule.header.failed_on) == ("injected", "push")
        assert replayed(capsule).startswith("it raised nothing in 2 steps")


def test_an_interrupt_while_a_relays_snapshot_is_taken_is_the_callers_and_nobody_is_left_without_an_answer(tmp_path, monkeypatch):
    def interrupted(*_state):
        raise KeyboardInterrupt

    with Channel(capsules=Capsules(tmp_path, every=1)) as channel, monkeypatch.context() as patch:
        channel.handle(Join("a", "x", "u", 1))
        patch.setattr("lightspeed.capsules.journal.pickled", interrupted)
        try:
            channel.handle(Broadcast("a", "x", "p"))
        except KeyboardInterrupt:
            pass  # where topics run in the thread that tells them
        patch.undo()
        assert [m.label for m in channel.flush_outbox() if isinstance(m, System)][:1] == ["topic_crashed:x"]
        channel.handle(Join("a", "y", "u", 1))
        assert channel.subscribers("y") == ("a",)


class Hangs:
    go_on: threading.Event

    def __reduce__(self):
        assert self.go_on.wait(20)
        return (str, ("came back",))


def test_a_snapshot_that_does_not_come_back_is_given_up_as_a_hook_that_does_not(tmp_path):
    go_on = threading.Event()

    class Keeps(Behaviour):
        def on_push(self, room, client_id, event, payload):
            self.kept = type("Hangs", (Hangs,), {"go_on": go_on})()

    class Other(Touchy):
        pass

    options = {"behaviours": {"x": Keeps, "y": Other}, "capsules": Capsules(tmp_path, every=2), "event_timeout_s": 0.4}
    with Channel(**options) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "e", "keep"))
        channel.tell(Push("a", "x", "e", "stuck"))
        channel.handle(Join("a", "y", "u", 1))  # nobody else waits
        push(channel, "e", "e", "fail", topic="y")
        channel.handle(Join("b", "x", "u", 1))
        told = [m.payload for m in channel.flush_outbox() if isinstance(m, Reply) and m.topic == "x"]
        assert told == ["joined", "topic_crashed", "joined"]
        go_on.set()
    first, second = sorted(capsules_in(tmp_path), key=lambda capsule: capsule.header.topic)
    assert (first.header.failure.stuck, first.header.failed_on) == (True, "push")
    assert "in __reduce__" in first.header.failure.traceback
    assert second.header.failure.text == "planted at 3 with 1"


class Unloadable:
    def __reduce__(self):
        return Unloadable, ("one too many",)


class Touching(Unloadable):
    def __setstate__(self, state):
        self.__dict__.update(state)

    def __reduce__(self):
        return Touching, (), {"a": 1}


@pytest.mark.slow  # it takes another process
@pytest.mark.parametrize("kind", [Unloadable, Touching])
def test_what_can_not_be_loaded_again_is_found_when_it_is_written(tmp_path, kind):
    class Keeps(Touchy):
        def __init__(self):
            super().__init__()
            self.kept = kind()

    with Channel(behaviours={"*": Keeps}, capsules=Capsules(tmp_path, every=1)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        push(channel, "e", "fail")
    (capsule,) = capsules_in(tmp_path)
    if kind is Touching:
        assert replayed(capsule) == ""
    else:
        assert capsule.header.snapshot.startswith("none: it can't be loaded again: builtins.TypeError: Unloadable")
        assert capsule.header.failure.text == "planted at 2 with 1"
        assert capsule.state == b""


def test_a_state_that_is_too_large_or_too_deep_is_left_out_and_said(tmp_path):
    class Grows(Touchy):
        all = None

        def on_push(self, room, client_id, event, payload):
            if event == "long":
                self.all = "x" * 200_000
            if event == "deep":
                for _ in range(50_000):
                    self.all = [self.all]
            super().on_push(room, client_id, event, payload)

    options = {"behaviours": {"*": Grows}, "capsules": Capsules(tmp_path, every=1, max_bytes=100_000)}
    for event in ("long", "deep"):
        with Channel(**options) as channel:
            channel.handle(Join("a", event, "u", 1))
            push(channel, event, "fail", topic=event)
            channel.handle(Join("a", event, "u", 1))
            assert channel.subscribers(event) == ("a",)
    deep, long = sorted(capsules_in(tmp_path), key=lambda capsule: capsule.header.topic)
    for capsule in (deep, long):
        assert capsule.header.since == 1  # the snapshot before it, and what was handled since
        assert capsule.header.failure.text == "planted at 2 with 1"


class Quiet(Exception):
    def __str__(self):
        raise SystemExit


class Long(Exception):
    def __str__(self):
        return "x" * 10_000_000


@pytest.mark.parametrize("kind", [Quiet, Long, SystemExit, GeneratorExit, KeyboardInterrupt, RecursionError, MemoryError])
def test_whatever_a_behaviour_raises_leaves_one_and_everybody_else_goes_on(tmp_path, kind):
    class Raises(Behaviour):
        def on_push(self, room, client_id, event, payload):
            raise kind

    with Channel(behaviours={"bad": Raises}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", "bad", "u", 1))
        channel.handle(Push("a", "bad", "e", "p"))
        channel.handle(Join("a", "good", "u", 1))
        assert channel.subscribers("good") == ("a",)
    (capsule,) = capsules_in(tmp_path)
    assert capsule.header.failure.type.endswith(kind.__qualname__)
    assert replayed(capsule) == ""


def test_a_folder_that_can_not_be_used_costs_one_line_of_log_for_each_failure(tmp_path, log):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for folder in (tmp_path / "file", tmp_path / "file" / "under", tmp_path / "loop", Path("/proc/nowhere"), Path("/dev/full")):
        with Channel(behaviours={"*": Touchy}, capsules=Capsules(folder)) as channel:
            channel.handle(Join("a", "x", "u", 1))
            push(channel, "fail")
            channel.handle(Join("a", "x", "u", 1))
            assert channel.subscribers("x") == ("a",)
        assert settle()
        told = [record["message"] for record in log if record["message"].startswith("no crash")]
        log.clear()
        assert len(told) == 1, told
        assert told[0].startswith("no crash capsule of x is written: ")


def test_topics_timers_and_reasons_tell_no_secret_either(tmp_path):
    secret = "hunter2-hunter2"

    class Tells(Behaviour):
        def on_push(self, room, client_id, event, payload):
            self.token = secret
            raise ValueError

    with Channel(behaviours={"*": Tells}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", f"x:{secret}", "u", 1))
        push(channel, "e", topic=f"x:{secret}")
    (path,) = tmp_path.iterdir()
    assert secret not in path.name
    assert secret.encode() not in capsule_file.read(str(path)).line


def test_reads_are_no_steps(tmp_path):
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        for _ in range(5):
            assert channel.subscribers("x") == ("a",)
        push(channel, "fail")
    (capsule,) = capsules_in(tmp_path)
    assert (capsule.header.handled, capsule.header.since) == (1, 1)


def test_steps_are_kept_as_values(tmp_path):
    with Channel(behaviours={"*": Touchy}, capsules=Capsules(tmp_path), runtime=Threads()) as channel:
        channel.handle(Join("a", "bad:stop", "u", 1))
        channel.handle(Leave("a", "bad:stop"))
    (capsule,) = capsules_in(tmp_path)
    assert unpickled(capsule.steps) == ("bad:stop", (Join("a", "bad:stop", "u", 1), Leave("a", "bad:stop")), StopStep())
    assert TimerStep("n", True) != TimerStep("n", False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Capsules(7),
        lambda: Capsules(""),
        lambda: Capsules(b"x"),
        lambda: Capsules("x", max_bytes=0),
        lambda: Capsules("x", max_files=True),
        lambda: Capsules("x", every=1.5),
        lambda: Channel(capsules="x"),
    ],
)
def test_options_that_can_not_be_are_refused(make):
    with pytest.raises(InvalidOption):
        make()
