"""Addresses of children, which lead to whichever actor a child has; and telling all children at once."""

import threading
from unittest.mock import patch

import pykka
import pytest
from stage import end, in_phase, only_actors, ref_of, until, waiting

from lightspeed.actors import AskRing, PooledActor
from lightspeed.actors.errors import ChildNotFound, ChildStopped, InsideActor, InvalidOption, SupervisorStopped, SupervisorTimeout
from lightspeed.supervision import Backoff, ChildSpec, Supervisor, SupervisorRef
from lightspeed.testing import Simulation

BACKOFF = Backoff(floor_s=10, jitter=0)


def fails(future, error):
    with pytest.raises(error) as caught:
        future.result(20)
    return caught.value


def heard(ref):
    """What an actor that keeps its messages was told."""
    return ref.ask(lambda: list(ref._actor_weakref().heard))


# An address


@only_actors
def test_it_leads_to_the_next_actor_after_a_restart(stage):
    sup = stage.start("a", intensity=5)
    address = sup.child("a")
    first = address.ref
    assert first == address.wait_up() == ref_of(sup, "a")
    assert address.ask("hello") == "hello"
    end(first)
    assert address.ask("again") == "again"
    assert address.ref == ref_of(sup, "a") != first


@only_actors
def test_while_the_actor_lives_the_supervisor_is_not_asked(stage):
    sup = stage.start("a", "b", intensity=5)
    address = sup.child("a")
    address.tell("hello")
    with patch.object(SupervisorRef, "_call") as call:
        for _ in range(100):
            address.tell("hello")
        assert address.ask("hello") == "hello"
        assert address.ref == address.wait_up()
    call.assert_not_called()
    end(address.ref)
    assert address.wait_up() == ref_of(sup, "a")


@only_actors
def test_one_that_is_starting_can_be_told_and_is_not_taken_for_up(stage):
    sup = stage.start("a")
    go_on = stage.hold("a", "on_start")
    end(sup.wait_up("a"))
    in_phase(sup, "a", "starting")
    address, told = sup.child("a"), threading.Event()
    address.tell(told.set)
    with pytest.raises(SupervisorTimeout, match=r"wait_up was not answered within 0.02 s"):
        address.ask("hello", timeout_s=0.02)
    go_on.set()
    assert told.wait(20)
    assert address.ask("hello") == "hello"


@only_actors
def test_without_a_living_actor_tell_says_so_and_ask_waits(stage):
    sup = stage.start("a", backoff=BACKOFF)
    address = sup.child("a")
    end(address.ref)
    in_phase(sup, "a", "restarting")
    assert address.ref is None
    with pytest.raises(pykka.ActorDeadError, match="child 'a' has no living actor"):
        address.tell("hello")
    asks = [stage.soon(address.ask, number) for number in range(2)]
    waiting(sup, 2)
    stage.clock.advance(10)
    assert [ask.result(20) for ask in asks] == [0, 1]


@only_actors
def test_an_ask_that_its_actor_dies_of_is_not_repeated(stage):
    sup = stage.start("a")
    address, asked = sup.child("a"), []

    def die():
        asked.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        address.ask(die, timeout_s=20)
    assert address.ask("hello") == "hello"
    assert asked == [1]


@only_actors
def test_an_ask_that_waits_in_the_inbox_of_one_that_dies_is_answered_as_dead(stage):
    sup = stage.start("a")
    address, inside, go_on = sup.child("a"), threading.Event(), threading.Event()

    def hold_and_fail():
        inside.set()
        go_on.wait(20)
        raise ValueError("ordered")

    address.tell(hold_and_fail)
    assert inside.wait(20)
    ask = stage.soon(address.ask, "hello", timeout_s=20)
    until_asked(address.ref)
    go_on.set()
    fails(ask, pykka.ActorDeadError)
    assert address.ask("hello") == "hello"


def until_asked(ref):
    while ref.actor_inbox.empty():
        pass


@only_actors
def test_the_answer_has_what_is_left_of_the_timeout(stage):
    sup = stage.start("a")
    go_on = threading.Event()
    with pytest.raises(pykka.Timeout):
        sup.child("a").ask(lambda: go_on.wait(20), timeout_s=0.02)
    go_on.set()


@only_actors
def test_one_that_is_unknown_is_refused_until_it_is_there(stage):
    sup = stage.start()
    address = sup.child("a")
    for call in (lambda: address.ref, address.wait_up, lambda: address.tell(1), lambda: address.ask(1)):
        with pytest.raises(ChildNotFound, match="no child 'a'"):
            call()
    sup.start_child(stage.spec("a"))
    assert address.ask("hello") == "hello"
    sup.terminate_child("a")
    with pytest.raises(ChildStopped):
        address.ask("hello")
    sup.delete_child("a")
    with pytest.raises(ChildNotFound):
        address.tell("hello")


