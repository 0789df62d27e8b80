import gc
import threading
import weakref

import pykka
import pytest
from naive import NaiveChannel

from lightspeed.actors import Pool
from lightspeed.actors.errors import TopicCrash
from lightspeed.actors.topics import TopicActor, TopicState
from lightspeed.channel import (
    Broadcast,
    Channel,
    Crash,
    Diff,
    Entry,
    FaultPlan,
    Join,
    Leave,
    Meta,
    PresenceDiff,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    System,
    Threads,
)
from lightspeed.faults import Hang, Jump
from lightspeed.testing import Simulation

pytestmark = pytest.mark.usefixtures("runtime")


def topic_actors():
    return pykka.ActorRegistry.get_by_class_name("TopicActor")


class ClockTimer:
    def __init__(self, calls, due_s, call):
        self.calls, self.due_s, self.call = calls, due_s, call

    def cancel(self):
        if self in self.calls:
            self.calls.remove(self)


class Clock(Threads):
    """Real actors, and a clock that a test moves on."""

    def __init__(self):
        super().__init__()
        self.calls, self.now_s = [], 1000.0

    def monotonic_s(self):
        return self.now_s

    def call_later(self, delay_s, call):
        timer = ClockTimer(self.calls, self.now_s + delay_s, call)
        self.calls.append(timer)
        return timer

    def run(self, delay_s):
        self.now_s += delay_s
        for timer in [timer for timer in self.calls if timer.due_s <= self.now_s]:
            timer.cancel()
            timer.call()


def incarnations(channel):
    """Each topic actor's incarnation, asked of the actor itself."""
    return sorted(ref.proxy().cell.get().incarnation for ref in topic_actors())


def test_a_crash_is_raised_inside_every_topic_actor(monkeypatch, runtime):
    from lightspeed.actors.topics.actor import TopicActor

    died = []

    def spy(self, _kind, error, _traceback):
        died.append((self.cell.topic, error.reason, threading.current_thread().name))
        assert isinstance(error, TopicCrash)

    monkeypatch.setattr(TopicActor, "on_failure", spy, raising=False)
    with Channel() as channel:
        for topic in "abc":
            channel.handle(Join("c", topic, "u", 1))
        channel.handle(Crash("power"))
    assert sorted(topic for topic, _, _ in died) == ["a", "b", "c"]
    assert {reason for _, reason, _ in died} == {"power"}
    assert len({thread for _, _, thread in died}) == (3 if runtime is Threads else 1)


def test_a_restart_starts_new_actors_with_the_next_incarnations():
    with Channel() as channel:
        for topic in "abc":
            channel.handle(Join("c", topic, "u", 1))
        before = topic_actors()
        assert incarnations(channel) == [1, 2, 3]
        channel.handle(Leave("c", "b"))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        assert incarnations(channel) == [4, 5]
        assert not any(ref.is_alive() for ref in before)
        assert channel.topics() == ()


def test_a_topic_that_nobody_rejoins_stops_when_the_window_closes():
    clock = Clock()
    with Channel(rejoin_window_s=77, runtime=clock) as channel:
        for topic in "ab":
            channel.handle(Join("c", topic, "u", 1))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        channel.handle(Broadcast("c", "a", "too early"))
        channel.handle(Rejoin("c", "b", "u", 2))
        assert len(topic_actors()) == 2
        clock.run(77)
        assert channel.topics() == ("b",)
        channel.handle(Leave("c", "a"))  # answered once a's actor is down
        assert len(topic_actors()) == 1
        channel.handle(Leave("c", "b"))
        assert topic_actors() == []


class Weak(TopicState, eq=False, gc=True, weakref=True):
    """A state whose end can be seen."""


def test_a_dead_incarnation_is_let_go_at_once_and_not_when_its_window_closes(monkeypatch):
    states = []

    def make_state(actor, cell):
        state = Weak(cell.topic)
        states.append(weakref.ref(state))
        return state

    monkeypatch.setattr(TopicActor, "make_state", make_state)
    with Channel() as channel:
        for now_ms in range(1, 4):
            channel.handle(Rejoin("c", "t", "u", now_ms))
            channel.handle(Crash("r", "t"))
            channel.handle(Restart("t"))
        channel.handle(Rejoin("c", "t", "u", 9))
        gc.collect()
        assert [state() is None for state in states] == [True] * 3 + [False]


