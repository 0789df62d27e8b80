import pytest
from model.books import Books, SinkBooks

from lightspeed.channel import Reply, System

ONE, TWO, THREE = (Reply("a", "x", "ok", payload) for payload in ("one", "two", "three"))
EVERYTHING = float("inf")


def books(*given):
    made = Books()
    for seq, *messages in given:
        made.give(seq, tuple(messages))
    return made


def test_what_is_flushed_is_all_that_was_given_out_in_order_of_number():
    made = books((2, THREE), (1, ONE, TWO))
    assert made.flush([ONE, TWO], accepted=1) is None
    assert made.flush([THREE], accepted=EVERYTHING) is None
    assert made.lost() is None


@pytest.mark.parametrize("flushed", [[TWO, ONE], [ONE], [], [ONE, TWO, THREE], [ONE, ONE, TWO]])
def test_what_is_not_so_is_said(flushed):
    assert "flushed" in books((1, ONE), (2, TWO)).flush(flushed, accepted=EVERYTHING)


def test_what_was_accepted_before_the_flush_must_be_in_it_and_more_may_be():
    assert books((1, ONE), (2, TWO)).flush([ONE], accepted=1) is None
    assert books((1, ONE), (2, TWO)).flush([ONE, TWO], accepted=1) is None
    assert "were due" in books((1, ONE), (2, TWO)).flush([ONE], accepted=2)


def test_what_comes_after_messages_of_later_events_is_out_of_order():
    made = books((2, TWO))
    assert made.flush([TWO], accepted=1) is None
    made.give(1, (ONE,))
    assert "after those of number 2" in made.flush([ONE], accepted=EVERYTHING)


def test_what_was_never_flushed_is_lost():
    assert "never flushed" in books((1, ONE)).lost()


def test_a_sink_is_given_each_topics_messages_in_order_and_those_of_the_channel():
    made, crashed, of_topic = SinkBooks(), System("crashed:r"), System("already_running")
    for topic, message in (("x", ONE), (None, crashed), ("x", of_topic), ("x", TWO)):
        made.give(1, topic, (message,))
    assert [made.deliver(message) for message in (crashed, ONE, of_topic, TWO)] == [None] * 4
    assert made.lost() is None


def test_one_out_of_turn_or_twice_or_never_is_a_breach():
    made = SinkBooks()
    made.give(1, "x", (ONE, TWO))
    assert "another one's turn" in made.deliver(TWO)
    assert made.deliver(ONE) is None
    assert "another one's turn" in made.deliver(ONE)
    assert "was not given" in made.lost()


def test_it_is_known_whether_all_of_a_number_has_come_to_the_sink():
    made = SinkBooks()
    made.give(1, "x", (ONE,))
    assert made.has_yet_to_give(1, "x")
    assert not made.has_yet_to_give(2, "x")
    made.deliver(ONE)
    assert not made.has_yet_to_give(1, "x")
