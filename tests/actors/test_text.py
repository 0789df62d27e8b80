import enum
import sys
import threading
from pathlib import Path

import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.errors import StartFailed
from lightspeed.actors.failures import text_of, traceback_of
from lightspeed.actors.text import escaped, named, said, shown
from lightspeed.channel import InvalidEvent, Join


class Evil:
    """Whoever asks it for anything regrets it."""

    def __repr__(self):
        sys.exit("from a repr")

    __str__ = __hash__ = __eq__ = __format__ = __repr__


class Wordless(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Colour(enum.Enum):
    RED = "red"


SHOWN = [
    (None, "None"),
    ("a\nb\x1b[31m", "'a\\nb\\x1b[31m'"),
    (3, "3"),
    (10**5000, "an int of 16610 bits"),
    ((1,), "(1,)"),
    ([1, [2, [3, [4]]]], "[1, [2, [3, [...]]]]"),
    ({"k": 1}, "{'k': 1}"),
    (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
    (Evil(), "<Evil object>"),
    ([Evil()], "[<Evil object>]"),
    (Evil, "<class Evil>"),
    (Colour.RED, "Colour.RED"),
    (Path("a/b"), "PosixPath('a/b')"),
    (Wordless(), "<Wordless exception>"),
    (Join("c", "t", Evil(), 1), "Join(client_id='c', topic='t', user_id=<Evil object>, now_ms=1, meta='')"),
]


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_a_value_is_shown_without_its_own_code(number):
    value, text = SHOWN[number]
    assert shown(value) == text


def test_a_text_without_an_end_is_cut():
    assert shown("x" * 10_000_000) == f"'{'x' * 199}..."


def test_what_a_terminal_would_obey_is_escaped():
    assert escaped("a\r\n\x1b]0;b\x07\u202ec") == "a\\r\\n\\x1b]0;b\\x07\\u202ec"


def test_an_actor_is_named_without_its_own_code():
    class Sly(PooledActor):
        def __str__(self):
            raise AssertionError

    pool = ActorPool()
    ref = Sly.start(pool=pool)
    assert named(ref) == named(ref._actor) == f"{Sly.__qualname__} ({ref.actor_urn})"
    ref.stop()
    pool.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("plain"), "ValueError: plain"),
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError("\udc80"), "ValueError: \\udc80"),
        (ExceptionGroup("several", [ValueError(1)]), "ExceptionGroup: several (1 sub-exception)"),
        (Wordless(), "Wordless: (its text can't be had)"),
        (ValueError("x" * 10_000), f"ValueError: {'x' * 4_000}"),
    ],
    ids=["plain", "key", "surrogate", "group", "wordless", "long"],
)
def test_an_exception_says_what_it_is(error, text):
    assert text_of(error) == said(error) == text


@pytest.mark.slow
def test_an_exception_that_does_not_come_to_its_words_is_not_waited_for():
    class Slow(Exception):
        def __str__(self):
            go_on.wait(20)
            return "late"

    go_on = threading.Event()
    assert text_of(Slow()) == f"{Slow.__qualname__}: (it did not give its text within 0.5 s)"
    assert text_of(StartFailed("a", Slow())).endswith("(it did not give its text within 0.5 s)")
    go_on.set()


def test_a_traceback_shows_what_led_to_what_and_each_text_on_one_line():
    try:
        try:
            raise KeyError("first\nFORGED")
        except KeyError as error:
            raise Wordless from error
    except Wordless as error:
        lines = traceback_of(error).split("\n")
    assert [line for line in lines if "Error" in line and not line.startswith(" ")] == [r"KeyError: 'first\nFORGED'"]
    assert lines[-1] == "Wordless: (its text can't be had)"
    assert "which led to:" in lines


def test_an_error_about_a_value_does_not_ask_it():
    assert str(InvalidEvent("client_id", Evil(), "must be a str")) == "client_id must be a str, got <Evil object>"
