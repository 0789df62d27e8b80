import gc
import time
import weakref

import pytest

from lightspeed.actors import PooledActor
from lightspeed.actors.errors import InvalidOption, InvariantBroken, SimulationMisused, SimulationStuck
from lightspeed.channel import Backoff, Broadcast, BroadcastMessage, Crash, FaultPlan, Join, Push, Reply, Restarts
from lightspeed.faults import Raise
from lightspeed.supervision import ChildSpec
from lightspeed.testing import Simulation


def test_a_channel_works_as_any_and_one_thread_runs_it():
    with Simulation(1) as simulation:
        channel = simulation.channel()
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Broadcast("a", "x", "hello"))
        assert channel.subscribers("x") == ("a",)
        assert channel.flush_outbox()[-1] == BroadcastMessage("x", "hello", ("a",))
        assert channel.membership_count == 1


def test_a_step_is_one_message_and_run_goes_on_until_nobody_is_ready():
    with Simulation(1) as simulation:
        client = simulation.client(simulation.channel(), "a")
        client.join("x")
        assert client.received == []
        assert simulation.step()
        assert simulation.run() > 0
        assert not simulation.step()
        assert client.received == [Reply("a", "x", "ok", "joined")]


def test_time_passes_only_where_it_is_let():
    plan = FaultPlan((Raise(at=2),))
    with Simulation(1) as simulation:
        channel = simulation.channel(faults=plan, restarts=Restarts(backoff=Backoff(floor_s=10, cap_s=10, jitter=0)))
        channel.handle(Join("a", "x", "u", 1))
        channel.tell(Push("a", "x", "e", "p"))
        channel.tell(Join("b", "x", "u", 2))
        simulation.run()
        assert simulation.now_s == 0
        simulation.run_for(9.9)
        assert channel.tree().children[0].phase == "restarting"
        simulation.run_for(0.2)
        assert channel.subscribers("x") == ("b",)
        assert simulation.now_s == pytest.approx(10.1)


@pytest.mark.slow
def test_a_day_of_heartbeats_of_ten_clients_takes_seconds():
    started_s = time.process_time()
    with Simulation(1) as simulation:
        channel = simulation.channel()
        clients = [simulation.client(channel, f"c{number}") for number in range(10)]
        for client in clients:
            client.join("x")
            simulation.every(30, lambda client=client: client.push("x", "heartbeat", ""))
        simulation.run_for(86_400)
        assert sum(len(client.received) for client in clients) == 10 + 28_800
    assert time.process_time() - started_s < 20  # 3 s


def test_a_call_that_waits_in_vain_ends_at_its_timeout_in_no_time():
    with Simulation(1) as simulation:
        channel = simulation.channel(
            faults=FaultPlan((Raise("on_start"),)), restarts=Restarts(intensity=1000, period_s=1), timeout_s=5
        )
        channel.tell(Join("a", "x", "u", 1))
        with pytest.raises(SimulationStuck):
            simulation.run(most_steps=200)  # it fails for ever, at once
        channel.handle(Crash("enough"))


def test_what_must_always_hold_is_looked_at_after_every_step():
    with pytest.raises(InvariantBroken, match="few: it did not hold at step") as broken, Simulation(1) as simulation:  # noqa: PT012
        client = simulation.client(simulation.channel(), "a")
        simulation.always(lambda: len(client.received) < 2, "few")
        client.join("x")
        client.broadcast("x", "hello")
        simulation.run()
    assert "in a simulation with seed 1" in broken.value.__notes__[0]


def test_what_must_come_about_has_its_time():
    with Simulation(1) as simulation:
        client = simulation.client(simulation.channel(), "a")
        simulation.eventually(lambda: client.received, within_s=5, name="an answer")
        client.join("x")
        simulation.run_for(10)
    with pytest.raises(InvariantBroken, match="an answer: it had not held by 5 s"), Simulation(1) as simulation:  # noqa: PT012
        client = simulation.client(simulation.channel(), "a")
        simulation.eventually(lambda: client.received, within_s=5, name="an answer")
        simulation.run_for(10)


def test_what_a_run_is_for_must_have_happened():
    with pytest.raises(InvariantBroken, match="a crash: it never held"), Simulation(1) as simulation:
        simulation.sometimes(lambda: False, "a crash")
    with Simulation(1, asks_for_sometimes=False) as simulation:
        simulation.sometimes(lambda: False, "a crash")
    assert simulation.seen == {"a crash": False}


class Worker(PooledActor):
    def __init__(self, *, pool):
        super().__init__(pool=pool)

    def on_receive(self, message):
        raise ValueError(message)


def test_a_supervisor_restarts_its_children_in_virtual_time():
    with Simulation(1) as simulation:
        spec = ChildSpec("a", (Worker, (), {"pool": simulation.pool}))
        supervisor = simulation.supervisor([spec], intensity=2, period_s=5, backoff=Backoff(floor_s=3, cap_s=3, jitter=0))
        for _ in range(3):
            supervisor.which_child("a").ref.tell("planted")
            simulation.run()
            assert supervisor.which_child("a").phase == "restarting"
            simulation.run_for(3)
            assert supervisor.which_child("a").phase == "running"


def test_an_event_can_be_skipped_by_its_number():
    with Simulation(1, skip=frozenset([1])) as simulation:
        channel = simulation.channel()
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Join("b", "x", "u", 1))
        channel.tell(Join("c", "x", "u", 1))
        assert channel.subscribers("x") == ("a", "c")
        assert simulation.sent == 3


