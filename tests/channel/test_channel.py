import gc
import subprocess
import sys
import threading
import weakref

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import NaiveChannel, events, state_of

from lightspeed.actors.topics import ChannelState
from lightspeed.channel import (
    Broadcast,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    ClusterReady,
    Crash,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    Join,
    Leave,
    Push,
    PushMessage,
    Rejoin,
    Reply,
    Restart,
    SingleNode,
    System,
    new_cluster_ready,
    new_single_node,
)

pytestmark = pytest.mark.usefixtures("runtime")


def topic_actors():
    return pykka.ActorRegistry.get_by_class_name("TopicActor")


@settings(max_examples=60)
@given(st.lists(events, max_size=30), st.lists(st.booleans(), max_size=30))
def test_the_actors_emit_what_the_naive_model_emits(sequence, waits):
    naive = NaiveChannel()
    with Channel() as channel:
        for index, event in enumerate(sequence):
            (channel.handle if index < len(waits) and waits[index] else channel.tell)(event)
        assert channel.flush_outbox() == naive.run(sequence)
        assert state_of(channel) == state_of(naive)
        assert channel.membership_count == len(naive.members)


def test_handle_returns_when_the_event_has_taken_full_effect():
    with new_single_node() as channel:
        channel.handle(Join("c", "t", "u", 1))
        assert len(topic_actors()) == 1
        channel.handle(Leave("c", "t"))
        assert topic_actors() == []
        channel.handle(Join("c", "t", "u", 2))
        channel.handle(Crash("power"))
        assert topic_actors() == []
        channel.handle(Restart())
        assert len(topic_actors()) == 1


def test_an_event_for_a_topic_that_nobody_is_in_starts_no_actor():
    with Channel() as channel:
        for event in (Leave("c", "t"), Broadcast("c", "t", "p"), Push("c", "t", "e", "p")):
            channel.handle(event)
        assert topic_actors() == []
        assert channel.flush_outbox() == [Reply("c", "t", "error", "not_joined")] * 3


def test_each_topic_is_an_actor_of_its_own():
    with Channel() as channel:
        for topic in ("a", "b", "c"):
            channel.handle(Join("c", topic, "u", 1))
        assert len({ref.actor_urn for ref in topic_actors()}) == 3


def test_reads_see_every_event_that_was_told_before_them():
    with Channel() as channel:
        for number in range(100):
            channel.tell(Join(f"c{number}", f"t{number % 3}", "u", number))
            assert channel.membership_count == number + 1
            assert channel.subscribers(f"t{number % 3}")[-1] == f"c{number}"
        assert sorted(channel.topics()) == ["t0", "t1", "t2"]
        channel.tell(Crash("r"))
        assert channel.crashed
        assert (channel.membership_count, channel.topics(), channel.subscribers("t0")) == (0, (), ())


def test_reads_of_an_unknown_topic_are_empty():
    with Channel() as channel:
        assert channel.subscribers("t") == channel.presences("t") == channel.topics() == ()
        with pytest.raises(InvalidEvent):
            channel.subscribers(None)


def test_a_flush_takes_each_message_once_and_a_crash_leaves_the_outbox_alone():
    with Channel() as channel:
        channel.tell(Join("c", "t", "u", 1))
        channel.tell(Push("c", "t", "e", "p"))
        channel.tell(Crash("r"))
        outbound = channel.flush_outbox()
        assert outbound[2:] == [PushMessage("c", "t", "e", "p"), System("crashed:r")]
        assert channel.flush_outbox() == []


def test_the_adapter_carries_its_identity():
    with new_cluster_ready("n1", "eu") as channel:
        assert channel.adapter_label == "cluster_ready:eu/n1"
        channel.handle(Join("c", "t", "u", 1))
        assert channel.subscribers("t") == ("c",)
    with new_single_node() as channel:
        assert channel.adapter_label == "single_node"
    assert SingleNode() == SingleNode()
    assert ClusterReady("n1", "eu") != ClusterReady("n2", "eu")


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_s": 0},
        {"timeout_s": True},
        {"timeout_s": float("nan")},
        {"timeout_s": 1e12},
        {"rejoin_window_s": "30"},
        {"crash_timeout_s": -1},
        {"restarts": 3},
        {"rejoin": "nobody"},
        {"own_thread": "room:slow"},
        {"own_thread": 7},
        {"own_thread": [""]},
        {"own_thread": ["a*b"]},
        {"own_thread": [7]},
        {"on_outbound": 5},
        {"adapter": "single_node"},
        {"adapter": ClusterReady("", "eu")},
        {"adapter": ClusterReady("n", None)},
    ],
    ids=repr,
)
def test_an_option_of_a_wrong_value_is_refused_by_name_and_starts_nothing(options):
    with pytest.raises(InvalidOption):
        Channel(**options)


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="colour"):
        new_single_node(colour="red")


