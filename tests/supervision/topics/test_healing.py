"""One topic fails, one topic heals, and nobody else notices."""

import random
import threading

import pytest
from moved_clock import MovedPool as Clock
from naive import NaiveChannel

from lightspeed.actors import Pool
from lightspeed.actors.topics import TopicActor, TopicState
from lightspeed.actors.topics.actor import BehavedTopicActor
from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    Crash,
    FaultPlan,
    Join,
    Leave,
    PresenceDiff,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    Restarts,
    System,
)
from lightspeed.faults import Raise
from lightspeed.testing import Simulation

pytestmark = pytest.mark.usefixtures("runtime", "on_workers")


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """A push of `poison` makes the topic fail."""
    handle = TopicState.handle

    def taste(state, event):
        if isinstance(event, Push) and event.payload == "poison":
            raise ValueError("planted")
        return handle(state, event)

    monkeypatch.setattr(TopicState, "handle", taste)


POISON = Push("a", "x", "e", "poison")
FAILED = [
    Reply("a", "x", "error", "topic_crashed"),
    System("topic_crashed:x"),
    PushMessage("a", "x", "topic_crashed", "error"),
]


def joined(**options):
    channel = Channel(**options)
    channel.handle(Join("a", "x", "u", 1))
    channel.flush_outbox()
    return channel


def without_diffs(messages):
    return [message for message in messages if not isinstance(message, PresenceDiff)]


def test_a_topic_that_fails_too_often_stays_down_until_it_is_restarted():
    with joined(restarts=Restarts(intensity=1)) as channel:
        channel.handle(POISON)
        channel.handle(Rejoin("a", "x", "u", 2))
        channel.handle(POISON)
        channel.handle(Rejoin("a", "x", "u", 3))
        channel.handle(Join("a", "y", "u", 3))
        assert channel.topics() == ("y",)
        assert without_diffs(channel.flush_outbox()) == [
            *FAILED,
            System("topic_restarted:x"),
            Reply("a", "x", "ok", "rejoined"),
            *FAILED,
            System("topic_given_up:x"),
            Reply("a", "x", "error", "crashed"),
            Reply("a", "y", "ok", "joined"),
        ]
        channel.handle(Crash("r", "x"))
        channel.handle(Restart("x"))
        channel.handle(Join("a", "x", "u", 4))
        assert channel.flush_outbox()[:2] == [System("already_crashed"), System("topic_restarted:x")]
        assert channel.topics() == ("x", "y")


def test_events_wait_for_a_topic_that_is_put_off_and_one_too_many_is_answered():
    clock = Clock()
    with joined(runtime=clock, restarts=Restarts(backoff=Backoff(floor_s=5, jitter=0), max_waiting=2)) as channel:
        channel.handle(POISON)
        for event in (Rejoin("a", "x", "u", 2), Push("a", "x", "e", "p"), Push("a", "x", "e", "too many")):
            channel.tell(event)
        channel.handle(Join("a", "y", "u", 1))  # the others don't wait
        clock.run_for(4.9)
        assert not channel.crashed
        clock.run_for(0.2)
        assert without_diffs(channel.flush_outbox()) == [
            *FAILED,
            Reply("a", "x", "ok", "rejoined"),
            PushMessage("a", "x", "e", "p"),
            Reply("a", "x", "error", "unavailable"),
            Reply("a", "y", "ok", "joined"),
            System("topic_restarted:x"),
        ]
        assert channel.topics() == ("x", "y")


def test_a_topic_that_failed_before_anybody_was_in_it_is_put_off_too():
    clock, failures = Clock(), [ValueError("planted")]

    class FailsAtFirst(Behaviour):
        def on_start(self, room):
            if failures:
                raise failures.pop()

    restarts = Restarts(backoff=Backoff(floor_s=5, jitter=0))
    with Channel(runtime=clock, restarts=restarts, behaviours={"x": FailsAtFirst}) as channel:
        channel.handle(Join("a", "x", "u", 1))
        while [topic.phase for topic in channel.tree().children] != ["restarting"]:
            assert not channel.crashed  # the answer comes before it is put off
        clock.run_for(4.9)
        channel.tell(Join("b", "x", "u", 1))  # does not start it: what made it fail is likely to be there still
        assert [topic.phase for topic in channel.tree().children] == ["restarting"]
        clock.run_for(0.2)
        assert without_diffs(channel.flush_outbox()) == [
            Reply("a", "x", "error", "topic_crashed"),
            System("topic_crashed:x"),
            Reply("b", "x", "ok", "joined"),
            System("topic_restarted:x"),
        ]


