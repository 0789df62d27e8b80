import pytest

from lightspeed.channel import Broadcast, InvalidOption, Join, Push
from lightspeed.faults import Corrupt, Delay, DelayReply, FailSupervisor, Hang, Jump, Raise, Reorder, Slow


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Raise("between"), "hook"),
        (lambda: Raise([]), "hook"),
        (lambda: Raise(text=1), "text"),
        (lambda: Raise(restart=-1), "restart"),
        (lambda: Raise(restart=True), "restart"),
        (lambda: Raise("on_start", match={"type": "push"}), "match"),
        *[
            (lambda kind=kind, value=value: kind(value), "seconds")
            for kind in (Slow, Delay, DelayReply)
            for value in (-1, None, "1")
        ],
        (lambda: Corrupt(1), "payload"),
        (lambda: Corrupt("\ud800"), "payload"),
        (lambda: Reorder(0), "window"),
        (lambda: Reorder(None), "window"),
        (lambda: Reorder(1, -1), "within_s"),
        (lambda: Jump(1), "at_s"),
        (lambda: Jump(float("inf"), at_s=1), "by_s"),
        (lambda: Jump(31_536_001, at_s=1), "by_s"),
        *[(lambda kw=kw: Jump(1, at_s=1, **kw), next(iter(kw))) for kw in ({"at": 1}, {"every": 1}, {"probability": 1})],
        (lambda: Jump(1, at_s=1, match={"type": "push"}), "match"),
        (lambda: Jump(1, at_s=1, when="a:b"), "when"),
        (lambda: FailSupervisor(None), "text"),
    ],
)
def test_a_field_of_a_value_that_it_cannot_have_is_refused_by_name(make, option):
    with pytest.raises(InvalidOption) as refused:
        make()
    assert refused.value.option == option


def test_each_hook_is_a_place_and_handling_an_event_is_one():
    assert [Raise(hook).acts_at for hook in ("before", "after", "on_start", "on_stop", "on_failure")] == [
        *("topic", "topic", "on_start", "on_stop", "on_failure")
    ]
    assert (Delay(1).acts_at, FailSupervisor().acts_at, Jump(1, at_s=1).acts_at) == ("way", "supervisor", "clock")


def test_only_what_can_act_without_an_event_acts_at_a_time_alone():
    assert not Raise(at_s=1).needs_event
    assert not FailSupervisor(at_s=1).needs_event
    assert not Jump(1, at_s=1).needs_event
    assert Raise("on_start", at_s=1).needs_event
    assert Raise(at_s=1, at=1).needs_event
    assert Hang(at_s=1).needs_event
    assert Delay(1, at_s=1).needs_event


def test_only_what_has_a_payload_can_be_poisoned():
    assert Corrupt("bad").fits(Push("a", "x", "e", "p"))
    assert Corrupt("bad").fits(Broadcast("a", "x", "p"))
    assert not Corrupt("bad").fits(Join("a", "x", "u", 1))
    assert not Corrupt("bad", match={"type": "push"}).fits(Broadcast("a", "x", "p"))
