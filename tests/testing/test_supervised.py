"""What a supervisor promises of its children is held against what is seen of them."""

from unittest.mock import patch

import pytest

from lightspeed.actors import PooledActor, watch
from lightspeed.actors.errors import InvalidOption, RestartsExceeded, StartFailed
from lightspeed.supervision import Backoff, ChildSpec, RestartWindow, Supervisor
from lightspeed.supervision.supervisor_messages import TerminateChild
from lightspeed.testing import Case, Simulation, play


class Worker(PooledActor):
    def on_receive(self, message):
        if message == "fail":
            raise ValueError("ordered")
        return message


class LateStopper(Worker):
    """Its stop is code of its own, so that it takes a turn."""

    def on_stop(self):
        pass


def children_of(simulation, kind=Worker, names="abc", **options):
    return [ChildSpec(name, (kind, (), {"pool": simulation.pool}), **options) for name in names]


def stop_in_the_order_of_their_start(supervisor):
    for child in list(supervisor._table):
        yield from supervisor._steps.stop(child)


@pytest.mark.parametrize("kind", [Worker, LateStopper])
def test_a_supervisor_that_stops_its_children_in_reverse_keeps_the_rule(kind):
    with Simulation(1) as simulation:
        ref = simulation.supervisor(children_of(simulation, kind))
    assert not ref.is_alive()


def plain(simulation):
    simulation.supervisor(children_of(simulation))


def beneath_another(simulation):
    simulation.supervisor([ChildSpec("inner", (Supervisor, (children_of(simulation),), {}))])


def later_beneath_another(simulation):
    simulation.supervisor().start_child(ChildSpec("inner", (Supervisor, (children_of(simulation),), {})))


@pytest.mark.parametrize("scenario", [plain, beneath_another, later_beneath_another])
def test_one_that_stops_them_in_the_order_of_their_start_breaks_it(scenario):
    with patch.object(Supervisor, "_stop_all", stop_in_the_order_of_their_start):
        outcome = play(Case(scenario, seed=1))
    assert outcome.failure == "reverse_stop"
    assert "'a' was stopped before ['b', 'c']" in str(outcome.error)
    assert play(Case(scenario, seed=1)).error is None


@pytest.mark.parametrize("seed", range(20))
def test_a_child_that_was_being_stopped_when_the_end_began_is_no_breach(seed):
    with Simulation(seed) as simulation:
        ref = simulation.supervisor(children_of(simulation, LateStopper))
        first = ref.which_child("a").ref
        supervisor = ref._actor
        supervisor._run("a", supervisor._terminate_child(TerminateChild("a")))
        ref.stop(block=False)
        simulation.run()
        assert not first.is_alive()


def test_a_child_that_is_given_up_at_once_is_no_breach():
    with Simulation(1) as simulation:
        simulation.supervisor(children_of(simulation, LateStopper, shutdown_s="brutal_kill"))


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("backoff", [None, Backoff(floor_s=0.5, cap_s=2.0)])
def test_restarts_as_often_as_is_allowed_are_no_breach_and_with_one_more_it_gives_up(strategy, backoff):
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation), strategy=strategy, intensity=3, period_s=60.0, backoff=backoff)
        for _ in range(3):
            ref.which_child("a").ref.tell("fail")
            simulation.run_for(5.0)
        assert ref.is_alive()
        assert ref.which_child("a").restarts == 3
        ref.which_child("a").ref.tell("fail")
        simulation.run_for(5.0)
        assert not ref.is_alive()


def test_restarts_by_hand_count_for_nothing():
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation), intensity=0)
        for _ in range(5):
            ref.terminate_child("b")
            ref.restart_child("b")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_one_restart_more_than_is_allowed_breaks_the_rule(strategy):
    def scenario(simulation):
        ref = simulation.supervisor(children_of(simulation), strategy=strategy)
        for _ in range(2):
            ref.which_child("b").ref.tell("fail")
            simulation.run()

    with patch.object(RestartWindow, "allow", lambda window, now_s: True):
        outcome = play(Case(scenario, seed=2))
    assert outcome.failure == "restarts"
    assert "where 1 in 5 s are allowed" in str(outcome.error)


def test_restarts_that_lie_further_apart_are_no_breach():
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation))
        for _ in range(5):
            ref.which_child("b").ref.tell("fail")
            simulation.run_for(6.0)
        assert ref.which_child("b").restarts == 5


def test_what_is_no_child_is_refused_as_ever():
    with Simulation() as simulation, pytest.raises(InvalidOption, match="must be a ChildSpec each"):
        simulation.supervisor(["a"])


class Unwilling(Worker):
    def on_start(self):
        raise ValueError("unwilling")


def test_a_child_that_does_not_start_is_told_of_as_ever():
    with Simulation() as simulation, pytest.raises(StartFailed, match="unwilling"):
        simulation.supervisor(children_of(simulation, Unwilling))


def test_the_error_of_giving_up_is_the_supervisors_own():
    ends = []
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation), intensity=0)
        watch(ref, lambda down: ends.append(down.reason.error))
        ref.which_child("c").ref.tell("fail")
        simulation.run()
    assert [type(error) for error in ends] == [RestartsExceeded]
