"""What became of each event: an account is told what was sent, what faults struck, and what came out."""

import pytest

from lightspeed.channel import Broadcast, BroadcastMessage, DeadLetter, Join, Leave, Push, PushMessage, Reply
from lightspeed.cli.storm_account import PUSHED, Accounts
from lightspeed.faults import Corrupt, Delay, Drop, Duplicate, LoseReply

ONE, TWO = Broadcast("a", "x", "1"), Push("b", "x", PUSHED, "2")
SENT, PUSH = BroadcastMessage("x", "1", ("a",)), PushMessage("b", "x", PUSHED, "2")
NOT_ONE, NOT_TWO = Reply("a", "x", "error", "not_joined"), Reply("b", "x", "error", "not_joined")
POISONED = BroadcastMessage("x", "poisoned", ("a",))


def account(sent, strikes, heard, late=0, letters=()):
    accounts = Accounts()
    for event in sent:
        accounts.send(event)
    for fault, event in strikes:
        accounts.strike(fault, event)
    for message in heard:
        accounts.hear(message)
    for letter in letters:
        accounts.bury(letter)
    return accounts.balance(late)


@pytest.mark.parametrize(
    ("strikes", "heard", "unaccounted"),
    [
        ([], [SENT, PUSH], 0),
        ([], [NOT_ONE, NOT_TWO], 0),
        ([], [NOT_ONE], 1),
        ([], [], 2),
        ([], [SENT, SENT, PUSH], 1),
        ([], [SENT, NOT_ONE, PUSH], 1),
        ([], [NOT_ONE, NOT_ONE], 2),
        ([], [SENT, PUSH, Reply("c", "x", "ok", "left")], 1),
        ([], [SENT, PUSH, BroadcastMessage("x", "another", ("a",))], 1),
        ([(Drop(), ONE)], [NOT_TWO], 0),
        ([(Drop(), ONE)], [], 1),
        ([(Duplicate(), ONE)], [SENT, SENT, PUSH], 0),
        ([(Duplicate(), ONE)], [SENT, NOT_ONE, PUSH], 0),
        ([(Duplicate(), ONE)], [SENT, PUSH], 1),
        ([(Duplicate(), ONE), (Drop(), ONE)], [PUSH], 0),
        ([(LoseReply(), ONE)], [PUSH], 0),
        ([(LoseReply(), ONE)], [], 1),
        ([(Corrupt("poisoned"), ONE)], [POISONED, PUSH], 0),
        ([(Corrupt("poisoned"), ONE)], [POISONED, POISONED, PUSH], 1),
        ([(Drop(), None)], [SENT, PUSH], 0),
    ],
)
def test_each_event_has_one_answer_for_each_copy_or_a_fault_that_excuses_it(strikes, heard, unaccounted):
    assert account([ONE, TWO], strikes, heard).unaccounted == unaccounted


def test_what_was_late_beyond_the_end_is_excused_as_often_as_the_channel_says():
    strikes = [(Delay(0.1), ONE), (Delay(0.1), TWO)]
    assert account([ONE, TWO], strikes, [], late=2).unaccounted == 0
    assert account([ONE, TWO], strikes, [], late=1).unaccounted == 1


def test_what_nobody_handled_is_accounted_for_by_its_dead_letter():
    join = Join("a", "x", "u", 1)
    assert account([join], [], [], letters=[DeadLetter("x", 0, "unhandled", join)]).became == {"dead letter: unhandled": 1}


def test_sums_that_agree_do_not_hide_who_was_forgotten():
    joined = Reply("a", "x", "ok", "joined")
    assert account([Join("a", "x", "u", 1), Leave("b", "x")], [], [joined, joined]).unaccounted == 2
