"""Who is in a topic, by presence key (the user), each with one meta for every client of theirs.

`Presence` says what a change takes, and who asked makes it: one assignment, which he can make at once with others of his own.

`Recipients` are whom a broadcast is for: a snapshot that costs nothing until somebody reads it. A topic's `Roster` only ever
appends who came and notes who left, with the number of the change. A `Recipients` remembers how far the list went and which
change was the last, so it can be read later, and on another thread, while the topic goes on.
"""

from collections.abc import Container, Iterable, Iterator
from enum import Enum
from typing import Any, ClassVar

from msgspec import Struct


class Meta(Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True):
    """One client's presence under a key."""

    ref: str
    """`<client_id>:<now_ms>` of the join or rejoin that made it."""
    online_at_ms: int
    """The `now_ms` of that join or rejoin."""
    meta: str = ""
    """The program's own text, of the last join or rejoin that gave one."""

    @property
    def client_id(self) -> str:
        """The client whose meta it is."""
        return self.ref.rpartition(":")[0]


class Entry(Struct, frozen=True, gc=False):
    """A key with metas: all that it has, or in a `Diff` only those that changed."""

    key: str
    metas: tuple[Meta, ...]


class Diff(Struct, frozen=True, gc=False):
    """What changed in one topic's presence by one event."""

    topic: str
    joins: tuple[Entry, ...] = ()
    leaves: tuple[Entry, ...] = ()


class Presence(Struct, eq=False, gc=False, kw_only=True):
    """One topic's presence table, a part of its state: an object more for each of a million topics would cost 32 bytes.

    Keys stand in the order in which they appeared, metas in the order they were added.
    """

    # key -> its one meta, or where a user has several clients: client_id -> meta. A dict for each user would cost 230 bytes.
    _metas: dict[str, Meta | dict[str, Meta]] = {}

    def coming(self, client_id: str, key: str, now_ms: int, text: str) -> tuple[Entry, dict[str, Any], str, Any]:
        """What shows when the client comes under the key, and what it takes: `table[key] = value`. Nothing is changed yet."""
        meta = Meta(f"{client_id}:{now_ms}", now_ms, text)
        entry, present = Entry(key, (meta,)), self._metas.get(key)
        if present is None:
            return entry, self._metas, key, meta
        if isinstance(present, Meta):
            return entry, self._metas, key, {present.client_id: present, client_id: meta}
        return entry, present, client_id, meta

    def going(self, client_id: str, key: str) -> tuple[Entry, dict[str, Any], str]:
        """What shows when the client goes, and what it takes: `del table[key]`. A key left empty goes too. Nothing is changed."""
        present = self._metas[key]
        if isinstance(present, Meta):
            return Entry(key, (present,)), self._metas, key
        entry = Entry(key, (present[client_id],))
        return (entry, self._metas, key) if len(present) == 1 else (entry, present, client_id)

    def meta(self, client_id: str, key: str) -> Meta:
        present = self._metas[key]
        return present if isinstance(present, Meta) else present[client_id]

    def find_meta(self, client_id: str, key: str) -> Meta | None:
        """As `meta`; None where there is no such one."""
        try:
            return self.meta(client_id, key)
        except KeyError:
            return None

    def entries(self) -> tuple[Entry, ...]:
        return tuple(
            Entry(key, (present,) if isinstance(present, Meta) else tuple(present.values()))
            for key, present in self._metas.items()
        )

    def entries_without(self, gone: Container[str]) -> tuple[Entry, ...]:
        """As `entries`, as they are when these clients are gone."""
        if not gone:
            return self.entries()
        entries = (
            Entry(entry.key, tuple(meta for meta in entry.metas if meta.client_id not in gone)) for entry in self.entries()
        )
        return tuple(entry for entry in entries if entry.metas)


View = tuple[list[Any], dict[int, int], int, int]
"""A roster at one time: its list, who left it (place -> number of the change), how far the list went, and the last change."""


