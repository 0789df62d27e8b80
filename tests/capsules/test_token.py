import copy
import operator
import pickle

import pytest

from lightspeed.actors.errors import TokenUsed
from lightspeed.capsules.secrets import Token


@pytest.mark.parametrize(
    "use",
    [
        operator.call,
        iter,
        len,
        str,
        int,
        lambda token: token.send("x"),
        lambda token: setattr(token, "x", 1),
        lambda token: token["x"],
        lambda token: "x" in token,
        lambda token: token.__enter__(),
        lambda token: token + 1,
    ],
)
def test_whoever_uses_one_is_told_what_it_was(use):
    with pytest.raises(TokenUsed, match=r"Room\.lock: _thread\.lock") as raised:
        use(Token("Room.lock: _thread.lock"))
    assert raised.value.what == "Room.lock: _thread.lock"


def test_it_can_be_held_compared_copied_and_shown():
    token = Token("a socket")
    assert token in {token}
    assert token != Token("a socket")
    for other in (copy.copy(token), copy.deepcopy(token), pickle.loads(pickle.dumps(token))):
        assert repr(other) == "<Token a socket>"
