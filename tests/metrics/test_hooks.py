"""What hooks are told, and that none can hurt anybody."""

import gc
import weakref

import pytest
from listening import Notes
from loguru import logger

from lightspeed.actors.logs import settle
from lightspeed.capsules import Capsules
from lightspeed.channel import (
    Backoff,
    Behaviour,
    Broadcast,
    Channel,
    Crash,
    Disconnect,
    FaultPlan,
    InsideActor,
    InvalidOption,
    Join,
    Leave,
    Mailbox,
    Pool,
    Publish,
    Push,
    Reply,
    Restart,
    Restarts,
    Send,
    Threads,
)
from lightspeed.faults import LoseReply, Raise
from lightspeed.metrics import MetricsHooks, MetricsLayer
from lightspeed.metrics.hooks import HOOKS
from lightspeed.testing import Simulation

KINDS = [Pool, Threads]
JOIN = Join("c", "t", "u", 1)


class Moody(Behaviour):
    def on_push(self, room, client_id, event, payload):
        if payload == "fail":
            raise ValueError("no")
        room.reply("well")


def channel_with(*hooks, **options):
    return Channel(layers=(MetricsLayer(*hooks),), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_accepted_handled_and_answered_before_its_call_returns(kind):
    notes = Notes()
    with channel_with(notes, runtime=kind()) as channel:
        channel.handle(JOIN)
        said = Broadcast("c", "t", "x")
        channel.handle(said)
    assert notes.heard == [
        ("accepted", JOIN),
        ("mailbox", "t", 0),
        ("handled", JOIN),
        ("answered", Reply("c", "t", "ok", "joined")),
        ("accepted", said),
        ("mailbox", "t", 0),
        ("handled", said),
    ]


def test_the_time_is_that_of_the_behaviour_by_the_channels_own_clock():
    times, moved = [], Pool()
    now = [100.0]
    moved.monotonic_s = lambda: now[0]

    class Slow(Behaviour):
        def on_push(self, room, client_id, event, payload):
            now[0] += 2.5

    class Times(MetricsHooks):
        def handled(self, event, seconds):
            times.append((type(event), seconds))

    with channel_with(Times(), behaviours={"*": Slow}, runtime=moved, event_timeout_s=100) as channel:
        channel.handle(JOIN)
        channel.handle(Push("c", "t", "e", "p"))
    assert times == [(Join, 0.0), (Push, 2.5)]


def test_what_is_refused_before_its_topic_is_answered_and_not_handled():
    notes = Notes()
    with channel_with(notes) as channel:
        channel.handle(Leave("c", "t"))
        channel.handle(Crash("x"))
        channel.handle(JOIN)
    assert notes.of("handled") == []
    assert [entry[1].payload for entry in notes.of("answered")] == ["not_joined", "crashed"]
    assert notes.of("crashed") == [("crashed", None, "x")]


def test_a_disconnect_is_accepted_once_and_handled_as_a_leave_of_each_topic_that_it_leaves():
    notes = Notes()
    with channel_with(notes) as channel:
        for topic in ("a", "b"):
            channel.handle(Join("c", topic, "u", 1))
        channel.handle(Join("d", "e", "u", 1))
        notes.heard.clear()
        channel.handle(Disconnect("c", 5))
    assert notes.of("accepted") == [("accepted", Disconnect("c", 5))]
    assert notes.of("handled") == [("handled", Leave("c", topic, 5)) for topic in ("a", "b")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_told_with_its_reason_and_that_the_topic_is_back(kind):
    notes = Notes()
    with channel_with(notes, runtime=kind(), behaviours={"*": Moody}) as channel:
        channel.handle(JOIN)
        channel.handle(Push("c", "t", "e", "fail"))
        notes.wait_for("restarted")
    assert notes.of("crashed", "restarted") == [("crashed", "t", "ValueError: no"), ("restarted", "t")]
    assert [entry[1].payload for entry in notes.of("answered")] == ["joined", "topic_crashed"]
    assert [entry[1] for entry in notes.of("handled")] == [JOIN]


def test_one_that_is_put_off_is_restarted_when_it_is_up_and_one_that_fails_too_often_is_given_up():
    notes, restarts = Notes(), Restarts(intensity=1, backoff=Backoff(floor_s=0.01, cap_s=0.01, jitter=0.0))
    with channel_with(notes, behaviours={"*": Moody}, restarts=restarts) as channel:
        for _ in range(2):
            channel.handle(JOIN)
            channel.handle(Push("c", "t", "e", "fail"))
            channel.membership_count  # noqa: B018 - behind the failure
        notes.wait_for("given_up")
    ends = [entry[0] for entry in notes.of("crashed", "restarted", "given_up")]
    assert ends == ["crashed", "restarted", "crashed", "given_up"]


def test_crashes_and_restarts_by_order_of_a_topic_and_of_all():
    notes = Notes()
    with channel_with(notes) as channel:
        for topic in ("a", "b"):
            channel.handle(Join("c", topic, "u", 1))
        for event in (Crash("x", "a"), Crash("again", "a"), Restart("a"), Crash("all"), Restart(), Restart()):
            channel.handle(event)
    assert notes.of("crashed", "restarted") == [
        ("crashed", "a", "x"),
        ("restarted", "a"),
        ("crashed", None, "all"),
        ("restarted", None),
        ("restarted", "b"),  # nobody had come back to the other
    ]


def test_an_actor_that_does_not_come_back_is_abandoned():
    import threading

    notes, go_on = Notes(), threading.Event()

    class Hangs(Behaviour):
        def on_push(self, room, client_id, event, payload):
            assert go_on.wait(10)

    with channel_with(notes, behaviours={"*": Hangs}, event_timeout_s=0.05) as channel:
        channel.handle(JOIN)
        channel.handle(Push("c", "t", "e", "p"))
        go_on.set()
        channel.flush_outbox()
    assert notes.of("abandoned") == [("abandoned", "t")]
    assert [type(entry[1]) for entry in notes.of("handled")] == [Join]  # what comes late was not handled


def test_overload_recovery_mailbox_lengths_and_dead_letters():
    import threading

    notes, began, go_on = Notes(), threading.Event(), threading.Event()

    class Holds(Behaviour):
        def on_push(self, room, client_id, event, payload):
            began.set()
            assert go_on.wait(10)

    mailbox = Mailbox(max_messages=2, overflow="drop_newest")
    with channel_with(notes, behaviours={"*": Holds}, mailboxes=mailbox) as channel:
        channel.handle(JOIN)
        channel.tell(Push("c", "t", "e", "p"))
        assert began.wait(10)
        for number in range(4):
            channel.tell(Broadcast("c", "t", str(number)))
        channel.tree()
        assert notes.of("overloaded") == [("overloaded", "t")]
        go_on.set()
        notes.wait_for("recovered")
        channel.flush_outbox()
    assert [entry[2] for entry in notes.of("mailbox")][:4] == [0, 0, 1, 2]
    shed = [entry[1] for entry in notes.of("dead_letter")]
    handled = [entry[1] for entry in notes.of("handled")]
    assert {letter.why for letter in shed} == {"overloaded"}
    accepted = [entry[1] for entry in notes.of("accepted")]
    assert sorted(map(repr, accepted)) == sorted(map(repr, [*handled, *(letter.what for letter in shed)]))


def test_what_the_program_sends_in_vain_and_what_a_sink_raises_on_are_dead_letters():
    notes = Notes()

    def sink(message):
        raise ValueError

    with channel_with(notes, on_outbound=sink) as channel:
        channel.handle(Send("c", "t", "e", "p"))
        channel.handle(JOIN)
        channel.handle(Publish("t", "x"))
        letters = channel.dead_letters()
    assert [entry[1] for entry in notes.of("dead_letter")] == list(letters)
    assert [letter.why for letter in letters] == ["refused", "undelivered", "undelivered", "undelivered"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_hooks_that_raise_hurt_nobody_and_are_logged_once_each(kind, error):
    class Raises(MetricsHooks):
        pass

    def fail(_hooks, *args):
        raise error("planted")

    for name in HOOKS:
        setattr(Raises, name, fail)
    lines, notes = [], Notes()
    logger.enable("lightspeed")
    handler = logger.add(lambda line: lines.append(line.record["message"]), level="ERROR", format="{message}")
    try:
        with channel_with(Raises(), notes, runtime=kind(), behaviours={"*": Moody}) as channel:
            for _ in range(3):
                channel.handle(JOIN)
                channel.handle(Push("c", "t", "e", "well"))
            channel.handle(Crash("x"))
            channel.handle(Restart())
            channel.handle(JOIN)
            assert channel.subscribers("t") == ("c",)
        settle()
    finally:
        logger.remove(handler)
        logger.disable("lightspeed")
    told = [line.split("\n")[0] for line in lines if "metrics hook" in line]
    names = {entry[0] for entry in notes.heard}
    assert names >= {"accepted", "handled", "answered", "mailbox", "crashed", "restarted"}
    assert sorted(line.split()[3] for line in told) == sorted(names)


def test_a_hook_may_tell_and_read_but_not_wait():
    seen = []

    class Speaks(MetricsHooks):
        def handled(self, event, seconds):
            if type(event) is Push:
                channel.tell(Broadcast("c", "t", "from a hook"))
                seen.append(channel.metrics().topics)
                try:
                    channel.handle(JOIN)
                except InsideActor:
                    seen.append("refused")

    with channel_with(Speaks(), behaviours={"*": Moody}) as channel:
        channel.handle(JOIN)
        channel.handle(Push("c", "t", "e", "well"))
        payloads = [
            message.payload
            for message in channel.flush_outbox()
            if hasattr(message, "recipients") and hasattr(message, "payload")
        ]
    assert seen == [1, "refused"]
    assert payloads == ["from a hook"]


def test_hooks_come_and_go_while_the_channel_runs():
    notes = Notes()
    with channel_with() as channel:
        channel.handle(JOIN)
        for _ in range(2):
            channel.meter.add(notes)
        channel.handle(Broadcast("c", "t", "x"))
        assert len(notes.of("accepted")) == 1
        for _ in range(2):
            channel.meter.remove(notes)
        channel.handle(Broadcast("c", "t", "x"))
        assert len(notes.of("accepted")) == 1


def test_one_layer_serves_any_number_of_channels_and_each_has_a_meter_of_its_own():
    notes, other = Notes(), Notes()
    layer = MetricsLayer(notes)
    with Channel(layers=(layer,)) as first, Channel(layers=(layer,)) as second:
        assert first.meter is not second.meter
        second.meter.add(other)
        first.handle(JOIN)
        second.handle(JOIN)
    assert (len(notes.of("handled")), len(other.of("handled"))) == (2, 1)


def test_a_channel_without_the_layer_has_no_meter_and_two_layers_tell_both():
    with Channel() as channel:
        assert channel.meter is None
    first, second = Notes(), Notes()
    with Channel(layers=(MetricsLayer(first), MetricsLayer(second))) as channel:
        channel.handle(JOIN)
        channel.handle(Send("x", "t", "e", "p"))
    assert first.of("accepted", "handled", "answered", "dead_letter") == second.of(
        "accepted", "handled", "answered", "dead_letter"
    )
    assert len(first.of("dead_letter")) == 1


def test_with_faults_and_capsules_it_tells_what_truly_came_out(tmp_path):
    notes = Notes()
    plan = FaultPlan((LoseReply(at=1), Raise("before", at=2)))
    layers = {"layers": (MetricsLayer(notes),), "faults": plan, "capsules": Capsules(tmp_path)}
    with Channel(behaviours={"*": Moody}, **layers) as channel:
        channel.tell(JOIN)  # of which nobody is told
        channel.handle(Push("c", "t", "e", "well"))
        notes.wait_for("restarted")
        assert channel.faults.fired == (1, 1)
    assert [entry[1].payload for entry in notes.of("answered")] == ["topic_crashed"]
    assert [entry[1] for entry in notes.of("handled")] == [JOIN]
    assert len(list(tmp_path.iterdir())) == 1


def test_in_a_simulation_it_is_told_the_same_each_time():
    def run():
        notes = Notes()
        simulation = Simulation(seed=7)
        with simulation:
            channel = simulation.channel(layers=(MetricsLayer(notes),), behaviours={"*": Moody})
            for number in range(5):
                channel.tell(Join(f"c{number}", f"t{number % 2}", "u", 1))
                channel.tell(Push(f"c{number}", f"t{number % 2}", "e", "fail"))
            channel.flush_outbox()
        return notes.heard

    first = run()
    assert first == run()
    assert {entry[0] for entry in first} >= {"accepted", "handled", "crashed", "restarted", "answered"}


def test_the_patterns_that_may_be_labels_are_prefixes_the_longest_that_fits():
    behaviours = {"room:*": Moody, "room:vip:*": Moody, "lobby": Moody}
    with channel_with(behaviours=behaviours) as channel:
        patterns = [channel.meter.pattern_of(topic) for topic in ("room:1", "room:vip:1", "lobby", "else", None)]
    assert patterns == ["room:*", "room:vip:*", "", "", ""]


def test_a_closed_channel_with_hooks_leaves_nothing_behind():
    notes = Notes()
    channel = channel_with(notes)
    channel.handle(JOIN)
    channel.close()
    gone = weakref.ref(channel)
    del channel
    gc.collect()
    assert gone() is None


class Waits(MetricsHooks):
    async def handled(self, event, seconds): ...


class Yields(MetricsHooks):
    def accepted(self, event):
        yield


@pytest.mark.parametrize("hooks", [None, Notes, object(), Waits(), Yields()])
def test_what_are_no_hooks_is_refused_by_name(hooks):
    with pytest.raises(InvalidOption, match=r"^hooks must"):
        MetricsLayer(hooks)
    with channel_with() as channel, pytest.raises(InvalidOption, match=r"^hooks must"):
        channel.meter.add(hooks)
