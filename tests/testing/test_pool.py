"""Asks run others within them, and what can't end is said."""

import threading

import pykka
import pytest
from loguru import logger

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import AskRing, SimulationMisused, SimulationStuck
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.logs import settle
from lightspeed.testing import Simulation


class Asker(PooledActor):
    """Asks another for what it is asked, or answers."""

    def __init__(self, other=None, *, pool):
        super().__init__(pool=pool)
        self.other, self.seen = other, []

    def on_receive(self, message):
        self.seen.append(message)
        if message == "die":
            raise ValueError("planted")
        if message == "never":
            return self.actor_ref.ask("again")
        if message == "interrupt":
            raise KeyboardInterrupt
        return self.other.ask(message) if self.other is not None else f"{message}!"


@pytest.fixture
def simulation():
    simulation = Simulation(1)
    yield simulation
    simulation._drop()


def test_an_ask_from_inside_an_actor_runs_others_within_it(simulation):
    last = simulation.start(Asker)
    first = simulation.start(Asker, simulation.start(Asker, last))
    last.tell("before")
    assert first.ask("hello") == "hello!"
    assert last._actor.seen == ["before", "hello"]


def test_the_answer_of_one_who_dies_is_his_error_or_that_he_is_dead(simulation):
    ref = simulation.start(Asker)
    with pytest.raises(ValueError, match="planted"):
        ref.ask("die")
    ref.stop()
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("hello")


def test_one_who_would_wait_for_himself_is_told_so(simulation):
    with pytest.raises(AskRing):
        simulation.start(Asker).ask("never")


def test_an_answer_that_nobody_can_give_is_not_waited_for(simulation):
    lost = PooledFuture(simulation.start(Asker)._actor)
    with pytest.raises(SimulationStuck):
        lost.get()
    with pytest.raises(pykka.Timeout):
        lost.get(timeout=7)
    assert simulation.now_s == pytest.approx(86_407)


def test_another_thread_is_turned_away(simulation):
    ref, raised = simulation.start(Asker), []

    def tell():
        try:
            ref.tell("hello")
        except SimulationMisused as error:
            raised.append(error)

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_ctrl_c_ends_the_run_and_not_only_an_actor(simulation):
    channel_ref = simulation.start(Asker)
    channel_ref.tell("interrupt")
    with pytest.raises(KeyboardInterrupt):
        simulation.run()


class Held(Asker):
    def on_start(self):
        self._pooled_pool.pause(self, None)


def test_one_who_was_held_up_at_his_start_goes_on_when_he_is_let(simulation):
    held = simulation.start(Held)
    held.tell("hello")
    simulation.run()
    assert held._actor.seen == []
    for _ in range(2):
        simulation.pool.resume(held._actor)
        simulation.run()
        assert held._actor.seen == ["hello"]


@pytest.mark.parametrize("is_enabled", [False, True])
def test_what_fails_in_it_stands_in_pykkas_log_only_where_lightspeed_is_enabled(simulation, caplog, is_enabled):
    sink = logger.add(lambda _message: None)
    (logger.enable if is_enabled else logger.disable)("lightspeed")
    try:
        failing = simulation.start(Asker)
        failing.tell("die")
        simulation.run()
        settle()
    finally:
        logger.disable("lightspeed")
        logger.remove(sink)
    assert [record.message.partition(" (")[0] for record in caplog.records] == ["Unhandled exception in Asker"] * is_enabled
    assert list(simulation.trace)[-1] == "end\tAsker\tValueError"
