import pytest

from lightspeed.channel import (
    Broadcast,
    Hang,
    InvalidOption,
    Join,
    Push,
)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[(option, value) for option in ("at", "every", "times") for value in (0, -1, 1.0, True, "1", 2**53 + 1)],
        *[("at_s", value) for value in (-1, float("nan"), float("inf"), True, "1", 31_536_001)],
        *[("probability", value) for value in (-0.1, 1.1, float("nan"), "1", True)],
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
    Hang(at=1, every=2**53, times=1, at_s=0, probability=0, match={"now_ms": 0}, when="a.b:C.d", per="all", topic="room:*")
    Hang(at_s=31_536_000, probability=1.0, when=lambda event, members: True)


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
