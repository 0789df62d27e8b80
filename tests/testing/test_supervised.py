"""What a supervisor promises of its children is held against what is seen of them."""

from unittest.mock import patch

import pykka
import pytest
from msgspec.structs import replace

from lightspeed.actors import ActorPool, PooledActor, Supervisable, watch
from lightspeed.actors.errors import ChildRunning, InsideActor, InvalidOption, RestartsExceeded, SimulationMisused, StartFailed
from lightspeed.supervision import Backoff, ChildSpec, RestartWindow, Supervisor
from lightspeed.supervision.messages import StartChild, TerminateChild
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
        yield from supervisor._jobs.stop(child)


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
    assert "'a' was stopped, where 'c' was to be stopped" in str(outcome.error)
    assert play(Case(scenario, seed=1)).error is None


@pytest.mark.parametrize("seed", range(20))
def test_a_child_that_was_being_stopped_when_the_end_began_is_no_breach(seed):
    with Simulation(seed) as simulation:
        ref = simulation.supervisor(children_of(simulation, LateStopper))
        first = ref.which_child("a").ref
        ref.ask(TerminateChild("a"), block=False)
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
    assert "it was to end of RestartsExceeded" in str(outcome.error)


def test_restarts_that_lie_further_apart_are_no_breach():
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation))
        for _ in range(5):
            ref.which_child("b").ref.tell("fail")
            simulation.run_for(6.0)
        assert ref.which_child("b").restarts == 5


def test_what_is_asked_before_all_have_started_is_done_when_they_have():
    with Simulation(2) as simulation:
        ref = simulation.begin_supervisor(children_of(simulation))
        started = ref.ask(StartChild(children_of(simulation, names="d")[0]), block=False)
        simulation.run()
        assert [view.id for view in ref.which_children()] == ["a", "b", "c", "d"]
        assert started.get() == ref.which_child("d").ref


def test_what_is_started_and_is_no_actor_is_refused_as_ever():
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation))
        with pytest.raises(StartFailed, match="can't be watched or supervised"):
            ref.start_child(ChildSpec("d", lambda: 7))
        simulation.run()


def test_what_is_started_and_is_another_childs_actor_is_refused_as_ever():
    with Simulation(2) as simulation:
        ref = simulation.supervisor(children_of(simulation))
        taken = ref.which_child("a").ref
        with pytest.raises(StartFailed, match="for this child alone"):
            ref.start_child(ChildSpec("d", lambda: taken))
        simulation.run()
        ref.which_child("a").ref.tell("fail")
        simulation.run()
        assert [view.id for view in ref.which_children()] == ["a", "b", "c"]


def test_the_tree_of_one_can_be_seen():
    with Simulation(2) as simulation:
        ref = simulation.supervisor([ChildSpec("inner", (Supervisor, (children_of(simulation),), {}))])
        tree = ref.tree()
        simulation.run()
        assert [child.id for child in tree.children[0].children] == ["a", "b", "c"]
        ref._actor.witness.gathered(tree)


def test_those_below_are_asked_for_their_part_of_a_tree_in_order():
    with Simulation(2, scheduler="round_robin") as simulation:
        names = "abcdefgh"
        ref = simulation.supervisor([ChildSpec(name, (Supervisor, (), {})) for name in names])
        begins = len(simulation.trace)
        ref.tree()
        asked = [
            line.split("\t")[1] for line in list(simulation.trace)[begins:] if line.startswith("put") and "WhichBranch" in line
        ]
        assert asked == [f"SimulatedSupervisor{number}" for number in ("", *(f":{number}" for number in range(2, 10)))]


def test_the_text_of_a_breach_is_the_same_in_each_run():
    def scenario(simulation):
        ref = simulation.supervisor(children_of(simulation, LateStopper))
        with patch.object(type(ref._actor._table), "views", lambda table: []):
            simulation.run()

    texts = {str(play(Case(scenario)).error) for _ in range(3)}
    a, b, c = (f"permanent '{name}' [running: an idle LateStopper]" for name in "abc")
    assert texts == {f"kinds: its children are none, where {a}, {b}, {c} are due"}


def test_a_tree_that_shows_others_than_were_said_to_be_there_breaks_the_rule():
    def scenario(simulation):
        ref = simulation.supervisor(children_of(simulation))
        ref._actor.witness.gathered(replace(ref.tree(), children=()))
        ref.which_children()

    assert play(Case(scenario)).failure == "views"


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


class Deaf(PooledActor):
    """It does not hand the pool on."""

    def __init__(self, pool=None):
        super().__init__(pool=ELSEWHERE)


class Threaded(Supervisable, pykka.ThreadingActor):
    pass


class House(Supervisor):
    """One that knows its children, and takes no pool."""

    def __init__(self, *children):
        super().__init__(children, intensity=3)


ELSEWHERE = None


@pytest.fixture
def elsewhere():
    global ELSEWHERE
    ELSEWHERE = ActorPool()
    yield ELSEWHERE
    ELSEWHERE.close(5)


def below(spec, kind=Supervisor):
    return ChildSpec("below", (kind, ([spec],) if kind is Supervisor else (spec,), {}))


