"""`Channel.metrics()`: each figure, on any thread, without waiting."""

import threading

import pytest

from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    Channel,
    ChannelClosed,
    ChannelMetrics,
    Crash,
    Disconnect,
    Inbox,
    Join,
    Leave,
    Mailbox,
    Pool,
    Push,
    Restart,
    Restarts,
    Send,
    Threads,
)

NOTHING = ChannelMetrics(
    **{name: 0 for name in ChannelMetrics.__struct_fields__ if name != "crashed"},
    crashed=False,
)


class Moody(Behaviour):
    def on_push(self, room, client_id, event, payload):
        raise ValueError(payload)


class Holds(Behaviour):
    """Holds its topic up until it is let go."""

    def __init__(self, began, go_on):
        self.began, self.go_on = began, go_on

    def on_push(self, room, client_id, event, payload):
        self.began.set()
        assert self.go_on.wait(10)


@pytest.fixture
def gate():
    began, go_on = threading.Event(), threading.Event()
    yield began, go_on
    go_on.set()


def test_of_a_new_channel_all_is_nought():
    with Channel() as channel:
        assert channel.metrics() == NOTHING


@pytest.mark.parametrize("kind", [Pool, Threads])
def test_every_event_counts_once_whatever_comes_of_it_and_whichever_way_it_went(kind):
    with Channel(runtime=kind()) as channel:
        events = [
            Join("c", "a", "u", 1),
            Join("c", "b", "u", 1),
            Join("c", "b", "u", 1),
            Broadcast("c", "a", "x"),
            Leave("c", "nowhere"),
            Crash("x", "a"),  # gives out two things that no event asked for
            Restart("a"),
            Crash("all"),
            Crash("all"),
            Restart(),
            Disconnect("c"),
            Join("d", "a", "u", 1),
            Leave("d", "a"),
        ]
        for number, event in enumerate(events, 1):
            channel.handle(event)
            assert channel.metrics().accepted == number
        metrics = channel.metrics()
    assert (metrics.crashes, metrics.restarts, metrics.failures) == (2, 2, 0)  # to "a" nobody had come back


def test_a_disconnect_is_one_event_however_many_topics_it_leaves():
    with Channel() as channel:
        for topic in "abc":
            channel.handle(Join("c", topic, "u", 1))
        channel.handle(Disconnect("c"))
        channel.handle(Disconnect("c"))
        assert channel.metrics().accepted == 5


def test_many_threads_that_tell_are_counted_and_to_readers_it_only_grows():
    with Channel(max_outbox=None) as channel:
        seen, is_over = [], threading.Event()

        def tell(name):
            channel.handle(Join(name, f"room:{name}", "u", 1))
            for number in range(300):
                channel.tell(Broadcast(name, f"room:{name}", str(number)))
                channel.tell(Crash("x", f"room:{name}x"))

        def read():
            while not is_over.is_set():
                seen.append(channel.metrics().accepted)

        readers = [threading.Thread(target=read) for _ in range(2)]
        tellers = [threading.Thread(target=tell, args=(name,)) for name in "abcd"]
        for thread in (*readers, *tellers):
            thread.start()
        for thread in tellers:
            thread.join()
        channel.flush_outbox()
        is_over.set()
        for thread in readers:
            thread.join()
        assert channel.metrics().accepted == 4 * 601
    assert max(seen) <= 4 * 601


def test_failures_restarts_and_giving_up():
    restarts = Restarts(intensity=1, backoff=None)
    with Channel(behaviours={"*": Moody}, restarts=restarts) as channel:
        for _ in range(2):
            channel.handle(Join("c", "t", "u", 1))
            channel.handle(Push("c", "t", "e", "p"))
            channel.membership_count  # noqa: B018 - behind the failure
        metrics = channel.metrics()
        assert (metrics.failures, metrics.restarts, metrics.given_up, metrics.topics_down) == (2, 1, 1, 1)
        channel.handle(Restart("t"))
        assert (channel.metrics().topics_down, channel.metrics().restarts) == (0, 2)


def test_a_topic_that_is_put_off_counts_as_restarted_when_it_is_up():
    restarts = Restarts(backoff=Backoff(floor_s=0.01, cap_s=0.01, jitter=0.0))
    with Channel(behaviours={"*": Moody}, restarts=restarts) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Push("c", "t", "e", "p"))
        channel.handle(Join("c", "t", "u", 2))  # waits until it is up
        assert channel.metrics().restarts == 1


