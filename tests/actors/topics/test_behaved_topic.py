import copy
import gc
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import NaiveChannel, topic_events

from lightspeed.actors.errors import Shutdown
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic, finish
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
    Room,
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
    ("hook", "why"),
    [
        (async_hook, "async_hook is an async def, and there is no event loop here"),
        (generator_hook, "on_broadcast must be a function or an async def, and yields"),
        (async_generator_hook, "on_broadcast must be a function or an async def, and yields"),
    ],
)
def test_a_hook_that_can_not_be_run_is_refused_by_name_and_python_warns_of_nothing(hook, why):
    topic = joined("a", on_broadcast=hook)
    with pytest.raises(RoomMisused, match=f"^{why}"):
        topic.handle(Broadcast("a", "t", "p"))
    gc.collect()


USES = {
    "topic": lambda room: room.topic,
    "members": lambda room: room.members,
    "presences": lambda room: room.presences,
    "user_of": lambda room: room.user_of("a"),
    "reply": lambda room: room.reply("p"),
    "refuse": lambda room: room.refuse("p"),
    "push": lambda room: room.push("a", "e", "p"),
    "broadcast": lambda room: room.broadcast("p"),
    "start_timer": lambda room: room.start_timer("t", 1),
    "cancel_timer": lambda room: room.cancel_timer("t"),
    "remove": lambda room: room.remove("a", "p"),
    "event": lambda room: room.event,
    "now_s": lambda room: room.now_s,
    "now_ms": lambda room: room.now_ms,
    "random": lambda room: room.random.random(),
}


def test_a_room_offers_what_a_hook_may_do_and_nothing_else():
    assert {name for name in dir(Room) if not name.startswith("_")} == set(USES)


@pytest.mark.parametrize("name", USES)
def test_a_room_is_of_no_use_after_its_hook_nor_in_the_next_ones(name):
    kept = []
    topic = joined("a", "b", on_push=lambda room, *_: kept.append(room), on_broadcast=lambda *_: USES[name](kept[0]))
    topic.handle(Push("a", "t", "e", "p"))
    with pytest.raises(RoomMisused, match=f"^{name} was called outside of a hook"):
        USES[name](kept[0])
    with pytest.raises(RoomMisused, match=f"^{name} was called outside of a hook"):
        topic.handle(Broadcast("b", "t", "p"))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda room: pickle.loads(pickle.dumps(room))])
def test_a_copy_of_a_room_is_of_no_use_at_all(how):
    topic = joined("a", on_push=lambda room, *_: how(room).reply("mine"))
    with pytest.raises(RoomMisused, match=r"^reply was called outside of a hook"):
        topic.handle(Push("a", "t", "e", "p"))


@pytest.mark.parametrize("name", USES)
def test_a_room_is_of_no_use_to_another_thread_while_its_hook_runs(name):
    raised = []

    def use(room):
        with pytest.raises(RoomMisused) as misused:
            USES[name](room)
        raised.append(str(misused.value))

    def on_push(room, *_):
        thread = threading.Thread(target=use, args=[room])
        thread.start()
        thread.join()
        room.reply("mine")

    assert joined("a", on_push=on_push).handle(Push("a", "t", "e", "p")) == (Reply("a", "t", "ok", "mine"),)
    assert raised == [f"{name} was called on another thread than the one that runs the hook"]


class Evil(str):
    """A text that is equal to others as it likes."""

    __slots__ = ()

    def __eq__(self, other):
        pytest.fail("compared")

    def __hash__(self):
        pytest.fail("hashed")

    def __repr__(self):
        pytest.fail("shown")


