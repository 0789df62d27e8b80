"""What the program itself does in a channel: it publishes and sends, puts members out, and asks what came of an event."""

import pytest

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelClosed,
    Crash,
    DeadLetter,
    Diff,
    Disconnect,
    Entry,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    Join,
    Leave,
    Meta,
    PresenceDiff,
    Publish,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    Restarts,
    Send,
    System,
)

pytestmark = pytest.mark.usefixtures("runtime")


class Host(Behaviour):
    """Does what a push says, once for each kind of thing that a room may do."""

    def on_rejoin(self, room, client_id, user_id):
        if user_id == "banned":
            room.refuse("banned")
        else:
            super().on_rejoin(room, client_id, user_id)

    def on_join(self, room, client_id, user_id):
        if user_id == "full":
            room.refuse("full")

    def on_push(self, room, client_id, event, payload):
        match event:
            case "kick":
                room.remove(payload, "rude")
                room.reply(",".join(room.members) + "/" + ",".join(entry.key for entry in room.presences))
            case "fail":
                raise ValueError(payload)
            case "time":
                room.reply(f"{room.now_ms > 1_600_000_000_000} {room.now_s > 0} {0 <= room.random.random() < 1}")
            case _:
                room.push(client_id, event, payload)

    def on_publish(self, room, payload):
        room.broadcast(f"{payload}!", event=room.event)


def meta(client, now_ms, text=""):
    return Meta(f"{client}:{now_ms}", now_ms, text)


def left(client, user, now_ms):
    return PresenceDiff("x", Diff("x", (), (Entry(user, (meta(client, now_ms),)),)))


@pytest.fixture
def channel():
    with Channel(behaviours={"x": Host}, rejoin="supervisor") as made:
        for client, user in (("a", "u"), ("b", "v")):
            made.handle(Join(client, "x", user, 5))
        made.flush_outbox()
        yield made


def test_a_call_returns_what_was_numbered_with_its_event_and_nothing_else(channel):
    assert channel.call(Push("a", "x", "hello", "1")) == (PushMessage("a", "x", "hello", "1"),)
    assert channel.call(Broadcast("nobody", "x", "p")) == (Reply("nobody", "x", "error", "not_joined"),)
    assert channel.call(Publish("y", "p")) == ()
    assert channel.call(Join("a", "y", "u", 1)) == (
        Reply("a", "y", "ok", "joined"),
        PresenceDiff("y", Diff("y", (Entry("u", (meta("a", 1),)),))),
    )
    assert channel.call(Leave("a", "y"))[0] == Reply("a", "y", "ok", "left")  # and the topic, which is empty, has stopped
    assert channel.tree().children[0].id == "x"


def test_of_an_event_that_fails_its_topic_a_call_returns_the_reply_alone(channel):
    assert channel.call(Push("a", "x", "fail", "why")) == (Reply("a", "x", "error", "topic_crashed"),)
    told = [message for message in channel.flush_outbox() if isinstance(message, PushMessage)]
    assert told == [PushMessage(client, "x", "topic_crashed", "error") for client in "ab"]


def test_a_call_of_an_order_returns_what_it_gave_out(channel):
    assert channel.call(Crash("late", "x")) == (
        System("topic_crashed:x"),
        *(PushMessage(client, "x", "topic_crashed", "late") for client in "ab"),
    )
    assert channel.call(Crash("late", "x")) == (System("already_crashed"),)
    assert channel.call(Restart("x")) == (System("topic_restarted:x"),)
    assert channel.call(Crash("all")) == (System("crashed:all"),)
    assert channel.call(Restart()) == (System("restarted"),)


def test_a_call_of_a_disconnect_returns_all_of_its_leaves_by_topic(channel):
    channel.handle(Join("a", "w", "u", 1))
    given = channel.call(Disconnect("a"))
    assert [message.topic for message in given] == ["w", "w", "x", "x"]
    assert [message.payload for message in given if isinstance(message, Reply)] == ["left", "left"]
    assert (channel.topics_of("a"), channel.topics_of("b")) == ((), ("x",))


def test_a_call_is_refused_where_it_could_wait_for_itself(channel):
    with pytest.raises(InvalidOption, match="timeout_s"):
        channel.call(Publish("x", "p"), timeout_s=0)
    with pytest.raises(InvalidEvent):
        channel.call("p")
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.call(Publish("x", "p"))

    class Asks(Behaviour):
        def on_push(self, room, client_id, event, payload):
            try:
                asked.call(Publish("x", "p"))
            except InsideActor as error:
                room.reply(type(error).__name__)

    with Channel(behaviours={"x": Asks}) as asked:
        asked.handle(Join("a", "x", "u", 1))
        assert asked.call(Push("a", "x", "e", "p")) == (Reply("a", "x", "ok", "InsideActor"),)


def test_the_program_publishes_to_all_and_its_hook_may_change_that(channel):
    (message,) = channel.call(Publish("x", "noon", "news"))
    assert (message, message.sender) == (BroadcastMessage("x", "noon!", ("a", "b"), "news"), None)
    (message,) = channel.call(Broadcast("a", "x", "hi", "greet"))
    assert (message, message.sender) == (BroadcastMessage("x", "hi", ("a", "b"), "greet"), "a")
    assert channel.call(Send("b", "x", "invoice", "42")) == (PushMessage("b", "x", "invoice", "42"),)


