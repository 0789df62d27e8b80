"""What nodes of a cluster tell one another: items, numbered, in frames of bytes. Pure.

An item concerns one topic, and so one of 16 shards. A node numbers the items of each shard, from 1 on, and a frame holds items
that follow one another. The control frame of a node, its beat, has no number.
"""

from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32

import msgspec
from msgspec import Struct

from lightspeed.actors.errors import BadFrame
from lightspeed.actors.topics.rules.events import MOST_DIGITS
from lightspeed.actors.topics.rules.presence import Diff, Meta
from lightspeed.actors.topics.rules.union import Seen, entries_of, seen_in

VERSION = 1
SHARDS = 16
CONTROL = SHARDS
"""The channel of the beats, beside those of the shards."""

SeenItem = tuple[str, str, str]
"""One meta: its key, ref and text. Its time stands in the ref, and may have more digits than a number here can."""


class Said(Struct, frozen=True, array_like=True, tag="b", forbid_unknown_fields=True):
    """All members of a topic were given this broadcast."""

    topic: str
    payload: str
    event: str = ""
    sender: str | None = None


class Changed(Struct, frozen=True, array_like=True, tag="d", forbid_unknown_fields=True):
    """The node shows these anew in a topic, or no more."""

    topic: str
    joins: tuple[SeenItem, ...] = ()
    leaves: tuple[SeenItem, ...] = ()


class Cleared(Struct, frozen=True, array_like=True, tag="c", forbid_unknown_fields=True):
    """The node shows nobody in a topic."""

    topic: str


class Loads(Struct, frozen=True, array_like=True, tag="s", forbid_unknown_fields=True):
    """A snapshot of a shard begins: what the node shows in each topic of it follows, as `Changed`, up to `Loaded`."""


class Loaded(Struct, frozen=True, array_like=True, tag="e", forbid_unknown_fields=True):
    """A snapshot ends: what it did not show, the node does not show. Without one before it: it shows nobody in the shard."""


class Dropped(Struct, frozen=True, array_like=True, tag="x", forbid_unknown_fields=True):
    """So many broadcasts stood here, and could not be published."""

    count: int


Item = Said | Changed | Cleared | Loads | Loaded | Dropped


class Beat(Struct, frozen=True, array_like=True, tag="h", forbid_unknown_fields=True):
    """A node lives."""

    name: str
    numbers: tuple[int, ...]
    """Of the last item that it has published in each shard."""
    digests: tuple[int, ...]
    """Of what it showed in each shard with that."""


class Ask(Struct, frozen=True, array_like=True, tag="a", forbid_unknown_fields=True):
    """The node of this boot is asked for snapshots of these shards."""

    boot: str
    shards: tuple[int, ...]


class Nack(Struct, frozen=True, array_like=True, tag="n", forbid_unknown_fields=True):
    """The node of this boot is asked for items of a shard once more, from the first to the last."""

    boot: str
    shard: int
    first: int
    last: int


Control = Beat | Ask | Nack


class Frame(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Items of one shard that follow one another; or of the control channel."""

    version: int
    boot: str
    """Of the node that sends it: drawn by lot at its start."""
    shard: int
    first: int
    """The number of the first item; 0 on the control channel."""
    items: tuple[Said | Changed | Cleared | Loads | Loaded | Dropped | Beat | Ask | Nack, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode
_MOST = 2**63


def encode_frame(frame: Frame) -> bytes:
    return _encode(frame)


def decode_frame(raw: bytes) -> Frame:
    """
    Raises:
        BadFrame: it is none of this version, or breaks a rule.
    """
    try:
        frame = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(_version_of(raw) or str(error)) from None
    if frame.version != VERSION:
        raise BadFrame(f"version {frame.version}, and not {VERSION}")
    is_control = frame.shard == CONTROL
    is_first = frame.first == 0 if is_control else 0 < frame.first < _MOST
    if not (0 <= frame.shard <= CONTROL and frame.boot and is_first):
        raise BadFrame(f"shard {frame.shard}, first {frame.first}")
    for item in frame.items:
        if isinstance(item, (Beat, Ask, Nack)) != is_control:
            raise BadFrame(f"a {type(item).__name__} in shard {frame.shard}")
        if isinstance(item, Beat):
            if not (len(item.numbers) == len(item.digests) == SHARDS and item.name):
                raise BadFrame("a beat of other shards")
            if not all(0 <= number < _MOST for number in item.numbers):
                raise BadFrame("a beat of numbers below 0")
        if isinstance(item, Ask) and not all(0 <= shard < SHARDS for shard in item.shards):
            raise BadFrame("a question for other shards")
        if isinstance(item, Dropped) and item.count < 1:
            raise BadFrame("none that were dropped")
        if isinstance(item, Nack) and not (0 <= item.shard < SHARDS and 0 < item.first <= item.last):
            raise BadFrame("a question for no items")
        if isinstance(item, (Said, Changed, Cleared)) and (not item.topic or shard_of(item.topic) != frame.shard):
            raise BadFrame("a topic of another shard")
        if isinstance(item, Changed) and not all(key and _is_ref(ref) for key, ref, _text in (*item.joins, *item.leaves)):
            raise BadFrame("a meta without a key or a time")
    return frame


def _version_of(raw: bytes) -> str | None:
    """Whether it is a frame of another version, and what is said of it."""
    try:
        version = msgspec.msgpack.decode(raw)[0]
    except Exception:  # whatever these bytes are
        return None
    return f"version {version}, and not {VERSION}" if type(version) is int and version != VERSION else None


def shard_of(topic: str) -> int:
    return crc32(topic.encode("utf-8")) % SHARDS


def digest_of(topic: str, seen: Seen) -> int:
    """What one meta adds to a shard's digest, by exclusive or."""
    key, meta = seen
    return int.from_bytes(blake2b("\0".join((topic, key, meta.ref)).encode("utf-8"), digest_size=8).digest())


def changed(diff: Diff) -> Changed:
    return Changed(diff.topic, _packed(seen_in(diff.joins)), _packed(seen_in(diff.leaves)))


def diff_of(item: Changed) -> Diff:
    return Diff(item.topic, entries_of(_unpacked(item.joins)), entries_of(_unpacked(item.leaves)))


def _packed(seen: Iterable[Seen]) -> tuple[SeenItem, ...]:
    return tuple((key, meta.ref, meta.meta) for key, meta in seen)


def _unpacked(items: Iterable[SeenItem]) -> Iterable[Seen]:
    return ((key, Meta(ref, int(ref.rpartition(":")[2]), text)) for key, ref, text in items)


def _is_ref(ref: str) -> bool:
    client_id, _colon, now_ms = ref.rpartition(":")
    return bool(client_id) and now_ms.isascii() and now_ms.isdigit() and len(now_ms) <= MOST_DIGITS
