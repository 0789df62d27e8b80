from lightspeed.channel import System
from lightspeed.supervision import Outbox


def test_messages_come_in_the_order_of_acceptance_not_of_emission():
    outbox = Outbox()
    for seq in (3, 1, 2):
        outbox.put(seq, "t", (System(f"{seq}a"), System(f"{seq}b")), None)
    assert [message.label for message in outbox.take(3)] == ["1a", "1b", "2a", "2b", "3a", "3b"]
    assert outbox.take(3) == []


def test_what_was_accepted_after_the_flush_stays_for_the_next():
    outbox = Outbox()
    outbox.put(2, None, (System("later"),), None)
    outbox.put(1, None, (System("now"),), None)
    assert outbox.take(1) == [System("now")]
    assert outbox.take(1) == []
    assert outbox.take(float("inf")) == [System("later")]


def test_an_event_that_gives_nothing_out_is_still_answered():
    told = []

    class Reply:
        def set(self, value=None):
            told.append(value)

    outbox = Outbox()
    outbox.put(1, "t", (), Reply(), "answer")
    assert told == ["answer"]
    assert outbox.take(1) == []
