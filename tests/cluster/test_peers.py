"""What a node knows of another, item by item."""

import pytest

from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta
from lightspeed.cluster.frames import SHARDS, Beat, Changed, Cleared, Dropped, Loaded, Loads, Said, digest_of
from lightspeed.cluster.peers import Peer, Shard, sliced


def entry(*refs):
    return Entry("k", tuple(Meta(ref, int(ref.rpartition(":")[2])) for ref in refs))


def joined(*refs):
    return Changed("t", tuple(("k", ref, "") for ref in refs))


def left(*refs):
    return Changed("t", (), tuple(("k", ref, "") for ref in refs))


def take(peer, first, *items):
    return [what for what in peer.take(0, first, items) if not isinstance(what, Diff) or what.joins or what.leaves]


def beat(last, *refs):
    digest = 0
    for ref in refs:
        digest ^= digest_of("t", ("k", Meta(ref, 0)))
    return Beat("n", (last, *(0,) * (SHARDS - 1)), (digest, *(0,) * (SHARDS - 1)))


@pytest.fixture
def peer():
    """It is known up to item 2, and shows a:1."""
    peer = Peer("boot")
    take(peer, 1, Loads(), joined("a:1"))
    take(peer, 3, Loaded())
    return peer


def test_what_comes_in_order_is_taken(peer):
    assert take(peer, 4, Said("t", "p"), joined("b:1")) == [Said("t", "p"), Diff("t", (entry("b:1"),))]
    assert list(peer.check(beat(5, "a:1", "b:1"))) == []
    assert peer.mismatches == 0
    assert peer.wanted == ()


def test_what_is_known_is_dropped_item_by_item(peer):
    assert take(peer, 2, joined("x:1"), Loaded(), Said("t", "new")) == [Said("t", "new")]
    assert take(peer, 4, Said("t", "new")) == []


def given_up(peer):
    return [what for what in peer.give_up(0) if not isinstance(what, Diff) or what.joins or what.leaves]


def test_what_is_behind_what_is_missing_waits_until_that_has_come(peer):
    assert take(peer, 7, Said("t", "4")) == take(peer, 6, Said("t", "3")) == []
    assert peer.missing() == [(0, 4, 5)]
    assert take(peer, 4, Said("t", "1")) == [Said("t", "1")]
    assert peer.missing() == [(0, 5, 5)]
    assert take(peer, 5, Said("t", "2"), Said("t", "3")) == [Said("t", "2"), Said("t", "3"), Said("t", "4")]
    assert (peer.missing(), peer.gaps) == ([], 0)


def test_what_has_not_come_in_time_is_told_as_lost_ahead_of_what_waited_and_asked_for(peer):
    assert 0 not in peer.wanted
    list(peer.take(0, 9, (Said("t", "p"),), now_s=5.0))
    assert peer.overdue(4.9) == []
    assert peer.overdue(5.0) == [0]
    assert given_up(peer) == [5, Said("t", "p")]
    assert 0 in peer.wanted
    assert peer.gaps == 5


def test_of_too_much_that_waits_what_is_missing_is_lost(peer):
    for number in range(1_000):
        assert take(peer, 5 + 2 * number, Said("t", "p")) == []
    assert take(peer, 5 + 2_000, Said("t", "p")) == [1, Said("t", "p")]
    assert peer.missing()[0] == (0, 6, 6)


def test_what_the_peer_itself_has_dropped_is_lost_at_once(peer):
    assert take(peer, 4, Said("t", "1"), Dropped(3), Said("t", "2")) == [Said("t", "1"), 3, Said("t", "2")]
    assert 0 not in peer.wanted


def test_the_first_that_is_heard_is_no_loss():
    peer = Peer("boot")
    assert take(peer, 7, Said("t", "p")) == [Said("t", "p")]
    assert len(peer.wanted) == SHARDS


def test_a_lost_tail_is_told_at_the_next_beat_but_one(peer):
    assert list(peer.check(beat(5))) == []  # it may be on its way
    assert peer.missing() == [(0, 4, 5)]
    assert list(peer.check(beat(5))) == [(0, 2)]
    assert list(peer.check(beat(5))) == []
    assert take(peer, 4, Said("t", "late"), Said("t", "later")) == []  # it was told as lost


def test_a_tail_that_comes_between_two_beats_is_not_lost(peer):
    assert list(peer.check(beat(5))) == []
    assert len(take(peer, 4, Said("t", "p"), joined("b:1"))) == 2
    assert list(peer.check(beat(5, "a:1", "b:1"))) == []


def test_a_snapshot_replaces_what_was_shown(peer):
    take(peer, 4, joined("b:1"))
    given = take(peer, 5, Loads(), joined("c:1"), Loaded())
    assert given == [Diff("t", (entry("c:1"),)), Diff("t", (), (entry("a:1", "b:1"),))]
    assert peer.wanted == tuple(range(1, SHARDS))


def test_what_changes_within_a_snapshot_is_in_it(peer):
    take(peer, 4, Loads(), joined("a:1"), joined("b:1"), left("a:1"), Changed("u", (("k", "d:1", ""),)))
    assert take(peer, 9, Cleared("u"), Loaded()) == [Diff("u", (), (entry("d:1"),))]
    assert [seen[1][1].ref for seen in peer.presences()] == ["b:1"]


def test_a_snapshot_that_is_cut_off_by_a_loss_counts_for_nothing(peer):
    take(peer, 4, Loads())
    take(peer, 7, Loaded())
    assert given_up(peer) == [2, Diff("t", (), (entry("a:1"),))]  # an empty one: nobody is shown


def test_an_end_of_a_snapshot_alone_shows_nobody(peer):
    assert take(peer, 4, Loaded()) == [Diff("t", (), (entry("a:1"),))]


def test_a_digest_that_differs_is_a_mismatch_once_and_asked_for_until_it_agrees(peer):
    for _ in range(2):
        list(peer.check(beat(3, "a:1", "never seen:1")))
        assert (peer.mismatches, peer.wanted) == (1, (0,))
    list(peer.check(beat(3, "a:1")))
    assert peer.wanted == ()


def test_the_dead_show_nobody_and_their_numbers_are_kept(peer):
    assert list(peer.bury(500)) == [Diff("t", (), (entry("a:1"),))]
    assert (peer.state, list(peer.presences())) == ("buried", [])
    peer.hear()
    assert (peer.state, len(peer.wanted)) == ("up", SHARDS)
    take(peer, 6, Said("t", "p"))
    assert given_up(peer) == [2, Said("t", "p")]


def test_a_burial_of_many_comes_in_slices():
    peer = Peer("boot")
    take(peer, 1, joined(*(f"c{number}:1" for number in range(1_200))))
    assert [len(diff.leaves[0].metas) for diff in peer.bury(500)] == [500, 500, 200]


def test_a_slice_holds_no_more_and_nothing_is_lost():
    diff = Diff("t", (entry("a:1", "b:1", "c:1"),), (entry("d:1", "e:1"),))
    parts = list(sliced(diff, 2))
    assert [sum(len(e.metas) for e in (*part.joins, *part.leaves)) for part in parts] == [2, 1, 2]
    assert list(sliced(diff, 5)) == [diff]


def test_what_a_shard_shows_already_is_no_news():
    shard = Shard()
    assert shard.change(Diff("t", (entry("a:1"),))).joins
    assert shard.change(Diff("t", (entry("a:1"),))) == Diff("t")
    assert shard.change(Diff("t", (), (entry("b:1"),))) == Diff("t")
    assert shard.clear("t").leaves == (entry("a:1"),)
    assert (shard.topics, shard.digest) == ({}, 0)
