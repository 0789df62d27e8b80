from lightspeed.channel import System
from lightspeed.supervision.topics import Outbox


def take(outbox, last_seq):
    taken = []
    outbox.take(last_seq, taken)
    return [message for _seq, messages in taken for message in messages]


def test_messages_come_in_the_order_of_acceptance_not_of_emission():
    outbox = Outbox()
    for seq in (3, 1, 2):
        outbox.put(seq, "t", (System(f"{seq}a"), System(f"{seq}b")), None)
    assert [message.label for message in take(outbox, 3)] == ["1a", "1b", "2a", "2b", "3a", "3b"]
    assert take(outbox, 3) == []


def test_what_was_accepted_after_the_flush_stays_for_the_next():
    outbox = Outbox()
    outbox.put(2, None, (System("later"),), None)
    outbox.put(1, None, (System("now"),), None)
    assert take(outbox, 1) == [System("now")]
    assert take(outbox, 1) == []
    assert take(outbox, float("inf")) == [System("later")]


def test_an_event_that_gives_nothing_out_is_still_answered():
    told = []

    class Reply:
        def set(self, value=None):
            told.append(value)

    outbox = Outbox()
    outbox.put(1, "t", (), Reply(), "answer")
    assert told == ["answer"]
    assert take(outbox, 1) == []


def test_what_could_not_be_handed_over_is_taken_again_in_its_order():
    outbox, taken = Outbox(), []
    outbox.put(1, None, (System("first"),), None)
    outbox.take(1, taken)
    outbox.put(2, None, (System("second"),), None)
    outbox.give_back(taken)
    assert take(outbox, 2) == [System("first"), System("second")]