@pytest.mark.parametrize(
    ("order", "first"),
    [(Crash("r", "x"), System("topic_crashed:x")), (Crash("r"), System("crashed:r"))],
    ids=["topic", "channel"],
)
def test_a_topic_that_is_put_off_can_be_crashed(order, first):
    clock = Clock()
    with joined(runtime=clock, restarts=Restarts(backoff=Backoff(floor_s=5))) as channel:
        channel.handle(POISON)
        channel.tell(Rejoin("a", "x", "u", 2))
        channel.handle(order)
        clock.run_for(60)
        channel.handle(Rejoin("a", "x", "u", 3))
        refused = Reply("a", "x", "error", "crashed")
        assert channel.flush_outbox() == [*FAILED, refused, first, refused]
        channel.handle(Restart(order.topic))
        channel.handle(Rejoin("a", "x", "u", 4))
        assert channel.topics() == ("x",)


def test_what_waits_for_a_topic_that_is_put_off_is_handled_before_a_close():
    with joined(runtime=Clock(), restarts=Restarts(backoff=Backoff(floor_s=5))) as channel:
        channel.handle(POISON)
        channel.tell(Rejoin("a", "x", "u", 2))
    assert Reply("a", "x", "ok", "rejoined") in channel.flush_outbox()


def test_when_topics_together_fail_too_often_the_channel_crashes():
    with Channel(restarts=Restarts(channel_intensity=2)) as channel:
        for topic in "xyz":
            channel.handle(Join("a", topic, "u", 1))
            channel.handle(Push("a", topic, "e", "poison"))
        assert channel.crashed
        labels = [message.label for message in channel.flush_outbox() if isinstance(message, System)]
        assert labels[-1] == "crashed:topics failed too often, z last"
        channel.handle(Restart())
        channel.handle(Join("a", "x", "u", 2))
        assert channel.topics() == ("x",)


@pytest.mark.parametrize(("waiting", "payload"), [("redeliver", "not_joined"), ("answer", "topic_crashed")])
def test_what_had_been_accepted_goes_to_the_next_actor_or_is_answered(monkeypatch, waiting, payload):
    inside, go_on = threading.Event(), threading.Event()
    handle = TopicState.handle

    def hold(state, event):
        if isinstance(event, Push) and event.payload == "poison":
            inside.set()
            assert go_on.wait(10)
        return handle(state, event)

    monkeypatch.setattr(TopicState, "handle", hold)
    with joined(restarts=Restarts(waiting=waiting), runtime=Pool(), own_thread=["*"]) as channel:
        channel.tell(POISON)
        assert inside.wait(5)
        channel.tell(Push("a", "x", "e", "behind"))
        reader = threading.Thread(target=lambda: channel.crashed)
        reader.start()
        reader.join()  # the supervisor has sent it
        go_on.set()
        assert Reply("a", "x", "error", payload) in channel.flush_outbox()[1:]


# Members that the supervisor brings back


def scenario(length, seed):
    """Random events, each with a time of its own."""
    chance = random.Random(seed)
    for at in range(length):
        client, topic, user = chance.choice("abcde"), chance.choice("xyz"), chance.choice("uv")
        yield chance.choice(
            (
                Join(client, topic, user, at),
                Join(client, topic, user, at),
                Rejoin(client, topic, user, at),
                Leave(client, topic),
                Broadcast(client, topic, "p"),
                Push(client, topic, "e", "p"),
            )
        )


