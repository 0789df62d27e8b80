import threading

import pytest
from moved_clock import MOVED

from lightspeed.channel import Broadcast, Channel, ChannelTimeout, FaultPlan, Join, Leave, PresenceDiff, Reply
from lightspeed.faults import DelayReply, LoseReply

pytestmark = pytest.mark.usefixtures("runtime")

JOIN, JOINED = Join("a", "x", "u", 1), Reply("a", "x", "ok", "joined")


def kinds(messages):
    return [type(message) for message in messages]


def test_a_lost_reply_is_given_out_to_nobody_and_the_event_has_its_effect():
    with Channel(faults=FaultPlan((LoseReply(at=1),)), timeout_s=0.1) as channel:
        with pytest.raises(ChannelTimeout):
            channel.handle(JOIN)
        assert channel.subscribers("x") == ("a",)
        assert kinds(channel.flush_outbox()) == [PresenceDiff]
        channel.handle(JOIN)
        assert channel.flush_outbox() == [Reply("a", "x", "error", "already_joined")]


def test_a_handle_of_an_event_that_has_no_reply_is_not_answered_either():
    with Channel(faults=FaultPlan((LoseReply(at=2), DelayReply(1, at=2))), timeout_s=0.1) as channel:
        channel.handle(JOIN)
        with pytest.raises(ChannelTimeout):
            channel.handle(Broadcast("a", "x", "p"))
        assert channel.flush_outbox()[-1].payload == "p"


def test_a_late_reply_comes_under_its_number_and_no_flush_waits_for_it(runtime):
    clock = MOVED[runtime]()
    with Channel(faults=FaultPlan((DelayReply(2, at=1), DelayReply(3, at=1))), runtime=clock) as channel:
        handled = threading.Event()
        waiting = threading.Thread(target=lambda: channel.handle(JOIN) or handled.set())
        waiting.start()
        clock.wait_for_calls(2)  # the message, and the first part of the answer's delay
        assert kinds(channel.flush_outbox()) == [PresenceDiff]
        clock.run_for(4.9)
        assert channel.flush_outbox() == []
        assert not handled.is_set()
        clock.run_for(0.2)
        assert channel.flush_outbox() == [JOINED]
        clock.run_for(5)
        assert handled.wait(10)
        waiting.join()
    assert channel.faults.lost == 0


def test_the_answer_to_the_last_one_who_leaves_can_be_late(runtime):
    clock = MOVED[runtime]()
    with Channel(faults=FaultPlan((DelayReply(2, at=2),)), runtime=clock) as channel:
        channel.handle(JOIN)
        waiting = threading.Thread(target=channel.handle, args=(Leave("a", "x"),))
        waiting.start()
        clock.wait_for_calls(2)
        clock.run_for(2)
        waiting.join(10)
        assert not waiting.is_alive()
        assert Reply("a", "x", "ok", "left") in channel.flush_outbox()
        assert channel.topics() == ()


def test_a_reply_that_would_come_after_the_end_is_lost(runtime):
    with Channel(faults=FaultPlan((DelayReply(1000, at=1),)), runtime=MOVED[runtime]()) as channel:
        channel.tell(JOIN)
    assert kinds(channel.flush_outbox()) == [PresenceDiff]
    assert channel.faults.lost == 1


def test_a_sink_gets_a_late_reply_from_an_actor_and_not_from_the_clock(runtime):
    clock, got = MOVED[runtime](), []
    arrived = threading.Event()

    def sink(message):
        got.append((message, threading.current_thread()))
        if isinstance(message, Reply):
            arrived.set()

    with Channel(faults=FaultPlan((DelayReply(1, at=1),)), runtime=clock, on_outbound=sink) as channel:
        channel.tell(JOIN)
        clock.wait_for_calls(1)
        clock.run_for(1)
        assert arrived.wait(10)
    assert [message for message, thread in got if thread is not threading.current_thread()][-1] == JOINED
