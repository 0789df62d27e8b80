"""What a program does with a client: verbs, reading, presence, and the end."""

import gc
import threading
import warnings
from itertools import count

import pytest
from thrown import Alarm, spare, throw_at

from lightspeed.channel import (
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    ClientClosed,
    ClientExists,
    Crash,
    Diff,
    Disconnect,
    Entry,
    Inbox,
    InboxEmpty,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    Join,
    Lagged,
    Leave,
    Mailbox,
    Meta,
    OutboxOff,
    PresenceDiff,
    Publish,
    Push,
    PushMessage,
    Refused,
    Rejoin,
    Removed,
    Reply,
    Restart,
    Send,
    TopicDown,
    TopicUp,
)

spare(__file__)
pytestmark = pytest.mark.usefixtures("runtime")


@pytest.fixture
def channel(runtime):
    with Channel() as channel:
        yield channel


def told(client):
    """All that is in the inbox now."""
    try:
        return client.receive_many(10_000, 0)
    except (InboxEmpty, ClientClosed):
        return []


def kinds(client):
    return [type(message) for message in told(client)]


def payloads(client):
    return [message.payload for message in told(client) if isinstance(message, BroadcastMessage)]


class Room(Behaviour):
    """Does as the payload says."""

    def on_join(self, room, client_id, user_id):
        if user_id == "banned":
            room.refuse("go away")
        if user_id == "greeted":
            room.push(client_id, "hello", "you")
            room.reply("welcome")
        if user_id == "fails":
            raise ValueError("planted")

    def on_push(self, room, client_id, event, payload):
        match event:
            case "reply":
                room.reply(payload)
            case "refuse":
                room.refuse(payload)
            case "remove":
                room.remove(payload, "enough")
            case "fail":
                raise ValueError(payload)
            case "to":
                room.push(payload, "removed", "enough")
                room.push(payload, "topic_crashed", "enough")


# Verbs


def test_verbs_give_the_replys_payload(channel):
    with channel.client("a", "u") as client:
        assert client.join("t") == "joined"
        assert client.update("t", "blue") == "rejoined"
        assert client.broadcast("t", "p") is None
        assert client.push("t", "e", "p") is None
        assert client.leave("t") == "left"
        assert kinds(client) == [PresenceDiff, PresenceDiff, BroadcastMessage, PushMessage]


def test_a_behaviours_words_are_the_verbs(runtime):
    with Channel(behaviours={"*": Room}) as channel, channel.client("a", "greeted") as client:
        assert client.join("t") == "welcome"
        assert client.push("t", "reply", "yes") == "yes"
        with pytest.raises(Refused, match="error: no") as caught:
            client.push("t", "refuse", "no")
        assert (caught.value.status, caught.value.payload) == ("error", "no")
        assert not [message for message in told(client) if isinstance(message, Reply)]


@pytest.mark.parametrize(
    ("verb", "why"),
    [
        (lambda client: client.join("in"), "already_joined"),
        (lambda client: client.leave("out"), "not_joined"),
        (lambda client: client.update("out", ""), "not_joined"),
        (lambda client: client.broadcast("out", ""), "not_joined"),
        (lambda client: client.push("out", "", ""), "not_joined"),
        (lambda client: client.join("down"), "crashed"),
    ],
)
def test_what_is_refused_is_raised_and_comes_into_no_inbox(channel, verb, why):
    with channel.client("a", "u", auto_rejoin=False) as client:
        for topic in ("in", "down"):
            client.join(topic)
        channel.handle(Crash("order", "down"))
        told(client)
        with pytest.raises(Refused, match=why):
            verb(client)
        assert told(client) == []


@pytest.mark.parametrize("event", ["", "name"])
def test_a_broadcast_is_the_same_object_for_all(channel, event):
    with channel.client("a", "u") as one, channel.client("b", "v") as other:
        one.join("t"), other.join("t")
        told(one), told(other)
        one.broadcast("t", "p", event)
        message, again = one.receive(0), other.receive(0)
        assert message == BroadcastMessage("t", "p", ("a", "b"), event)
        assert message is again
        assert message.sender == "a"


def test_what_no_verb_waits_for_comes_in_order(channel):
    with channel.client("a", "u") as client:
        for event in (Join("a", "t", "u", 5), Push("a", "t", "e", "p"), Leave("a", "t"), Leave("a", "t")):
            client.send(event)
        messages = [client.receive(20) for _ in range(5)]
        assert [type(message) for message in messages] == [Reply, PresenceDiff, PushMessage, Reply, Reply]
        assert [one.payload for one in messages if isinstance(one, Reply)] == ["joined", "left", "not_joined"]