def who_is_there(channel):
    return {topic: (channel.subscribers(topic), {e.key: set(e.metas) for e in channel.presences(topic)}) for topic in "xyz"}


SWEEPS = {
    "the channel crashes": [Crash("r"), Restart()],
    "each topic crashes": [order for topic in "xyz" for order in (Crash("r", topic), Restart(topic))],
    "each topic fails": [
        event for topic in "xyz" for event in (Join("p", topic, "p", 1), Push("p", topic, "e", "poison"), Leave("p", topic))
    ],
}


# Three sweeps, each with every third place: together with every one. All of them with all places run with `pytest -m long`.
PLACES = {name: range(first, 200, 3) for first, name in enumerate(SWEEPS, 1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweep", "places"),
    [
        *((SWEEPS[name], places) for name, places in PLACES.items()),
        *(pytest.param(sweep, range(1, 200), marks=pytest.mark.long) for sweep in SWEEPS.values()),
    ],
    ids=[*SWEEPS, *(f"{name}, everywhere" for name in SWEEPS)],
)
def test_a_crash_between_any_two_events_loses_no_member(sweep, places):
    events = list(scenario(200, seed=11))
    calm = NaiveChannel()
    calm.run(events)
    for at in places:
        with Channel(rejoin="supervisor", restarts=Restarts(intensity=99)) as channel:
            for event in [*events[:at], *sweep, *events[at:]]:
                channel.tell(event)
            assert who_is_there(channel) == who_is_there(calm), at


def test_members_come_back_in_order_by_diffs_and_without_replies_before_what_waited():
    with joined(rejoin="supervisor") as channel:
        for client in "bc":
            channel.handle(Join(client, "x", "v", 2))
        channel.flush_outbox()
        channel.handle(POISON)
        channel.handle(Broadcast("c", "x", "hello"))
        outbound = channel.flush_outbox()
        assert channel.subscribers("x") == ("a", "b", "c")
        (diff,) = (message.diff for message in outbound if isinstance(message, PresenceDiff))
        joins = [(entry.key, [meta.ref for meta in entry.metas]) for entry in diff.joins]
        assert joins == [("u", ["a:1"]), ("v", ["b:2", "c:2"])]
        assert [message for message in outbound if isinstance(message, Reply)] == FAILED[:1]
        assert [message.recipients for message in outbound if isinstance(message, BroadcastMessage)] == [("a", "b", "c")]


def test_who_left_meanwhile_does_not_come_back():
    with joined(rejoin="supervisor") as channel:
        channel.handle(Join("b", "x", "u", 1))
        channel.handle(Crash("r"))
        channel.handle(Leave("a", "x"))
        channel.handle(Restart())
        assert channel.subscribers("x") == ("b",)


def test_with_nobody_to_bring_back_a_restarted_topic_waits_for_a_rejoin_and_stops():
    clock = Clock()
    with joined(rejoin="supervisor", runtime=clock) as channel:
        channel.handle(Crash("r", "x"))
        channel.handle(Leave("a", "x"))
        channel.handle(Restart("x"))
        clock.run_for(31)
        assert channel.topics() == ()
        channel.handle(Join("b", "x", "u", 1))
        assert channel.subscribers("x") == ("b",)


def test_what_an_abandoned_actor_gives_out_late_is_a_dead_letter(monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    handle = TopicState.handle

    def hang(state, event):
        if isinstance(event, Push) and event.payload == "hang":
            inside.set()
            assert go_on.wait(10)
        return handle(state, event)

    monkeypatch.setattr(TopicState, "handle", hang)
    with Channel(crash_timeout_s=0.02, runtime=Pool(), own_thread=["x"]) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "e", "hang"))
        assert inside.wait(5)
        channel.handle(Crash("r"))
        assert (channel.dead_letters(), channel.dead_letter_count) == ((), 0)
        go_on.set()
        while not channel.dead_letter_count:
            channel.flush_outbox()
        (letter,) = channel.dead_letters()
        assert (letter.topic, letter.incarnation, letter.why) == ("x", 1, "late")
        assert letter.what == PushMessage("a", "x", "e", "hang")