def test_a_second_crash_ends_the_first_ones_window():
    clock = Clock()
    with Channel(rejoin_window_s=77, runtime=clock) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        assert [timer.due_s for timer in clock.calls] == [1077]
        channel.handle(Crash("s"))
        assert clock.calls == []
        channel.handle(Restart())
        assert topic_actors() == []  # nobody had rejoined: there is nothing to start again


def test_crashes_and_restarts_told_in_a_burst_take_effect_in_turn():
    with Channel() as channel:
        for round_ in range(50):
            channel.tell(Rejoin("c", "t", "u", round_))
            channel.tell(Crash(str(round_)))
            channel.tell(Restart())
        channel.tell(Rejoin("c", "t", "u", 99))
        outbound = channel.flush_outbox()
        assert [m.payload for m in outbound if isinstance(m, Reply)] == ["rejoined"] * 51
        assert channel.subscribers("t") == ("c",)
        assert len(topic_actors()) == 1


def test_a_topic_actor_that_is_stopped_from_outside_loses_its_members_and_nothing_else():
    with Channel() as channel:
        channel.handle(Join("c", "t", "u", 1))
        topic_actors()[0].stop()
        channel.handle(Push("c", "t", "e", "p"))
        assert channel.flush_outbox()[2:] == [Reply("c", "t", "error", "not_joined")]
        channel.handle(Join("c", "t", "u", 2))
        assert channel.subscribers("t") == ("c",)


def test_one_topic_crashes_and_is_restarted_and_the_others_notice_nothing():
    with Channel() as channel:
        for client in ("a", "b"):
            for topic in ("x", "y"):
                channel.handle(Join(client, topic, "u", 1))
        channel.flush_outbox()
        channel.handle(Crash("burnt", topic="x"))
        channel.handle(Push("a", "x", "e", "p"))
        channel.handle(Push("a", "y", "e", "p"))
        assert channel.topics() == ("y",)
        assert not channel.crashed
        assert len(topic_actors()) == 1
        channel.handle(Restart(topic="x"))
        assert incarnations(channel) == [2, 3]
        channel.handle(Rejoin("a", "x", "u", 2))
        assert channel.flush_outbox() == [
            System("topic_crashed:x"),
            PushMessage("a", "x", "topic_crashed", "burnt"),
            PushMessage("b", "x", "topic_crashed", "burnt"),
            Reply("a", "x", "error", "crashed"),
            PushMessage("a", "y", "e", "p"),
            System("topic_restarted:x"),
            Reply("a", "x", "ok", "rejoined"),
            PresenceDiff("x", Diff("x", (Entry("u", (Meta("a:2", 2),)),))),
        ]


def test_who_is_in_a_topic_is_known_before_it_is_crashed(monkeypatch, on_workers):
    """A topic that is at work has yet to handle joins and leaves; what comes behind the crash waits."""
    go_on, ask = threading.Event(), TopicState.handle

    def wait_for_it(state, event):
        if isinstance(event, Push):
            assert go_on.wait(10)
        return ask(state, event)

    with Channel() as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.flush_outbox()
        monkeypatch.setattr(TopicState, "handle", wait_for_it)
        teller = threading.Thread(target=lambda: channel.tell(Push("a", "x", "e", "p")))
        teller.start()
        events = [
            Leave("a", "x"),
            Crash("r", "x"),  # nobody is in it by then
            Join("b", "x", "u", 2),
            Crash("s", "x"),
            Crash("t", "x"),
            Restart("x"),
            Rejoin("b", "x", "u", 3),
            Crash("all"),
            Restart(),
            Rejoin("b", "x", "u", 4),
        ]
        go_on.set()
        teller.join()
        for event in events:
            channel.tell(event)
        naive = NaiveChannel()
        naive.run([Join("a", "x", "u", 1)])
        assert channel.flush_outbox() == naive.run([Push("a", "x", "e", "p"), *events])
        assert channel.subscribers("x") == ("b",)


