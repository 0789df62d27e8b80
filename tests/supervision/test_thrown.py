"""What hits the thread of who calls an actor or a supervisor is his own: thrown at each point, it harms nobody else."""

from itertools import count

import pytest
from thrown import Alarm, at_depth, in_time, spare, throw_at

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.supervision import ChildSpec, Supervisor

spare(__file__)


class Echo(PooledActor):
    def __init__(self, pool):
        super().__init__(pool=pool)

    def on_receive(self, message):
        return message


class Slow(Echo):
    """One that has something to do in its start."""

    def on_start(self):
        pass


class Stage:
    """Two actors on a pool of their own, and a supervisor of two."""

    def __init__(self):
        self.pool, self.own = ActorPool(), ActorPool()
        self.ref, self.other = Echo.start(self.pool), Echo.start(self.pool)
        children = [ChildSpec(name, (Slow, (self.pool,), {})) for name in ("a", "b")]
        self.sup = Supervisor.start(children, pool=self.own)

    def end(self):
        in_time(lambda: [ref.stop() for ref in (self.ref, self.other, self.sup)])
        assert in_time(lambda: self.pool.close(5) + self.own.close(5)) == []


ACTOR_CALLS = {
    "tell": lambda stage: stage.ref.tell("m"),
    "ask": lambda stage: stage.ref.ask("m"),
    "ask in time": lambda stage: stage.ref.ask("m", timeout=5),
    "ask and go on": lambda stage: stage.ref.ask("m", block=False),
    "stop": lambda stage: stage.ref.stop(timeout=5),
    "schedule": lambda stage: stage.pool.schedule(stage.ref._actor),
}
SUPERVISOR_CALLS = {
    "which_children": lambda stage: stage.sup.which_children(),
    "tree": lambda stage: stage.sup.tree(),
    "start_child": lambda stage: stage.sup.start_child(ChildSpec("c", (Slow, (stage.pool,), {}))),
    "terminate_child": lambda stage: stage.sup.terminate_child("a"),
    "stop": lambda stage: stage.sup.stop(timeout=5),
}
STRIDES = [pytest.param(5, marks=pytest.mark.slow), pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])]


def check_actors(stage, call):
    assert in_time(lambda: stage.other.ask("other", timeout=5)) == "other"
    if call != "stop" and stage.ref.is_alive():
        assert in_time(lambda: stage.ref.ask("ref", timeout=5)) == "ref"
    else:
        assert call in ("stop", "ask")  # one that ran in the caller's thread, and failed there, may be dead


def check_supervisor(stage, call):
    if call == "stop":
        return
    assert "b" in {view.id for view in in_time(stage.sup.which_children) if view.phase == "running"}
    in_time(lambda: stage.sup.start_child(ChildSpec("later", (Slow, (stage.pool,), {}))))
    in_time(lambda: stage.sup.terminate_child("later"))


def sweep(calls, call, check, stride, throw):
    for number in count(0, stride):
        stage = Stage()
        place = throw(stage, number, calls[call])
        if place is not None:
            check(stage, call)
        stage.end()
        if place is None:
            return number
    raise AssertionError


def throw_error(stage, number, call):
    error = Alarm() if number % 2 else KeyboardInterrupt()
    place, raised = throw_at(number, error, lambda: call(stage))
    assert place is None or raised is error, place
    return place


def tell_within(stage, number, call):
    place, raised = throw_at(number, lambda: (stage.ref.tell("again"), stage.other.tell("again")), lambda: call(stage))
    assert raised is None or "stop" in str(raised), place
    return place


def go_deep(stage, number, call):
    raised = at_depth(number, lambda: call(stage))
    assert raised is None or isinstance(raised, RecursionError)
    return None if number > 50 else number


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("throw", [throw_error, go_deep])
@pytest.mark.parametrize("call", ACTOR_CALLS)
def test_what_hits_who_calls_an_actor_is_his(call, throw, stride):
    assert sweep(ACTOR_CALLS, call, check_actors, stride, throw)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("call", ["tell", "ask", "ask in time"])
def test_who_is_told_in_the_middle_of_a_call_hears_it(call, stride):
    assert sweep(ACTOR_CALLS, call, check_actors, stride, tell_within)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("throw", [throw_error, go_deep])
@pytest.mark.parametrize("call", SUPERVISOR_CALLS)
def test_what_hits_who_calls_a_supervisor_is_his(call, throw, stride):
    assert sweep(SUPERVISOR_CALLS, call, check_supervisor, stride, throw)