@pytest.fixture
def held(monkeypatch):
    """A push of `hold` is at work from `inside` until `go_on`; `then_fail` has it raise."""
    handle = TopicState.handle

    class Held:
        inside, go_on, then_fail = threading.Event(), threading.Event(), False

    def hold(state, event):
        if isinstance(event, Push) and event.payload == "hold":
            Held.inside.set()
            assert Held.go_on.wait(10)
            if Held.then_fail:
                raise ValueError("planted")
        return handle(state, event)

    monkeypatch.setattr(TopicState, "handle", hold)
    return Held


def test_a_topic_that_fails_while_it_is_counted_for_a_crash_holds_nothing_up(held):
    held.then_fail = True
    with joined(own_thread=["*"], runtime=Pool()) as channel:
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        channel.tell(Crash("r", "x"))
        channel.tell(Rejoin("b", "x", "u", 2))
        held.go_on.set()
        outbound = channel.flush_outbox()
        assert outbound[:2] == [FAILED[0], System("unknown_topic:x")]  # when it was counted, nobody was left in it
        outbound += channel.flush_outbox()  # what arose by itself has numbers behind that of the first flush
        assert [message for message in outbound if message in FAILED] == FAILED
        assert channel.subscribers("x") == ("b",)


def test_what_waits_for_a_count_is_not_lost_when_the_channel_crashes_by_itself(held):
    with Channel(own_thread=["*"], runtime=Pool(), restarts=Restarts(channel_intensity=0)) as channel:
        for topic in "xy":
            channel.handle(Join("a", topic, "u", 1))
        channel.flush_outbox()
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        channel.tell(Crash("r", "x"))  # has to wait until x has been counted
        channel.tell(Crash("all"))  # and this for that
        channel.tell(Push("a", "y", "e", "poison"))
        channel.tell(Join("b", "y", "u", 2))
        held.go_on.set()
        answers = [message.payload for message in channel.flush_outbox() if isinstance(message, Reply)]
        assert answers == ["crashed", "crashed"]


def test_who_leaves_while_the_actor_is_on_its_way_down_does_not_come_back(held):
    with joined(rejoin="supervisor", own_thread=["*"], runtime=Pool()) as channel:
        channel.handle(Join("b", "x", "u", 1))
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        for event in (Crash("r"), Leave("a", "x"), Restart()):
            channel.tell(event)
        held.go_on.set()
        assert channel.subscribers("x") == ("b",)


def test_members_of_a_topic_that_was_down_come_back_with_the_channel():
    with joined(rejoin="supervisor") as channel:
        for event in (Crash("r", "x"), Crash("all"), Restart()):
            channel.handle(event)
        assert channel.subscribers("x") == ("a",)


def test_a_topic_that_is_restarted_in_a_crashed_channel_comes_up_with_the_channel():
    with joined(rejoin="supervisor") as channel:
        for event in (Crash("r", "x"), Crash("all"), Restart("x")):
            channel.handle(event)
        assert channel.membership_count == 0
        assert channel.flush_outbox()[-1] == System("topic_restarted:x")
        channel.handle(Restart())
        assert channel.subscribers("x") == ("a",)


def test_a_topic_that_ends_empty_brings_nobody_back_later():
    with joined(rejoin="supervisor") as channel:
        channel.handle(Crash("r"))
        channel.handle(Leave("a", "x"))
        channel.handle(Restart())
        channel.handle(Join("b", "x", "u", 1))
        channel.handle(Leave("b", "x"))
        channel.handle(Join("a", "x", "u", 2))
        channel.handle(POISON)
        assert channel.subscribers("x") == ("a",)  # it left once, and has come again since


def test_a_topic_whose_count_was_broken_off_by_ctrl_c_can_still_be_crashed():
    with joined(runtime=Pool()) as channel:
        child = channel._supervisor.actor._topics["x"].live
        child.sent += 1  # as a KeyboardInterrupt between the count and the hand-over leaves it
        channel.handle(Crash("r", "x"))
        assert channel.topics() == ()


