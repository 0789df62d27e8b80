from model.downs import Downs

from lightspeed.channel import Reply, System


def downs(*changes):
    made = Downs()
    for seq, label, by_order in changes:
        made.enter(seq, (Reply("a", "x", "ok", "p"), System(label)), by_order=by_order)
    return made


def test_a_crash_takes_all_that_is_accepted_after_it_and_nothing_before():
    made = downs((2, "crashed:r", True), (5, "restarted", True))
    assert [made.channel(seq) for seq in (1, 3, 6)] == [False, True, False]
    assert made.topic("x", 3) is False


def test_a_topic_is_down_by_itself_until_it_or_all_is_restarted():
    made = downs((2, "topic_crashed:x", True), (4, "topic_restarted:x", True))
    assert [made.topic("x", seq) for seq in (1, 3, 5)] == [False, True, False]
    assert not made.topic("y", 3)
    made = downs((2, "topic_given_up:x", False), (4, "crashed:r", True), (6, "restarted", True))
    assert [made.topic("x", seq) for seq in (3, 5, 7)] == [True, True, False]


def test_a_topic_that_fails_and_comes_up_by_itself_was_not_down():
    assert not downs((2, "topic_crashed:x", False), (3, "topic_restarted:x", False)).topic("x", 3)


def test_an_order_ends_also_what_came_about_before_it_was_carried_out():
    made = downs((8, "topic_given_up:x", False), (7, "restarted", True))
    assert made.topic("x", 9) is False


def test_where_it_can_not_be_told_which_came_first_that_is_said():
    made = downs((8, "crashed:topics failed too often", False))
    assert made.channel(7) is None
    assert made.topic("x", 7) is None
    assert made.channel(9)


def test_what_says_nothing_of_it_changes_nothing():
    made = downs((1, "already_running", True), (2, "already_crashed", True), (3, "unknown_topic:x", True))
    assert made.channel(4) is False
    assert made.topic("x", 4) is False
