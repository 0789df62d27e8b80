"""Who is in a topic, by presence key (the user), each with one meta for every client of theirs.

`Presence` is the one owner of its table: it changes in place and returns what changed.
"""

from msgspec import Struct


class Meta(Struct, frozen=True):
    """One client's presence under a key."""

    ref: str
    """`<client_id>:<now_ms>` of the join or rejoin that made it."""
    online_at_ms: int
    """The `now_ms` of that join or rejoin."""


class Entry(Struct, frozen=True):
    """A key with metas: all that it has, or in a `Diff` only those that changed."""

    key: str
    metas: tuple[Meta, ...]


class Diff(Struct, frozen=True):
    """What changed in one topic's presence by one event."""

    topic: str
    joins: tuple[Entry, ...] = ()
    leaves: tuple[Entry, ...] = ()


class Presence:
    """One topic's presence table. Keys stand in the order in which they appeared, metas in the order they were added."""

    def __init__(self) -> None:
        self._metas: dict[str, dict[str, Meta]] = {}  # key -> client_id -> meta

    def track(self, client_id: str, key: str, now_ms: int) -> Entry:
        """Add the client's meta under the key, last."""
        meta = Meta(f"{client_id}:{now_ms}", now_ms)
        self._metas.setdefault(key, {})[client_id] = meta
        return Entry(key, (meta,))

    def untrack(self, client_id: str, key: str) -> Entry:
        """Take the client's meta away; a key left empty goes too."""
        metas = self._metas[key]
        meta = metas.pop(client_id)
        if not metas:
            del self._metas[key]
        return Entry(key, (meta,))

    def online_at_ms(self, client_id: str, key: str) -> int:
        return self._metas[key][client_id].online_at_ms

    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(key, tuple(metas.values())) for key, metas in self._metas.items())