def test_members_are_not_lost_where_the_next_incarnation_fails_too():
    class Weak(Behaviour):
        failures = 2

        def on_restart(self, room, reason):
            type(self).failures -= 1
            if self.failures >= 0:
                raise ValueError("planted again")

        def on_push(self, room, client_id, event, payload):
            raise ValueError("planted")

    with Channel(rejoin="supervisor", behaviours={"*": Weak}) as channel:
        for client in "abc":
            channel.handle(Join(client, "x", "u", 1))
        channel.handle(POISON)
        assert channel.subscribers("x") == ("a", "b", "c")
        assert Weak.failures == -1
        Weak.failures = 9
        channel.handle(POISON)
        channel.handle(Leave("b", "x"))
        assert channel.topics() == ()
        Weak.failures = 0
        channel.handle(Restart("x"))
        assert channel.subscribers("x") == ("a", "c")


def test_members_are_not_lost_where_no_actor_can_be_started_for_a_while():
    class Short(Pool):
        is_short = False

        def start(self, role, *args):
            if self.is_short and role is TopicActor:
                raise RuntimeError("can't start new thread")
            return super().start(role, *args)

    runtime = Short()
    with joined(rejoin="supervisor", runtime=runtime) as channel:
        runtime.is_short = True
        channel.handle(POISON)
        channel.handle(Join("b", "x", "u", 2))
        assert channel.flush_outbox()[-1] == Reply("b", "x", "error", "unavailable")
        runtime.is_short = False
        channel.handle(Join("b", "x", "u", 3))
        assert channel.subscribers("x") == ("a", "b")


class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("planted")


@pytest.mark.parametrize(
    ("error", "text"),
    [(Wordless(), "Wordless: (its text can't be had)"), (ValueError("\udc80"), "ValueError: \\udc80")],
    ids=["no text", "a text that can't be encoded"],
)
def test_a_failure_whose_text_is_none_hurts_its_topic_only(monkeypatch, caplog, error, text):
    def fail(state, event):
        if isinstance(event, Push):
            raise error
        return handle(state, event)

    handle = TopicState.handle
    monkeypatch.setattr(TopicState, "handle", fail)
    caplog.set_level("CRITICAL", "pykka")  # else pytest-xdist ends over a log that can't be encoded
    with joined(restarts=Restarts(tell_reason=True)) as channel:
        channel.handle(POISON)
        channel.handle(Join("a", "y", "u", 1))
        assert channel.flush_outbox()[2] == PushMessage("a", "x", "topic_crashed", text)


def hung_in_its_sink(clock, **options):
    inside, go_on = threading.Event(), threading.Event()

    def sink(message):
        if isinstance(message, PushMessage) and message.payload == "hang":
            inside.set()
            assert go_on.wait(20)

    channel = Channel(on_outbound=sink, runtime=clock, crash_timeout_s=5, **options)
    channel.handle(Join("a", "x", "u", 1))
    channel.tell(Push("a", "x", "e", "hang"))
    assert inside.wait(5)
    return channel, go_on


def test_a_topic_that_hangs_in_its_sink_can_be_crashed_within_the_deadlines():
    clock = Clock()
    channel, go_on = hung_in_its_sink(clock)
    with channel:
        crashing = threading.Thread(target=channel.handle, args=(Crash("r", "x"),))
        crashing.start()
        while not channel.abandoned_count:
            clock.run_for(1)
            channel.subscribers("y")
        crashing.join(20)
        assert not crashing.is_alive()
        assert clock.now_s < 20  # one time to see who is in it, one to end
        channel.handle(Restart("x"))
        go_on.set()
        channel.handle(Join("b", "x", "u", 2))
        assert channel.subscribers("x") == ("b",)


def test_the_ends_of_others_do_not_put_off_that_a_topic_is_given_up():
    clock = Clock()
    channel, go_on = hung_in_its_sink(clock)
    with channel:
        channel.tell(Crash("r", "x"))
        for now_ms in range(20):
            clock.run_for(1)
            channel.handle(Join("a", "y", "u", now_ms))
            channel.handle(Leave("a", "y"))
        assert channel.abandoned_count == 1
        go_on.set()


