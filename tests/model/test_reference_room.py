"""The reference is held against the topic that it is the reference of: what they give is the same, and where they fail."""

import random

import pytest
from model.moody import Moody
from model.reference_room import HookFailed, ReferenceRoom

from lightspeed.actors.errors import RoomMisused
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic, finish
from lightspeed.channel import Behaviour, Broadcast, Join, Leave, Publish, Push, Rejoin, Send

CLIENTS = ("a1", "a2", "b1", "c1", "d1")


class Greedy(Behaviour):
    """It misuses its room in every way, each at one word."""

    def on_push(self, room, client_id, event, payload):
        if payload == "twice":
            room.reply("one")
            room.refuse("two")
        elif payload == "stranger":
            room.push("nobody", event, payload)
        elif payload == "who":
            room.user_of("nobody")
        elif payload == "value":
            return payload
        else:
            room.push(client_id, event, f"{room.topic} {room.user_of(client_id)} {len(room.presences)}")
        return None

    def on_timer(self, room, name):
        room.reply(name)


def drawn(rng, now_ms):
    client = rng.choice(CLIENTS)
    return rng.choice(
        (
            Join(client, "x", client[0], now_ms),
            Rejoin(client, "x", client[0], now_ms, rng.choice((None, "", "blue"))),
            Leave(client, "x", rng.choice((None, now_ms, now_ms - 5))),
            Broadcast(client, "x", "b", rng.choice(("", "named"))),
            Publish("x", "p", "news"),
            Send(client, "x", "e", "s"),
            Push(client, "x", "e", rng.choice(("p", "twice", "stranger", "who", "value"))),
        )
    )


def outcome(call, *args):
    try:
        return call(*args)
    except (HookFailed, RoomMisused, RuntimeError):
        return "failed"


@pytest.mark.parametrize("restarted_by", [None, "ValueError: why"])
@pytest.mark.parametrize("make", [Behaviour, Greedy, Moody])
def test_it_gives_what_the_topic_gives_event_by_event(make, restarted_by):
    for seed in range(30):
        rng = random.Random(seed)
        topic, reference = BehavedTopic("x", make=make, restarted_by=restarted_by), ReferenceRoom("x", make, restarted_by)
        for now_ms in range(40):
            event = drawn(rng, now_ms)
            given = outcome(topic.handle, event)
            assert outcome(reference.ask, event, 0.0) == given
            if given == "failed":
                break  # so is the topic
            assert (topic.subscribers, topic.presences) == (tuple(reference.members), reference.presences)
        else:
            assert outcome(finish, topic.ending()) == outcome(reference.end, 0.0)


def test_a_timer_rings_once_when_it_is_due_and_not_where_it_was_cancelled():
    room = ReferenceRoom("x", Moody, None)
    room.ask(Join("a", "x", "u", 1), 0.0)
    assert room.ring(0.9) == ()
    assert room.has_missed(0.9) is None
    assert room.has_missed(1.1) == "tick"
    (tick,) = room.ring(1.1)
    assert tick.payload == "tick"
    assert room.ring(1.2) == ()
    for number in range(2):
        room.ask(Push("a", "x", "e", str(number)), 1.2)
    assert set(room.timers) == {"nap"}  # the third event cancels the other one


def test_who_is_brought_back_is_asked_and_gets_no_reply():
    room = ReferenceRoom("x", Moody, "ValueError: why")
    given = room.replay([Rejoin("a", "x", "u", 1), Rejoin("b", "x", "u", 2)], 0.0)
    assert [type(message).__name__ for message in given] == ["BroadcastMessage", "BroadcastMessage", "PresenceDiff"]
    assert tuple(room.members) == ("a", "b")


def test_a_hook_that_fails_has_had_no_effect():
    room = ReferenceRoom("x", Greedy, None)
    room.ask(Join("a", "x", "u", 1), 0.0)
    for payload in ("twice", "stranger", "who", "value"):
        with pytest.raises(HookFailed):
            room.ask(Push("a", "x", "e", payload), 0.0)
    assert tuple(room.members) == ("a",)