def ids_in(view: View) -> tuple[str, ...]:
    """The client ids that stood in a roster then. Any thread may ask, while the roster goes on."""
    ids, gone, end, last = view
    ids = ids[:end]
    for place, change in gone.copy().items():  # a copy: the topic may add to it meanwhile
        if change <= last:
            ids[place] = None
    return tuple(filter(None, ids))


class Recipients(Enum):
    """Client ids in subscription order, not put together yet. It equals, hashes, pickles and encodes as the tuple of them.

    It stands in a `BroadcastMessage` that nobody has read. Any thread may read it. An enumeration it is for msgspec's sake, which
    asks no other object of Python's for what is to be written in its place (`_value_`, below).
    """

    _view: View
    read: tuple[str, ...] | None
    """The tuple; None: it has yet to be made."""

    def ids(self) -> tuple[str, ...]:
        """The tuple of them. The first call makes it, and all others get the same."""
        if self.read is None:
            self.read = ids_in(self._view)
        return self.read

    def __len__(self) -> int:
        return len(self.ids())

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids())

    def __getitem__(self, index: Any) -> Any:
        return self.ids()[index]

    def __eq__(self, other: object) -> bool:
        return self.ids() == (other.ids() if isinstance(other, Recipients) else other)

    def __hash__(self) -> int:
        return hash(self.ids())

    def __repr__(self) -> str:
        return repr(self.ids())

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(self.ids(), spec)

    def __reduce_ex__(self, _protocol: Any) -> tuple[type, tuple[tuple[str, ...]]]:
        return tuple, (self.ids(),)

    def __deepcopy__(self, _memo: Any) -> Any:
        return self.ids()


_new = object.__new__
Recipients._value_ = property(Recipients.ids)  # in the class such a name may not be given


def recipients_of(ids: tuple[str, ...]) -> Recipients:
    """These."""
    made: Recipients = _new(Recipients)
    made.read = ids
    return made


class Roster:
    """Who is in a topic, in subscription order. Its owner is one topic state; the recipients that it gave read it too."""

    __slots__ = ("_change", "_gone", "_ids", "_places")

    worth_compacting: ClassVar[int] = 16
    """Those who left stay in the list until they are so many, and half of it: then a new list is made, and its cost is theirs."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = list(ids)
        self._gone: dict[int, int] = {}  # place in _ids -> the change by which it was left
        self._change = 0
        self._places: dict[str, int] | None = None  # made when the first one leaves

    @property
    def recipients(self) -> Recipients:
        """A snapshot of who is in it now."""
        made: Recipients = _new(Recipients)
        # It appends to both, and never alters what is there.
        made._view, made.read = (self._ids, self._gone, len(self._ids), self._change), None
        return made

    def with_another(self) -> View:
        """The roster as it is when the next has come: by `add`, before anything else."""
        return self._ids, self._gone, len(self._ids) + 1, self._change

    def without_another(self) -> View:
        """The roster as it is when the next has gone: by `remove`, before anything else."""
        if self._places is None or self.worth_compacting < len(self._gone) > len(self._places):
            self._tidy()
        return self._ids, self._gone, len(self._ids), self._change + 1

    def add(self, client_id: str) -> None:
        """The client came, and stands last."""
        if self._places is not None:
            self._places[client_id] = len(self._ids)
        self._ids.append(client_id)

    def remove(self, client_id: str) -> None:
        """The client left."""
        if self._places is None or self.worth_compacting < len(self._gone) > len(self._places):
            self._tidy()
        self._change += 1
        self._gone[self._places.pop(client_id)] = self._change  # type: ignore[union-attr]

    def _tidy(self) -> None:
        """Have places, and none of those who left."""
        if self._places is not None:
            self._ids = list(self._places)
        self._gone, self._change = {}, 0
        self._places = {present: place for place, present in enumerate(self._ids)}