def test_a_topic_that_only_has_much_to_do_is_waited_for_before_it_is_crashed(held):
    clock = Clock()
    with joined(runtime=clock, own_thread=["*"], crash_timeout_s=5) as channel:
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        channel.tell(Join("b", "x", "u", 2))
        channel.tell(Crash("r", "x"))
        channel.subscribers("y")
        child = channel._supervisor.actor._topics["x"].live
        child.sent, child.cell.settled = child.sent + 1, child.cell.settled + 1  # as if something had been handled
        clock.run_for(6)
        channel.subscribers("y")
        held.go_on.set()
        labels = [message for message in channel.flush_outbox() if not isinstance(message, PresenceDiff)]
        assert [message.client_id for message in labels if getattr(message, "event", "") == "topic_crashed"] == ["a", "b"]
    assert channel.abandoned_count == 0


def test_a_topic_that_fails_before_anybody_is_back_comes_up_after_its_backoff_too():
    plan = FaultPlan((Raise(match={"type": "broadcast"}, times=1),))
    with Simulation(1) as simulation:
        channel = simulation.channel(faults=plan, restarts=Restarts(backoff=Backoff(floor_s=1, cap_s=1, jitter=0)))
        for event in (Join("a", "x", "u", 1), Crash("power cut"), Restart(), Broadcast("a", "x", "p")):
            channel.handle(event)
        simulation.run_for(2)
        labels = [message.label for message in channel.flush_outbox() if isinstance(message, System)]
    assert labels == ["crashed:power cut", "restarted", "topic_crashed:x", "topic_restarted:x"]


def test_members_come_back_also_where_the_actor_that_was_to_take_them_fails_at_its_start_and_all_crashed_twice():
    plan = FaultPlan((Raise("on_start", restart=1),))
    for seed in range(40):
        with Simulation(seed) as simulation:
            channel = simulation.channel(rejoin="supervisor", faults=plan)
            for event in (Rejoin("a", "x", "u", 1), Crash("one"), Restart(), Crash("two"), Restart()):
                channel.tell(event)
            simulation.run()
            assert channel.subscribers("x") == ("a",)


def test_who_only_asks_takes_no_events_place_where_a_topic_is_put_off():
    plan = FaultPlan((Raise(match={"type": "push"}, times=1),))
    with Simulation(scheduler="round_robin") as simulation:
        restarts = Restarts(max_waiting=1, backoff=Backoff(floor_s=1, cap_s=1, jitter=0))
        channel = simulation.channel(faults=plan, restarts=restarts)
        reader, writer = simulation.client(channel, "reader"), simulation.client(channel, "a")
        for event in (Join("a", "x", "u", 1), Push("a", "x", "e", "fails")):
            channel.handle(event)
        reader.do(lambda: channel.subscribers("x"))
        for _ in range(2):
            writer.rejoin("x")
        simulation.run_for(2)
        assert [message.payload for message in writer.received if isinstance(message, Reply)][2:] == ["unavailable", "rejoined"]


def told(channel, *events):
    """What comes of these, told in a row; diffs by who came."""
    for event in events:
        channel.tell(event)
    given = []
    while more := channel.flush_outbox():
        given += more
    return [message.diff.joins[0].key if isinstance(message, PresenceDiff) else message for message in given]


CRASHED = [System("topic_crashed:x"), PushMessage("a", "x", "topic_crashed", "again")]


@pytest.mark.parametrize("behaviours", [{}, {"x": Behaviour}])
@pytest.mark.parametrize("between", [[], [Crash("all"), Restart()], [Restart("x")] * 2])
def test_a_topic_that_is_being_restarted_has_the_members_it_will_have_for_the_next_crash(behaviours, between):
    with joined(rejoin="supervisor", behaviours=behaviours) as channel:
        down = told(channel, Crash("one", "x"), Restart("x"), *between, Crash("again", "x"), Broadcast("a", "x", "late"))
        assert down[-3:] == [*CRASHED, Reply("a", "x", "error", "crashed")]
        assert (channel.subscribers("x"), channel.membership_count, channel.topics()) == ((), 0, ())
        assert told(channel, Restart("x")) == [System("topic_restarted:x"), "u"]
        assert channel.subscribers("x") == ("a",)