def test_a_reply_to_a_raw_event_of_its_id_comes_in_too(channel):
    with channel.client("a", "u") as client:
        channel.handle(Broadcast("a", "t", "p"))
        assert told(client) == [Reply("a", "t", "error", "not_joined")]


@pytest.mark.parametrize("event", [Join("b", "t", "u", 1), Disconnect("b"), Send("b", "t", "e", "p")])
def test_it_sends_nothing_for_another(channel, event):
    with channel.client("a", "u") as client, pytest.raises(InvalidEvent, match="client_id"):
        client.send(event)


@pytest.mark.parametrize("event", [None, "join", Join("a", "", "u", 1)])
def test_it_sends_nothing_that_is_no_event(channel, event):
    with channel.client("a", "u") as client, pytest.raises(InvalidEvent):
        client.send(event)


@pytest.fixture
def blocked(runtime):
    """Makes a channel whose topic is at work on a broadcast of a client in it, until the test is over."""
    go_on, at_work = threading.Event(), threading.Event()

    class Slow(Behaviour):
        def on_broadcast(self, _room, _client_id, payload):
            if payload == "block":
                at_work.set()
                go_on.wait(20)

    def make(**mailbox):
        channel = Channel(behaviours={"*": Slow}, mailboxes=Mailbox(**mailbox))
        make.go_on = go_on.set
        client = channel.client("a", "u")
        made.append((channel, client))
        client.join("t")
        client.send(Broadcast("a", "t", "block"))
        assert at_work.wait(20)
        return channel, client

    made = []
    yield make
    go_on.set()
    for channel, client in made:
        channel.close()
        client.close()


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest", "drop_newest"])
def test_who_finds_no_room_is_refused(blocked, overflow):
    _channel, client = blocked(max_messages=1, overflow=overflow)
    with pytest.raises(Refused, match="overloaded"):
        client.broadcast("t", "p")


def test_who_is_dropped_while_it_waits_is_refused(blocked, monkeypatch):
    channel, client = blocked(max_messages=2, overflow="drop_oldest")
    wait = channel._await

    def accepted(*args):
        monkeypatch.setattr(channel, "_await", wait)
        client.send(Broadcast("a", "t", "next"))
        return wait(*args)

    monkeypatch.setattr(channel, "_await", accepted)
    with pytest.raises(Refused, match="overloaded"):
        client.broadcast("t", "p")


def test_a_verb_raises_what_handle_does(runtime):
    go_on = threading.Event()

    class Slow(Behaviour):
        def on_push(self, *_args):
            go_on.wait(20)

    with Channel(behaviours={"*": Slow}, timeout_s=0.2) as channel:
        client = channel.client("a", "u")
        client.join("t")
        with pytest.raises(ChannelTimeout):
            client.push("t", "e", "p")
        go_on.set()
        channel.subscribers("t")
        client.close()


def test_whoever_takes_an_id_over_hears_nothing_of_the_farewell_before(blocked, monkeypatch):
    channel, client = blocked()
    ask = channel._ask
    client._session.leave_all("it was too slow")

    def registered(*args):
        blocked.go_on()
        return ask(*args)

    with monkeypatch.context() as patch:
        patch.setattr(channel, "_ask", registered)
        again = channel.client("a", "u")
    assert channel.subscribers("t") == ()
    assert told(again) == []
    again.close()


def test_a_leave_that_finds_its_topic_crashed_was_a_leave(blocked):
    channel, client = blocked()
    channel.tell(Crash("order", "t"))
    client.send(Leave("a", "t"))
    blocked.go_on()
    channel.handle(Restart("t"))
    assert client.topics == ()
    assert client._session._returns == {}


# Reading


def test_receive_many_gives_what_there_is(channel):
    with channel.client("a", "u") as client:
        client.join("t")
        for number in range(4):
            client.broadcast("t", str(number))
        assert len(client) == 5
        assert len(client.receive_many(2)) == 2
        assert [message.payload for message in client.receive_many(10)] == ["1", "2", "3"]
        assert (len(client), bool(client)) == (0, True)


@pytest.mark.parametrize("most", [0, -1, None, True, 1.0])
def test_no_number_of_messages_that_can_not_be(channel, most):
    with channel.client("a", "u") as client, pytest.raises(InvalidOption, match="most"):
        client.receive_many(most)