def test_what_the_program_sends_in_vain_is_a_dead_letter_and_what_it_publishes_to_nobody_is_none(channel):
    channel.handle(Publish("nowhere", "p"))
    channel.handle(Send("a", "nowhere", "e", "p"))
    channel.handle(Send("nobody", "x", "e", "p"))
    channel.handle(Crash("late", "x"))
    channel.handle(Publish("x", "p"))
    letters = channel.dead_letters()
    assert [(letter.why, type(letter.what)) for letter in letters] == [("refused", Send), ("refused", Send), ("refused", Publish)]
    assert letters[0] == DeadLetter("nowhere", 0, "refused", Send("a", "nowhere", "e", "p"))


def test_a_room_puts_a_member_out_and_the_others_see_it_gone(channel):
    assert channel.call(Push("a", "x", "kick", "b")) == (
        Reply("a", "x", "ok", "a/u"),
        PushMessage("b", "x", "removed", "rude"),
        left("b", "v", 5),
    )
    assert channel.subscribers("x") == ("a",)
    assert channel.call(Push("a", "x", "kick", "nobody"))[0].payload == "topic_crashed"  # it is no member


def test_who_puts_itself_out_as_the_last_one_leaves_an_empty_topic_that_stops(channel):
    channel.handle(Leave("b", "x"))
    assert channel.call(Push("a", "x", "kick", "a"))[0].payload == "/"
    assert channel.tree().children == ()


def test_a_member_who_rejoins_is_asked_about_and_may_be_put_out(channel):
    assert channel.call(Rejoin("b", "x", "banned", 5)) == (Reply("b", "x", "ok", "rejoined"),)  # no news: nobody is asked
    assert channel.call(Rejoin("b", "x", "banned", 6)) == (
        Reply("b", "x", "error", "banned"),
        PushMessage("b", "x", "removed", "banned"),
        left("b", "v", 5),
    )
    assert channel.call(Rejoin("b", "x", "banned", 7)) == (Reply("b", "x", "error", "banned"),)  # it is in it no more
    assert channel.call(Rejoin("b", "x", "full", 8)) == (Reply("b", "x", "error", "full"),)  # as a join, by default


def test_a_room_knows_the_channels_time_and_chance(channel):
    assert channel.call(Push("a", "x", "time", "")) == (Reply("a", "x", "ok", "True True True"),)


def test_members_are_told_the_reason_of_a_failure_only_where_that_is_wanted():
    with Channel(behaviours={"x": Host}, restarts=Restarts(tell_reason=True)) as channel:
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "fail", "secret"))
        assert PushMessage("a", "x", "topic_crashed", "ValueError: secret") in channel.flush_outbox()


def test_a_topic_that_is_never_given_up_must_have_a_backoff():
    with pytest.raises(InvalidOption, match="intensity"):
        Restarts(intensity=None)


def test_a_stale_leave_and_a_stale_disconnect_take_nobody_out(channel):
    assert channel.call(Leave("a", "x", 4)) == (Reply("a", "x", "ok", "left"),)
    assert channel.call(Disconnect("a", 4)) == (Reply("a", "x", "ok", "left"),)
    assert channel.subscribers("x") == ("a", "b")
    assert channel.call(Disconnect("a", 5))[1] == left("a", "u", 5)


@pytest.mark.parametrize(("now_ms", "back"), [(None, ("b",)), (5, ("b",)), (4, ("a", "b"))])
@pytest.mark.parametrize("event", [Leave, Disconnect])
def test_who_leaves_a_topic_that_is_down_does_not_come_back_unless_that_is_old(channel, event, now_ms, back):
    channel.topics_of("a")
    channel.handle(Crash("late", "x"))
    channel.handle(event("a", "x", now_ms) if event is Leave else event("a", now_ms))
    channel.handle(Restart("x"))
    assert channel.subscribers("x") == back


def test_a_text_of_a_presence_comes_back_with_its_member(channel):
    channel.handle(Rejoin("a", "x", "u", 6, "blue"))
    channel.handle(Crash("late", "x"))
    channel.flush_outbox()
    channel.handle(Restart("x"))
    (diff,) = [message.diff for message in channel.flush_outbox() if isinstance(message, PresenceDiff)]
    assert diff.joins == (Entry("u", (meta("a", 6, "blue"),)), Entry("v", (meta("b", 5),)))
    assert channel.presences("x") == diff.joins


class Clingy(Behaviour):
    """Lets nobody go."""

    def on_leave(self, room, client_id):
        raise ValueError(client_id)


@pytest.mark.parametrize("rejoin", ["client", "supervisor"])
def test_who_disconnects_does_not_come_back_though_the_topic_fails_over_it(rejoin):
    with Channel(behaviours={"x": Clingy}, rejoin=rejoin) as channel:
        for client in "ab":
            channel.handle(Join(client, "x", client, 1))
        assert channel.call(Disconnect("a")) == ()
        assert channel.subscribers("x") == (("b",) if rejoin == "supervisor" else ())
        assert channel.topics_of("a") == ()