def test_inside_any_actor_handle_is_refused_and_tell_is_not():
    class Caller(pykka.ThreadingActor):
        def on_receive(self, call):
            return call()

    with Channel() as channel:
        caller = Caller.start()
        with pytest.raises(InsideActor, match="use tell"):
            caller.ask(lambda: channel.handle(Join("c", "t", "u", 1)))
        caller.ask(lambda: channel.tell(Join("c", "t", "u", 1)))
        assert caller.ask(lambda: channel.subscribers("t")) == ("c",)
        caller.stop()


# After close


def test_after_close_only_the_outbox_answers():
    channel = Channel()
    channel.tell(Join("c", "t", "u", 1))
    channel.close()
    for call in (
        lambda: channel.handle(Join("c", "t", "u", 1)),
        lambda: channel.tell(Restart()),
        lambda: channel.crashed,
        lambda: channel.membership_count,
        lambda: channel.adapter_label,
        lambda: channel.subscribers("t"),
        lambda: channel.presences("t"),
        channel.topics,
    ):
        with pytest.raises(ChannelClosed):
            call()
    assert len(channel.flush_outbox()) == 2
    assert channel.flush_outbox() == []
    channel.close()
    assert repr(channel) == "<Channel single_node closed>"


def test_close_handles_what_was_accepted():
    channel = Channel()
    sequence = [Join(f"c{n}", f"t{n % 7}", "u", n) for n in range(200)] + [Crash("r"), Restart(), Rejoin("c", "t", "u", 1)]
    for event in sequence:
        channel.tell(event)
    channel.close()
    state = ChannelState()
    assert channel.flush_outbox() == [message for event in sequence for message in state.handle(event)]


def test_close_right_after_a_restart_handles_what_waits_for_it():
    for _ in range(50):
        channel = Channel()
        for event in (Join("c", "t", "u", 1), Crash("r"), Restart(), Rejoin("c", "t", "u", 2), Crash("s"), Restart()):
            channel.tell(event)
        channel.close()
        assert [str(m.label) for m in channel.flush_outbox() if isinstance(m, System)] == [
            "crashed:r",
            "restarted",
            "crashed:s",
            "restarted",
        ]


def test_close_from_several_threads_at_once_ends_in_all_of_them():
    channel = Channel()
    threads = [threading.Thread(target=channel.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_stop_all_closes_a_channel_and_what_was_accepted_is_handled():
    for _ in range(20):
        channel = Channel()
        for number in range(50):
            channel.tell(Join(f"c{number}", f"t{number % 5}", "u", number))
        pykka.ActorRegistry.stop_all(timeout=10)
        with pytest.raises(ChannelClosed):
            channel.tell(Restart())
        replies = [message for message in channel.flush_outbox() if isinstance(message, Reply)]
        assert len(replies) == 50
        channel.close()


def test_a_channel_that_was_dropped_warns_and_leaves_nothing():
    channel = Channel()
    channel.handle(Join("c", "t", "u", 1))
    gone = weakref.ref(channel)
    with pytest.warns(ResourceWarning, match="unclosed channel single_node"):  # noqa: PT031  # the warning comes by either line
        del channel
        gc.collect()
    assert gone() is None
    while refs := pykka.ActorRegistry.get_all():  # they stop by themselves; each wait ends when one has
        refs[0].stop(timeout=10)


def test_a_channel_that_was_never_closed_hangs_no_exit_and_warns():
    code = (
        "from lightspeed.channel import *; channel = new_single_node(on_outbound=print)\nchannel.handle(Join('c', 't', 'u', 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert "ResourceWarning: unclosed channel" in done.stderr
    assert "Reply(" in done.stdout


def test_ctrl_c_ends_a_wait():
    code = (
        "import os, signal, threading\nfrom lightspeed.channel import *\nhold = threading.Event()\n"
        "def sink(message): hold.is_set() or os.kill(os.getpid(), signal.SIGINT); hold.wait()\n"
        "channel = Channel(on_outbound=sink)\n"
        "try: channel.handle(Join('c', 't', 'u', 1))\n"
        "except KeyboardInterrupt: print('interrupted')\n"
        "hold.set(); channel.close(); print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "interrupted\nclosed\n"
    assert done.stderr == ""


def test_a_wait_that_takes_too_long_ends_with_the_projects_own_error():
    hold = threading.Event()
    channel = Channel(on_outbound=lambda _message: hold.wait(), timeout_s=0.02)
    with pytest.raises(ChannelTimeout, match="handle did not end"):
        channel.handle(Join("c", "t", "u", 1))
    hold.set()
    channel.close(10)


@pytest.mark.usefixtures("short_grace")
def test_close_abandons_who_is_busy_at_its_deadline_and_says_who():
    hold = threading.Event()
    channel = Channel(on_outbound=lambda _message: hold.wait())
    channel.tell(Join("c", "t", "u", 1))
    with pytest.raises(ChannelTimeout, match="TopicActor"):
        channel.close(0.02)
    hold.set()
    channel.close(5)