def test_when_the_supervisor_has_stopped_it_says_so(stage):
    sup = stage.start("a", backoff=BACKOFF)
    address = sup.child("a")
    end(address.ref)
    in_phase(sup, "a", "restarting")
    ask = stage.soon(address.ask, "hello")
    waiting(sup)
    sup.stop()
    fails(ask, SupervisorStopped)
    for call in (lambda: address.ref, address.wait_up, lambda: address.tell(1), lambda: address.ask(1)):
        with pytest.raises(SupervisorStopped):
            call()


@only_actors
def test_a_child_that_asks_itself_is_refused_by_name(stage):
    sup = stage.start("a", "b")
    address = sup.child("a")
    with pytest.raises(AskRing):
        address.ask(lambda: address.ask("myself"), timeout_s=20)
    with pytest.raises(AskRing):
        address.ask(lambda: sup.child("b").ask(lambda: address.ask("back")), timeout_s=20)


# Paths


def test_ids_that_are_no_str_are_given_as_they_are_and_slashes_in_a_tuple(stage):
    specs = [ChildSpec(child_id, (stage.kind, (stage, str(child_id)), {})) for child_id in (7, "a/b", ("x", 1))]
    sup = stage.start(children=specs)
    for path, child_id in ((7, 7), ((7,), 7), (("a/b",), "a/b"), ((("x", 1),), ("x", 1))):
        assert sup.child(path).ref == ref_of(sup, child_id)
    with pytest.raises(ChildNotFound, match="no child 'a'"):
        sup.child("a/b").tell("hello")
    with pytest.raises(InvalidOption, match="path must name a child"):
        sup.child(())
    with pytest.raises(TypeError, match="unhashable"):
        sup.child([])


@pytest.fixture
def tree(stage):
    """A supervisor "top", and below it "web", and below that "1" and "2"."""
    web = stage.spec_of_supervisor("web", "1", "2", backoff=BACKOFF)
    return stage.start("db", children=[web], intensity=5, backoff=BACKOFF)


@only_actors
def test_a_path_goes_down_into_a_tree(stage, tree):
    web = tree.wait_up("web")
    assert tree.child("web/1").wait_up() == tree.child(("web", "1")).ref == web.wait_up("1")
    assert tree.child("web/1").ask("hello") == "hello"
    for path, missing in (("web/3", "3"), ("none/1", "none"), ("db/1", "1"), ("web/1/x", "x")):
        for call in (tree.child(path).wait_up, lambda path=path: tree.child(path).tell(1)):
            with pytest.raises(ChildNotFound) as caught:
                call()
            assert caught.value.child_id == missing


@only_actors
def test_it_outlives_the_supervisor_on_its_way(stage, tree):
    address, web = tree.child("web/1"), tree.wait_up("web")
    first = address.wait_up()
    end(web, None)
    in_phase(tree, "web", "restarting")
    with pytest.raises(pykka.ActorDeadError):
        address.tell("hello")
    ask = stage.soon(address.ask, "hello")
    waiting(tree)
    stage.clock.advance(10)
    assert ask.result(20) == "hello"
    assert address.ref == tree.wait_up("web").wait_up("1") != first


@only_actors
def test_who_waits_below_a_supervisor_that_ends_waits_for_its_next_one(stage, tree):
    address, web = tree.child("web/1"), tree.wait_up("web")
    end(address.wait_up())
    in_phase(web, "1", "restarting")
    go_on = stage.hold("2", "on_stop")
    ask = stage.soon(address.ask, "hello")
    waiting(web)
    web.stop(block=False)
    stage.book.wait_for("on_stop", "2")  # it is ending, and lives
    assert address.ref is None
    waiting(tree)
    go_on.set()
    until(tree, lambda seen: seen["web"].phase == "restarting")
    assert not ask.done()
    stage.clock.advance(10)
    assert ask.result(20) == "hello"


def test_who_waits_below_a_supervisor_that_is_terminated_is_told(stage, tree):
    address, web = tree.child("web/1"), tree.wait_up("web")
    end(address.wait_up())
    in_phase(web, "1", "restarting")
    ask = stage.soon(address.ask, "hello")
    waiting(web)
    tree.terminate_child("web")
    assert fails(ask, ChildStopped).child_id == "web"


