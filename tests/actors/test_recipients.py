import copy
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.recipients import Roster
from lightspeed.channel import BroadcastMessage, encode

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


def test_recipients_do_what_a_tuple_of_them_does():
    recipients = Roster(IDS).recipients
    assert recipients == IDS
    assert recipients == IDS
    assert recipients == Roster(IDS).recipients
    assert recipients != ("c1",)
    assert recipients != list(IDS)
    assert recipients != Roster(["c1"]).recipients
    assert hash(recipients) == hash(IDS)
    assert {recipients: 1}[IDS] == 1
    assert (len(recipients), recipients[0], recipients[-1], recipients[1:]) == (3, "c1", "c3", ("c2", "c3"))
    assert list(recipients) == list(IDS)
    assert "c2" in recipients
    assert "c4" not in recipients
    assert recipients.index("c3") == 2
    assert recipients.count("c1") == 1
    assert repr(recipients) == repr(IDS)
    assert [type(copy.deepcopy(recipients)), pickle.loads(pickle.dumps(recipients))] == [tuple, IDS]
    with pytest.raises(IndexError):
        recipients[3]
    with pytest.raises(TypeError):
        recipients[0] = "c9"


def test_a_broadcast_encodes_compares_and_hashes_as_with_a_tuple():
    lazily, plainly = BroadcastMessage("t", "p", Roster(IDS).recipients), BroadcastMessage("t", "p", IDS)
    assert encode(lazily) == encode(plainly)
    assert lazily == plainly
    assert hash(lazily) == hash(plainly)


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
