from functools import partial

import pytest

from lightspeed.actors.errors import InvalidOption, SimulationMisused
from lightspeed.testing.rules import rule_of


async def awaited():
    return False


def yielding():
    yield False


class Evil:
    def __repr__(self):
        raise SystemExit("repr")

    __str__ = __hash__ = __bool__ = __repr__

    def __call__(self):
        return self


@pytest.mark.parametrize("holds", [awaited, yielding, partial(awaited), None, True])
def test_what_would_not_say_whether_it_holds_is_refused(holds):
    with pytest.raises(InvalidOption, match="holds must be a plain function"):
        rule_of(holds, None)


@pytest.mark.parametrize("make", [awaited, yielding])
def test_what_says_so_too_late_is_refused_when_it_is_asked(make):
    with pytest.raises(SimulationMisused, match="the rule late returned a coroutine or generator"):
        rule_of(lambda: make(), "late").look()


@pytest.mark.parametrize(
    ("holds", "name", "called"),
    [
        (lambda: True, None, "<lambda>"),
        (partial(bool, 1), None, "a rule"),
        (Evil(), None, "a rule"),
        (lambda: True, "one\nline \x1b[2J", "one\\nline \\x1b[2J"),
    ],
)
def test_it_has_a_name_of_one_line(holds, name, called):
    assert rule_of(holds, name).name == called


@pytest.mark.parametrize("name", [Evil(), 3, b"x"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(InvalidOption, match="name must be a str"):
        rule_of(lambda: True, name)


def test_what_a_rule_raises_is_the_plays_own_whatever_class_it_is_of():
    class Odd(Exception):
        def add_note(self, note):
            raise SystemExit("note")

    def holds():
        raise Odd

    with pytest.raises(Odd) as raised:
        rule_of(holds, "odd").look()
    assert raised.value.__notes__ == ["in the rule odd"]
