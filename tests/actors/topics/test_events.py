import pytest

from lightspeed.actors.topics.rules.events import LARGEST_MS, check_event
from lightspeed.channel import (
    Broadcast,
    Channel,
    Crash,
    InvalidEvent,
    Join,
    Leave,
    LightspeedError,
    Push,
    Rejoin,
    Reply,
    Restart,
    event_label,
)

VALID = [
    Join("c", "t", "u", 0),
    Rejoin("c", "t", "u", 2**80),
    Rejoin("é😀", "\x00", "\n", LARGEST_MS),
    Leave("c", "t"),
    Broadcast("c", "t", ""),
    Push("c", "t", "", ""),
    Crash(""),
    Crash("r", "t"),
    Restart("t"),
    Restart(),
]


class Text(str):
    __slots__ = ()


class SpecialJoin(Join, frozen=True):
    pass


INVALID = [
    ("event", None),
    ("event", "join"),
    ("event", {"type": "join"}),
    ("event", object()),
    ("event", Join),
    ("event", Reply("c", "t", "ok", "joined")),
    ("event", SpecialJoin("c", "t", "u", 1)),
    ("client_id", Join(None, "t", "u", 1)),
    ("client_id", Join("", "t", "u", 1)),
    ("client_id", Join(b"c", "t", "u", 1)),
    ("client_id", Join(Text("c"), "t", "u", 1)),
    ("client_id", Leave("\ud800", "t")),
    ("client_id", Leave(["c"], "t")),
    ("topic", Join("c", "", "u", 1)),
    ("topic", Broadcast("c", 5, "p")),
    ("topic", Push("c", "", "e", "p")),
    ("user_id", Rejoin("c", "t", "", 1)),
    ("user_id", Rejoin("c", "t", None, 1)),
    ("now_ms", Join("c", "t", "u", -1)),
    ("now_ms", Join("c", "t", "u", True)),
    ("now_ms", Join("c", "t", "u", 1.0)),
    ("now_ms", Rejoin("c", "t", "u", "1")),
    ("now_ms", Rejoin("c", "t", "u", LARGEST_MS + 1)),
    ("now_ms", Rejoin("c", "t", "u", 10**5000)),
    ("payload", Broadcast("c", "t", None)),
    ("payload", Push("c", "t", "e", "a\udfff")),
    ("event", Push("c", "t", 1, "p")),
    ("reason", Crash(None)),
    ("topic", Crash("r", "")),
    ("topic", Crash("r", 7)),
    ("topic", Restart("")),
    ("topic", Restart("\ud834")),
    ("reason", Crash("\ud834")),
]


@pytest.mark.parametrize("event", VALID, ids=repr)
def test_a_valid_event_passes(event):
    check_event(event)


@pytest.mark.parametrize(("field", "event"), INVALID, ids=[f"{field} {i}" for i, (field, _) in enumerate(INVALID)])
def test_an_invalid_event_is_refused_by_field_value_and_rule(field, event):
    with pytest.raises(InvalidEvent) as caught:
        check_event(event)
    assert isinstance(caught.value, LightspeedError)
    assert caught.value.field == field
    assert caught.value.rule in str(caught.value)
    assert str(caught.value).startswith(field)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("way", ["handle", "tell"])
def test_an_invalid_event_leaves_state_and_outbox_as_they_were(way):
    with Channel() as channel:
        channel.handle(Join("c", "t", "u", 1))
        before = (channel.subscribers("t"), channel.presences("t"), channel.topics(), channel.crashed)
        for _, event in INVALID:
            with pytest.raises(InvalidEvent):
                getattr(channel, way)(event)
        assert (channel.subscribers("t"), channel.presences("t"), channel.topics(), channel.crashed) == before
        assert len(channel.flush_outbox()) == 2


def test_every_event_has_its_label():
    assert {event_label(event) for event in VALID} == {"join", "rejoin", "leave", "broadcast", "push", "crash", "restart"}


def test_what_is_no_event_has_no_label():
    with pytest.raises(InvalidEvent):
        event_label(Reply("c", "t", "ok", "joined"))


def test_events_are_immutable_values():
    assert Join("c", "t", "u", 1) == Join("c", "t", "u", 1) != Rejoin("c", "t", "u", 1)
    assert len({Join("c", "t", "u", 1), Join("c", "t", "u", 1)}) == 1
    with pytest.raises(AttributeError):
        Join("c", "t", "u", 1).topic = "other"
