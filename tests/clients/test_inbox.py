"""What waits for one client: order, bounds, readers who wait, and readers who are interrupted."""

import threading
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thrown import Alarm, spare, throw_at

from lightspeed.actors.errors import ClientClosed, InboxEmpty, InvalidOption
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, PushMessage
from lightspeed.clients import Inbox, Lagged, TopicDown, TopicUp
from lightspeed.clients.inbox import InboxQueue

spare(__file__)


def acquire(lock, timeout_s):
    return lock.acquire(timeout=-1 if timeout_s is None else timeout_s)


def queue(wait=acquire, now_s=lambda: 0.0, on_slow=None, **options):
    return InboxQueue(Inbox(**options), wait, now_s, on_slow or (lambda: pytest.fail("closed as too slow")))


def push(payload, topic="t"):
    return PushMessage("c", topic, "e", str(payload))


def take(inbox, most=1_000, timeout_s=0.0):
    taken = []
    inbox.take(taken, most, timeout_s)
    return taken


def shown(inbox, most=1_000):
    """What is taken out, as payloads and the counts of what is missing."""
    try:
        return [message.count if type(message) is Lagged else message.payload for message in take(inbox, most)]
    except InboxEmpty:
        return []


def put(inbox, *payloads, topic="t"):
    for payload in payloads:
        inbox.put(push(payload, topic))


def test_messages_come_in_order_and_as_they_are():
    inbox, messages = queue(), [push(1), TopicDown("t", "r"), BroadcastMessage("t", "p", ("c",))]
    for message in messages:
        inbox.put(message)
    taken = take(inbox)
    assert all(one is other for one, other in zip(taken, messages, strict=True))


def test_no_more_is_taken_than_was_asked_for():
    inbox = queue()
    put(inbox, *range(5))
    assert shown(inbox, 2) == ["0", "1"]
    assert shown(inbox, 9) == ["2", "3", "4"]


def test_an_empty_inbox_says_for_how_long_nothing_came():
    with pytest.raises(InboxEmpty, match=r"0\.01 s"):
        take(queue(), timeout_s=0.01)


@pytest.mark.parametrize("option", [{"max_messages": 0}, {"max_messages": True}, {"max_bytes": 0}, {"max_bytes": 1.5}])
def test_a_bound_that_can_not_be_is_refused(option):
    with pytest.raises(InvalidOption, match=next(iter(option))):
        Inbox(**option)


@pytest.mark.parametrize("overflow", ["drop", None, ["close"]])
def test_an_overflow_that_there_is_not_is_refused(overflow):
    with pytest.raises(InvalidOption, match="overflow"):
        Inbox(overflow=overflow)


# Overflow


def test_the_oldest_are_dropped_and_missed_in_front():
    inbox = queue(max_messages=3)
    put(inbox, *range(5))
    assert shown(inbox) == [2, "2", "3", "4"]
    assert inbox.dropped == 2


def test_a_new_episode_has_a_lagged_of_its_own():
    inbox = queue(max_messages=2)
    put(inbox, *range(3))
    assert shown(inbox, 1) == [1]
    put(inbox, 3, 4)
    assert shown(inbox) == [2, "3", "4"]
    assert inbox.dropped == 3


def test_a_lagged_takes_no_messages_place():
    inbox = queue(max_messages=2)
    put(inbox, *range(4))
    assert len(inbox) == 3
    assert shown(inbox, 2) == [2, "2"]
    put(inbox, 4)
    assert shown(inbox) == ["3", "4"]


def test_the_newest_are_dropped_and_missed_at_the_end():
    inbox = queue(max_messages=3, overflow="drop_newest")
    put(inbox, *range(5))
    assert shown(inbox, 1) == ["0"]
    put(inbox, 5, 6, 7)
    assert shown(inbox) == ["1", "2", 2, "5", 2]
    assert inbox.dropped == 4