@pytest.mark.parametrize("timeout_s", [0, 0.01])
def test_nothing_in_time_is_an_error(channel, timeout_s):
    with channel.client("a", "u") as client, pytest.raises(InboxEmpty):
        client.receive(timeout_s)


def test_an_iteration_ends_when_it_is_closed_and_empty(channel):
    with channel.client("a", "u") as client:
        client.join("t")
        client.broadcast("t", "p")
    assert [type(message) for message in client] == [PresenceDiff, BroadcastMessage]
    assert list(client) == []
    with pytest.raises(ClientClosed, match="it was closed"):
        client.receive(0)


def test_a_reader_that_waits_is_told_of_the_end(channel):
    client, heard = channel.client("a", "u"), []
    thread = threading.Thread(target=lambda: heard.extend(client))
    thread.start()
    client.join("t")
    client.close()
    thread.join(20)
    assert [type(message) for message in heard] == [PresenceDiff]


READS = {
    "receive": lambda client: client.receive(1),
    "receive_many": lambda client: client.receive_many(2, 1),
    "iteration": lambda client: next(iter(client)),
}


@pytest.mark.slow
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_reader_that_is_hit_anywhere_loses_nothing(channel, read):
    with channel.client("a", "u") as client:
        client.join("t")
        told(client)
        for number in count():
            for payload in "123":
                client.broadcast("t", payload)
            heard = []

            def listen(heard=heard):
                got = read(client)
                heard[:] = got if isinstance(got, list) else [got]

            place, raised = throw_at(number, Alarm(), listen)
            assert isinstance(raised, Alarm if place else type(None))
            assert [message.payload for message in (*heard, *told(client))] == ["1", "2", "3"], place
            if place is None:
                break


# Presence


def presences(channel, topic):
    return {entry.key: entry.metas for entry in channel.presences(topic)}


def test_presence_is_right_at_once_and_after_each_diff(channel):
    channel.handle(Join("x", "t", "early", 1, "old"))
    with channel.client("a", "u", meta="red") as client, channel.client("b", "u", meta="blue") as other:
        assert client.presence("t") == {}
        client.join("t")
        assert client.presence("t") == presences(channel, "t")
        assert client.presence("t")["early"] == (Meta("x:1", 1, "old"),)
        other.join("t", "green")
        assert [meta.meta for meta in client.presence("t")["u"]] == ["red", "green"]
        client.update("t", "")
        channel.handle(Leave("x", "t"))
        assert client.presence("t") == presences(channel, "t") == other.presence("t")
        assert list(client.presence("t")) == [entry.key for entry in channel.presences("t")]
        other.leave("t")
        assert other.presence("t") == {}
        assert client.presence("t") == presences(channel, "t")


def test_a_key_that_loses_one_of_its_metas_keeps_its_place(channel):
    with channel.client("a", "u") as client:
        for client_id, user in (("b", "u"), ("c", "v"), ("a", "u")):
            channel.handle(Join(client_id, "t", user, 1))
        channel.handle(Leave("b", "t"))
        assert list(client.presence("t")) == [entry.key for entry in channel.presences("t")] == ["u", "v"]


def test_a_presence_is_its_readers_own(channel):
    with channel.client("a", "u") as client:
        client.join("t")
        client.presence("t").clear()
        assert list(client.presence("t")) == ["u"]


@pytest.mark.parametrize("crash", [Crash("order"), Crash("order", "t")])
def test_presence_and_topics_are_empty_after_a_crash(channel, crash):
    with channel.client("a", "u", auto_rejoin=False) as client:
        client.join("t")
        channel.handle(crash)
        assert (client.topics, client.presence("t")) == ((), {})


def test_topics_are_sorted(channel):
    with channel.client("a", "u") as client:
        for topic in "cab":
            client.join(topic)
        client.leave("b")
        assert client.topics == ("a", "c") == channel.topics_of("a")


# What is given out


def test_raw_events_of_its_id_are_followed(channel):
    with channel.client("a", "u") as client:
        channel.handle(Join("a", "t", "u", 1, "raw"))
        assert client.topics == ("t",)
        channel.handle(Rejoin("a", "t", "v", 2))
        assert client.presence("t") == {"v": (Meta("a:2", 2, "raw"),)}
        channel.handle(Leave("a", "t"))
        assert (client.topics, client.presence("t")) == ((), {})
        for topic in "tu":
            client.join(topic)
        channel.handle(Disconnect("a"))
        assert (client.topics, channel.topics_of("a")) == ((), ())
        assert [type(one) for one in told(client)] == [
            *(Reply, PresenceDiff) * 2,
            *(Reply, PresenceDiff, PresenceDiff)[:1],
            *(PresenceDiff,) * 2,
            *(Reply,) * 2,
        ]


