"""What stands in a capsule for that which can't be pickled, or must not be."""

from typing import Any, NoReturn

from lightspeed.actors.errors import TokenUsed

# Python looks these up in the class, so that each must be there to be refused by name.
_USES = (
    *("__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__await__", "__iter__", "__next__", "__len__"),
    *("__getitem__", "__setitem__", "__delitem__", "__contains__", "__int__", "__float__", "__index__", "__bytes__", "__str__"),
    *("__add__", "__radd__", "__sub__", "__mul__", "__lt__", "__le__", "__gt__", "__ge__"),
)


class Token:
    """It can be held, compared and passed on. Whoever uses it gets a `TokenUsed` that says what it was."""

    __slots__ = ("_what",)
    _what: str

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # Python's own questions, such as those of copy and pickle
        raise TokenUsed(self._what)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TokenUsed(self._what)

    def __repr__(self) -> str:
        return f"<Token {self._what}>"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Token, (self._what,)


def _refuse(token: Token, *_args: Any, **_options: Any) -> NoReturn:
    raise TokenUsed(token._what)


for _use in _USES:
    setattr(Token, _use, _refuse)