def test_the_latest_of_each_topic_and_kind_stay_and_the_gap_is_where_the_first_of_the_others_stood():
    inbox = queue(max_messages=4, overflow="latest")
    put(inbox, "a1", topic="a")
    put(inbox, "b1", "b2", "b3", topic="b")
    put(inbox, "b4", topic="b")
    assert shown(inbox) == ["a1", 3, "b4"]
    assert inbox.dropped == 3


def test_another_kind_of_the_same_topic_stays():
    inbox = queue(max_messages=2, overflow="latest")
    for message in (TopicDown("t", "1"), TopicUp("t"), TopicDown("t", "2")):
        inbox.put(message)
    assert take(inbox) == [Lagged(1), TopicUp("t"), TopicDown("t", "2")]


def test_where_all_are_of_other_topics_the_oldest_go():
    inbox = queue(max_messages=2, overflow="latest")
    for topic in "abcd":
        put(inbox, topic, topic=topic)
    assert shown(inbox) == [2, "c", "d"]


def test_one_that_is_to_be_closed_is_closed_once_and_keeps_what_it_has():
    closed = []

    def close():
        closed.append(True)
        inbox.close("too slow")

    inbox = queue(max_messages=2, overflow="close", on_slow=close)
    put(inbox, *range(5))
    assert closed == [True]
    assert shown(inbox) == ["0", "1"]
    assert inbox.dropped == 1
    with pytest.raises(ClientClosed, match="too slow"):
        take(inbox)


BYTES_OF_ONE = 100 + len("cte1")


@pytest.mark.parametrize(("overflow", "left"), [("drop_oldest", [1, "2", "3"]), ("drop_newest", ["1", "2", 1])])
def test_bytes_are_the_texts_and_a_hundred_a_message(overflow, left):
    inbox = queue(max_bytes=2 * BYTES_OF_ONE, overflow=overflow)
    put(inbox, 1, 2, 3)
    assert shown(inbox) == left
    put(inbox, 4, 5)  # what was taken counts no more
    assert shown(inbox) == ["4", "5"]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "latest"])
def test_a_message_that_no_room_is_enough_for_drops_no_other(overflow):
    inbox = queue(max_bytes=300, overflow=overflow)
    put(inbox, 1, "x" * 300, 2)
    assert shown(inbox) == ["1", 1, "2"]


def test_one_large_message_drops_several_small_ones():
    inbox = queue(max_bytes=4 * BYTES_OF_ONE)
    put(inbox, 1, 2, 3, 4, "x" * (BYTES_OF_ONE + 1))
    assert shown(inbox) == [2, "3", "4", "x" * (BYTES_OF_ONE + 1)]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "latest"])
@given(data=st.data())
def test_whatever_happens_nothing_is_lost_but_what_lagged_tells_of(overflow, data):
    most = data.draw(st.integers(1, 4))
    max_bytes = data.draw(st.sampled_from([None, 150, 3 * BYTES_OF_ONE]))
    inbox, number, taken = queue(max_messages=most, max_bytes=max_bytes, overflow=overflow), count(), []
    for size in data.draw(st.lists(st.integers(0, 6), max_size=30)):
        if size:
            inbox.put(push(f"{next(number)}:{'x' * data.draw(st.sampled_from([0, 60]))}", str(size)))
        elif inbox.items:
            taken += take(inbox, data.draw(st.integers(1, 3)))
            if data.draw(st.booleans()):
                inbox.give_back([taken.pop()])
        assert len(inbox) - inbox._gaps <= most + 1
    taken += take(inbox) if inbox.items else []
    told = [int(one.payload.split(":")[0]) for one in taken if type(one) is not Lagged]
    missing = sum(one.count for one in taken if type(one) is Lagged)
    assert told == sorted(set(told))
    assert len(told) + missing == next(number)
    assert missing == inbox.dropped
    assert (inbox._bytes, inbox._gaps) == (0, 0)
    if overflow != "latest":  # there each stands just where its messages would
        at = 0
        for one in taken:
            at, place = (at + one.count, None) if type(one) is Lagged else (at + 1, int(one.payload.split(":")[0]))
            assert place is None or place == at - 1