def test_what_waits_and_is_shed_while_a_topic_is_held_up(gate):
    began, go_on = gate
    options = {"behaviours": {"*": lambda: Holds(began, go_on)}, "mailboxes": Mailbox(max_messages=2, overflow="drop_newest")}
    with Channel(**options) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.tell(Push("c", "t", "e", "p"))
        assert began.wait(10)
        for _ in range(5):
            channel.tell(Broadcast("c", "t", "x"))
        channel.tree()  # behind them, for the supervisor
        metrics = channel.metrics()
        assert (metrics.topics_overloaded, metrics.shed, metrics.dead_letters, metrics.waiting) == (1, 4, 4, 0)
        go_on.set()
        channel.flush_outbox()
        channel.tree()
        channel.flush_outbox()
        assert channel.metrics().topics_overloaded == 0


def test_it_is_read_while_the_supervisor_itself_is_held_up_and_what_waits_shows(gate):
    began, go_on = gate

    class Blocks:
        """A supervisor's clock is asked within its turn."""

        def __call__(self):
            began.set()
            assert go_on.wait(10)
            return 0.0

    runtime = Threads()
    with Channel(runtime=runtime, behaviours={"*": Moody}) as channel:
        channel.handle(Join("c", "t", "u", 1))
        clock, runtime.monotonic_s = runtime.monotonic_s, Blocks()
        try:
            channel.tell(Push("c", "t", "e", "p"))
            assert began.wait(10)
            for _ in range(3):
                channel.tell(Broadcast("c", "t", "x"))
            assert channel.metrics().waiting == 3
        finally:
            runtime.monotonic_s = clock
            go_on.set()
        channel.flush_outbox()
        assert channel.metrics().waiting == 0


def test_clients_and_what_their_inboxes_dropped_stays_counted_when_they_are_closed():
    with Channel() as channel:
        with channel.client("c", "u", inbox=Inbox(max_messages=2)) as client:
            client.join("t")
            for _ in range(5):
                client.broadcast("t", "x")
            assert channel.metrics().clients == 1
            dropped = channel.metrics().inbox_dropped
            assert dropped == client.dropped > 0
        metrics = channel.metrics()
        assert (metrics.clients, metrics.outbox_length) == (0, 0)
        assert metrics.inbox_dropped >= dropped


def test_the_outbox_and_what_it_dropped():
    with Channel(max_outbox=10) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Broadcast("c", "t", "x"))
        assert channel.metrics().outbox_length == 2
        for _ in range(5_000):
            channel.tell(Broadcast("c", "t", "x"))
        kept = len(channel.flush_outbox())
        assert channel.metrics().outbox_dropped == 5_003 - kept > 0
        assert channel.metrics().outbox_length == 0


def test_with_a_sink_the_outbox_is_what_waits_for_it(gate):
    began, go_on = gate

    def sink(_message):
        began.set()
        assert go_on.wait(10)

    with Channel(on_outbound=sink) as channel:
        channel.tell(Join("c", "t", "u", 1))
        assert began.wait(10)
        assert channel.metrics().outbox_length == 1  # the diff behind the reply
        go_on.set()
        channel.flush_outbox()
        assert channel.metrics().outbox_length == 0


def test_crashed_and_topics_are_as_of_the_last_event():
    with Channel() as channel:
        channel.handle(Join("c", "t", "u", 1))
        assert (channel.metrics().topics, channel.metrics().crashed) == (1, False)
        channel.handle(Crash("x"))
        assert channel.metrics().crashed
        channel.handle(Restart())
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Leave("c", "t"))
        assert (channel.metrics().topics, channel.metrics().crashed) == (0, False)


def test_what_the_program_sends_in_vain_is_a_dead_letter_here_too():
    with Channel() as channel:
        channel.handle(Send("c", "t", "e", "p"))
        assert channel.metrics().dead_letters == channel.dead_letter_count == 1


def test_inside_a_hook_and_a_sink_it_can_be_read():
    seen = []

    class Reads(Behaviour):
        def on_join(self, room, client_id, user_id):
            seen.append(channel.metrics().accepted)

    with Channel(behaviours={"*": Reads}, on_outbound=lambda _message: seen.append(channel.metrics().topics)) as channel:
        channel.handle(Join("c", "t", "u", 1))
    assert seen == [1, 1, 1]


def test_after_the_close_it_is_what_was_last():
    channel = Channel()
    channel.handle(Join("c", "t", "u", 1))
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.tell(Leave("c", "t"))
    metrics = channel.metrics()
    assert (metrics.accepted, metrics.topics, metrics.waiting, metrics.outbox_length) == (1, 0, 0, 1)