def test_a_client_that_comes_later_knows_where_its_id_is(channel):
    channel.handle(Join("a", "t", "u", 10**15, "raw"))
    with channel.client("a", "u") as client:
        assert client.topics == ("t",)
        assert client.presence("t") == presences(channel, "t")
        assert client.update("t", "new") == "rejoined"
        assert client.presence("t")["u"] == (Meta(f"a:{10**15 + 1}", 10**15 + 1, "new"),)


def test_times_strictly_increase(channel, monkeypatch):
    monkeypatch.setattr(channel._runtime, "now_ms", lambda: 7, raising=False)
    with channel.client("a", "u") as client:
        client.join("t")
        channel.handle(Rejoin("a", "t", "u", 100))
        times = []
        for text in "123":
            client.update("t", text)
            times.append(client.presence("t")["u"][0].online_at_ms)
        assert times == [101, 102, 103]


def test_the_program_speaks_to_clients(channel):
    with channel.client("a", "u") as client:
        client.join("t")
        told(client)
        channel.handle(Publish("t", "p", "e"))
        channel.handle(Send("a", "t", "e", "p"))
        assert told(client) == [BroadcastMessage("t", "p", ("a",), "e"), PushMessage("a", "t", "e", "p")]


def test_who_leaves_gets_no_diff_of_it(channel):
    with channel.client("a", "u") as client, channel.client("b", "v") as other:
        client.join("t"), other.join("t")
        told(client), told(other)
        client.leave("t")
        meta = told(other)[0].diff.leaves[0].metas[0]
        assert told(client) == []
        other.join("x")
        assert PresenceDiff("t", Diff("t", (), (Entry("u", (meta,)),))) not in told(client)


# Notices


def test_a_topics_crash_is_told_once_and_not_as_a_push(channel):
    with channel.client("a", "u", auto_rejoin=False) as client:
        client.join("t")
        told(client)
        channel.handle(Crash("order", "t"))
        assert told(client) == [TopicDown("t", "order")]
        channel.handle(Restart("t"))
        assert told(client) == [TopicUp("t")]


def test_a_channels_crash_is_told_once_a_topic(channel):
    with channel.client("a", "u", auto_rejoin=False) as client:
        for topic in "tu":
            client.join(topic)
        told(client)
        channel.handle(Crash("order"))
        channel.handle(Crash("again"))
        assert sorted(told(client), key=lambda one: one.topic) == [TopicDown("t", "order"), TopicDown("u", "order")]
        channel.handle(Restart())
        assert sorted(told(client), key=lambda one: one.topic) == [TopicUp("t"), TopicUp("u")]


def test_who_is_removed_is_told_so(runtime):
    with Channel(behaviours={"*": Room}) as channel, channel.client("a", "u") as client, channel.client("b", "v") as other:
        client.join("t"), other.join("t")
        told(client), told(other)
        other.push("t", "remove", "a")
        assert told(client) == [Removed("t", "enough")]
        assert (client.topics, client.presence("t")) == ((), {})
        assert kinds(other) == [PresenceDiff]


def test_a_users_push_of_the_same_words_is_a_push(runtime):
    with Channel(behaviours={"*": Room}) as channel, channel.client("a", "u") as client:
        client.join("t")
        told(client)
        client.push("t", "to", "a")
        channel.handle(Send("a", "t", "removed", "by the program"))
        assert told(client) == [
            PushMessage("a", "t", "removed", "enough"),
            PushMessage("a", "t", "topic_crashed", "enough"),
            PushMessage("a", "t", "removed", "by the program"),
        ]
        assert client.topics == ("t",)


def test_a_hook_that_fails_is_told_to_its_client_and_to_the_members(runtime):
    with Channel(behaviours={"*": Room}) as channel, channel.client("a", "u", auto_rejoin=False) as client:
        with channel.client("f", "fails") as failing, pytest.raises(Refused, match="topic_crashed"):
            failing.join("t")
        client.join("t")
        told(client)
        with pytest.raises(Refused, match="topic_crashed"):
            client.push("t", "fail", "secret")
        assert client.receive(20) == TopicDown("t", "error")
        assert client.receive(20) == TopicUp("t")
        assert client.topics == ()


