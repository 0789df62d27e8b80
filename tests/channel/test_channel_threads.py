"""Several threads at once: nothing is lost or doubled, each caller's order holds, everything that waits ends."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveChannel, clients, state_of, texts, times, topics, users
from starts import count_starts

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelClosed,
    Crash,
    Join,
    Leave,
    Pool,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    System,
)

pytestmark = pytest.mark.usefixtures("runtime")


def run_at_once(*calls):
    """Each call on a thread of its own, all let go together; their results, in order."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(30) for future in [pool.submit(run, call) for call in calls]]


def test_nothing_is_lost_or_doubled_and_each_callers_order_holds():
    with Channel() as channel:
        for caller in range(4):
            for topic in ("x", "y"):
                channel.tell(Join(f"c{caller}", topic, "u", 1))
        channel.flush_outbox()

        def tell(caller):
            for number in range(300):
                channel.tell(Push(f"c{caller}", "xy"[number % 2], "n", str(number)))

        taken = []
        run_at_once(*[lambda c=c: tell(c) for c in range(4)], lambda: [taken.extend(channel.flush_outbox()) for _ in range(20)])
        taken += channel.flush_outbox()
        assert len(taken) == 1200
        for caller in range(4):
            numbers = [int(m.payload) for m in taken if m.client_id == f"c{caller}"]
            assert numbers == list(range(300))


own_events = [  # of one caller, on clients that are its own: then any interleaving gives the same final members
    st.builds(Join, st.just(name), topics, users, times)
    | st.builds(Rejoin, st.just(name), topics, users, times)
    | st.builds(Leave, st.just(name), topics)
    | st.builds(Broadcast, st.just(name), topics, texts.map(name.__add__))  # whose it is can be read from it
    for name in "abc"
]


@settings(max_examples=40)
@given(st.tuples(*[st.lists(events, max_size=15) for events in own_events]))
def test_the_final_state_is_that_of_a_legal_order(sequences):
    """The outbox tells the order in which the events were accepted; the naive model run in that order ends in that state."""
    with Channel() as channel:
        run_at_once(*[lambda s=s: [channel.tell(event) for event in s] for s in sequences])
        outbound = channel.flush_outbox()
        naive, waiting, replayed = NaiveChannel(), [list(s) for s in sequences], []
        while any(waiting):
            queue = next(q for q in waiting if q and outbound[len(replayed) :][: len(trial(naive, q[0]))] == trial(naive, q[0]))
            replayed += naive.handle(queue.pop(0))
        assert replayed == outbound
        assert state_of(channel) == state_of(naive)


def trial(naive, event):
    return copy.deepcopy(naive).handle(event)


@settings(max_examples=30)
@given(st.lists(st.builds(Join, clients, topics, users, times), max_size=30))
def test_what_was_accepted_before_a_crash_is_handled_before_it(joins):
    half = len(joins) // 2
    with Channel() as channel:
        run_at_once(
            lambda: [channel.tell(event) for event in joins[:half]],
            lambda: [channel.tell(event) for event in joins[half:]],
            lambda: channel.tell(Crash("r")),
        )
        outbound = channel.flush_outbox()
        crash = outbound.index(System("crashed:r"))
        assert all(message.payload != "crashed" for message in outbound[:crash] if isinstance(message, Reply))
        assert all(message == Reply(message.client_id, message.topic, "error", "crashed") for message in outbound[crash + 1 :])
        assert len([message for message in outbound if isinstance(message, Reply)]) == len(joins)


@pytest.mark.parametrize("round_", range(10))
def test_reads_and_flushes_that_race_with_crash_restart_and_close_end(round_):
    channel = Channel(timeout_s=10)
    for number in range(20):
        channel.tell(Join(f"c{number}", f"t{number}", "u", number))

    def until_closed(call):
        answers = 0
        try:
            while True:
                call()
                answers += 1
        except ChannelClosed:
            return answers

    def crash_and_close():
        for _ in range(5):
            channel.handle(Crash("r"))
            channel.handle(Restart())
            channel.tell(Rejoin("c1", "t1", "u", round_))
        channel.close()
        return 0

    def tell_and_see():  # the read keeps the teller from flooding the inbox: what is told faster than handled waits there
        for _ in range(20):
            channel.tell(Push("c1", "t1", "e", "p"))
        _ = channel.crashed

    flushed = []

    def flush_until_closed():
        flushed.extend(channel.flush_outbox())
        _ = channel.crashed

    run_at_once(
        crash_and_close,
        lambda: until_closed(flush_until_closed),
        lambda: until_closed(lambda: channel.membership_count),
        lambda: until_closed(lambda: channel.subscribers("t1")),
        lambda: until_closed(lambda: channel.presences("t2")),
        lambda: until_closed(channel.topics),
        lambda: until_closed(tell_and_see),
    )
    labels = [m.label for m in [*flushed, *channel.flush_outbox()] if isinstance(m, System)]
    assert labels == ["crashed:r", "restarted"] * 5


