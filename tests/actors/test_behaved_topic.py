import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import NaiveChannel, topic_events

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Join,
    Leave,
    PresenceDiff,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    RoomMisused,
)


class Scripted(Behaviour):
    """Does in each hook what a test says."""

    def __init__(self, **hooks):
        self.log = []
        self.hooks = hooks

    def __getattribute__(self, name):
        hooks = object.__getattribute__(self, "__dict__").get("hooks", {})
        return hooks[name] if name in hooks else object.__getattribute__(self, name)


def topic_with(restarted_by=None, **hooks):
    return BehavedTopic("t", make=lambda: Scripted(**hooks), restarted_by=restarted_by)


def joined(*clients, **hooks):
    topic = topic_with(**hooks)
    for client in clients:
        topic.handle(Join(client, "t", f"user of {client}", 1))
    return topic


def plain(messages):
    return [message for message in messages if not isinstance(message, PresenceDiff)]


@given(st.lists(topic_events.filter(lambda event: event.topic == "x")))
def test_a_behaviour_that_overrides_nothing_is_the_relay(events):
    topic, naive = BehavedTopic("x"), NaiveChannel()
    for event in events:
        assert list(topic.handle(event)) == naive.handle(event)
        assert topic.subscribers == naive.subscribers("x")
        assert topic.presences == naive.presences("x")


def test_a_join_may_be_refused_with_a_reason_and_then_has_no_effect():
    topic = topic_with(on_join=lambda room, client, user: room.refuse("full") if len(room.members) > 1 else None)
    topic.handle(Join("a", "t", "u", 1))
    before = topic.subscribers, topic.presences
    assert topic.handle(Join("b", "t", "v", 2)) == (Reply("b", "t", "error", "full"),)
    assert topic.handle(Rejoin("b", "t", "v", 2)) == (Reply("b", "t", "error", "full"),)
    assert (topic.subscribers, topic.presences) == before


def test_a_join_may_be_given_the_payload_of_its_reply_and_greeted():
    def greet(room, client, user):
        room.reply(f"welcome, {user}")
        room.push(client, "history", "[]")
        room.broadcast("somebody came", but=client)

    topic = topic_with(on_join=greet)
    topic.handle(Join("a", "t", "u", 1))
    assert plain(topic.handle(Join("b", "t", "v", 2))) == [
        Reply("b", "t", "ok", "welcome, v"),
        PushMessage("b", "t", "history", "[]"),
        BroadcastMessage("t", "somebody came", ("a",)),
    ]


def test_a_leave_is_told_of_when_the_client_is_no_member_any_more():
    seen = []

    def note(room, client):
        seen.append((client, room.members))
        room.broadcast("gone")
        room.reply("farewell")

    topic = joined("a", "b", on_leave=note)
    assert plain(topic.handle(Leave("a", "t"))) == [Reply("a", "t", "ok", "farewell"), BroadcastMessage("t", "gone", ("b",))]
    assert seen == [("a", ("b",))]


def test_a_broadcast_may_be_changed_dropped_or_answered():
    def on_broadcast(room, client, payload):
        if payload == "secret":
            return
        if payload == "bad":
            room.refuse("rude")
            return
        room.broadcast(payload.upper(), but=client)

    topic = joined("a", "b", on_broadcast=on_broadcast)
    given = [topic.handle(Broadcast("a", "t", payload)) for payload in ("hi", "secret", "bad")]
    assert given == [(BroadcastMessage("t", "HI", ("b",)),), (), (Reply("a", "t", "error", "rude"),)]


def test_a_push_may_reply_push_to_any_member_and_broadcast():
    def on_push(room, client, event, payload):
        room.push("b", event, payload)
        room.reply("done")
        room.broadcast("look")

    topic = joined("a", "b", on_push=on_push)
    assert topic.handle(Push("a", "t", "e", "p")) == (
        Reply("a", "t", "ok", "done"),
        PushMessage("b", "t", "e", "p"),
        BroadcastMessage("t", "look", ("a", "b")),
    )


def test_who_is_no_member_is_not_asked_about():
    topic = joined("a", on_push=lambda *_: pytest.fail("asked"), on_leave=lambda *_: pytest.fail("asked"))
    assert topic.handle(Push("x", "t", "e", "p")) == (Reply("x", "t", "error", "not_joined"),)
    assert topic.handle(Leave("x", "t")) == (Reply("x", "t", "error", "not_joined"),)


def test_it_is_started_once_and_restarted_with_the_reason():
    log = []
    hooks = {"on_start": lambda _room: log.append("start"), "on_restart": lambda _room, reason: log.append(reason)}
    for restarted_by in (None, "ValueError: planted"):
        topic = topic_with(restarted_by, **hooks)
        topic.handle(Join("a", "t", "u", 1))
        topic.handle(Push("a", "t", "e", "p"))
    assert log == ["start", "ValueError: planted"]


