"""The union of what several nodes show."""

from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.topics.rules.presence import Diff, Entry, Meta
from lightspeed.actors.topics.rules.union import Union, entries_of, seen_in


def entry(key, *refs):
    return Entry(key, tuple(Meta(ref, int(ref.rpartition(":")[2])) for ref in refs))


def test_the_first_that_shows_a_meta_is_a_join_and_the_last_that_lets_go_of_it_a_leave():
    union = Union()
    assert union.change("t", [entry("u", "c:1")], []) == Diff("t", (entry("u", "c:1"),), ())
    assert union.change("t", [entry("u", "c:1")], []) == Diff("t")
    assert union.change("t", [], [entry("u", "c:1")]) == Diff("t")
    assert union.entries() == (entry("u", "c:1"),)
    assert union.change("t", [], [entry("u", "c:1")]) == Diff("t", (), (entry("u", "c:1"),))
    assert not union


def test_what_nobody_shows_can_not_leave():
    assert Union().change("t", [], [entry("u", "c:1")]) == Diff("t")


def test_a_client_that_comes_anew_stands_last():
    union = Union()
    union.change("t", [entry("u", "a:1"), entry("v", "c:1")], [])
    union.change("t", [entry("u", "a:2")], [entry("u", "a:1")])
    assert union.entries() == (entry("v", "c:1"), entry("u", "a:2"))


def test_one_that_two_nodes_show_is_not_replaced_by_one_of_them():
    union = Union()
    for _ in range(2):
        union.change("t", [entry("u", "a:1")], [])
    assert union.change("t", [entry("u", "a:2")], [entry("u", "a:1")]) == Diff("t", (entry("u", "a:2"),), ())
    assert union.entries() == (entry("u", "a:1", "a:2"),)


def test_a_copy_is_changed_by_itself_and_shows_each_once():
    union = Union()
    for _ in range(2):
        union.change("t", [entry("u", "a:1")], [])
    copy = union.copy()
    assert copy.change("t", [], [entry("u", "a:1")]).leaves
    assert union.entries() == (entry("u", "a:1"),)


shows = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from("uv"), st.sampled_from(["a:1", "a:2", "b:1"])))


@given(shows)
def test_whoever_folds_its_diffs_has_what_all_nodes_show(changes):
    union, nodes, folded = Union(), [set(), set(), set()], set()
    for node, is_join, key, ref in changes:
        if (key, ref) in nodes[node] or not is_join:
            diff = union.change("t", [], [entry(key, ref)]) if (key, ref) in nodes[node] else Diff("t")
            nodes[node].discard((key, ref))
        else:
            diff = union.change("t", [entry(key, ref)], [])
            nodes[node].add((key, ref))
        folded |= {(key, meta.ref) for key, meta in seen_in(diff.joins)}
        folded -= {(key, meta.ref) for key, meta in seen_in(diff.leaves)}
        assert folded == set().union(*nodes) == {(key, meta.ref) for key, meta in seen_in(union.entries())}


def test_metas_of_one_key_that_follow_one_another_stand_in_one_entry():
    entries = (entry("u", "a:1", "b:1"), entry("v", "c:1"), entry("u", "d:1"))
    assert entries_of(seen_in(entries)) == entries