STRANGERS = {
    "a class that keeps its pool for itself": lambda _pool: ChildSpec("odd", (Deaf, (), {"pool": _pool})),
    "a class that was given another pool": lambda _pool: ChildSpec("odd", (Worker, (), {"pool": ELSEWHERE})),
    "a threaded actor": lambda _pool: ChildSpec("odd", Threaded),
    "a threaded actor of a callable": lambda _pool: ChildSpec("odd", Threaded.start),
    "a callable that starts it elsewhere": lambda _pool: ChildSpec("odd", lambda: Worker.start(pool=ELSEWHERE)),
    "a supervisor on another pool": lambda _pool: ChildSpec("odd", (Supervisor, ([],), {"pool": ELSEWHERE})),
}
TREES = {
    "at its start": lambda simulation, odd: simulation.supervisor([odd]),
    "later": lambda simulation, odd: simulation.supervisor().start_child(odd),
    "below": lambda simulation, odd: simulation.supervisor([below(odd)]),
    "two below": lambda simulation, odd: simulation.supervisor([below(below(odd))]),
    "below a class of the program's": lambda simulation, odd: simulation.supervisor([below(below(odd, House), House)]),
    "begun": lambda simulation, odd: (simulation.begin_supervisor([odd]), simulation.run()),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("tree", TREES)
def test_a_child_that_is_not_on_the_simulations_pool_is_refused_by_name(elsewhere, stranger, tree):
    with pytest.raises(SimulationMisused, match=r"child 'odd'.*is not on the simulation's pool"), Simulation(1) as simulation:
        TREES[tree](simulation, STRANGERS[stranger](simulation.pool))
    stop_all_within(5)


def test_one_that_a_restart_brings_up_elsewhere_is_refused_by_that_step(elsewhere):
    def scenario(simulation):
        pools = [elsewhere, simulation.pool]
        ref = simulation.supervisor([ChildSpec("odd", lambda: Worker.start(pool=pools.pop()))])
        ref.which_child("odd").ref.tell("fail")
        simulation.run()

    outcome = play(Case(scenario))
    assert (outcome.failure[:17], "child 'odd'" in str(outcome.error)) == ("SimulationMisused", True)
    stop_all_within(5)


def test_one_below_a_supervisor_that_takes_no_part_is_found_when_all_is_at_rest(elsewhere):
    odd = ChildSpec("odd", lambda: Worker.start(pool=elsewhere))
    outcome = play(Case(lambda simulation: simulation.supervisor([ChildSpec("plain", lambda: start_plainly(simulation, odd))])))
    assert (outcome.failure[:17], "child 'odd'" in str(outcome.error)) == ("SimulationMisused", True)
    stop_all_within(5)


def test_a_supervisor_of_the_programs_class_takes_part_with_those_below_it():
    with Simulation(1) as simulation:
        house = (House, children_of(simulation), {})
        ref = simulation.supervisor([ChildSpec("house", house)])
        first = ref.which_child("house").ref
        first.which_child("a").ref.tell("fail")
        simulation.run()
        assert (first.actor_class.__name__, first.which_child("a").restarts) == ("House", 1)


def test_one_of_the_programs_class_is_started_as_any_actor():
    with Simulation(1) as simulation:
        ref = simulation.start(House, *children_of(simulation))
        ref.which_child("a").ref.tell("fail")
        simulation.run()
        assert ref.which_child("a").restarts == 1


@pytest.mark.parametrize("kind", [Deaf, Threaded, lambda: None, 3])
def test_an_actor_that_does_not_take_the_pool_is_not_started_by_the_simulation(elsewhere, kind):
    with (
        Simulation(1) as simulation,
        pytest.raises(SimulationMisused, match=r"simulation's pool|must be a class of PooledActors"),
    ):
        simulation.start(kind)
    stop_all_within(5)


def start_plainly(simulation, *children):
    return Supervisor._supervised_start(children, pool=simulation.pool)


def stop_all_within(timeout_s):
    for ref in pykka.ActorRegistry.get_all():
        ref.actor_stopped.wait(timeout_s)


class Asking(PooledActor):
    """It does what it is told with the supervisor that it is given."""

    def on_receive(self, message):
        call, args, box = message
        try:
            box.append(call(*args))
        except Exception as error:
            box.append(type(error))


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_a_child_that_asks_for_its_own_end_is_refused_as_ever(strategy):
    with Simulation(3) as simulation:
        ref, box = simulation.supervisor(children_of(simulation, Asking), strategy=strategy), []
        for call in (ref.terminate_child, ref.restart_child, ref.terminate_child):
            ref.which_child("a").ref.tell((call, ("a" if len(box) < 2 else "b",), box))
            simulation.run()
        assert box == [InsideActor, ChildRunning, None]
        assert [view.phase for view in ref.which_children()] == ["running", "stopped", "running"]


def test_a_start_that_returns_a_proxy_or_the_dead_is_refused_as_ever():
    with Simulation(3) as simulation:
        ref = simulation.supervisor(children_of(simulation))
        dead = Worker.start(pool=simulation.pool)
        dead.stop()
        with pytest.raises(StartFailed, match="has stopped"):
            ref.start_child(ChildSpec("d", lambda: dead))
        with pytest.raises(StartFailed, match="must return the reference"):
            ref.start_child(ChildSpec("d", lambda: Worker.start(pool=simulation.pool).proxy()))
