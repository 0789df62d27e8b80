from lightspeed.channel import Reply, System
from lightspeed.testing.books import Books

ONE, TWO = Reply("a", "x", "ok", "joined"), Reply("b", "x", "ok", "joined")


def books(*given, flushed=(), by_order=False):
    made = Books()
    for seq, *messages in given:
        made.give(seq, tuple(messages), by_order=by_order)
    made.flush(flushed)
    return made


def test_what_is_flushed_is_all_that_was_given_out_in_order_of_number():
    assert books((2, TWO), (1, ONE), flushed=[ONE, TWO]).lost() is None
    assert "message 0 that was flushed" in books((2, TWO), (1, ONE), flushed=[TWO, ONE]).lost()
    assert "1 messages were flushed, where 2 were given out" in books((2, TWO), (1, ONE), flushed=[ONE]).lost()


def test_what_was_accepted_while_all_was_down_is_handled_by_nobody():
    made = books((2, System("crashed:r")), (5, System("restarted")), by_order=True)
    made.handle(1, "x")
    made.handle(6, "x")
    assert made.handled_while_down() is None
    made.handle(3, "x")
    assert "number 3 was accepted while x was down" in made.handled_while_down()


def test_a_topic_that_fails_and_comes_up_by_itself_was_not_down():
    made = books((2, System("topic_crashed:x")), (3, System("topic_restarted:x")))
    made.handle(3, "x")
    assert made.handled_while_down() is None
    made = books((2, System("topic_crashed:x")), by_order=True)
    made.handle(3, "y")
    assert made.handled_while_down() is None
    made.handle(3, "x")
    assert made.handled_while_down() is not None


def test_a_restart_ends_also_what_came_about_before_it_was_carried_out():
    made = books((8, System("topic_given_up:x")), (7, System("restarted")))
    made.handle(9, "x")
    assert made.handled_while_down() is None
