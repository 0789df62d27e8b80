"""Who is present in a topic on several nodes: the union of what each of them shows.

A meta counts by its key and its ref, once for each node that shows it: only the first that shows it is a join, and only the last
that lets go of it a leave. So whoever folds diffs by ref loses nobody who came again on another node.
"""

from collections.abc import Iterable, Iterator

from lightspeed.actors.topics.rules.outbound import PresenceDiff
from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta

Seen = tuple[str, Meta]
"""A key, and one meta under it."""


class Union:
    """For one owner's thread. Keys stand in the order in which they appeared, and so do the metas of each."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, tuple[Meta, int]]] = {}
        """Key -> ref -> the meta, and how many show it."""
        self.own: tuple[PresenceDiff, ...] = ()
        """Of a topic's union: what its last event changed among the members of this node, whoever else shows them."""

    def __len__(self) -> int:
        """How many keys are present."""
        return len(self._keys)

    def copy(self) -> "Union":
        """Another one, in which each of these is shown once."""
        made = Union()
        made._keys = {key: {ref: (meta, 1) for ref, (meta, _count) in metas.items()} for key, metas in self._keys.items()}
        return made

    def entries(self) -> tuple[Entry, ...]:
        return tuple(Entry(key, tuple(meta for meta, _count in metas.values())) for key, metas in self._keys.items())

    def change(self, topic: str, joins: Iterable[Entry], leaves: Iterable[Entry]) -> Diff:
        """Take over what one node shows anew, and what it shows no more; what of it is a change of the union."""
        went = [one for one in seen_in(leaves) if self._drop(*one)]  # first: who comes anew stands last
        came = [one for one in seen_in(joins) if self._add(*one)]
        return Diff(topic, entries_of(came), entries_of(went))

    def _add(self, key: str, meta: Meta) -> bool:
        metas = self._keys.setdefault(key, {})
        known = metas.get(meta.ref)
        metas[meta.ref] = (meta, 1) if known is None else (known[0], known[1] + 1)
        return known is None

    def _drop(self, key: str, meta: Meta) -> bool:
        metas = self._keys.get(key, {})
        known = metas.get(meta.ref)
        if known is None:
            return False
        if known[1] > 1:
            metas[meta.ref] = (known[0], known[1] - 1)
            return False
        del metas[meta.ref]
        if not metas:
            del self._keys[key]
        return True


def seen_in(entries: Iterable[Entry]) -> Iterator[Seen]:
    """Each meta by itself, in order."""
    return ((entry.key, meta) for entry in entries for meta in entry.metas)


def entries_of(seen: Iterable[Seen]) -> tuple[Entry, ...]:
    """The entries in which these stand, in order: one for metas of the same key that follow one another."""
    entries: list[Entry] = []
    for key, meta in seen:
        if entries and entries[-1].key == key:
            entries[-1] = Entry(key, (*entries[-1].metas, meta))
        else:
            entries.append(Entry(key, (meta,)))
    return tuple(entries)