# Slow readers


def test_an_inbox_that_is_full_says_where_messages_are_missing(channel):
    with channel.client("a", "u", inbox=Inbox(max_messages=2)) as slow, channel.client("b", "v") as quick:
        slow.join("t"), quick.join("t")
        told(slow), told(quick)
        for payload in "1234":
            quick.broadcast("t", payload)
        assert [getattr(one, "payload", one) for one in told(slow)] == [Lagged(2), "3", "4"]
        assert payloads(quick) == ["1", "2", "3", "4"]
        assert (slow.dropped, quick.dropped) == (2, 0)


def test_one_that_is_too_slow_is_closed_and_has_left(channel):
    inbox = Inbox(max_messages=2, overflow="close")
    with channel.client("a", "u", inbox=inbox) as slow, channel.client("b", "v") as quick:
        slow.join("t"), quick.join("t")
        for payload in "12":
            quick.broadcast("t", payload)
        assert slow.is_closed
        assert channel.subscribers("t") == ("b",)
        assert (slow.topics, slow.dropped, len(told(slow))) == ((), 1, 2)
        with pytest.raises(ClientClosed, match="too slow"):
            slow.receive(0)
        with pytest.raises(ClientClosed, match="too slow"):
            slow.join("t")
        with channel.client("a", "u") as again:
            assert again.join("t") == "joined"


def test_an_inbox_must_be_one(channel):
    with pytest.raises(InvalidOption, match="inbox"):
        channel.client("a", "u", inbox=5)


# The outbox


@pytest.mark.parametrize(("outbox", "keeps"), [(None, False), (True, True), (False, False)])
def test_a_clients_channel_keeps_an_outbox_where_it_was_told_to(runtime, outbox, keeps):
    with Channel(outbox=outbox) as channel, channel.client("a", "u") as client:
        client.join("t")
        if keeps:
            assert [type(message) for message in channel.flush_outbox()] == [Reply, PresenceDiff]
        else:
            with pytest.raises(OutboxOff, match="outbox=True"):
                channel.flush_outbox()


def test_until_the_first_client_the_outbox_is_kept(channel):
    channel.handle(Join("x", "t", "u", 1))
    assert len(channel.flush_outbox()) == 2


def test_a_sink_gets_all_and_clients_too(runtime):
    sunk = []
    with Channel(on_outbound=sunk.append) as channel, channel.client("a", "u") as client:
        client.join("t")
        client.broadcast("t", "p")
        assert [type(message) for message in sunk] == [Reply, PresenceDiff, BroadcastMessage]
        heard = told(client)
        assert [type(message) for message in heard] == [PresenceDiff, BroadcastMessage]
        assert heard[1] is sunk[2]


# Inside an actor


def test_inside_a_hook_only_send_and_what_does_not_wait(runtime):
    seen = {}

    class Curious(Behaviour):
        def on_push(self, room, _client_id, _event, _payload):
            for verb, call in {
                "join": lambda: client.join("u"),
                "leave": lambda: client.leave("t"),
                "update": lambda: client.update("t", ""),
                "broadcast": lambda: client.broadcast("t", ""),
                "push": lambda: client.push("t", "", ""),
                "receive": lambda: client.receive(5),
                "iteration": lambda: next(iter(client)),
                "client": lambda: channel.client("z", "z"),
            }.items():
                try:
                    seen[verb] = call()
                except InsideActor:
                    seen[verb] = InsideActor
            seen["now"] = (client.topics, list(client.presence("t")))
            client.send(Join("a", "sent", "u", 1))

    with Channel(behaviours={"t": Curious}) as channel, channel.client("a", "u") as client:
        client.join("t")
        told(client)
        client.push("t", "e", "p")
        assert seen.pop("now") == (("t",), ["u"])
        assert set(seen.values()) == {InsideActor}
        assert client.receive(20) == Reply("a", "sent", "ok", "joined")


def test_inside_a_sink_only_send(runtime):
    seen = []

    def sink(message):
        if isinstance(message, BroadcastMessage) and message.topic == "t":
            try:
                client.broadcast("t", "x")
            except InsideActor:
                seen.append(InsideActor)
            client.send(Join("a", "sent", "u", 1))

    with Channel(on_outbound=sink) as channel, channel.client("a", "u") as client:
        client.join("t")
        told(client)
        client.broadcast("t", "p")
        assert seen == [InsideActor]
        assert [type(client.receive(20)) for _ in range(2)] == [BroadcastMessage, Reply]