SINGLE_CRASHES = [
    event
    for at in range(60)
    for event in (
        *(
            Rejoin("a", "x", "u", at),
            Rejoin("b", "x", "v", at),
            Broadcast("a", "x", "p"),
            Crash("r", "x"),
            Join("c", "x", "u", 1),
        ),
        *(Restart("x"), Join("c", "x", "u", 1), Leave("c", "x"), Crash("s", "x"), Restart("x")),
        *((Rejoin("a", "y", "u", at), Crash("all"), Restart()) if at % 7 == 0 else ()),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("throughput", [1, 3, 100])
def test_single_crashes_told_to_a_busy_topic_are_decided_in_order(throughput):
    with Channel(runtime=Pool(throughput=throughput)) as channel:
        told = threading.Thread(target=lambda: [channel.tell(event) for event in SINGLE_CRASHES])
        told.start()
        while told.is_alive():
            channel.topics()
        told.join()
        assert channel.flush_outbox() == NaiveChannel().run(SINGLE_CRASHES)


@pytest.mark.slow
def test_a_sink_gets_single_crashes_in_each_topics_order():
    got = []
    with Channel(on_outbound=got.append) as channel:
        for event in SINGLE_CRASHES:
            channel.tell(event)

    def of_x(messages):
        return [m for m in messages if getattr(m, "topic", None) == "x" or (isinstance(m, System) and m.label.endswith(":x"))]

    assert of_x(got) == of_x(NaiveChannel().run(SINGLE_CRASHES))


def test_a_topic_that_fails_tells_its_members_and_comes_up_by_itself(monkeypatch, on_workers):
    def fail(_state, _event):
        raise ValueError("planted")

    with Channel() as channel:
        for client in ("a", "b"):
            channel.handle(Join(client, "x", "u", 1))
        channel.handle(Join("a", "y", "u", 1))
        channel.flush_outbox()
        with monkeypatch.context() as patch:
            patch.setattr(TopicState, "handle", fail)
            channel.handle(Push("a", "x", "e", "p"))
            channel.topics()  # it is up again
        channel.handle(Push("a", "x", "e", "p"))
        channel.handle(Rejoin("a", "x", "u", 2))
        assert channel.topics() == ("x", "y")
        assert channel.flush_outbox()[:6] == [
            Reply("a", "x", "error", "topic_crashed"),
            System("topic_crashed:x"),
            PushMessage("a", "x", "topic_crashed", "error"),
            PushMessage("b", "x", "topic_crashed", "error"),
            System("topic_restarted:x"),
            Reply("a", "x", "error", "not_joined"),
        ]


@pytest.mark.slow
def test_events_that_race_with_a_stop_from_outside_are_all_answered():
    with Channel() as channel:
        for number in range(300):
            channel.tell(Join("c", "t", "u", number))
            for ref in topic_actors():
                ref.stop(block=False)
            channel.tell(Push("c", "t", "e", "p"))
        answers = channel.flush_outbox()
        assert len([m for m in answers if not hasattr(m, "diff")]) == 600


def test_what_fails_in_a_topic_is_answered_and_the_topic_comes_back_empty(monkeypatch, on_workers):
    from lightspeed.actors.topics.rules.topic import TopicState

    handle = TopicState.handle

    def fail_on_poison(self, event):
        if getattr(event, "payload", "") == "poison":
            raise ZeroDivisionError("planted")
        return handle(self, event)

    monkeypatch.setattr(TopicState, "handle", fail_on_poison)
    with Channel() as channel:
        for event in (Join("c", "t", "u", 1), Push("c", "t", "e", "poison"), Join("c", "t", "u", 2)):
            channel.tell(event)
        replies = [(m.status, m.payload) for m in channel.flush_outbox() if isinstance(m, Reply)]
        assert replies == [("ok", "joined"), ("error", "topic_crashed"), ("ok", "joined")]
        channel.handle(Push("c", "t", "e", "poison"))
        assert channel.topics() == ()


def test_where_no_thread_can_be_started_events_are_answered_and_the_channel_lives(monkeypatch, runtime):
    if runtime is Pool:
        pytest.skip("a pool starts no thread for a topic")
    with Channel() as channel:
        channel.handle(Join("c", "here", "u", 1))

        def no_more(_self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_more)
            channel.handle(Join("c", "there", "u", 1))
            channel.handle(Push("c", "here", "e", "p"))
            channel.handle(Crash("r"))
            channel.handle(Restart())
        channel.handle(Join("c", "there", "u", 1))
        outbound = channel.flush_outbox()
        assert outbound[2] == Reply("c", "there", "error", "unavailable")
        assert outbound[4:6] == [System("crashed:r"), System("restarted")]
        assert channel.topics() == ("there",)


def test_the_cost_of_a_rejoin_does_not_grow_with_the_members():
    """Counted in calls, which a busy machine does not change: the last thousand rejoins make as many as the first."""
    import sys

    from lightspeed.actors.topics import TopicState

    def calls(topic, clients):
        count = 0

        def profile(_frame, _kind, _argument):
            nonlocal count
            count += 1

        sys.setprofile(profile)
        try:
            for client in clients:
                topic.handle(Rejoin(f"c{client}", "t", "u", 2))
        finally:
            sys.setprofile(None)
        return count

    topic = TopicState("t")
    calls(topic, range(100))  # of few it makes less
    first = calls(topic, range(100, 1100))
    calls(topic, range(1100, 9000))
    assert calls(topic, range(9000, 10_000)) <= first * 1.01  # a collection in between may call back, too
    assert len(topic) == 10_000


def test_an_unknown_message_from_outside_changes_nothing():
    with Channel() as channel:
        channel.handle(Join("c", "t", "u", 1))
        for ref in pykka.ActorRegistry.get_all():
            ref.ask("what is this?")
        assert channel.subscribers("t") == ("c",)


class InTurn:
    """A scheduler: whoever's name stands first here, before all others."""

    names = ("TopicSupervisor", "client operator", "client bob", "client cid", "z#3", "x#1", "y#2")

    def choose(self, ready):
        return min(range(len(ready)), key=lambda index: self.names.index(ready[index]._pooled_inbox.name))


def test_a_flush_that_waits_for_a_count_takes_nothing_that_was_accepted_after_it():
    with Simulation(scheduler=InTurn()) as simulation:
        channel, flushed = simulation.channel(), []
        simulation.client(channel, "ann").join("x")
        simulation.step()
        simulation.step()  # x has it in its inbox: for a crash of it, it is counted first who is in it
        operator, bob, cid = (simulation.client(channel, name) for name in ("operator", "bob", "cid"))
        operator.send(Crash("one", "x"))
        operator.do(lambda: flushed.extend(channel.flush_outbox()))
        bob.join("y")
        cid.join("z")
        simulation.run()
        assert [type(message).__name__ for message in flushed] == ["Reply", "PresenceDiff", "System", "PushMessage"]
        assert [message.topic for message in channel.flush_outbox()] == ["y", "y", "z", "z"]


@pytest.mark.parametrize("timeout_s", [2, 30])
def test_a_close_that_waits_for_a_count_ends_in_its_time(timeout_s):
    with Simulation() as simulation:
        channel = simulation.channel(faults=FaultPlan((Hang(),)))
        channel.tell(Join("a", "x", "u", 1))
        channel.tell(Crash("one", "x"))
        channel.close(timeout_s)
        assert simulation.now_s <= timeout_s
        assert channel.abandoned_count == 1


def test_who_does_not_crash_has_no_more_time_because_another_topic_crashes_meanwhile():
    with Simulation() as simulation:
        channel = simulation.channel(faults=FaultPlan((Hang(topic="x", at=2),)), crash_timeout_s=5)
        channel.tell(Join("a", "x", "u", 1))
        channel.tell(Join("a", "y", "u", 1))
        channel.tell(Push("a", "x", "e", "p"))
        channel.tell(Crash("all"))
        channel.tell(Restart())
        channel.tell(Rejoin("a", "y", "u", 1))
        for _second in range(6):
            channel.tell(Crash("one", "y"))
            channel.tell(Restart("y"))
            channel.tell(Rejoin("a", "y", "u", 1))
            simulation.run_for(1)
        assert channel.abandoned_count == 1


def test_who_hangs_at_the_end_of_its_rejoin_window_keeps_nobody_waiting_for_ever():
    with Simulation() as simulation:
        channel = simulation.channel(faults=FaultPlan((Hang(at=2),)), crash_timeout_s=5, rejoin_window_s=2)
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Crash("all"))
        channel.tell(Restart())
        channel.tell(Push("a", "x", "e", "p"))
        simulation.run()
        channel.tell(Crash("one", "x"))
        simulation.run_for(10)
        assert channel.abandoned_count == 1
        channel.handle(Join("b", "x", "u", 1))
        assert channel.subscribers("x") == ("b",)


def test_a_deadline_that_is_missed_by_a_rounding_error_is_over():
    with Simulation() as simulation:
        channel = simulation.channel(faults=FaultPlan((Hang(at=2), Jump(by_s=-5, at_s=8.345307509104076))), crash_timeout_s=5)
        for event in (Join("a", "x", "u", 1), Push("a", "x", "e", "p")):
            channel.tell(event)
        simulation.run_for(7.07902532078309)
        channel.tell(Crash("all"))
        simulation.run_for(30)
        assert channel.abandoned_count == 1
