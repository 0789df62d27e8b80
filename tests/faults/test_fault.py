from functools import partial

import pytest

from lightspeed.channel import Broadcast, InvalidOption, Join, Push
from lightspeed.faults import Corrupt, Drop, Hang, Raise


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[(option, value) for option in ("at", "every", "times") for value in (0, -1, 1.0, True, "1", 2**53 + 1)],
        *[("at_s", value) for value in (-1, float("nan"), float("inf"), True, "1", 31_536_001)],
        *[("probability", value) for value in (-0.1, 0, 0.0, 1.1, float("nan"), "1", True)],
        *[("topic", value) for value in ("", None, 1, ["x"], "a*b", "\ud800")],
        *[("match", value) for value in ({}, [], "type", {"typ": "push"}, {"payload": 1}, {"now_ms": -1}, {"payload": "\ud800"})],
        *[("when", value) for value in (1, "", "module", "module:", ":function", "a b:c", "module:f()")],
        *[("per", value) for value in ("each", None, [])],
    ],
)
def test_a_trigger_of_a_value_that_it_cannot_have_is_refused_by_name(option, value):
    with pytest.raises(InvalidOption) as refused:
        Hang(**{option: value})
    assert refused.value.option == option


def test_what_each_trigger_may_be_at_the_edges():
    Hang(at=2**53, every=2**53, times=1, at_s=0, probability=5e-324, match={"now_ms": 0}, when="a.b:C.d", per="all", topic="r*")
    Hang(at_s=31_536_000, probability=1.0, when=lambda event, members: True)


async def awaited(event, members):
    return True


def yielding(event, members):
    yield True


class Awaited:
    async def __call__(self, event, members):
        return True


@pytest.mark.parametrize(
    ("make", "option", "rule"),
    [
        (lambda: Hang(at=3, every=2), "at", "must be a multiple of every, 2, or the fault hang can never act"),
        (lambda: Drop(match={"type": "crash"}), "match", "the fault drop can never act"),
        (lambda: Drop(match={"type": 1}), "match", "must be a str"),
        (lambda: Drop(match={"type": "join", "payload": "p"}), "match", "can never act"),
        (lambda: Drop(match={"user_id": "u", "payload": "p"}), "match", "can never act"),
        (lambda: Drop(match={"user_id": ""}), "match", "must give user_id a value that an event can have"),
        (lambda: Drop(match={"now_ms": None}), "match", "must give now_ms a value that an event can have"),
        (lambda: Drop(topic="room:*", match={"topic": "lobby"}), "match", "must name a topic that room:\\* fits"),
        (
            lambda: Corrupt("bad", match={"type": "join"}),
            "match",
            "must fit one of broadcast, push, or the fault poison can never",
        ),
        (lambda: Corrupt("bad", match={"user_id": "u"}), "match", "the fault poison can never act"),
        *[
            (lambda when=when: Drop(when=when), "when", "must be a plain function")
            for when in (awaited, yielding, Awaited(), partial(awaited, 1))
        ],
    ],
)
def test_a_fault_that_can_never_act_is_refused_with_the_reason(make, option, rule):
    with pytest.raises(InvalidOption, match=rule) as refused:
        make()
    assert refused.value.option == option


def test_a_fault_that_may_act_is_not_refused():
    Hang(at=4, every=2)
    Drop(match={"user_id": "u", "now_ms": 3})
    Drop(match={"type": "push", "event": "", "payload": ""})
    Drop(topic="room:*", match={"topic": "room:1"})
    Corrupt("bad", match={"client_id": "a"})
    Raise(at=3, restart=1)
    Raise("on_stop", at=2, restart=0)  # one that was given up stops behind the next


@pytest.mark.parametrize(
    ("match", "event", "fits"),
    [
        (None, None, True),
        (None, Push("a", "x", "e", "p"), True),
        ({"type": "push"}, None, False),
        ({"type": "push"}, Push("a", "x", "e", "p"), True),
        ({"type": "push"}, Broadcast("a", "x", "p"), False),
        ({"type": "push", "payload": "p"}, Push("a", "x", "e", "p"), True),
        ({"type": "push", "payload": "p"}, Push("a", "x", "e", "q"), False),
        ({"payload": "p"}, Join("a", "x", "u", 1), False),
        ({"now_ms": 1}, Join("a", "x", "u", 1), True),
        ({"topic": "x"}, Join("a", "y", "u", 1), False),
    ],
)
def test_an_event_fits_that_has_all_fields_of_a_match(match, event, fits):
    assert Hang(match=match).fits(event) is fits