def test_what_comes_of_each_of_several_orders_in_a_row_stands_in_their_order():
    with joined(rejoin="supervisor") as channel:
        given = told(channel, Crash("one", "x"), Restart("x"), Crash("again", "x"), Restart("x"))
        first = [System("topic_crashed:x"), PushMessage("a", "x", "topic_crashed", "one")]
        assert given == [*first, System("topic_restarted:x"), "u", *CRASHED, System("topic_restarted:x"), "u"]


def test_who_leaves_between_the_orders_is_not_told_and_does_not_come_back():
    with joined(rejoin="supervisor") as channel:
        channel.handle(Join("b", "x", "v", 2))
        channel.flush_outbox()
        given = told(channel, Crash("one", "x"), Leave("b", "x"), Restart("x"), Crash("again", "x"), Restart("x"))
        assert given[-4:] == [*CRASHED, System("topic_restarted:x"), "u"]
        assert channel.subscribers("x") == ("a",)


def test_a_topic_to_which_nobody_comes_back_is_unknown_to_a_crash():
    with joined(rejoin="supervisor") as channel:
        given = told(channel, Crash("one", "x"), Leave("a", "x"), Restart("x"), Crash("again", "x"))
        assert given[-1] == System("unknown_topic:x")


def test_without_a_ledger_a_topic_that_waits_for_its_first_rejoin_is_unknown_to_a_crash():
    with joined() as channel:
        assert told(channel, Crash("one", "x"), Restart("x"), Crash("again", "x"))[-1] == System("unknown_topic:x")
        assert told(channel, Rejoin("a", "x", "u", 2), Crash("again", "x"))[-2:] == CRASHED


def test_a_count_of_all_waits_for_who_is_coming_back(held):
    with joined(rejoin="supervisor", own_thread=["*"], runtime=Pool()) as channel:
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        for event in (Crash("one"), Restart()):
            channel.tell(event)
        counted = threading.Thread(target=lambda: counts.append((channel.membership_count, channel.topics())))
        counts = []
        counted.start()
        assert counts == []
        held.go_on.set()
        counted.join(10)
        assert counts == [(1, ("x",))]


def test_a_topic_that_is_put_off_has_the_members_who_will_come_back():
    clock = Clock()
    with joined(rejoin="supervisor", runtime=clock, restarts=Restarts(backoff=Backoff(floor_s=5))) as channel:
        channel.handle(POISON)
        assert (channel.membership_count, channel.topics()) == (1, ("x",))
        assert [topic.members for topic in channel.tree().children] == [1]
        channel.flush_outbox()
        channel.handle(Crash("again", "x"))
        assert channel.flush_outbox() == CRASHED
        assert (channel.membership_count, channel.topics()) == (0, ())
        channel.handle(Restart("x"))
        assert channel.subscribers("x") == ("a",)


def test_where_the_actor_before_does_not_end_the_next_crash_takes_the_members_as_they_are(held):
    with joined(rejoin="supervisor", own_thread=["*"], runtime=Pool(), crash_timeout_s=0.05) as channel:
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        given = told(channel, Crash("one", "x"), Restart("x"), Crash("again", "x"), Restart("x"))
        assert [message for message in given if message in CRASHED][-2:] == CRASHED
        assert channel.subscribers("x") == ("a",)
        held.go_on.set()


def test_a_topic_that_is_restarted_has_its_members_in_the_tree_before_they_are_back(held):
    with joined(rejoin="supervisor", own_thread=["*"], runtime=Pool()) as channel:
        channel.tell(Push("a", "x", "e", "hold"))
        assert held.inside.wait(5)
        for event in (Crash("one"), Restart()):
            channel.tell(event)
        (topic,) = channel.tree().children
        assert (topic.phase, topic.members) == ("starting", 1)
        held.go_on.set()
        channel.flush_outbox()


