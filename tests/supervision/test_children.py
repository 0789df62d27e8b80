"""The ids of children are the program's objects: what they do when they are compared is their caller's, and no supervisor's."""

import sys
import threading

import pytest
from stage import end, in_phase, ref_of

from lightspeed.actors.errors import ChildAlreadyPresent, ChildNotFound, InvalidOption
from lightspeed.supervision import ChildSpec
from lightspeed.supervision.children import ChildNames
from lightspeed.supervision.messages import TerminateChild


class Id:
    """Equal by its name; what it does when it is asked for anything is told meanwhile."""

    def __init__(self, name, does=None):
        self.name, self.does = name, does

    def _do(self):
        if self.does is not None:
            self.does()

    def __hash__(self):
        self._do()
        return 7

    def __eq__(self, other):
        self._do()
        return isinstance(other, Id) and self.name == other.name

    def __repr__(self):
        raise RuntimeError("detached")


def spec(stage, child_id, **options):
    return ChildSpec(child_id, (stage.kind, (stage, "a"), {}), **options)


def test_a_name_stands_for_equal_ids_as_long_as_it_is_taken():
    names = ChildNames()
    first = names.take(Id("a"))
    assert names.take(Id("a")) is first
    assert names.find(Id("a")) is first
    assert names.find(Id("b")) is not first
    assert names.take(Id("b")) is not first
    names.give_back(first)
    assert names.find(Id("a")) is first
    names.give_back(first)
    assert names.find(Id("a")) is not first
    names.give_back(names.find(Id("b")))
    assert names._known == {}


def test_many_threads_that_take_one_id_get_one_name():
    names, got = ChildNames(), []

    def take():
        got.append(names.take(Id("a", lambda: threading.Event().wait(0.0001))))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert got[0].uses == 8


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_an_id_raises_when_it_is_looked_up_is_the_callers(stage, error):
    sup = stage.start(spec(stage, Id("a")))

    def fail():
        raise error

    for call in (sup.which_child, sup.terminate_child, sup.restart_child, sup.delete_child):
        with pytest.raises(error):
            call(Id("a", fail))
    assert sup.which_child(Id("a")).phase == "running"


def test_a_supervisors_thread_asks_no_id_for_anything(stage):
    threads = set()
    child_id = Id("a", lambda: threads.add(threading.current_thread().name))
    sup = stage.start(spec(stage, child_id), intensity=5)
    end(ref_of(sup, child_id), ValueError("planted"))
    in_phase(sup, child_id, "running")
    sup.terminate_child(child_id)
    sup.restart_child(child_id)
    sup.terminate_child(child_id)
    sup.delete_child(child_id)
    with pytest.raises(ChildNotFound):
        sup.which_child(child_id)
    assert sup.start_child(spec(stage, child_id)).is_alive()
    assert threads == {threading.current_thread().name}


def test_an_id_that_raises_later_ends_and_keeps_nobody(stage):
    bad = Id("a")
    sup = stage.start("b", spec(stage, bad, kind="temporary"), intensity=5)

    def fail():
        raise ValueError("detached")

    ref = sup.which_child(bad).ref
    bad.does = fail
    end(ref, ValueError("planted"))
    in_phase(sup, "b", "running")
    assert sup.count_children().specs == 1
    assert [view.id for view in sup.which_children()] == ["b"]
    assert sup._actor._names.find("b").uses == 1


def test_of_two_who_start_the_same_child_one_is_refused_and_it_stays_known(stage):
    sup = stage.start()
    assert sup.start_child(spec(stage, Id("a"))).is_alive()
    for _ in range(3):
        with pytest.raises(Exception, match="was started already"):
            sup.start_child(spec(stage, Id("a")))
    sup.terminate_child(Id("a"))
    with pytest.raises(ChildAlreadyPresent):
        sup.start_child(spec(stage, Id("a")))
    sup.delete_child(Id("a"))
    assert sup._actor._names._known == {}


def test_a_request_that_was_made_by_hand_is_understood(stage):
    sup = stage.start("a")
    assert sup.ask(TerminateChild("a"), timeout=20) is None
    assert sup.which_child("a").phase == "stopped"


def test_an_id_that_can_not_be_hashed_is_refused(stage):
    def fail():
        raise ValueError("detached")

    with pytest.raises(InvalidOption, match="must be hashable"):
        ChildSpec(Id("a", fail), stage.kind)


@pytest.mark.parametrize("value", [-1, 0, True, "1", float("nan"), float("inf"), sys.maxsize, 10**400])
def test_a_timeout_that_is_none_is_refused_by_name(stage, value):
    sup = stage.start("a")
    for call in (
        lambda: sup.which_child("a", timeout_s=value),
        lambda: sup.start_child(stage.spec("b"), timeout_s=value),
        lambda: sup.count_children(timeout_s=value),
        lambda: sup.tree(timeout_s=value),
    ):
        with pytest.raises(InvalidOption, match="timeout_s"):
            call()
    assert sup._actor._names.find("b").uses == 0


class Evil(str):
    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = str.__hash__


@pytest.mark.parametrize("option", ["strategy", "auto_shutdown"])
def test_an_option_that_raises_when_it_is_compared_is_refused_by_name(stage, option):
    with pytest.raises(InvalidOption, match=option):
        stage.start(**{option: Evil("never")})


@pytest.mark.parametrize("option", ["kind", "shutdown_s"])
def test_so_is_one_of_a_child(stage, option):
    with pytest.raises(InvalidOption, match=option):
        stage.spec("a", **{option: Evil("permanent")})
