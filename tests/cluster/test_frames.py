"""What nodes tell one another, as bytes; and that nothing but a frame is taken for one."""

import random

import msgspec
import pytest

from lightspeed.actors.errors import BadFrame
from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta
from lightspeed.cluster.frames import (
    CONTROL,
    SHARDS,
    VERSION,
    Ask,
    Beat,
    Changed,
    Cleared,
    Dropped,
    Frame,
    Loaded,
    Loads,
    Nack,
    Said,
    changed,
    decode_frame,
    diff_of,
    digest_of,
    encode_frame,
    shard_of,
)

SHARD = shard_of("t")
ITEMS = (
    Said("t", "payload", "event", "sender"),
    Said("t", ""),
    Changed("t", (("k", "c:1", "text"),), (("k", "c:0", ""),)),
    Cleared("t"),
    *(Loads(), Loaded(), Dropped(3)),
)
BEAT = Beat("n1", (1,) * SHARDS, (2**64 - 1,) * SHARDS)


def frame(*items, shard=SHARD, first=1, version=VERSION, boot="b"):
    return encode_frame(Frame(version, boot, shard, first, items))


def test_a_frame_is_read_as_it_was_written():
    assert decode_frame(frame(*ITEMS)) == Frame(VERSION, "b", SHARD, 1, ITEMS)
    assert decode_frame(frame(BEAT, Ask("b", (0, 15)), shard=CONTROL, first=0)).items == (BEAT, Ask("b", (0, 15)))


def test_a_diff_is_read_as_it_was_written_also_with_a_time_of_640_digits():
    long = Meta(f"c:{10**640 - 1}", 10**640 - 1, "text")
    diff = Diff("t", (Entry("k", (long, Meta("d:1", 1))),), (Entry("l", (Meta("a:b:2", 2),)),))
    item = decode_frame(frame(changed(diff))).items[0]
    assert diff_of(item) == diff


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "truncated"),
        (b"nonsense", "array"),
        (frame(Said("t", "p"), version=2), "version 2, and not 1"),
        (msgspec.msgpack.encode([7, "whatever comes then"]), "version 7, and not 1"),
        (frame(Said("t", "p"), shard=SHARD + 1), "another shard"),
        (frame(Said("t", "p"), shard=-1), "shard -1"),
        (frame(Said("t", "p"), shard=CONTROL, first=0), "a Said in shard 16"),
        (frame(BEAT), f"a Beat in shard {SHARD}"),
        (frame(BEAT, shard=CONTROL, first=1), "first 1"),
        (frame(Said("t", "p"), first=0), "first 0"),
        (frame(Said("t", "p"), first=2**63), "first"),
        (frame(Said("t", "p"), boot=""), "first 1"),
        (frame(Said("", "p"), shard=shard_of("")), "another shard"),
        (frame(Beat("n", (1,), (1,)), shard=CONTROL, first=0), "other shards"),
        (frame(Beat("", (1,) * 16, (1,) * 16), shard=CONTROL, first=0), "other shards"),
        (frame(Beat("n", (-1,) * 16, (1,) * 16), shard=CONTROL, first=0), "below 0"),
        (frame(Nack("b", 0, 2, 1), shard=CONTROL, first=0), "no items"),
        (frame(Nack("b", 16, 1, 1), shard=CONTROL, first=0), "no items"),
        (frame(Dropped(0)), "none that"),
        (frame(Ask("b", (16,)), shard=CONTROL, first=0), "other shards"),
        (frame(Changed("t", (("", "c:1", ""),))), "without a key"),
        (frame(Changed("t", (("k", "c", ""),))), "without a key or a time"),
        (frame(Changed("t", (("k", "c:-1", ""),))), "time"),
        (frame(Changed("t", (("k", "c:" + "9" * 641, ""),))), "time"),
        (frame(Changed("t", (), (("k", "c:٣", ""),))), "time"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(raw, why):
    with pytest.raises(BadFrame, match=why):
        decode_frame(raw)


def spoilt(rng, good):
    """Bytes of a frame, some of them other ones, some too many or missing."""
    raw = bytearray(good)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(raw))
        rng.choice(
            (
                lambda place=place: raw.__setitem__(place, rng.randrange(256)),
                lambda place=place: raw.__delitem__(slice(place, place + rng.randrange(1, 9))),
                lambda place=place: raw.__setitem__(slice(place, place), rng.randbytes(rng.randrange(1, 9))),
            )
        )()
        if not raw:
            break
    return bytes(raw)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_nothing_but_a_bad_frame_comes_of_bad_bytes(count):
    rng = random.Random(count)
    goods = [frame(*ITEMS), frame(BEAT, shard=CONTROL, first=0), frame(Ask("b", (1, 2)), shard=CONTROL, first=0)]
    refused = 0
    for _ in range(count):
        raw = spoilt(rng, rng.choice(goods)) if rng.random() < 0.9 else rng.randbytes(rng.randrange(200))
        try:
            found = decode_frame(raw)
        except BadFrame:
            refused += 1
        else:
            for item in found.items:  # whatever was taken can be worked with
                if isinstance(item, Changed):
                    diff_of(item)
    assert refused > count // 2


def test_a_digest_knows_topic_key_and_ref():
    seen = ("k", Meta("c:1", 1))
    others = {digest_of("u", seen), digest_of("t", ("l", seen[1])), digest_of("t", ("k", Meta("c:2", 2)))}
    assert len(others | {digest_of("t", seen)}) == 4
    assert digest_of("t", seen) == digest_of("t", ("k", Meta("c:1", 1, "another text")))
