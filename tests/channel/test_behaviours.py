"""Topics with a mind of their own, as actors."""

import threading

import pytest

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    Crash,
    Join,
    Leave,
    PresenceDiff,
    Push,
    PushMessage,
    Reply,
    Restart,
    Restarts,
    RoomMisused,
    System,
)

pytestmark = pytest.mark.usefixtures("runtime")


class Counter(Behaviour):
    """Counts pushes, and fails, blocks or ticks when it is told to."""

    saved = 0
    log: list[tuple[str, ...]]
    go_on: threading.Event
    inside: threading.Event

    def on_start(self, room):
        self.count = 0

    def on_restart(self, room, reason):
        self.count = type(self).saved
        self.log.append(("restart", reason))

    def on_push(self, room, client_id, event, payload):
        if event == "fail":
            raise ValueError(payload)
        if event == "block":
            self.inside.set()
            assert self.go_on.wait(20)
        if event == "tick":
            room.start_timer("tick", 0.001)
            return
        if event == "save":
            type(self).saved = self.count
        self.count += 1
        room.reply(str(self.count))

    def on_timer(self, room, name):
        room.broadcast(name)

    def on_stop(self, room):
        self.log.append(("stop", room.topic))


@pytest.fixture
def counter():
    return type("Counter", (Counter,), {"log": [], "go_on": threading.Event(), "inside": threading.Event()})


def replies(channel):
    return [m.payload for m in channel.flush_outbox() if isinstance(m, Reply)]


def test_a_topic_is_given_the_behaviour_of_its_name_or_of_its_longest_prefix(counter):
    with Channel(behaviours={"count:*": counter, "count:not": Behaviour}) as channel:
        for topic in ("count:1", "count:not", "other"):
            channel.handle(Join("a", topic, "u", 1))
            channel.handle(Push("a", topic, "e", "p"))
        outbound = [m for m in channel.flush_outbox() if not isinstance(m, PresenceDiff)]
        assert [m for m in outbound if m != Reply("a", m.topic, "ok", "joined")] == [
            Reply("a", "count:1", "ok", "1"),
            PushMessage("a", "count:not", "e", "p"),
            PushMessage("a", "other", "e", "p"),
        ]


def test_state_is_the_actors_and_dies_with_it_but_for_what_on_restart_loads(counter):
    with Channel(behaviours={"*": counter}, rejoin="supervisor") as channel:
        channel.handle(Join("a", "x", "u", 1))
        for event in ("e", "e", "save", "e", "fail", "e"):
            channel.handle(Push("a", "x", event, "planted"))
        assert replies(channel) == ["joined", "1", "2", "3", "4", "topic_crashed", "3"]
        assert counter.log == [("restart", "ValueError: planted")]


def test_a_behaviour_is_stopped_when_nobody_is_left_and_not_when_it_crashes(counter):
    with Channel(behaviours={"*": counter}) as channel:
        for topic in "xyz":
            channel.handle(Join("a", topic, "u", 1))
        channel.handle(Leave("a", "x"))
        assert counter.log == [("stop", "x")]
        channel.handle(Crash("r", "y"))
        assert counter.log == [("stop", "x")]
    assert counter.log == [("stop", "x"), ("stop", "z")]


def test_a_timer_rings_in_the_topic_and_not_after_its_actor_has_died(counter):
    got, rung = [], threading.Event()

    def sink(message):
        got.append(message)
        if isinstance(message, BroadcastMessage):
            rung.set()

    with Channel(behaviours={"*": counter}, on_outbound=sink) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "tick", ""))
        assert rung.wait(10)
        assert got[-1] == BroadcastMessage("x", "tick", ("a",))
        channel.tell(Push("a", "x", "tick", ""))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        count = len([m for m in got if isinstance(m, BroadcastMessage)])
        assert count in (1, 2)  # it rang before the crash, or not at all


def test_one_that_blocks_holds_up_no_other_topic(counter):
    with Channel(behaviours={"count": counter}) as channel:
        channel.handle(Join("a", "count", "u", 1))
        channel.tell(Push("a", "count", "block", ""))
        assert counter.inside.wait(10)
        channel.handle(Join("a", "other", "u", 1))
        assert channel.subscribers("other") == ("a",)
        counter.go_on.set()
        assert replies(channel) == ["joined", "1", "joined"]


def test_one_that_never_returns_is_given_up_replaced_and_counted(counter):
    channel = Channel(behaviours={"x": counter}, event_timeout_s=0.05, rejoin="supervisor")
    channel.handle(Join("a", "x", "u", 1))
    channel.handle(Push("a", "x", "block", ""))  # returns when it has been given up
    assert channel.abandoned_count == 1
    channel.handle(Push("a", "x", "e", ""))
    outbound = channel.flush_outbox()
    assert [m.payload for m in outbound if isinstance(m, Reply)] == ["joined", "topic_crashed", "1"]
    labels = [m.label for m in outbound if isinstance(m, System)]
    assert labels == ["topic_crashed:x", "topic_restarted:x"]
    counter.go_on.set()
    while not channel.dead_letter_count:
        channel.topics()
    channel.close(20)
    assert [letter.what for letter in channel.dead_letters()] == [Reply("a", "x", "ok", "1")]