def test_an_event_that_races_with_a_topics_stop_is_neither_lost_nor_refused():
    """Join and leave in turn: every leave empties the topic, and the next join comes while its actor is being stopped."""
    with Channel() as channel:

        def in_and_out(client):
            for number in range(200):
                channel.tell(Join(client, "t", "u", number))
                channel.tell(Leave(client, "t"))

        run_at_once(lambda: in_and_out("a"), lambda: in_and_out("b"))
        replies = [message for message in channel.flush_outbox() if isinstance(message, Reply)]
        assert len(replies) == 800
        assert {message.payload for message in replies} == {"joined", "left"}
        assert channel.topics() == ()
        channel.handle(Leave("a", "t"))


def test_two_hundred_topics_crash_and_restart_twenty_times_and_leave_nothing():
    before = threading.active_count()
    with Channel() as channel:
        for number in range(200):
            channel.tell(Join("c", f"t{number}", "u", number))
        assert channel.membership_count == 200
        for round_ in range(20):
            channel.handle(Crash("r"))
            assert len(pykka.ActorRegistry.get_all()) == 1
            channel.handle(Restart())
            assert len(pykka.ActorRegistry.get_all()) == 201
            for number in range(200):
                channel.tell(Rejoin("c", f"t{number}", "u", 1000 + round_))
        assert channel.membership_count == 200
        replies = [m for m in channel.flush_outbox() if isinstance(m, Reply)]
        assert len(replies) == 200 * 21
    assert threading.active_count() == before
    assert pykka.ActorRegistry.get_all() == []


def test_broadcasts_from_many_threads_reach_all_members_as_of_their_turn():
    with Channel() as channel:
        for caller in range(4):
            channel.tell(Join(f"c{caller}", "t", "u", 1))
        run_at_once(*[lambda c=c: [channel.handle(Broadcast(f"c{c}", "t", f"{c}")) for _ in range(50)] for c in range(4)])
        messages = [m for m in channel.flush_outbox() if isinstance(m, BroadcastMessage)]
        assert len(messages) == 200
        assert {m.recipients for m in messages} == {("c0", "c1", "c2", "c3")}


def test_a_push_is_for_its_client_only():
    with Channel() as channel:
        channel.tell(Join("a", "t", "u", 1))
        channel.tell(Push("a", "t", "e", "p"))
        channel.tell(Push("b", "t", "e", "p"))
        assert channel.flush_outbox()[2:] == [PushMessage("a", "t", "e", "p"), Reply("b", "t", "error", "not_joined")]


class _Hanging(Behaviour):
    go_on: threading.Event

    def on_push(self, room, client_id, event, payload):
        if event == "hang":
            self.go_on.wait(20)


@pytest.mark.parametrize("code", ["a behaviour", "a sink"])
def test_ten_thousand_events_for_code_that_may_block_start_few_threads_also_while_one_hangs(code):
    go_on = threading.Event()

    def sink(message):
        if isinstance(message, PushMessage) and message.event == "hang":
            go_on.wait(20)

    of_code = {"on_outbound": sink} if code == "a sink" else {"behaviours": {"t:*": type("_", (_Hanging,), {"go_on": go_on})}}
    topics = [f"t:{number}" for number in range(100)]
    with Channel(runtime=Pool(), event_timeout_s=60, **of_code) as channel:
        for topic in topics:
            channel.handle(Join("c", topic, "u", 1))
        with count_starts() as started:
            channel.tell(Push("c", topics[0], "hang", ""))
            for number in range(10_000):
                channel.tell(Push("c", topics[1 + number % 99], "e", ""))
            for topic in topics[1:]:
                channel.handle(Push("c", topic, "e", ""))
        go_on.set()
    assert len(started) < 50
