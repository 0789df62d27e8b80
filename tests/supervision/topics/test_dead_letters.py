"""What reaches nobody is found among the dead letters."""

import threading

import pykka
import pytest
from moved_clock import MovedPool as Clock

from lightspeed.channel import (
    Behaviour,
    BroadcastMessage,
    Channel,
    ChannelTimeout,
    Crash,
    DeadLetter,
    Diff,
    Join,
    Leave,
    Pool,
    PresenceDiff,
    Push,
    PushMessage,
    Reply,
    Restart,
    System,
)
from lightspeed.supervision.topics.dead_letters import DeadLetters

pytestmark = pytest.mark.usefixtures("runtime")


def letters(channel):
    return [(letter.topic, letter.incarnation, letter.why, letter.what) for letter in channel.dead_letters()]


def test_a_channel_that_is_well_has_none():
    with Channel(on_outbound=lambda message: None) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Leave("c", "t"))
    assert (channel.dead_letters(), channel.dead_letter_count, channel.abandoned_count) == ((), 0, 0)


def test_what_a_dead_actor_as_sink_is_not_told_is_one():
    class Deaf(pykka.ThreadingActor):
        pass

    deaf = Deaf.start()
    with Channel(on_outbound=deaf) as channel:
        channel.handle(Join("c", "t", "u", 1))
        assert channel.dead_letters() == ()
        deaf.stop()
        channel.handle(Push("c", "t", "e", "p"))
        channel.handle(Leave("nobody", "other"))
        last = Reply("nobody", "other", "error", "not_joined")
        assert [letter[2:] for letter in letters(channel)][1:] == [("undelivered", last)]
        assert letters(channel)[0][:3] == ("t", 0, "undelivered")
    assert channel.dead_letter_count == 2


def test_what_a_sink_raises_on_is_one():
    got = []

    def sink(message):
        got.append(message)
        if isinstance(message, Reply):
            raise ValueError("planted")

    with Channel(on_outbound=sink) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Push("c", "t", "e", "p"))
    assert letters(channel) == [("t", 0, "undelivered", got[0])]
    assert len(got) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("short_grace")
def test_what_waits_for_a_sink_that_has_not_returned_at_the_close_is_one():
    inside, go_on = threading.Event(), threading.Event()

    def sink(message):
        inside.set()
        go_on.wait(20)

    channel = Channel(on_outbound=sink, timeout_s=20)
    channel.tell(Leave("first", "t"))  # the supervisor answers it, and so the sink actor delivers it
    assert inside.wait(10)
    channel.tell(Leave("second", "t"))
    with pytest.raises(ChannelTimeout, match="SinkActor"):
        channel.close(0.01)
    assert letters(channel) == [("t", 0, "undelivered", Reply("second", "t", "error", "not_joined"))]
    go_on.set()


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([10] * 1_500, 1_000),
        ([1_000_000] * 30, 16),
        ([9_000_000, 10, 10, 9_000_000, 10], 4),
        ([10, 16 * 1024 * 1024], 0),  # it would be too much by itself
        ([16 * 1024 * 1024, 10, 10], 2),
    ],
)
def test_the_last_thousand_are_kept_and_no_more_than_sixteen_mebibytes(sizes, kept):
    dead_letters = DeadLetters()
    for number, size in enumerate(sizes):
        dead_letters.add(DeadLetter("t", 1, "late", PushMessage("c", "t", str(number), "p" * size)))
    letters = dead_letters.read()
    assert (len(letters), dead_letters.count) == (kept, len(sizes))
    assert [letter.what.event for letter in letters] == [str(number) for number in range(len(sizes))][len(sizes) - kept :]


@pytest.mark.parametrize(
    "what",
    [
        *(Join("c", "t", "u", 1), Crash("r"), Restart(), System("l"), PresenceDiff("t", Diff("t"))),
        BroadcastMessage("t", "p", ("c",)),
    ],
)
def test_whatever_there_is_can_be_a_dead_letter(what):
    dead_letters = DeadLetters()
    dead_letters.add(DeadLetter("t", 0, "unhandled", what))
    assert [letter.what for letter in dead_letters.read()] == [what]


class Parting(Behaviour):
    """Says good-bye when it stops; fails, or lasts, when it is told to."""

    inside: threading.Event
    go_on: threading.Event
    lasts = False
    stops = 0

    def on_push(self, room, client_id, event, payload):
        self.inside.set()
        assert self.go_on.wait(20)
        room.reply("late")

    def on_stop(self, room):
        type(self).stops += 1
        room.broadcast("good-bye")
        if self.lasts:
            self.inside.set()
            assert self.go_on.wait(20)


@pytest.fixture
def parting():
    return type("Parting", (Parting,), {"inside": threading.Event(), "go_on": threading.Event()})


def test_what_a_behaviour_gives_out_when_it_stops_is_one(parting):
    with Channel(behaviours={"*": parting}) as channel:
        channel.handle(Join("c", "t", "u", 1))
        channel.handle(Leave("c", "t"))
        ((topic, incarnation, why, what),) = letters(channel)
        assert (topic, incarnation, why, what.payload) == ("t", 1, "stopped", "good-bye")


@pytest.mark.slow
@pytest.mark.usefixtures("short_grace")
def test_what_comes_from_an_actor_that_a_close_gave_up_is_one_and_it_does_not_end_as_if_it_were_the_topic(parting):
    channel = Channel(behaviours={"*": parting}, runtime=Pool())
    channel.handle(Join("c", "t", "u", 1))
    channel.tell(Push("c", "t", "e", "p"))
    assert parting.inside.wait(10)
    with pytest.raises(ChannelTimeout):
        channel.close(0.01)
    assert channel.dead_letters() == ()
    parting.go_on.set()
    channel.close(20)
    assert letters(channel) == [("t", 1, "late", Reply("c", "t", "ok", "late"))]
    assert parting.stops == 0


def test_a_behaviour_that_does_not_come_back_from_its_stop_is_given_up_and_a_successor_takes_the_topic(parting):
    parting.lasts, clock = True, Clock()
    with Channel(behaviours={"*": parting}, runtime=clock, event_timeout_s=1) as channel:
        channel.handle(Join("c", "t", "u", 1))
        leaving = threading.Thread(target=channel.handle, args=(Leave("c", "t"),))
        leaving.start()
        assert parting.inside.wait(10)
        channel.tell(Join("d", "t", "u", 2))
        while not channel.abandoned_count:
            clock.run_for(0.25)
            assert not channel.crashed
        leaving.join(20)
        assert not leaving.is_alive()
        assert channel.subscribers("t") == ("d",)
        parting.lasts = False
        parting.go_on.set()
    assert sorted(letter[1:3] for letter in letters(channel)) == [(1, "stopped"), (2, "stopped")]
