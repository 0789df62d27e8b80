"""Who is in a topic, by presence key (the user), each with one meta for every client of theirs.

`Presence` says what a change takes, and who asked makes it: one assignment, which he can make at once with others of his own.
"""

from typing import Any

from msgspec import Struct


class Meta(Struct, frozen=True, gc=False):
    """One client's presence under a key."""

    ref: str
    """`<client_id>:<now_ms>` of the join or rejoin that made it."""
    online_at_ms: int
    """The `now_ms` of that join or rejoin."""


class Entry(Struct, frozen=True, gc=False):
    """A key with metas: all that it has, or in a `Diff` only those that changed."""

    key: str
    metas: tuple[Meta, ...]


class Diff(Struct, frozen=True, gc=False):
    """What changed in one topic's presence by one event."""

    topic: str
    joins: tuple[Entry, ...] = ()
    leaves: tuple[Entry, ...] = ()


class Presence(Struct, eq=False, gc=False):
    """One topic's presence table. Keys stand in the order in which they appeared, metas in the order they were added."""

    # key -> its one meta, or where a user has several clients: client_id -> meta. A dict for each user would cost 230 bytes.
    _metas: dict[str, Meta | dict[str, Meta]] = {}

    def coming(self, client_id: str, key: str, now_ms: int) -> tuple[Entry, dict[str, Any], str, Any]:
        """What shows when the client comes under the key, and what it takes: `table[key] = value`. Nothing is changed yet."""
        meta = Meta(f"{client_id}:{now_ms}", now_ms)
        entry, present = Entry(key, (meta,)), self._metas.get(key)
        if present is None:
            return entry, self._metas, key, meta
        if isinstance(present, Meta):
            return entry, self._metas, key, {present.ref.rpartition(":")[0]: present, client_id: meta}
        return entry, present, client_id, meta

    def going(self, client_id: str, key: str) -> tuple[Entry, dict[str, Any], str]:
        """What shows when the client goes, and what it takes: `del table[key]`. A key left empty goes too. Nothing is changed."""
        present = self._metas[key]
        if isinstance(present, Meta):
            return Entry(key, (present,)), self._metas, key
        entry = Entry(key, (present[client_id],))
        return (entry, self._metas, key) if len(present) == 1 else (entry, present, client_id)

    def online_at_ms(self, client_id: str, key: str) -> int:
        present = self._metas[key]
        return present.online_at_ms if isinstance(present, Meta) else present[client_id].online_at_ms

    def find_online_at_ms(self, client_id: str, key: str) -> int | None:
        """As `online_at_ms`; None where there is no such meta."""
        try:
            return self.online_at_ms(client_id, key)
        except KeyError:
            return None

    def entries(self) -> tuple[Entry, ...]:
        return tuple(
            Entry(key, (present,) if isinstance(present, Meta) else tuple(present.values()))
            for key, present in self._metas.items()
        )

    def entries_without(self, client_id: str, key: str) -> tuple[Entry, ...]:
        """As `entries`, as they are when the client, who stands under the key, is gone."""
        present = self._metas[key]
        others = () if isinstance(present, Meta) else tuple(meta for other, meta in present.items() if other != client_id)
        entries = (Entry(key, others) if entry.key == key else entry for entry in self.entries())
        return tuple(entry for entry in entries if entry.metas)
