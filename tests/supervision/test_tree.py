"""A supervision tree as text."""

from pathlib import Path

import pytest

from lightspeed.actors.errors import InvalidOption
from lightspeed.supervision import Tree

DOCS = Path(__file__).parent.parent.parent / "docs"


def topic(name, phase="running", **fields):
    return Tree(name, "topic", phase, **fields)


def channel_of(*topics):
    return Tree("single_node", "supervisor", "running", children=topics)


def test_each_actor_has_a_line_below_that_of_its_supervisor():
    tree = Tree(
        "Supervisor",
        "supervisor",
        "running",
        children=(
            Tree("db", "worker", "running", restarts=1),
            Tree(
                "web",
                "supervisor",
                "running",
                restarts=0,
                children=(Tree(1, "worker", "starting", restarts=0), Tree(("b", 2), "worker", "stopped", restarts=1_200)),
            ),
            Tree("log", "supervisor", "silent", restarts=2),
        ),
    )
    assert str(tree) == (
        "Supervisor [running] supervisor\n"
        "|- db [running] worker, 1 restart\n"
        "|- web [running] supervisor\n"
        "|  |- 1 [starting] worker\n"
        "|  `- ('b', 2) [stopped] worker, 1,200 restarts\n"
        "`- log [silent] supervisor, 2 restarts"
    )


def test_a_topics_line_has_its_incarnation_its_members_and_whether_it_is_at_work():
    tree = channel_of(
        topic("room:1", incarnation=3, members=1_000, is_at_work=True, restarts=0),
        topic("room:2", "restarting", incarnation=4, members=0, restarts=2),
        topic("room:3", "given_up", members=1),
    )
    assert str(tree) == (
        "single_node [running] supervisor\n"
        "|- room:1 [running] topic, incarnation 3, 1,000 members, at work\n"
        "|- room:2 [restarting] topic, incarnation 4, 0 members, 2 restarts\n"
        "`- room:3 [given_up] topic, 1 member"
    )


def test_nothing_stands_below_what_has_no_children():
    assert str(channel_of()) == "single_node [running] supervisor"


def test_ten_children_are_shown_and_the_rest_counted_by_phase():
    tree = channel_of(*(topic(f"t{n:05}", "running" if n < 99_997 else "restarting") for n in range(100_000)))
    lines = str(tree).splitlines()
    assert lines[1:11] == [f"|- t{n:05} [running] topic" for n in range(10)]
    assert lines[11:] == ["`- ... and 99,990 more: 99,987 running, 3 restarting"]


def test_of_exactly_ten_children_the_last_closes_the_list():
    lines = str(channel_of(*(topic(f"t{n}") for n in range(10)))).splitlines()
    assert (len(lines), lines[-1]) == (11, "`- t9 [running] topic")


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (1, 1), (11, 11), (30, 12), (None, 12)])
def test_a_limit_is_for_the_children_of_each_and_none_shows_all(limit, shown):
    branch = Tree("b", "supervisor", "running", children=tuple(topic(f"t{n}") for n in range(12)))
    lines = branch.text(limit).splitlines()
    assert sum("] topic" in line for line in lines) == shown
    assert ("more" in lines[-1]) == (shown < 12)
    if limit:
        assert Tree("top", "supervisor", "running", children=(branch,)).text(limit).count("] topic") == shown


@pytest.mark.parametrize("limit", [-1, 1.0, True, "10"])
def test_a_limit_that_is_no_count_is_refused(limit):
    with pytest.raises(InvalidOption, match="limit must be an int from 0 up, or None"):
        channel_of().text(limit)


class Rude:
    def __repr__(self):
        return "two\nlines"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", "'two\\nlines'"),
        ("\x1b[31mred", "'\\x1b[31mred'"),
        ("größe", "größe"),
        (Rude(), "<Rude object>"),
        ("x" * 81, "x" * 80 + "..."),
    ],
)
def test_a_name_is_one_line_whatever_it_holds(name, shown):
    assert str(channel_of(topic(name))).splitlines()[1:] == [f"`- {shown} [running] topic"]


def test_the_texts_in_the_docs_are_such_texts():
    channel = channel_of(
        topic("room:1", incarnation=1, members=2),
        topic("room:2", "restarting", incarnation=5, members=0, restarts=2),
        topic("room:3", incarnation=3, members=1, is_at_work=True),
        topic("room:4", "given_up", members=0),
    )
    web = (Tree(1, "worker", "running", restarts=0), Tree(2, "worker", "restarting", restarts=3))
    any_actors = Tree(
        "Supervisor",
        "supervisor",
        "running",
        children=(Tree("db", "worker", "running", restarts=1), Tree("web", "supervisor", "running", children=web)),
    )
    for page, tree in (("model.md", channel), ("supervision.md", any_actors)):
        assert f"```text\n{tree}\n```" in (DOCS / page).read_text(encoding="utf-8")


def test_every_field_stands_in_the_docs():
    page = (DOCS / "model.md").read_text(encoding="utf-8")
    assert [field for field in Tree.__struct_fields__ if field != "children" and f"`{field}`" not in page] == []
