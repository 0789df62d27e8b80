import copy
import json
import pickle
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.topics.rules.outbound import unread
from lightspeed.actors.topics.rules.presence import Roster, recipients_of
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.channel import Broadcast, BroadcastMessage, Join, encode

IDS = ("c1", "c2", "c3")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=200))
def test_every_snapshot_stays_as_it_was_whatever_comes_and_goes_later(changes):
    roster, members, seen = Roster([]), {}, []
    for comes, number in changes:
        client_id = f"c{number}"
        if comes and client_id not in members:
            members[client_id] = None
            roster.add(client_id)
        elif not comes and client_id in members:
            del members[client_id]
            roster.remove(client_id)
        seen.append((roster.recipients, tuple(members)))
    for recipients, expected in seen:
        assert len(recipients) == len(expected)
        assert recipients == expected


def test_leaves_by_the_thousand_are_compacted_away():
    roster = Roster(str(number) for number in range(5000))
    before = roster.recipients
    for number in range(4990):
        roster.remove(str(number))
    assert roster.recipients == tuple(map(str, range(4990, 5000)))
    assert len(roster._ids) < 50  # what nobody needs is not kept
    assert before == tuple(map(str, range(5000)))


def test_recipients_equal_the_tuple_of_them():
    recipients = Roster(IDS).recipients
    assert recipients == IDS == recipients
    assert recipients == Roster(IDS).recipients == recipients_of(IDS)
    assert recipients != ("c1",)
    assert recipients != list(IDS)
    assert recipients != Roster(["c1"]).recipients
    assert hash(recipients) == hash(IDS)
    assert {recipients: 1}[IDS] == 1
    assert (len(recipients), recipients[0], recipients[-1], recipients[1:]) == (3, "c1", "c3", ("c2", "c3"))
    assert list(recipients) == list(IDS)
    assert "c2" in recipients
    assert "c4" not in recipients
    assert (repr(recipients), str(recipients), f"{recipients}") == (repr(IDS), repr(IDS), repr(IDS))
    assert [type(copy.deepcopy(recipients)), pickle.loads(pickle.dumps(recipients))] == [tuple, IDS]
    with pytest.raises(TypeError):
        recipients[0] = "c9"


def told(size):
    """A broadcast of a topic with so many members, which nobody has read; and those."""
    topic = TopicState("t")
    for number in range(size):
        topic.handle(Join(f"c{number}", "t", "u", number))
    (message,) = topic.handle(Broadcast("c0", "t", "p"))
    return message, tuple(f"c{number}" for number in range(size))


SIZES = pytest.mark.parametrize("size", [1, 31, 32, 33, 200])
USES = {
    "recipients": lambda message: message.recipients,
    "type of them": lambda message: type(message.recipients),
    "added to them": lambda message: ("x",) + message.recipients + ("z",),  # noqa: RUF005
    "less": lambda message: message.recipients < ("z",),
    "json": lambda message: json.dumps(message.recipients),
    "encode": encode,
    "msgspec": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "builtins": msgspec.to_builtins,
    "hash": hash,
    "repr": repr,
    "set": lambda message: {message},
    "pickle": lambda message: pickle.loads(pickle.dumps(message)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": lambda message: msgspec.structs.replace(message, payload="q").recipients,
    "asdict": msgspec.structs.asdict,
    "astuple": msgspec.structs.astuple,
}


@SIZES
@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("is_read", [False, True])
def test_whatever_is_done_with_a_message_is_as_if_a_tuple_stood_in_it(size, name, is_read):
    message, ids = told(size)
    if is_read:
        assert message.recipients == ids
    assert USES[name](message) == USES[name](BroadcastMessage("t", "p", ids))
    assert message == BroadcastMessage("t", "p", ids) == message


@SIZES
def test_a_message_that_nobody_has_read_matches_as_with_a_tuple(size):
    message, ids = told(size)
    match message:
        case BroadcastMessage(topic="t", recipients=[first, *_]):
            assert first == ids[0]
        case _:
            pytest.fail("it does not match")
    match told(size)[0]:
        case BroadcastMessage(_, _, tuple() as found):
            assert found == ids
        case _:
            pytest.fail("it does not match")


@SIZES
def test_all_messages_to_the_same_members_share_one_tuple_and_it_is_made_when_it_is_read(size):
    topic = TopicState("t")
    for number in range(size):
        topic.handle(Join(f"c{number}", "t", "u", number))
    (first,), (second,) = (topic.handle(Broadcast("c0", "t", payload)) for payload in "pq")
    assert unread(first) is unread(second) is not None
    assert first.recipients is first.recipients is second.recipients
    assert unread(first) is None


def test_a_message_can_not_be_given_other_recipients():
    message, _ = told(2)
    with pytest.raises(AttributeError):
        message.recipients = ()


def test_a_snapshot_may_be_read_on_another_thread_while_the_topic_goes_on():
    roster = Roster(str(number) for number in range(300))
    todo, wrong = [], []
    done = threading.Event()

    def read():
        while not done.is_set() or todo:
            try:
                recipients, expected = todo.pop()
            except IndexError:
                continue
            if recipients != expected:
                wrong.append(expected)

    reader = threading.Thread(target=read)
    reader.start()
    members = dict.fromkeys(map(str, range(300)))
    for number in range(3000):
        gone = str(number)
        del members[gone]
        roster.remove(gone)
        members[str(number + 300)] = None
        roster.add(str(number + 300))
        if number % 10 == 0:
            todo.append((roster.recipients, tuple(members)))
    done.set()
    reader.join()
    assert wrong == []
