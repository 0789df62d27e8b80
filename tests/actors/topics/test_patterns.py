import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.topics.rules.events import Patterns


def test_the_exact_name_comes_first_and_then_the_longest_prefix():
    patterns = Patterns("option", {"*": "any", "room:*": "room", "room:a*": "room a", "room:abc": "that one"})
    found = [patterns.find(topic) for topic in ("x", "room:", "room:b", "room:a", "room:ab", "room:abc", "room:abcd")]
    assert found == ["any", "room", "room", "room a", "room a", "that one", "room a"]


def test_where_nothing_fits_there_is_none():
    assert Patterns("option", {}).find("room:a") is None
    assert Patterns("option", {"room": 1, "rooms:*": 2}).find("room:a") is None


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "*a", 7, None, b"room:*"])
def test_what_is_no_pattern_is_refused_by_the_options_name(pattern):
    with pytest.raises(InvalidOption, match="own_thread"):
        Patterns("own_thread", {pattern: True})