@pytest.mark.parametrize(
    ("hook", "event"),
    [
        ("on_join", Join("c", "t", "u", 2)),
        ("on_leave", Leave("a", "t")),
        ("on_broadcast", Broadcast("a", "t", "p")),
        ("on_push", Push("a", "t", "e", "p")),
    ],
)
def test_an_event_whose_hook_raises_has_had_no_effect(hook, event):
    def fail(*_):
        raise ValueError("planted")

    topic = topic_with(**({hook: fail} if hook != "on_join" else {}))
    for client in "ab":
        topic.handle(Join(client, "t", "u", 1))
    if hook == "on_join":
        topic._behaviour.hooks[hook] = fail
    before = topic.subscribers, topic.presences, topic.rejoins
    with pytest.raises(ValueError, match="planted"):
        topic.handle(event)
    assert (topic.subscribers, topic.presences, topic.rejoins) == before


async def async_hook(_room, _client, _payload):
    pass


@pytest.mark.parametrize(
    ("misuse", "why"),
    [
        (lambda room, client, payload: 7, "on_broadcast must return None, got 7"),
        (lambda room, client, payload: (room.reply("a"), room.reply("b"))[:0] or None, "has its reply already: 'a'"),
        (lambda room, client, payload: (room.refuse("a"), room.reply("b"))[:0] or None, "has its reply already"),
        (lambda room, client, payload: room.push("nobody", "e", "p"), "'nobody' is no member"),
        (lambda room, client, payload: room.user_of("nobody"), "'nobody' is no member"),
        (lambda room, client, payload: room.reply(7), "a reply's payload must be a str, got 7"),
        (lambda room, client, payload: room.push(client, 7, "p"), "a push's event must be a str, got 7"),
        (lambda room, client, payload: room.push(client, "e", b"p"), "a push's payload must be a str, got b'p'"),
        (lambda room, client, payload: room.broadcast(None), "a broadcast's payload must be a str, got None"),
        (lambda room, client, payload: room.start_timer("t", -1), "delay_s must be"),
        (lambda room, client, payload: room.start_timer("t", True), "delay_s must be"),
    ],
)
def test_nonsense_is_a_failure_that_says_what_is_wrong(misuse, why):
    topic = joined("a", on_broadcast=misuse)
    with pytest.raises(RoomMisused, match=why):
        topic.handle(Broadcast("a", "t", "p"))


def generator_hook(_room, _client, _payload):
    yield


async def async_generator_hook(_room, _client, _payload):
    yield


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("hook", "why"), [(async_hook, "is an async def"), (generator_hook, "yields"), (async_generator_hook, "yields")]
)
def test_a_hook_that_is_no_plain_function_is_refused_by_name_and_python_warns_of_nothing(hook, why):
    topic = joined("a", on_broadcast=hook)
    with pytest.raises(RoomMisused, match=f"^on_broadcast must be a plain function, and {why}"):
        topic.handle(Broadcast("a", "t", "p"))
    gc.collect()


def test_a_room_is_of_no_use_after_its_hook():
    kept = []
    topic = joined("a", on_push=lambda room, *_: kept.append(room))
    topic.handle(Push("a", "t", "e", "p"))
    for use in (lambda room: room.broadcast("p"), lambda room: room.reply("p"), lambda room: room.push("a", "e", "p")):
        with pytest.raises(RoomMisused, match="outside of a hook"):
            use(kept[0])


def test_what_is_no_behaviour_is_refused():
    with pytest.raises(RoomMisused, match="must be a Behaviour"):
        BehavedTopic("t", make=lambda: object()).handle(Join("a", "t", "u", 1))


def test_timers_ring_once_unless_they_were_cancelled_or_started_anew():
    rung = []
    topic = joined(
        "a", on_push=lambda room, _c, event, _p: getattr(room, event)("clock", *([5] if event == "start_timer" else []))
    )
    topic._behaviour.hooks["on_timer"] = lambda room, name: (rung.append(name), room.broadcast("tick"))[:0] or None

    def push(event):
        topic.handle(Push("a", "t", event, ""))
        ((name, key, delay_s),) = topic.take_timers()
        assert name == "clock"
        return key, delay_s

    first, delay_s = push("start_timer")
    second, _ = push("start_timer")
    assert delay_s == 5
    assert topic.ring("clock", first) == ()
    assert topic.ring("clock", second) == (BroadcastMessage("t", "tick", ("a",)),)
    assert topic.ring("clock", second) == ()
    third, _ = push("start_timer")
    assert push("cancel_timer") == (None, None)
    assert topic.ring("clock", third) == ()
    assert rung == ["clock"]


def test_members_who_are_taken_back_are_seen_by_the_behaviour_and_get_no_replies():
    seen = []
    topic = topic_with("it failed", on_join=lambda room, client, user: (seen.append(client), room.reply("hello"))[:0] or None)
    given = topic.replay([Rejoin("a", "t", "u", 1), Rejoin("b", "t", "v", 2)])
    assert seen == ["a", "b"]
    assert [type(message).__name__ for message in given] == ["PresenceDiff", "PresenceDiff"]


def test_where_one_who_is_brought_back_makes_it_fail_none_of_them_is_in_it():
    class Wary(Behaviour):
        def on_join(self, room, client_id, user_id):
            assert client_id != "b"

    topic = BehavedTopic("t", make=Wary)
    with pytest.raises(AssertionError):
        topic.replay([Rejoin("a", "t", "u", 1), Rejoin("b", "t", "v", 2)])
    assert (topic.subscribers, topic.presences) == ((), ())
