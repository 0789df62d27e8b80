import pytest
from model.random_scenario import random_scenario

from lightspeed.actors import PooledActor
from lightspeed.channel import Behaviour, Crash, Diff, Entry, FaultPlan, Join, Meta, PresenceDiff, Push, Rejoin, encode
from lightspeed.faults import Raise
from lightspeed.testing import Case, Simulation, play


def test_another_seed_gives_another_hash():
    assert len({play(Case(random_scenario(1), seed)).trace.hash for seed in range(10)}) > 1


def test_it_says_who_began_what_came_of_each_message_and_who_ended_of_what():
    with Simulation(1) as simulation:
        channel = simulation.channel(rejoin="supervisor", faults=FaultPlan((Raise(match={"type": "push"}, times=1),)))
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "e", "p"))
        channel.handle(Crash("ordered", "x"))
        lines = list(simulation.trace)
    joined = '{"type":"reply","client_id":"a","topic":"x","status":"ok","payload":"joined"}'
    came = encode(PresenceDiff("x", Diff("x", (Entry("u", (Meta("a:1", 1),)),)))).decode()
    starts_and_ends = [line for line in lines if line.startswith(("start\tx", "end\tx"))]
    assert starts_and_ends == ["start\tx#1", "end\tx#1\tInjectedFault", "start\tx#2", "end\tx#2\tTopicCrash"]
    assert f"out\tx#1\t{joined} {came}" in lines
    assert f"put\tx#2\treplay {encode(Rejoin('a', 'x', 'u', 1)).decode()}" in lines
    assert f"out\tx#2\t{came}" in lines


def test_what_a_behaviour_gives_out_that_json_does_not_know_is_written_all_the_same():
    class Odd(Behaviour):
        def on_push(self, room, client_id, event, payload):
            room.broadcast("\udc80")

    with Simulation(1) as simulation:
        channel = simulation.channel(behaviours={"x": Odd})
        channel.handle(Join("a", "x", "u", 1))
        channel.handle(Push("a", "x", "e", "p"))
    assert 'out\tx#1\t{"type":"broadcast_message","topic":"x","payload":"\\udc80","recipients":["a"]}' in simulation.trace


def test_a_step_is_a_line_whatever_names_are_like():
    with Simulation(1) as simulation:
        simulation.client(simulation.channel(), "a\tb\nc").join("x\ny")
        simulation.run()
        lines = list(simulation.trace)
    assert "start\tclient a\\tb\\nc" in lines
    assert "start\tx\\ny#1" in lines
    assert not [line for line in lines if "\n" in line]


def test_every_draw_stands_in_the_trace():
    with Simulation(3) as simulation:
        drawn = simulation.random.random()
        simulation.random.randrange(10)
        assert [line.split("\t")[0] for line in simulation.trace] == ["draw", "draw"]
        assert f"draw\t{drawn!r}" in simulation.trace
    assert Simulation(3).random.random() == drawn


class Evil(Exception):
    def __repr__(self):
        raise SystemExit("repr")

    __str__ = __eq__ = __hash__ = __bool__ = __len__ = __repr__


class Sly(str):
    def isprintable(self):
        raise SystemExit("isprintable")

    __str__ = __repr__ = __hash__ = isprintable


class Odd(type):
    __name__ = property(lambda kind: 1 / 0)

    def __eq__(cls, other):
        raise SystemExit("eq")

    __hash__ = type.__hash__


class OfOdd(metaclass=Odd):
    pass


class Taker(PooledActor):
    def on_receive(self, message):
        if isinstance(message, Evil):
            raise message


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Evil, "Evil"),
        (lambda: OfOdd(), "OfOdd"),
        (lambda: Sly("x"), "Sly"),
        (lambda: [Evil()], "list"),
        (lambda: 10**6000, "an int of 19932 bits"),
        (lambda: 10**100, str(10**100)),
        (lambda: "x" * 10**6, f"'{'x' * 199}"),
        (lambda: "one\nline\tand \x1b[2J", "'one\\nline\\tand \\x1b[2J'"),
    ],
)
def test_no_object_of_a_program_is_asked_for_its_text(make, text):
    with Simulation(1) as simulation:
        simulation.start(Taker).tell(make())
        simulation.run()
    assert list(simulation.trace)[1:3] == [f"put\tTaker\t{text}", f"run\tTaker\t{text}"]


def test_a_name_stands_on_its_line_whatever_it_holds():
    with Simulation(1) as simulation:
        client = simulation.client(simulation.channel(), "a\nend\tTopicSupervisor\tnormal")
        client.do(lambda: None, name=Sly("now"))
        simulation.run()
        names = {line.split("\t")[1] for line in simulation.trace}
    assert "client a\\nend\\tTopicSupervisor\\tnormal" in names
    assert "put\tclient a\\nend\\tTopicSupervisor\\tnormal\tnow" in simulation.trace
