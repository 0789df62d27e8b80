"""The ids of a supervisor's children, which are the program's objects: their hash and eq may raise, hang, or end the thread.

So they are asked in the thread of whoever names a child. The supervisor goes by `ChildName`s, each of which is itself and nothing
else.
"""

import threading
from collections.abc import Hashable


class ChildName:
    """What stands for an id: the same one for equal ids, as long as a child has it, or is to have it."""

    __slots__ = ("hash_of_id", "id", "uses")

    def __init__(self, child_id: Hashable, hash_of_id: int) -> None:
        self.id, self.hash_of_id = child_id, hash_of_id
        self.uses = 0


class ChildNames:
    """Of one supervisor. Any thread may use it; no code of the program's is run under its lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, tuple[ChildName, ...]] = {}

    def find(self, child_id: Hashable) -> ChildName:
        """The name of a child that there is, or else a new one, nobody's. Runs the id's code, which may raise anything."""
        number = hash(child_id)
        return _same(child_id, self._known.get(number, ())) or ChildName(child_id, number)

    def take(self, child_id: Hashable) -> ChildName:
        """As `find`, for a child that is to be: it is known from here on, until it was given back as often as it was taken."""
        number = hash(child_id)
        while True:
            known = self._known.get(number, ())
            name = _same(child_id, known) or ChildName(child_id, number)
            with self._lock:
                if self._known.get(number, ()) is known:
                    name.uses += 1
                    if name.uses == 1:
                        self._known[number] = (*known, name)
                    return name

    def give_back(self, name: ChildName) -> None:
        """There is no such child, or it is not to be after all."""
        with self._lock:
            name.uses -= 1
            if name.uses == 0:
                rest = tuple(other for other in self._known[name.hash_of_id] if other is not name)
                if rest:
                    self._known[name.hash_of_id] = rest
                else:
                    del self._known[name.hash_of_id]


def _same(child_id: Hashable, known: tuple[ChildName, ...]) -> ChildName | None:
    for name in known:
        if name.id is child_id or name.id == child_id:
            return name
    return None
