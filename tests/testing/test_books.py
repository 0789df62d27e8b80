from lightspeed.channel import Reply
from lightspeed.testing.books import Books

ONE, TWO = Reply("a", "x", "ok", "joined"), Reply("b", "x", "ok", "joined")


def books(*given, flushed=()):
    made = Books()
    for seq, *messages in given:
        made.give(seq, tuple(messages))
    made.flush(flushed)
    return made


def test_what_is_flushed_is_all_that_was_given_out_in_order_of_number():
    assert books((2, TWO), (1, ONE), flushed=[ONE, TWO]).lost() is None
    assert "message 0 that was flushed" in books((2, TWO), (1, ONE), flushed=[TWO, ONE]).lost()
    assert "1 messages were flushed, where 2 were given out" in books((2, TWO), (1, ONE), flushed=[ONE]).lost()
