"""Whom a broadcast is for: a snapshot that costs nothing until somebody reads it.

A topic's `Roster` only ever appends who came and notes who left, with the number of the change. A `Recipients` remembers how far
the list went and which change was the last, so it can be read later, and on another thread, while the topic goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, overload


class Recipients(Sequence[str]):
    """Client ids in subscription order: immutable, equal to the tuple of them and hashed like it. Any thread may read it."""

    __slots__ = ("_change", "_end", "_gone", "_ids", "_read", "_size")

    def __init__(self, ids: list[str], gone: dict[int, int], change: int, size: int) -> None:
        self._ids, self._gone = ids, gone  # the roster's own: it appends to both, and never alters what is there
        self._end, self._change, self._size = len(ids), change, size
        self._read: tuple[str, ...] | None = None

    def _all(self) -> tuple[str, ...]:
        if self._read is None:
            ids: list[Any] = self._ids[: self._end]
            for place, change in self._gone.copy().items():  # a copy: the topic may add to it meanwhile
                if change <= self._change:
                    ids[place] = None
            self._read = tuple(filter(None, ids))
        return self._read

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._all()[index]

    def __contains__(self, value: object) -> bool:
        return value in self._all()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Recipients):
            return other is self or self._all() == other._all()
        return self._all() == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...]]]:
        """Copied and pickled as a tuple."""
        return tuple, (self._all(),)


class Roster:
    """Who is in a topic, in subscription order. Its owner is one topic state; the recipients that it gave read it too."""

    __slots__ = ("_change", "_gone", "_ids", "_places")

    worth_compacting: ClassVar[int] = 16
    """Who left stays in the list until so many have, and they are half of it: then a new list is made, and its cost is theirs."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = list(ids)
        self._gone: dict[int, int] = {}  # place in _ids -> the change by which it was left
        self._change = 0
        self._places: dict[str, int] | None = None  # made when the first one leaves

    @property
    def recipients(self) -> Recipients:
        """A snapshot of who is in it now."""
        return Recipients(self._ids, self._gone, self._change, len(self._ids) - len(self._gone))

    def add(self, client_id: str) -> None:
        """The client came, and stands last."""
        if self._places is not None:
            self._places[client_id] = len(self._ids)
        self._ids.append(client_id)

    def remove(self, client_id: str) -> None:
        """The client left."""
        if self._places is None:
            self._places = {present: place for place, present in enumerate(self._ids)}
        self._change += 1
        self._gone[self._places.pop(client_id)] = self._change
        if len(self._gone) > max(self.worth_compacting, len(self._places)):
            self.__init__(list(self._places))  # type: ignore[misc]
