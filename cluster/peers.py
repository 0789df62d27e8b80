"""What one node knows of another: what it shows, up to which of its items, and whether it lives. Pure.

A peer's items of one shard come numbered. One that is known already is dropped; where some are missing, those behind them are
held, and the peer is asked for them once more. If they do not come, so many are lost, and the peer is asked for a snapshot of the
shard, which stands in the same stream: what came before it is in it, what comes after it is not. What a peer shows is kept by
shard and topic.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, field

from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.actors.topics.rules.union import Seen, entries_of, seen_in
from lightspeed.cluster.frames import SHARDS, Beat, Changed, Cleared, Dropped, Item, Loaded, Loads, Said, diff_of, digest_of

_MOST_HELD = 1_000  # frames that wait for what is missing before them

Shown = dict[tuple[str, str], Seen]
"""What is shown in a topic: by key and ref."""


class Shard(Struct):
    """What one node shows in the topics of one shard."""

    topics: dict[str, Shown] = field(default_factory=dict)
    digest: int = 0

    def change(self, diff: Diff) -> Diff:
        """Take over a diff; what of it is news."""
        shown = self.topics.setdefault(diff.topic, {})
        come = [one for one in seen_in(diff.joins) if self._add(diff.topic, shown, one)]
        gone = [one for one in seen_in(diff.leaves) if self._drop(diff.topic, shown, one)]
        if not shown:
            del self.topics[diff.topic]
        return Diff(diff.topic, entries_of(come), entries_of(gone))

    def clear(self, topic: str) -> Diff:
        """Nobody is shown in the topic any more; who was."""
        gone = list(self.topics.get(topic, {}).values())
        return self.change(Diff(topic, (), entries_of(gone)))

    def _add(self, topic: str, shown: Shown, seen: Seen) -> bool:
        name = seen[0], seen[1].ref
        if name in shown:
            return False
        shown[name] = seen
        self.digest ^= digest_of(topic, seen)
        return True

    def _drop(self, topic: str, shown: Shown, seen: Seen) -> bool:
        known = shown.pop((seen[0], seen[1].ref), None)
        if known is not None:
            self.digest ^= digest_of(topic, known)
        return known is not None


class _Stream(Struct):
    """The items of one shard of a peer, as they come."""

    shard: Shard = field(default_factory=Shard)
    next: int = 0
    """The number of the next item; 0: none is known yet."""
    due: int = 0
    """What the peer's last beat said that it had published."""
    held: dict[int, tuple[Item, ...]] = field(default_factory=dict)
    """What came ahead of what is missing, by the number of the first."""
    held_s: float = 0.0
    """Since when."""
    snapshot: dict[str, set[tuple[str, str]]] | None = None
    """What the snapshot that is coming showed so far."""
    is_whole: bool = False
    """Whether all is known that it shows; else it is asked for a snapshot."""


