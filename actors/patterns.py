"""Which topics are meant: `room:lobby` is that one, `room:*` every topic whose name begins with `room:`, `*` every topic."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from lightspeed.actors.errors import InvalidOption

Value = TypeVar("Value")


class Patterns(Generic[Value]):
    """A value for each pattern; a topic has that of its own name, or else of the longest prefix that fits.

    Raises:
        InvalidOption: a pattern is no str, is empty, or has a `*` elsewhere than at its end. It names `option`.
    """

    def __init__(self, option: str, values: Mapping[str, Value]) -> None:
        for pattern in values:
            if type(pattern) is not str or not pattern or "*" in pattern[:-1]:
                raise InvalidOption(option, pattern, "must be a topic's name, or a prefix with a * at its end")
        self._names = {pattern: value for pattern, value in values.items() if not pattern.endswith("*")}
        prefixes = sorted((pattern[:-1] for pattern in values if pattern.endswith("*")), key=len, reverse=True)
        self._prefixes = [(prefix, values[f"{prefix}*"]) for prefix in prefixes]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._names or self._prefixes)

    def find(self, topic: str) -> Value | None:
        """None: no pattern fits."""
        if topic in self._names:
            return self._names[topic]
        return next((value for prefix, value in self._prefixes if topic.startswith(prefix)), None)
