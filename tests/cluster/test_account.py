"""The account of the trials with processes finds what it is for: of runs that are made up here."""

from types import SimpleNamespace

import pytest
from cluster_nodes import LEASE_S, Account


def node_of(name, lines, *, is_alive=True):
    lines = [{"at_s": 10.0, **line} for line in lines]
    return SimpleNamespace(
        name=name,
        is_alive=is_alive,
        process=SimpleNamespace(pid=1),
        of=lambda kind: [line for line in lines if line["kind"] == kind],
    )


def account_of(heard, *, labels=(), leaves=(), ended_s=None, dead=()):
    """What b heard of a, who said 1 to 5."""
    said = [{"kind": "said", "text": f"a 1 {number}"} for number in range(1, 6)]
    ears = [{"kind": "heard", "text": f"a 1 {number}"} for number in heard]
    ears += [{"kind": "label", "label": label} for label in labels] + [{"kind": "leave", "key": key} for key in leaves]
    a, b = node_of("a", said, is_alive="a" not in dead), node_of("b", ears)
    alive = [node for node in (a, b) if node.is_alive]
    nodes = SimpleNamespace(all=[a, b], alive=alive, may_leave=set(dead), ended_s=ended_s or {})
    state = {"users": sorted(node.name for node in alive), "mismatches": 0, "bad": 0}
    return Account(nodes, {node.name: state for node in alive})


@pytest.mark.parametrize(
    ("heard", "labels", "untold", "told", "duplicates", "disorders"),
    [
        ((1, 2, 3, 4, 5), (), 0, 0, 0, 0),
        ((1, 2, 5), (), 2, 0, 0, 0),
        ((1, 2, 5), ("gap:a:2",), 0, 2, 0, 0),
        ((1, 2, 5), ("gap:c:2",), 2, 0, 0, 0),
        ((1, 2, 3), ("gap:a:1",), 1, 1, 0, 0),
        ((3, 4, 5), (), 0, 0, 0, 0),
        ((1, 2, 2, 3, 4, 5), (), 0, 0, 1, 0),
        ((1, 3, 2, 4, 5), (), 0, 0, 0, 1),
    ],
)
def test_losses_are_told_or_not_and_what_comes_twice_or_in_disorder_is_seen(heard, labels, untold, told, duplicates, disorders):
    account = account_of(heard, labels=labels)
    assert (account.untold, account.told, account.duplicates, account.disorders) == (untold, told, duplicates, disorders)


def test_a_living_nodes_leave_is_a_false_death():
    assert account_of((1, 2, 3, 4, 5), leaves=("a",)).false_deaths == [("b", "a")]
    assert account_of((1, 2, 3), leaves=("a",), dead=("a",)).false_deaths == []


@pytest.mark.parametrize(("ended_s", "leaves", "zombies"), [(9.0, ("a",), 0), (9.0, (), 1), (9.0 - 2 * LEASE_S, ("a",), 1)])
def test_a_dead_nodes_member_who_stays_too_long_is_a_zombie(ended_s, leaves, zombies):
    assert len(account_of((1, 2, 3), leaves=leaves, ended_s={"a": ended_s}, dead=("a",)).zombies) == zombies