class Peer:
    """Another node, from the first that was heard of it."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.name = ""
        """Empty: none of its beats has come yet."""
        self.state: Literal["up", "mute", "buried"] = "up"
        self.silent = 0
        """So many of our own beats came back since it was heard."""
        self.gaps = 0
        """How many of its items were lost here."""
        self.mismatches = 0
        self._streams = [_Stream() for _ in range(SHARDS)]

    def hear(self) -> None:
        """Something came from it."""
        if self.state == "buried":
            for stream in self._streams:
                stream.is_whole = False
        self.silent, self.state = 0, "up"

    def take(self, number: int, first: int, items: tuple[Item, ...], now_s: float = 0.0) -> Iterator[Said | Diff | int]:
        """Take items of a shard: what is said, what changes, and, ahead of what follows them, how many are lost."""
        stream = self._streams[number]
        if stream.next == 0:
            stream.next = first
        if first > stream.next:
            if not stream.held:
                stream.held_s = now_s
            stream.held[first] = max(items, stream.held.get(first, ()), key=len)
            if len(stream.held) > _MOST_HELD:
                yield from self.give_up(number)
            return
        yield from self._take_in(stream, first, items)
        yield from self._take_held(stream)

    def missing(self) -> list[tuple[int, int, int]]:
        """Shard, first and last of what is missing, and may come once more."""
        return [
            (number, stream.next, min(stream.held) - 1 if stream.held else stream.due)
            for number, stream in enumerate(self._streams)
            if stream.held or stream.due >= stream.next > 0
        ]

    def overdue(self, since_s: float) -> list[int]:
        """The shards in which something has been missing since then, and others wait for it."""
        return [number for number, stream in enumerate(self._streams) if stream.held and stream.held_s <= since_s]

    def give_up(self, number: int) -> Iterator[Said | Diff | int]:
        """What is missing comes no more."""
        stream = self._streams[number]
        lost, stream.next = min(stream.held) - stream.next, min(stream.held)
        yield self._lose(stream, lost)
        yield from self._take_held(stream)

    def check(self, beat: Beat) -> Iterator[tuple[int, int]]:
        """Hold a beat against what came: each shard of which the last items are lost, and how many.

        What a beat says that it has published may yet come, or come once more; by the next beat it has, or is lost.
        """
        self.name = beat.name
        for number, stream in enumerate(self._streams):
            last = beat.numbers[number]
            if stream.next == 0:
                stream.next = last + 1
            elif stream.due >= stream.next and not stream.held:
                lost, stream.next = stream.due + 1 - stream.next, stream.due + 1
                yield number, self._lose(stream, lost)
            stream.due = last
            if stream.next == last + 1 and stream.snapshot is None:
                is_same = stream.shard.digest == beat.digests[number]
                if stream.is_whole and not is_same:
                    self.mismatches += 1
                stream.is_whole = is_same

    @property
    def wanted(self) -> tuple[int, ...]:
        """The shards of which it is to be asked for snapshots."""
        return tuple(number for number, stream in enumerate(self._streams) if not stream.is_whole)

    def bury(self, most: int) -> Iterator[Diff]:
        """It has died: all that it showed goes, so many metas at a time. Its numbers are kept, should it come back."""
        self.state = "buried"
        for stream in self._streams:
            stream.snapshot, stream.is_whole = None, False
            for topic in list(stream.shard.topics):
                yield from sliced(stream.shard.clear(topic), most)

    def presences(self) -> Iterator[tuple[str, Seen]]:
        """All that it shows, by topic."""
        for stream in self._streams:
            for topic, shown in stream.shard.topics.items():
                yield from ((topic, seen) for seen in shown.values())

    def _take_in(self, stream: _Stream, first: int, items: Iterable[Item]) -> Iterator[Said | Diff | int]:
        for place, item in enumerate(items, first):
            if place < stream.next:
                continue  # it came before
            stream.next = place + 1
            if isinstance(item, Said):
                yield item
            elif isinstance(item, Dropped):
                self.gaps += item.count
                yield item.count
            else:
                yield from self._change(stream, item)

    def _take_held(self, stream: _Stream) -> Iterator[Said | Diff | int]:
        while stream.held and (first := min(stream.held)) <= stream.next:
            yield from self._take_in(stream, first, stream.held.pop(first))

    def _lose(self, stream: _Stream, lost: int) -> int:
        stream.snapshot, stream.is_whole = None, False
        self.gaps += lost
        return lost

    def _change(self, stream: _Stream, item: Changed | Cleared | Loads | Loaded) -> Iterator[Diff]:
        shard = stream.shard
        if isinstance(item, Changed):
            if stream.snapshot is not None:
                shown = stream.snapshot.setdefault(item.topic, set())
                shown.update((key, ref) for key, ref, _text in item.joins)
                shown.difference_update((key, ref) for key, ref, _text in item.leaves)
            yield shard.change(diff_of(item))
        elif isinstance(item, Cleared):
            if stream.snapshot is not None:
                stream.snapshot.pop(item.topic, None)
            yield shard.clear(item.topic)
        elif isinstance(item, Loads):
            stream.snapshot = {}
        else:
            snapshot, stream.snapshot, stream.is_whole = stream.snapshot or {}, None, True
            for topic, known in list(shard.topics.items()):
                gone = [seen for name, seen in known.items() if name not in snapshot.get(topic, ())]
                if gone:
                    yield shard.change(Diff(topic, (), entries_of(gone)))


def sliced(diff: Diff, most: int) -> Iterator[Diff]:
    """The same in parts of so many metas: no topic is to wait for all of it."""
    joins, leaves = list(seen_in(diff.joins)), list(seen_in(diff.leaves))
    if len(joins) + len(leaves) <= most:
        yield diff
        return
    for start in range(0, len(joins), most):
        yield Diff(diff.topic, entries_of(joins[start : start + most]))
    for start in range(0, len(leaves), most):
        yield Diff(diff.topic, (), entries_of(leaves[start : start + most]))