@pytest.mark.parametrize("value", [Evil("a"), [], None, 7, b"a"])
@pytest.mark.parametrize(
    "use",
    [
        *(lambda room, value: room.user_of(value), lambda room, value: room.push(value, "e", "p")),
        *(lambda room, value: room.push("a", value, "p"), lambda room, value: room.broadcast(value)),
        *(lambda room, value: room.start_timer(value, 1), lambda room, value: room.cancel_timer(value)),
        *(lambda room, value: room.reply(value), lambda room, value: room.refuse(value)),
        lambda room, value: room.broadcast("p", but=() if value is None else value),
    ],
)
def test_whatever_is_no_plain_text_is_refused_and_none_of_its_code_runs(use, value):
    topic = joined("a", on_push=lambda room, *_: use(room, value))
    with pytest.raises(RoomMisused, match="must be a str, got "):
        topic.handle(Push("a", "t", "e", "p"))


class EvilNumber(float):
    def __le__(self, other):
        pytest.fail("compared")

    __ge__ = __lt__ = __gt__ = __le__


@pytest.mark.parametrize("delay_s", [float("nan"), float("inf"), 10**400, EvilNumber(1), "1"])
def test_a_delay_that_is_no_plain_number_of_a_year_is_refused(delay_s):
    topic = joined("a", on_push=lambda room, *_: room.start_timer("t", delay_s))
    with pytest.raises(RoomMisused, match="delay_s must be a number of seconds from 0 to a year"):
        topic.handle(Push("a", "t", "e", "p"))


def test_a_timers_name_is_no_longer_than_a_thousand_characters():
    topic = joined("a", on_push=lambda room, _c, event, _p: room.start_timer(event, 1))
    topic.handle(Push("a", "t", "n" * 1000, ""))
    with pytest.raises(RoomMisused, match="at most 1,000 characters, got 1,001"):
        topic.handle(Push("a", "t", "n" * 1001, ""))


def test_what_stands_in_an_error_is_on_one_line():
    topic = joined("a", on_push=lambda room, *_: room.user_of("no\nbody\x1b[31m"))
    with pytest.raises(RoomMisused) as misused:
        topic.handle(Push("a", "t", "e", "p"))
    assert str(misused.value) == r"'no\nbody\x1b[31m' is no member of 't'"


class Watchful(Behaviour):
    """Notes in each hook who is there, by either way."""

    def __init__(self):
        self.seen = []

    def look(self, room, *_):
        self.seen.append(
            (sorted(map(room.user_of, room.members)), sorted(entry.key for entry in room.presences for _ in entry.metas))
        )

    on_start = on_restart = on_join = on_leave = on_broadcast = on_push = on_timer = on_stop = look


def test_members_and_presences_agree_in_every_hook():
    topic = BehavedTopic("t", make=Watchful, restarted_by="it failed")
    topic.replay([Rejoin("a", "t", "ann", 1), Rejoin("b", "t", "ann", 1), Rejoin("c", "t", "cid", 1)])
    for event in (Rejoin("c", "t", "ann", 5), Push("a", "t", "e", "p"), Broadcast("b", "t", "p"), Join("d", "t", "dot", 6)):
        topic.handle(event)
    for client in "bdca":
        topic.handle(Leave(client, "t"))
    seen = topic._behaviour.seen
    assert [members for members, _ in seen] == [present for _, present in seen]
    ann = ["ann"]
    assert [members for members, _ in seen] == [
        *([], ann, ann * 2, [*ann * 2, "cid"]),
        [*ann * 2, "cid"],  # c, who rejoins as another user, is there as it was until its hook has let it
        *(ann * 3, ann * 3, [*ann * 3, "dot"]),
        *([*ann * 2, "dot"], ann * 2, ann, []),
    ]


def test_who_is_told_of_in_on_leave_can_not_be_reached_any_more():
    topic = joined("a", "b", on_leave=lambda room, client: room.push(client, "e", "p"))
    before = topic.rejoins
    with pytest.raises(RoomMisused, match="'b' is no member of 't'"):
        topic.handle(Leave("b", "t"))
    assert topic.rejoins == before