def test_what_it_can_not_do_is_refused():
    other = Simulation(2)
    with Simulation(1) as simulation:
        with pytest.raises(SimulationMisused, match="the channel must be one of this simulation"):
            simulation.client(other.channel(), "a")
        channel = simulation.channel()
        assert simulation.client(channel, "a") is simulation.client(channel, "a")
    simulation.close()
    for call in (simulation.channel, simulation.supervisor, lambda: simulation.start(Worker)):
        with pytest.raises(SimulationMisused, match="closed"):
            call()
    other.close()


def test_an_error_in_the_body_is_told_with_the_seed_and_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError) as error, Simulation(77) as simulation:  # noqa: PT012
        simulation.channel().tell(Join("a", "x", "u", 1))
        1 / 0  # noqa: B018
    assert "seed 77" in error.value.__notes__[0]


def test_a_rule_that_does_not_say_whether_it_holds_is_refused():
    with pytest.raises(SimulationMisused, match="the rule quiet returned None"), Simulation(1) as simulation:  # noqa: PT012
        simulation.always(lambda: None, "quiet")
        simulation.client(simulation.channel(), "a").join("x")
        simulation.run()


def test_a_rule_that_waits_is_refused_and_one_that_raises_is_named():
    with pytest.raises(SimulationMisused, match="a rule must not wait"), Simulation(1) as simulation:  # noqa: PT012
        channel = simulation.channel()
        simulation.always(lambda: channel.subscribers("x") is not None, "asks")
        channel.tell(Join("a", "x", "u", 1))
        simulation.run()
    with pytest.raises(ZeroDivisionError) as raised, Simulation(1) as simulation:  # noqa: PT012
        simulation.always(lambda: 1 / 0, "odd")
        simulation.client(simulation.channel(), "a").join("x")
        simulation.run()
    assert "in the rule odd" in raised.value.__notes__


def test_what_is_put_off_by_no_time_again_and_again_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("lightspeed.testing.pool.MOST_STEPS", 1_000)
    for wait in (lambda simulation, _ref: simulation.run_for(1), lambda _simulation, ref: ref.ask("never", timeout=1)):
        simulation = Simulation(1)
        simulation.every(0, lambda: None)
        with pytest.raises(SimulationStuck, match=r"after 1,000 steps it is still 0 s"):
            wait(simulation, simulation.start(Silent))
        simulation.abandon()


class Silent(Worker):
    def _lifecycle_answer(self, envelope):
        """It answers nobody."""


def test_a_client_is_one_users():
    with Simulation(1) as simulation:
        channel = simulation.channel()
        ann = simulation.client(channel, "a", "ann")
        assert simulation.client(channel, "a") is ann
        assert simulation.client(channel, "a", "ann") is ann
        with pytest.raises(SimulationMisused, match="client a is ann's already, and can't be bob's too"):
            simulation.client(channel, "a", "bob")


def test_who_goes_on_after_an_error_of_a_call_finds_the_client_as_it_was():
    with Simulation(1) as simulation:
        client = simulation.client(simulation.channel(), "a")
        client.do(lambda: 1 / 0)
        client.join("x")
        with pytest.raises(ZeroDivisionError):
            simulation.run()
        simulation.run()
        assert client.received == [Reply("a", "x", "ok", "joined")]


async def awaited():
    return True


@pytest.mark.parametrize(
    ("ask", "option"),
    [
        (lambda simulation, client: simulation.always(awaited), "holds"),
        (lambda simulation, client: simulation.eventually(awaited, within_s=1), "holds"),
        (lambda simulation, client: simulation.sometimes(awaited), "holds"),
        (lambda simulation, client: simulation.every(1, awaited), "call"),
        (lambda simulation, client: client.do(awaited), "call"),
        (lambda simulation, client: client.do(lambda: 1, name=3), "name"),
        (lambda simulation, client: simulation.channel(faults=[Raise()]), "faults"),
        (lambda simulation, client: Simulation(faults=[Raise()]), "faults"),
        (lambda simulation, client: simulation.client(simulation.channel(), ["a"]), "client_id"),
        (lambda simulation, client: simulation.client(simulation.channel(), "a", 3), "user_id"),
    ],
)
def test_what_is_given_to_it_by_mistake_is_refused_by_name(ask, option):
    with Simulation(1) as simulation:
        client = simulation.client(simulation.channel(), "a")
        with pytest.raises(InvalidOption) as refused:
            ask(simulation, client)
        assert refused.value.option == option


def test_faults_for_every_channel_are_left_out_where_a_channels_own_leave_them_nothing():
    with Simulation(1, faults=FaultPlan((Raise(at=1), Raise("on_stop")))) as simulation:
        own = FaultPlan((Raise(topic="x"),))
        assert simulation.channel(faults=own).faults.plan.faults == (*own.faults, Raise(at=1), Raise("on_stop"))
        own = FaultPlan((Raise(),))
        assert simulation.channel(faults=own).faults.plan.faults == (*own.faults, Raise("on_stop"))
        assert simulation.channel().faults.plan.faults == (Raise(at=1), Raise("on_stop"))


@pytest.mark.parametrize("most_steps", range(8))
def test_nothing_is_left_of_a_simulation_that_was_abandoned_in_its_middle(most_steps):
    simulation = Simulation(1)
    channel = simulation.channel()
    channel.handle(Join("a", "x", "u", 1))
    channel.client("b", "u").send(Join("b", "x", "u", 2))
    simulation.client(channel, "c").handle(Push("a", "x", "e", "p"))
    while simulation.steps < most_steps and simulation.step():
        pass
    simulation.abandon()
    left = weakref.ref(simulation)
    del simulation, channel
    gc.collect()
    assert left() is None
