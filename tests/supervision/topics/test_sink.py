import threading
from collections import defaultdict

import pykka
import pytest

from lightspeed.channel import Broadcast, Channel, Crash, InsideActor, Join, Leave, Pool, Push, Rejoin, Reply, Restart, System

pytestmark = pytest.mark.usefixtures("runtime")


def test_a_sink_gets_everything_and_the_outbox_stays_empty():
    got = []
    with Channel(on_outbound=got.append) as channel:
        channel.handle(Join("c", "t", "u", 1))
        assert len(got) == 2
        channel.handle(Leave("x", "other"))
        assert got[2:] == [Reply("x", "other", "error", "not_joined")]
        channel.handle(Crash("r"))
        assert got[3:] == [System("crashed:r")]
        assert channel.flush_outbox() == []


def test_an_actor_can_be_the_sink():
    class Collector(pykka.ThreadingActor):
        def on_start(self):
            self.got = []

        def on_receive(self, message):
            if message == "all":
                return self.got
            return self.got.append(message)

    collector = Collector.start()
    with Channel(on_outbound=collector) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Push("c", "t", "e", "p"))
    assert len(collector.ask("all")) == 3
    collector.stop()


def test_a_dead_actor_as_sink_hurts_nobody():
    class Deaf(pykka.ThreadingActor):
        pass

    deaf = Deaf.start()
    deaf.stop()
    with Channel(on_outbound=deaf) as channel:
        channel.handle(Join("c", "t", "u", 1))
        assert channel.subscribers("t") == ("c",)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_a_sink_raises_hurts_nobody(error):
    got = []

    def sink(message):
        got.append(message)
        raise error("no")

    with Channel(on_outbound=sink) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Broadcast("c", "t", "p"))
        channel.handle(Leave("nobody", "t2"))
        assert channel.subscribers("t") == ("c",)
    assert len(got) == 4


def test_inside_a_sink_whatever_waits_is_refused_and_tell_is_not():
    refused = []

    def sink(message):
        if isinstance(message, Reply) and message.client_id == "c":
            for call in (
                lambda: channel.handle(Join("d", "t", "u", 1)),
                channel.flush_outbox,
                lambda: channel.membership_count,
                lambda: channel.subscribers("t"),
                channel.close,
            ):
                try:
                    call()
                except InsideActor as error:
                    refused.append(error.call)
            channel.tell(Join("d", "t", "u", 2))

    with Channel(on_outbound=sink) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Leave("c", "unknown"))
        assert channel.subscribers("t") == ("c", "d")
    assert refused == ["handle", "flush_outbox", "membership_count", "subscribers", "close"] * 2


def test_a_slow_sink_holds_up_its_own_topic_only():
    hold, entered = threading.Event(), threading.Event()

    def sink(message):
        if isinstance(message, Reply) and message.topic == "slow":
            entered.set()
            hold.wait(10)

    with Channel(on_outbound=sink) as channel:
        channel.tell(Join("c", "slow", "u", 1))
        assert entered.wait(10)
        channel.handle(Join("c", "quick", "u", 1))
        assert channel.subscribers("quick") == ("c",)
        hold.set()


def test_a_topic_that_is_given_its_own_thread_runs_there_and_nowhere_else():
    threads = {}

    def sink(message):
        threads.setdefault(message.topic, set()).add(threading.current_thread())

    with Channel(on_outbound=sink, own_thread=["media:*", "room:slow"], runtime=Pool(workers=2)) as channel:
        for topic in ("media:1", "media:2", "room:slow", "room:1", "room:2"):
            for client in "ab":
                channel.handle(Join(client, topic, "u", 1))
        own = [threads[topic] for topic in ("media:1", "media:2", "room:slow")]
        assert [len(each) for each in own] == [1, 1, 1]
        assert all(thread.name.startswith("TopicActor") for (thread,) in own)
        assert len(set.union(*own)) == 3
        channel.handle(Crash("they fail as all others do"))
        channel.handle(Restart())
        channel.handle(Rejoin("a", "media:1", "u", 2))
        channel.handle(Rejoin("a", "room:1", "u", 2))
        assert len(threads["media:1"]) == 2
        assert channel.topics() == ("media:1", "room:1")
        assert {thread.name for thread in threads["room:1"]} == {"ActorPool worker"}
    assert not any(thread.is_alive() for thread in set.union(*own))


def test_each_topics_messages_come_in_order_and_one_at_a_time():
    """Also across crashes and stops, where some come from the supervisor and some from topic actors."""
    got, inside = defaultdict(list), defaultdict(threading.Lock)

    def sink(message):
        topic = getattr(message, "topic", None)
        assert inside[topic].acquire(blocking=False)
        if isinstance(message, Reply):
            got[message.topic].append(int(message.client_id))
        inside[topic].release()

    with Channel(on_outbound=sink) as channel:
        number = 0
        for round_ in range(60):
            for topic in ("a", "b"):
                channel.tell(Join(str(number), topic, "u", round_))
                channel.tell(Leave(str(number + 1), topic))
                channel.tell(Broadcast(str(number + 2), topic, "not joined"))
                channel.tell(Rejoin(str(number + 3), topic, "u", round_))
                number += 4
            if round_ % 3 == 0:
                channel.tell(Crash("r"))
            if round_ % 3 == 1:
                channel.tell(Restart())
        channel.flush_outbox()
    assert sum(map(len, got.values())) == number
    for numbers in got.values():
        assert numbers == sorted(numbers)


class StuckSink:
    """Its first call does not return until `hold` is set."""

    def __init__(self):
        self.hold, self.entered, self.got = threading.Event(), threading.Event(), []

    def __call__(self, message):
        self.got.append(message)
        if not self.entered.is_set():
            self.entered.set()
            self.hold.wait(20)


def test_whoever_waits_for_a_topic_that_is_stuck_still_gets_its_turn():
    sink = StuckSink()
    with Channel(on_outbound=sink, crash_timeout_s=0.05) as channel:
        channel.tell(Join("c", "t", "u", 1))
        assert sink.entered.wait(10)
        for now_ms in (2, 3):
            channel.tell(Crash("r"))
            channel.tell(Push("c", "t", "e", "refused"))
            channel.tell(Restart())
            channel.tell(Rejoin("c", "t", "u", now_ms))
        assert channel.subscribers("t") == ("c",)
        sink.hold.set()
        channel.flush_outbox()
    replies = [message.payload for message in sink.got if isinstance(message, Reply)]
    assert replies == ["joined", "crashed", "rejoined", "crashed", "rejoined"]


def test_a_topic_stuck_in_its_sink_is_abandoned_at_the_crash_deadline_and_its_successor_goes_on():
    sink = StuckSink()
    with Channel(on_outbound=sink, crash_timeout_s=0.05) as channel:
        channel.tell(Join("c", "t", "u", 1))
        assert sink.entered.wait(10)
        channel.tell(Push("c", "t", "e", "never handled"))
        channel.handle(Crash("r"))
        channel.handle(Restart())
        channel.handle(Rejoin("c", "t", "u", 2))
        assert channel.subscribers("t") == ("c",)
        sink.hold.set()
        channel.flush_outbox()
    replies = [message.payload for message in sink.got if isinstance(message, Reply)]
    assert replies == ["joined", "crashed", "rejoined"]