def test_inside_a_branch_that_ends_the_wait_for_its_next_life_is_refused(pooled_stage):
    stage = pooled_stage
    web = stage.spec_of_supervisor("web", stage.spec("1", shutdown_s="infinity"), "2")
    tree = stage.start(children=[web], intensity=5)
    below, inside = tree.child("web/1").wait_up(), threading.Event()
    first = tree.wait_up("web")

    def wait_for_the_next():
        inside.set()
        stage.book.wait_for("on_stop", "2")
        return tree.child("web/2").ask("hello")

    ask = below.ask(wait_for_the_next, block=False)
    assert inside.wait(20)
    first.stop(block=False)
    with pytest.raises(InsideActor, match="wait_up waits, and was called inside"):
        ask.get(timeout=20)
    assert tree.child("web/1").ask("hello") == "hello"
    assert tree.wait_up("web") != first


@only_actors
def test_in_a_branch_that_is_starting_those_are_told_that_are_there(stage, tree):
    go_on = stage.hold("1", "on_start")
    tree.wait_up("web").stop(block=False)
    until(tree, lambda seen: seen["web"].phase == "restarting")
    stage.clock.advance(10)
    until(tree, lambda seen: seen["web"].phase == "starting")
    stage.book.wait_for("on_start", "1", count=2)
    assert tree.child("web/2").ref is None
    with pytest.raises(pykka.ActorDeadError):
        tree.child("web/2").tell("hello")
    ask = stage.soon(tree.child("web/2").ask, "hello")
    waiting(tree)
    go_on.set()
    assert ask.result(20) == "hello"


# All children


class Keeper(PooledActor):
    def __init__(self, pool):
        super().__init__(pool=pool)
        self.heard = []

    def on_receive(self, message):
        if message == "fail":
            raise ValueError("ordered")
        return message() if callable(message) else self.heard.append(message)


def test_all_living_children_are_told_and_no_supervisor(pooled_stage):
    stage = pooled_stage
    keepers = [ChildSpec(name, (Keeper, (stage.pool,), {})) for name in "abcd"]
    below = ChildSpec("below", (Supervisor, (), stage.options(children=keepers[:1])))
    sup = stage.start(children=[*keepers, below], backoff=BACKOFF, intensity=5)
    sup.terminate_child("b")
    end(sup.wait_up("c"))
    in_phase(sup, "c", "restarting")
    assert sup.tell_all("hello") == 2
    assert [heard(sup.wait_up(name)) for name in "ad"] == [["hello"]] * 2
    assert heard(sup.child("below/a").wait_up()) == []
    stage.clock.advance(10)
    assert heard(sup.wait_up("c")) == []
    assert sup.tell_all("hello") == 3


def test_of_a_supervisor_that_has_stopped_nobody_is_told(stage):
    sup = stage.start("a")
    sup.stop()
    with pytest.raises(SupervisorStopped):
        sup.tell_all("hello")
    assert stage.start().tell_all("hello") == 0


@only_actors
def test_one_that_has_died_and_is_seen_as_running_does_not_count(stage):
    sup = stage.start("a", "b")
    seen = sup.which_children()
    end(seen[0].ref)
    with patch.object(SupervisorRef, "which_children", lambda _sup, **_options: seen):
        assert sup.tell_all("hello") == 1


# In a simulation


def keepers_of(simulation, *names):
    return [ChildSpec(name, (Keeper, (), {"pool": simulation.pool})) for name in names]


@pytest.mark.parametrize("seed", range(20))
def test_in_a_simulation_it_waits_in_its_time(seed):
    with Simulation(seed) as simulation:
        web = ChildSpec("web", (Supervisor, (keepers_of(simulation, "1", "2"),), {"backoff": BACKOFF}))
        sup = simulation.supervisor([*keepers_of(simulation, "a"), web], intensity=5)
        address = sup.child("web/1")
        address.tell("first")
        address.tell("fail")
        simulation.run()
        assert heard_by(address) == []
        assert simulation.now_s == 10
        address.tell("second")
        assert heard_by(address) == ["second"]
        assert sup.tell_all("hello") == 1
        sup.wait_up("web").stop()
        assert heard_by(address) == []
        assert simulation.now_s == 10
        address.tell("fail")
        simulation.run()
        with pytest.raises(SupervisorTimeout):
            heard_by(address, timeout_s=4)
        assert simulation.now_s == 14


def heard_by(address, timeout_s=30):
    return address.ask(lambda: list(address.ref._actor.heard), timeout_s=timeout_s)