class Remembers(Behaviour):
    """Notes how it began."""

    log = []  # noqa: RUF012

    def on_start(self, room):
        self.log.append("start")

    def on_restart(self, room, reason):
        self.log.append(reason)

    def on_push(self, room, client_id, event, payload):
        raise ValueError(payload)


BACK = Rejoin("a", "x", "u", 9)
BAD = Push("a", "x", "e", "bad")
PUT_OFF = {"restarts": Restarts(backoff=Backoff(floor_s=5))}
GIVEN_UP = {"restarts": Restarts(intensity=0)}


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
@pytest.mark.parametrize(
    ("events", "options", "begun"),
    [
        ([Crash("op", "x"), Restart("x"), BACK], {}, ["op"]),
        ([Crash("all"), Restart(), BACK], {}, ["all"]),
        ([Crash("op", "x"), Crash("all"), Restart(), BACK], {}, ["op"]),
        ([BAD, BACK], {}, ["ValueError: bad"]),
        ([BAD, Crash("op", "x"), Restart("x"), BACK], PUT_OFF, ["op"]),
        ([BAD, Crash("all"), Restart(), BACK], PUT_OFF, ["all"]),
        ([BAD, Restart("x"), BACK], GIVEN_UP, ["ValueError: bad"]),
        ([BAD, Crash("all"), Restart(), BACK], GIVEN_UP, ["ValueError: bad"]),
        ([Leave("a", "x"), BACK], {}, ["start"]),
        ([Leave("a", "x"), Crash("all"), Restart(), BACK], {}, ["start"]),
        ([Crash("op", "x"), Restart("x"), BACK, Leave("a", "x"), BACK], {}, ["op", "start"]),
        ([Crash("op", "x"), Restart("x"), BACK, Crash("again"), Restart(), BACK], {}, ["op", "again"]),
    ],
)
def test_after_an_end_by_failure_or_by_order_a_behaviour_is_told_why_and_after_one_by_emptiness_it_begins_anew(
    rejoin, events, options, begun
):
    clock = Clock()
    with joined(behaviours={"x": Remembers}, rejoin=rejoin, runtime=clock, **options) as channel:
        Remembers.log.clear()
        for event in events:
            channel.handle(event)
        channel.subscribers("x")
        assert begun == Remembers.log


def test_a_topic_that_nobody_rejoined_within_its_window_begins_anew():
    clock = Clock()
    with joined(behaviours={"x": Remembers}, runtime=clock) as channel:
        Remembers.log.clear()
        channel.handle(Crash("op", "x"))
        channel.handle(Restart("x"))
        clock.run_for(31)
        channel.handle(BACK)
        assert Remembers.log == ["start"]


def test_a_topic_whose_actor_was_given_up_as_it_crashed_is_told_of_the_crash():
    inside, go_on = threading.Event(), threading.Event()

    class Stuck(Remembers):
        def on_push(self, room, client_id, event, payload):
            inside.set()
            assert go_on.wait(10)

    with joined(behaviours={"x": Stuck}, crash_timeout_s=0.05) as channel:
        Remembers.log.clear()
        channel.tell(BAD)
        assert inside.wait(5)
        channel.handle(Crash("op", "x"))
        channel.handle(Restart("x"))
        channel.handle(BACK)
        assert Remembers.log == ["op"]
        go_on.set()


def test_why_a_topic_ended_is_not_forgotten_where_no_actor_can_be_started_for_a_while():
    class Short(Pool):
        is_short = False

        def start(self, role, *args):
            if self.is_short and role is BehavedTopicActor:
                raise RuntimeError("can't start new thread")
            return super().start(role, *args)

    short = Short()
    with joined(behaviours={"x": Remembers}, runtime=short) as channel:
        Remembers.log.clear()
        channel.handle(Crash("op", "x"))
        short.is_short = True
        channel.handle(Restart("x"))
        short.is_short = False
        channel.handle(BACK)
        assert Remembers.log == ["op"]
