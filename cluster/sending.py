"""What one node sends: what waits, numbered as it is packed into frames, and what was packed last, to be had once more. Pure.

What the node shows is taken over as an item is packed, so that numbers, snapshots and the digests of a beat always agree.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from lightspeed.actors.topics.rules.presence import Diff
from lightspeed.actors.topics.rules.union import entries_of
from lightspeed.cluster.engine import Parcel
from lightspeed.cluster.frames import (
    CONTROL,
    SHARDS,
    VERSION,
    Beat,
    Changed,
    Cleared,
    Dropped,
    Frame,
    Item,
    Loaded,
    Loads,
    Nack,
    Said,
    changed,
    diff_of,
    encode_frame,
    shard_of,
)
from lightspeed.cluster.peers import Shard, sliced

SLICE = 500  # metas that a topic is handed at a time
_BATCH = 500  # items that are packed at a time


class Snapshot(Struct, frozen=True):
    """What the node shows in the shard, as of its turn."""


class _Again(Struct, frozen=True):
    """A frame that was packed before."""

    raw: bytes


class _Kept(Struct, frozen=True):
    shard: int
    first: int
    last: int
    raw: bytes
    at_s: float


class Sending:
    """For one owner's thread.

    Args:
        most_bytes: a frame has so many at most.
        most_waiting: so many bytes wait; beyond, the oldest broadcasts are dropped, and the others told. As many are kept to be
            had once more, for `kept_s`.
    """

    def __init__(self, name: str, boot: str, most_bytes: int, most_waiting: int, kept_s: float) -> None:
        self._name, self._boot = name, boot
        self._most_bytes, self._most_waiting, self._kept_s = most_bytes, most_waiting, kept_s
        self._own = [Shard() for _ in range(SHARDS)]
        """What this node shows, as of the numbers."""
        self.numbers = [0] * SHARDS
        """Of the last items that were packed."""
        self._out: deque[tuple[int, Any, int]] = deque()
        """What waits, in order: shard, item (on the control channel None: a beat), bytes."""
        self._out_bytes = 0
        self._ring: deque[_Kept] = deque()
        self._ring_bytes = 0
        self.unsent = 0
        """Broadcasts that found no room, or that no frame can hold."""

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._out)

    def put(self, item: Item) -> None:
        """What concerns a topic."""
        self._put(shard_of(item.topic), item, 100 + (len(item.payload) if isinstance(item, Said) else 0))  # type: ignore[union-attr]

    def put_beat(self) -> None:
        if (CONTROL, None, 0) not in self._out:
            self._put(CONTROL, None, 0)

    def put_control(self, item: Any) -> None:
        self._put(CONTROL, item, 0)

    def put_snapshots(self, shards: Iterable[int]) -> None:
        """What is shown in these, as of when it is packed; one that waits is enough."""
        waiting = {shard for shard, item, _size in self._out if isinstance(item, Snapshot)}
        for shard in shards:
            if shard not in waiting:
                self._put(shard, Snapshot(), 0)

    def put_end(self) -> None:
        """The node shows nobody any more."""
        for number, shard in enumerate(self._own):
            if shard.topics or any(of == number for of, _item, _size in self._out):
                self._put(number, Loaded(), 0)

    def repeat(self, nack: Nack) -> None:
        """Have packed once more what another misses, as far as it is kept."""
        waiting = {id(item.raw) for _shard, item, _size in self._out if isinstance(item, _Again)}
        for kept in self._ring:
            if kept.shard == nack.shard and kept.first <= nack.last and kept.last >= nack.first and id(kept.raw) not in waiting:
                self._put(kept.shard, _Again(kept.raw), len(kept.raw))

    def packed(self, now_s: float) -> list[Parcel]:
        """The next frames, of what waits, in order."""
        parcels: list[Parcel] = []
        runs: dict[int, tuple[int, list[Item]]] = {}  # shard -> the number of the first, and items that follow one another
        left, most = self._most_bytes // 4, _BATCH
        while self._out and left > 0 and most > 0:
            shard, item, size = self._out.popleft()
            self._out_bytes -= size
            left, most = left - size, most - 1
            if shard == CONTROL:
                self._close(runs, parcels, now_s)
                parcels += self._parcels(CONTROL, 0, [self._beat() if item is None else item], now_s)
            elif isinstance(item, _Again):
                parcels.append((shard, item.raw))
            else:
                for one in self._folded(shard, item):
                    self.numbers[shard] += 1
                    runs.setdefault(shard, (self.numbers[shard], []))[1].append(one)
        self._close(runs, parcels, now_s)
        return parcels

    def _put(self, shard: int, item: Any, size: int) -> None:
        self._out.append((shard, item, size))
        self._out_bytes += size
        if self._out_bytes > self._most_waiting:
            self._drop()

    def _drop(self) -> None:
        """Drop the oldest broadcasts, down to nine tenths; the others are told."""
        for place, (shard, item, size) in enumerate(self._out):
            if self._out_bytes <= self._most_waiting * 9 // 10:
                break
            if isinstance(item, Said):
                self._out[place] = shard, Dropped(1), 0
                self._out_bytes -= size
                self.unsent += 1

    def _folded(self, number: int, item: Any) -> Iterable[Item]:
        """What goes out for an item, and is shown from here on."""
        shard = self._own[number]
        if isinstance(item, Changed):
            shard.change(diff_of(item))
        elif isinstance(item, Cleared):
            return (item,) if shard.clear(item.topic).leaves else ()
        elif isinstance(item, Snapshot):
            diffs = (Diff(topic, entries_of(shown.values())) for topic, shown in shard.topics.items())
            return (Loads(), *(changed(part) for diff in diffs for part in sliced(diff, SLICE)), Loaded())
        elif isinstance(item, Loaded):
            self._own[number] = Shard()
        return (item,)

    def _close(self, runs: dict[int, tuple[int, list[Item]]], parcels: list[Parcel], now_s: float) -> None:
        for shard, (first, items) in runs.items():
            parcels += self._parcels(shard, first, items, now_s)
        runs.clear()

    def _parcels(self, shard: int, first: int, items: Sequence[Any], now_s: float) -> list[Parcel]:
        """Frames of these. What no frame can hold goes nowhere, and the others are told."""
        try:
            raw = encode_frame(Frame(VERSION, self._boot, shard, first, tuple(items)))
        except UnicodeEncodeError:  # a behaviour may say what is no text for others
            raw = None
        if raw is not None and len(raw) <= self._most_bytes:
            if shard != CONTROL:
                self._keep(_Kept(shard, first, first + len(items) - 1, raw, now_s))
            return [(shard, raw)]
        if len(items) > 1:
            half = len(items) // 2
            return self._parcels(shard, first, items[:half], now_s) + self._parcels(shard, first + half, items[half:], now_s)
        self.unsent += 1
        return self._parcels(shard, first, [Dropped(1)], now_s)

    def _keep(self, kept: _Kept) -> None:
        self._ring.append(kept)
        self._ring_bytes += len(kept.raw)
        while self._ring and (self._ring_bytes > self._most_waiting or self._ring[0].at_s < kept.at_s - self._kept_s):
            self._ring_bytes -= len(self._ring.popleft().raw)

    def _beat(self) -> Beat:
        return Beat(self._name, tuple(self.numbers), tuple(shard.digest for shard in self._own))