def test_one_that_fails_in_on_start_each_time_is_given_up_and_no_other_is_hurt(counter):
    def fail(_self, _room):
        raise RuntimeError("never starts")

    counter.on_start = fail
    counter.on_restart = lambda self, room, reason: self.on_start(room)
    with Channel(behaviours={"x": counter}, restarts=Restarts(intensity=2)) as channel:
        for _ in range(4):
            channel.handle(Join("a", "x", "u", 1))
        channel.handle(Join("a", "y", "u", 1))
        assert replies(channel) == ["topic_crashed"] * 3 + ["crashed", "joined"]


@pytest.mark.parametrize("behaviours", [7, {"x": 7}, {"": Behaviour}, {"a*b": Behaviour}], ids=str)
def test_what_can_be_no_behaviour_is_refused(behaviours):
    from lightspeed.channel import InvalidOption

    with pytest.raises(InvalidOption, match="behaviours"):
        Channel(behaviours=behaviours)


class Heavy(Behaviour):
    """Notes in which thread it goes."""

    threads: list[str]

    def __del__(self):
        self.threads.append(threading.current_thread().name)


@pytest.mark.parametrize("end", [Leave("a", "x"), Crash("r", "x"), Crash("r"), None])
def test_what_a_behaviour_does_as_it_goes_it_does_in_its_actors_turn(end):
    threads = []
    heavy = type("Heavy", (Heavy,), {"threads": threads})
    with Channel(behaviours={"*": heavy}, own_thread=["*"]) as channel:
        channel.handle(Join("a", "x", "u", 1))
        if end is not None:
            channel.handle(end)
    assert len(threads) == 1
    assert threads[0].startswith("BehavedTopicActor")


def test_a_behaviour_that_does_not_let_go_keeps_nobody_waiting():
    inside, go_on = threading.Event(), threading.Event()

    class Clinging(Behaviour):
        def __del__(self):
            if not inside.is_set():
                inside.set()
                go_on.wait(20)

    with Channel(behaviours={"x": Clinging}) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Leave("a", "x"))
        assert inside.wait(5)
        channel.handle(Join("a", "x", "u", 2))
        channel.handle(Join("a", "y", "u", 2))
        assert channel.topics() == ("x", "y")
        go_on.set()


@pytest.mark.parametrize("make", [dict, lambda: None, lambda: 1 / 0])
def test_a_topic_whose_behaviour_can_not_be_made_fails_and_is_given_up_and_others_go_on(make):
    with Channel(behaviours={"x": make}, restarts=Restarts(intensity=1)) as channel:
        for _ in range(2):
            channel.handle(Join("a", "x", "u", 1))
        channel.handle(Join("a", "y", "u", 1))
        channel.handle(Join("a", "x", "u", 1))
        assert replies(channel) == ["topic_crashed", "topic_crashed", "joined", "crashed"]


def test_a_thread_that_a_hook_left_behind_answers_nobody():
    late, done, raised = threading.Event(), threading.Event(), []

    class Slow(Behaviour):
        def on_push(self, room, client_id, event, payload):
            if event == "later":
                threading.Thread(target=self.answer, args=[room]).start()
            else:
                late.set()
                assert done.wait(10)

        def answer(self, room):
            assert late.wait(10)
            try:
                room.reply("the secret of a")
            except RoomMisused as misused:
                raised.append(misused)
            done.set()

    with Channel(behaviours={"x": Slow}) as channel:
        for client in "ab":
            channel.handle(Join(client, "x", "u", 1))
        channel.handle(Push("a", "x", "later", "p"))
        channel.flush_outbox()
        channel.handle(Push("b", "x", "e", "p"))
        assert channel.flush_outbox() == []
    assert len(raised) == 1


def test_a_failure_holds_nothing_of_the_behaviour_that_failed(caplog):
    caplog.set_level("CRITICAL", logger="pykka")  # a record would hold what was raised, and with it where
    threads = []

    class Failing(Heavy):
        def on_push(self, room, client_id, event, payload):
            try:
                raise KeyError(payload)
            except KeyError:
                raise ValueError(payload) from None

    failing = type("Failing", (Failing,), {"threads": threads})
    with Channel(behaviours={"*": failing}, own_thread=["*"]) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "e", "planted"))
    assert len(threads) == 1
    assert threads[0].startswith("BehavedTopicActor")


def test_a_broadcast_is_from_the_member_who_sent_it_and_what_a_hook_says_besides_is_from_the_program():
    class Says(Behaviour):
        def on_push(self, room, client_id, event, payload):
            room.broadcast(payload)

    with Channel(behaviours={"t": Says}) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Broadcast("c", "t", "mine"))
        channel.handle(Push("c", "t", "e", "the room's"))
        said = {m.payload: m.sender for m in channel.flush_outbox() if isinstance(m, BroadcastMessage)}
        assert said == {"mine": "c", "the room's": None}