# Readers who wait


def waiting(inbox, *timeouts_s, most=1):
    """Readers who wait, each in a thread of its own, behind one another; where what they take, or raise, is kept."""
    answers, threads = [], []

    def read(timeout_s):
        try:
            answers.append(take(inbox, most, timeout_s))
        except (InboxEmpty, ClientClosed) as error:
            answers.append(error)

    for timeout_s in timeouts_s:
        thread = threading.Thread(target=read, args=(timeout_s,))
        thread.start()
        threads.append(thread)
    return answers, threads


class Counted:
    """A wait that tells how many wait."""

    def __init__(self):
        self.begun = threading.Semaphore(0)

    def __call__(self, lock, timeout_s):
        self.begun.release()
        return acquire(lock, timeout_s)


def begin(wait, readers):
    for _ in range(readers):
        assert wait.begun.acquire(timeout=20)


def end(threads):
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_who_waits_is_told():
    wait = Counted()
    inbox = queue(wait)
    answers, threads = waiting(inbox, None)
    begin(wait, 1)
    put(inbox, 1)
    end(threads)
    assert answers == [[push(1)]]


def test_of_two_readers_each_gets_what_the_other_does_not():
    wait = Counted()
    inbox = queue(wait)
    answers, threads = waiting(inbox, None, None)
    begin(wait, 2)
    put(inbox, 1, 2)
    end(threads)
    assert sorted(one.payload for taken in answers for one in taken) == ["1", "2"]


def test_all_who_wait_are_told_of_the_end():
    wait = Counted()
    inbox = queue(wait)
    answers, threads = waiting(inbox, None, None)
    begin(wait, 2)
    inbox.close("it was over")
    end(threads)
    assert [answer.why for answer in answers] == ["it was over"] * 2


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "latest"])
def test_who_waits_is_told_of_a_gap(overflow):
    wait = Counted()
    inbox = queue(wait, max_bytes=110, overflow=overflow)
    answers, threads = waiting(inbox, None)
    begin(wait, 1)
    put(inbox, "x" * 300)
    end(threads)
    assert answers == [[Lagged(1)]]


def test_who_was_told_and_finds_nothing_waits_for_the_rest_of_its_time_only():
    now, waits = [100.0], []

    def wait(_lock, timeout_s):
        waits.append(timeout_s)
        now[0] += 4
        return len(waits) < 3  # told twice, by what another reader was quicker to take

    with pytest.raises(InboxEmpty, match="10 s"):
        take(queue(wait, lambda: now[0]), timeout_s=10)
    assert waits == [10, 6, 2]


def test_a_turn_that_is_given_up_is_anothers():
    wait = Counted()
    inbox = queue(wait)
    answers, threads = waiting(inbox, None)
    begin(wait, 1)

    def told_and_hit(_lock, _timeout_s):
        put(inbox, 1)  # the one who has waited longer is told; then this one
        put(inbox, 2)
        raise Alarm

    inbox._wait = told_and_hit
    with pytest.raises(Alarm):
        take(inbox, timeout_s=None)
    end(threads)
    assert answers == [[push(1)]]
    assert shown(inbox) == ["2"]


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [None, 10_000])
def test_a_take_that_is_hit_anywhere_loses_nothing(max_bytes):
    for number in count():
        inbox = queue(max_bytes=max_bytes, max_messages=3)
        put(inbox, *range(4))
        taken = []

        def read(inbox=inbox, taken=taken):
            inbox.take(taken, 3, 1)

        place, _raised = throw_at(number, Alarm(), read)
        inbox.give_back(taken)
        assert shown(inbox) == [1, "1", "2", "3"], place
        assert (inbox._bytes, inbox._gaps) == (0, 0), place
        if place is None:
            break
    assert number > 10
