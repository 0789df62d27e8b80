"""Who has handled all that it was sent has answered all that it was asked."""

import pytest

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import InvariantBroken, StartFailed
from lightspeed.supervision import ChildSpec
from lightspeed.supervision.messages import StartChild
from lightspeed.testing import Case, Simulation, play
from lightspeed.testing.workers import Starts, StuckStart


class Echo(PooledActor):
    def on_receive(self, message):
        if message == "fail":
            raise ValueError("ordered")
        return message


class Forgetful(Echo):
    """It handles what it is asked, and answers nobody."""

    def _lifecycle_answer(self, envelope):
        self.on_receive(envelope.message)


class Held(Echo):
    """As under a fault: from `wait` on it is not run."""

    def on_receive(self, message):
        if message == "wait":
            self._pooled_pool.pause(self, "go on")
        return message


def test_an_answer_that_came_is_no_breach():
    with Simulation() as simulation:
        answer = simulation.start(Echo).ask("hello", block=False)
        simulation.run()
        assert answer.get() == "hello"


def test_an_ask_that_its_actor_has_handled_without_an_answer_is_a_breach():
    def scenario(simulation):
        simulation.start(Forgetful).ask("hello", block=False)

    error = play(Case(scenario)).error
    assert isinstance(error, InvariantBroken)
    assert str(error) == "answered: Forgetful was asked 'hello' and is at rest without an answer"


def test_an_error_and_a_death_are_answers():
    with Simulation() as simulation:
        ref = simulation.start(Echo)
        failed, refused = ref.ask("fail", block=False), simulation.start(Echo).stop(block=False)
        ref.stop(block=False)
        late = ref.ask("late", block=False)
        simulation.run()
        for future in (failed, late):
            with pytest.raises(Exception, match=r"ordered|stopped"):
                future.get()
        assert refused.get()


def test_an_actor_that_a_fault_holds_up_owes_no_answer_yet():
    with Simulation() as simulation:
        ref = simulation.start(Held)
        ref.tell("wait")
        answer = ref.ask("hello", block=False)
        simulation.run()
        simulation.pool.resume(ref._actor)
        simulation.run()
        assert answer.get() == "hello"


def test_many_answered_asks_are_not_kept():
    with Simulation() as simulation:
        ref = simulation.start(Echo)
        for number in range(5_000):
            assert ref.ask(number) == number
        assert len(simulation.pool._asks._open) <= 1_000


def test_the_part_of_a_tree_is_for_whoever_gathers_it():
    with Simulation() as simulation:
        assert simulation.supervisor().tree().children == ()
        simulation.run()


def test_a_supervisor_may_answer_when_what_is_put_off_has_come():
    with Simulation() as simulation:
        child = ChildSpec("a", (StuckStart, (Starts(),), {"pool": simulation.pool}))
        answer = simulation.supervisor().ask(StartChild(child), block=False)
        simulation.run()
        simulation.run_for(6.0)
        with pytest.raises(StartFailed, match="on_start"):
            answer.get()
