import pytest

from lightspeed.actors.errors import NORMAL, Shutdown, reason_of
from lightspeed.supervision.rules import restarted_with, should_restart, shuts_down

SHUTDOWN, ABNORMAL = reason_of(Shutdown()), reason_of(ValueError("planted"))


@pytest.mark.parametrize(
    ("kind", "restarts"), [("permanent", (True, True, True)), ("transient", (False, False, True)), ("temporary", (False,) * 3)]
)
def test_the_kind_of_child_and_the_reason_of_its_end_say_whether_it_is_restarted(kind, restarts):
    assert tuple(should_restart(kind, reason) for reason in (NORMAL, SHUTDOWN, ABNORMAL)) == restarts


@pytest.mark.parametrize(
    ("strategy", "restarted"), [("one_for_one", ["c"]), ("one_for_all", ["a", "b", "c", "d"]), ("rest_for_one", ["c", "d"])]
)
def test_the_strategy_says_who_is_restarted_with_it(strategy, restarted):
    assert restarted_with(strategy, ["a", "b", "c", "d"], "c") == restarted


def test_one_for_one_does_not_look_at_the_others():
    def never():
        raise AssertionError
        yield

    assert restarted_with("one_for_one", never(), "c") == ["c"]


@pytest.mark.parametrize(
    ("auto_shutdown", "with_others", "as_the_last"),
    [("never", False, False), ("any_significant", True, True), ("all_significant", False, True)],
)
def test_the_end_of_a_significant_child_may_be_the_supervisors(auto_shutdown, with_others, as_the_last):
    assert shuts_down(auto_shutdown, others_run=True) is with_others
    assert shuts_down(auto_shutdown, others_run=False) is as_the_last
