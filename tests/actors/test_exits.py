import pytest

from lightspeed.actors.errors import NORMAL, ExitReason, Ignore, Shutdown, reason_of

BUG = ValueError("planted")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (None, "normal", "normal"),
        (Shutdown("done"), "shutdown", "shutdown: Shutdown: shutdown: done"),
        (BUG, "abnormal", "abnormal: ValueError: planted"),
        (SystemExit(3), "abnormal", "abnormal: SystemExit: 3"),
        (Ignore(), "abnormal", "abnormal: Ignore: "),
    ],
)
def test_what_an_actor_raised_says_why_it_ended(error, kind, text):
    reason = reason_of(error)
    assert (reason.kind, reason.error, str(reason)) == (kind, error, text)


def test_who_ignores_its_start_ended_well():
    ignored = reason_of(Ignore(), in_start=True)
    assert ignored.kind == "normal"
    assert ignored.is_ignored
    assert not NORMAL.is_ignored
    assert not reason_of(BUG, in_start=True).is_ignored


def test_a_reason_is_a_value():
    assert ExitReason("abnormal", BUG) == reason_of(BUG)
    assert hash(NORMAL) == hash(ExitReason("normal"))
    with pytest.raises(AttributeError):
        NORMAL.kind = "abnormal"