@pytest.mark.parametrize("size", [2, 40])
def test_what_a_hook_broadcasts_is_for_those_who_were_there_then(size):
    clients = [f"c{number}" for number in range(size)]
    topic = joined(*clients, on_push=lambda room, *_: room.broadcast("p"))
    (message,) = topic.handle(Push("c0", "t", "e", "p"))
    topic.handle(Leave("c1", "t"))
    (later,) = topic.handle(Push("c0", "t", "e", "p"))
    assert (message.recipients, later.recipients) == (tuple(clients), tuple(client for client in clients if client != "c1"))


class Liar:
    @property
    def __class__(self):
        raise ValueError("asked")

    def __repr__(self):
        raise ValueError("shown")


@pytest.mark.parametrize("make", [object, dict, Liar, lambda: None])
def test_what_is_no_behaviour_is_refused(make):
    with pytest.raises(RoomMisused, match="a behaviour must be a Behaviour, got "):
        BehavedTopic("t", make=make).handle(Join("a", "t", "u", 1))


@pytest.mark.parametrize(
    "error", [ValueError("planted"), SystemExit("planted"), KeyboardInterrupt("planted"), GeneratorExit("planted")]
)
def test_what_the_making_of_a_behaviour_raises_fails_the_topic_as_it_is(error):
    def make():
        raise error

    with pytest.raises(type(error), match="planted"):
        BehavedTopic("t", make=make).handle(Join("a", "t", "u", 1))


def test_by_what_ends_other_actors_no_topic_ends():
    def make():
        raise Shutdown("enough")

    with pytest.raises(RoomMisused, match="its making raised Shutdown, by which no topic ends"):
        BehavedTopic("t", make=make).handle(Join("a", "t", "u", 1))


def test_a_behaviour_that_was_let_go_is_nobodys():
    topic = joined("a")
    behaviour = topic.let_go()
    assert isinstance(behaviour, Scripted)
    assert (topic.let_go(), topic.kind, finish(topic.ending())) == (None, Scripted, ())


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
    assert finish(topic.ringing("clock", first)) == ()
    assert finish(topic.ringing("clock", second)) == (BroadcastMessage("t", "tick", ("a",)),)
    assert finish(topic.ringing("clock", second)) == ()
    third, _ = push("start_timer")
    assert push("cancel_timer") == (None, None)
    assert finish(topic.ringing("clock", third)) == ()
    assert rung == ["clock"]


def test_members_who_are_taken_back_are_seen_by_the_behaviour_and_get_no_replies():
    seen = []
    topic = topic_with("it failed", on_join=lambda room, client, user: (seen.append(client), room.reply("hello"))[:0] or None)
    given = topic.replay([Rejoin("a", "t", "u", 1), Rejoin("b", "t", "v", 2)])
    assert seen == ["a", "b"]
    assert [type(message).__name__ for message in given] == ["PresenceDiff"]


def test_who_is_refused_as_he_is_brought_back_is_told_so_and_nobody_else_is():
    def on_join(room, client, user):
        if user == "v":
            room.refuse("banned")
        else:
            room.reply("hello again")

    topic = topic_with("it failed", on_join=on_join)
    given = topic.replay([Rejoin(client, "t", user, 1) for client, user in (("a", "u"), ("b", "v"), ("c", "w"))])
    assert [type(message).__name__ for message in given] == ["PushMessage", "PresenceDiff"]
    assert given[0] == PushMessage("b", "t", "removed", "banned")
    assert topic.subscribers == ("a", "c")


def test_where_one_who_is_brought_back_makes_it_fail_none_of_them_is_in_it():
    class Wary(Behaviour):
        def on_join(self, room, client_id, user_id):
            assert client_id != "b"

    topic = BehavedTopic("t", make=Wary)
    with pytest.raises(AssertionError):
        topic.replay([Rejoin("a", "t", "u", 1), Rejoin("b", "t", "v", 2)])
    assert (topic.subscribers, topic.presences) == ((), ())
