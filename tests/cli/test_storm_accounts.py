"""Which answer is whose: an account is told what was sent, what faults struck, and what came out."""

import pytest

from lightspeed.channel import Broadcast, BroadcastMessage, Push, PushMessage, Reply
from lightspeed.cli.storm_accounts import Accounts
from lightspeed.cli.storm_events import PUSHED
from lightspeed.faults import Delay, Drop, Duplicate, LoseReply, Poison

ONE, TWO = Broadcast("a", "x", "1"), Push("a", "x", PUSHED, "2")
REFUSED = Reply("a", "x", "error", "not_joined")
POISONED = BroadcastMessage("x", "poisoned", ("a",))


def account(sent, strikes, heard, late=0):
    accounts = Accounts()
    for event in sent:
        accounts.send(event)
    for fault, event in strikes:
        accounts.strike(fault, event)
    for message in heard:
        accounts.hear(message)
    return accounts.balance(late)


@pytest.mark.parametrize(
    ("strikes", "heard", "unaccounted"),
    [
        ([], [BroadcastMessage("x", "1", ("a",)), PushMessage("a", "x", PUSHED, "2")], 0),
        ([], [REFUSED, REFUSED], 0),
        ([], [REFUSED], 1),
        ([], [REFUSED, REFUSED, REFUSED], 1),
        ([(Drop(), ONE)], [REFUSED], 0),
        ([(Drop(), ONE)], [], 1),
        ([(Duplicate(), ONE)], [REFUSED, REFUSED, REFUSED], 0),
        ([(Duplicate(), ONE)], [REFUSED, REFUSED], 1),
        ([(LoseReply(), ONE)], [REFUSED], 0),
        ([(LoseReply(), ONE)], [], 1),
        # the one answer is to the delayed event, since the poison came out
        ([(Poison("poisoned"), ONE), (Delay(0.1), TWO)], [POISONED, REFUSED], 0),
        ([(Poison("poisoned"), ONE), (Delay(0.1), TWO)], [POISONED], 1),
        # of two copies one lost its reply, and the answer is the other one's
        (
            [(Duplicate(), ONE), (LoseReply(), ONE), (Poison("poisoned"), TWO)],
            [REFUSED, PushMessage("a", "x", PUSHED, "poisoned")],
            0,
        ),
        ([(Duplicate(), ONE), (LoseReply(), ONE), (Poison("poisoned"), TWO)], [PushMessage("a", "x", PUSHED, "poisoned")], 1),
    ],
)
def test_each_answer_is_given_to_the_event_that_most_likely_had_it(strikes, heard, unaccounted):
    assert account([ONE, TWO], strikes, heard).unaccounted == unaccounted


def test_what_was_late_beyond_the_end_is_excused_as_often_as_the_channel_says():
    strikes = [(Delay(0.1), ONE), (Delay(0.1), TWO)]
    assert account([ONE, TWO], strikes, [], late=2).unaccounted == 0
    assert account([ONE, TWO], strikes, [], late=1).unaccounted == 1
