import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import NaiveChannel, topic_events

from lightspeed.actors.topics import TopicState
from lightspeed.channel import Broadcast, BroadcastMessage, Join, Leave, PresenceDiff, Rejoin


@given(st.lists(topic_events.filter(lambda event: event.topic == "x")))
def test_a_topic_does_what_the_naive_model_does(events):
    topic, naive = TopicState("x"), NaiveChannel()
    for event in events:
        assert list(topic.handle(event)) == naive.handle(event)
        assert topic.subscribers == naive.subscribers("x")
        assert topic.presences == naive.presences("x")
        assert len(topic) == len(naive.members)


def test_broadcasts_share_one_snapshot_of_recipients_until_membership_changes():
    topic = TopicState("t")
    topic.handle(Join("c1", "t", "u", 1))
    (first,), (second,) = topic.handle(Broadcast("c1", "t", "a")), topic.handle(Broadcast("c1", "t", "b"))
    assert first.recipients is second.recipients
    topic.handle(Rejoin("c1", "t", "u", 2))
    assert topic.handle(Broadcast("c1", "t", "c"))[0].recipients is first.recipients
    topic.handle(Join("c2", "t", "u", 3))
    assert first.recipients == ("c1",)
    assert topic.handle(Broadcast("c1", "t", "d"))[0].recipients == topic.subscribers == ("c1", "c2")


@pytest.mark.parametrize("members", [1, 31, 32, 33, 100])
def test_a_broadcast_to_few_or_many_is_for_those_who_are_members_then(members):
    topic, told = TopicState("t"), []
    for number in range(members):
        topic.handle(Join(f"c{number}", "t", "u", 1))
    for number in range(members - 1):
        told.append((topic.handle(Broadcast(f"c{members - 1}", "t", "p"))[0].recipients, topic.subscribers))
        topic.handle(Leave(f"c{number}", "t"))
        topic.handle(Join(f"d{number}", "t", "u", 1))
    assert [recipients for recipients, _ in told] == [subscribers for _, subscribers in told]


@given(st.lists(st.tuples(st.sampled_from([Join, Rejoin, Leave, Broadcast]), st.integers(0, 40)), max_size=150), st.booleans())
def test_a_diff_is_for_the_members_when_it_took_effect_whenever_it_is_read(steps, at_once):
    topic, told = TopicState("t"), []
    for now_ms, (kind, number) in enumerate(steps):
        client_id = f"c{number}"
        fields = {Join: ("u", now_ms), Rejoin: ("u", now_ms), Leave: (), Broadcast: ("p",)}[kind]
        for message in topic.handle(kind(client_id, "t", *fields)):
            if isinstance(message, PresenceDiff | BroadcastMessage):
                told.append((message, topic.subscribers))
                assert not at_once or message.recipients == topic.subscribers
    assert [message.recipients for message, _ in told] == [members for _, members in told]


def test_a_broadcast_says_whom_it_is_from():
    topic = TopicState("t")
    topic.handle(Join("c1", "t", "u", 1))
    (message,) = topic.handle(Broadcast("c1", "t", "p"))
    assert (message.sender, BroadcastMessage("t", "p", ("c1",)).sender) == ("c1", None)
