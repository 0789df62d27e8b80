"""What changes a channel's runtime: faults, capsules, and a program's own."""

import pytest

from lightspeed.actors import RuntimeWrapper
from lightspeed.actors.topics import TopicActor
from lightspeed.capsules import Capsules
from lightspeed.channel import Behaviour, Channel, FaultPlan, InvalidOption, Join, Pool, Push
from lightspeed.faults import Raise


class Counting(RuntimeWrapper):
    def __init__(self, inner, seen, name):
        super().__init__(inner)
        self.seen, self.name = seen, name

    def begin(self, start, role, args):
        if issubclass(role, TopicActor):
            self.seen.append(self.name)
        return start(role, *args)


class Layer:
    """A program's own: it notes each topic that starts."""

    def __init__(self, seen, name="mine"):
        self.seen, self.name = seen, name

    def over(self, runtime):
        return Counting(runtime, self.seen, self.name)


def test_a_layer_of_the_programs_sees_each_topic_start_and_serves_any_number_of_channels():
    layer = Layer([])
    for _ in range(2):
        with Channel(layers=(layer,)) as channel:
            for topic in ("a", "b"):
                channel.handle(Join("c", topic, "u", 1))
    assert layer.seen == ["mine"] * 4


def test_the_first_layer_is_the_innermost():
    seen = []
    with Channel(layers=[Layer(seen, "inner"), Layer(seen, "outer")]) as channel:
        channel.handle(Join("c", "t", "u", 1))
    assert seen == ["outer", "inner"]


class Fails(Behaviour):
    def on_push(self, room, client_id, event, payload):
        raise ValueError(payload)


def test_faults_and_capsules_are_layers_too(tmp_path):
    plan = FaultPlan((Raise("before", at=3),))
    for options in ({"faults": plan, "capsules": Capsules(tmp_path / "a")}, {"layers": (Capsules(tmp_path / "a"), plan)}):
        with Channel(behaviours={"t": Fails}, **options) as channel:
            channel.handle(Join("c", "t", "u", 1))
            channel.handle(Push("c", "t", "e", "p"))
            channel.handle(Join("d", "t", "u", 1))
            assert channel.faults.fired == (1,)
    assert len(list((tmp_path / "a").iterdir())) == 4


@pytest.mark.parametrize("layers", [FaultPlan(), (1,), (Layer,), (None,), "over", Layer([])])
def test_what_is_no_layer_is_refused_by_name_and_takes_no_runtime(layers):
    runtime = Pool()
    with pytest.raises(InvalidOption, match=r"^layers must be"):
        Channel(layers=layers, runtime=runtime)
    Channel(runtime=runtime).close()


@pytest.mark.parametrize("option", ["faults", "capsules"])
def test_a_shorthand_takes_its_own_kind_of_layer_only(option):
    with pytest.raises(InvalidOption, match=rf"^{option} must be a"):
        Channel(**{option: Layer([])})