def test_a_close_inside_a_hook_does_not_wait(runtime):
    class Closing(Behaviour):
        def on_push(self, *_args):
            client.close()

    with Channel(behaviours={"t": Closing}) as channel, channel.client("a", "u") as client:
        client.join("t")
        client.push("t", "e", "p")
        assert client.is_closed
        assert channel.subscribers("t") == ()


# The end


def test_closed_it_has_left_everything(channel):
    with channel.client("a", "u") as client:
        for topic in "tu":
            client.join(topic)
    assert (client.topics, channel.topics_of("a"), channel.topics()) == ((), (), ())
    client.close()
    for call in (lambda: client.join("t"), lambda: client.send(Join("a", "t", "u", 1)), lambda: client.update("t", "")):
        with pytest.raises(ClientClosed, match="it was closed"):
            call()
    assert repr(client) == "<Client 'a' closed>"


def test_an_id_has_one_living_client(channel):
    first = channel.client("a", "u")
    with pytest.raises(ClientExists, match="take_over"):
        channel.client("a", "v")
    first.close()
    with channel.client("a", "v"):
        pass


def test_a_take_over_closes_the_first(channel):
    first = channel.client("a", "u")
    first.join("t")
    told(first)
    with channel.client("a", "v", take_over=True) as second:
        assert (first.is_closed, first.topics, second.topics) == (True, (), ())
        with pytest.raises(ClientClosed, match="took over"):
            first.receive(0)
        second.join("t")
        assert list(second.presence("t")) == ["v"]
        first.close()
        assert channel.subscribers("t") == ("a",)
        assert kinds(second) == [PresenceDiff]  # and no reply to the other's farewell


def test_a_farewell_that_is_late_takes_nobody_else_out(channel, monkeypatch):
    monkeypatch.setattr(channel._runtime, "now_ms", lambda: 7, raising=False)
    first = channel.client("a", "u")
    first.join("t")
    farewells = []
    with pytest.MonkeyPatch.context() as held:
        held.setattr(channel, "_call", lambda event, *_args, **_options: iter(farewells.append(event) or ()))
        second = channel.client("a", "u", take_over=True)
    second.update("t", "mine")
    channel.handle(farewells[0])
    assert second.topics == channel.topics_of("a") == ("t",)
    second.close()


def test_one_that_is_forgotten_warns_and_leaves(channel):
    with pytest.warns(ResourceWarning, match="unclosed client a"):
        assert channel.client("a", "u").join("t") == "joined"
    assert channel.subscribers("t") == ()
    with channel.client("a", "u"):
        pass


def test_one_that_is_closed_and_forgotten_does_not_warn(channel):
    with channel.client("a", "u"):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def test_a_closed_channel_closes_its_clients(channel):
    client = channel.client("a", "u")
    client.join("t")
    told(client)
    channel.close()
    assert (client.is_closed, client.topics, client.presence("t"), list(client)) == (True, (), {}, [])
    for call in (lambda: client.join("t"), lambda: client.send(Leave("a", "t")), lambda: channel.client("b", "v")):
        with pytest.raises(ChannelClosed):
            call()
    client.close()
    with pytest.raises(ClientClosed, match="channel was closed"):
        client.receive(0)


@pytest.mark.slow
def test_a_close_that_is_hit_anywhere_can_be_made_again(runtime):
    with Channel() as channel:
        for number in range(0, 10_000, 5):
            client = channel.client("a", "u", take_over=True)
            client.join("t")
            place, _raised = throw_at(number, Alarm(), client.close)
            client.close()
            assert channel.subscribers("t") == (), place
            if place is None:
                break


def test_an_event_of_a_closed_client_that_comes_late_is_taken_back(channel):
    client = channel.client("a", "u")
    call_for = client._line.call_for

    def closed_before(event):
        client._line.call_for = call_for
        client.close()
        return call_for(event)

    client._line.call_for = closed_before
    client.join("t")  # it was asked to before it was closed, and comes behind its farewell
    assert channel.subscribers("t") == ()


@pytest.mark.parametrize("event", [Disconnect("a"), Disconnect("a", 10**15)])
def test_a_disconnect_behind_joins_leaves_them_too(channel, event):
    with channel.client("a", "u") as client:
        for number in range(20):
            channel.tell(Join("a", f"t{number}", "u", 1))
        channel.handle(event)
        assert (client.topics, channel.topics_of("a")) == ((), ())
