from typing import ClassVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import rule, run_state_machine_as_test
from model.held_machine import HeldMachine
from planted import BUGS

from lightspeed.actors.errors import InvariantBroken
from lightspeed.actors.topics import ChannelState
from lightspeed.channel import Behaviour, FaultPlan
from lightspeed.faults import Raise
from lightspeed.testing.machine import ChannelMachine

QUICK = settings(
    max_examples=30,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # to cut down what was found is Hypothesis's own, and takes its time
    suppress_health_check=list(HealthCheck),
)


class Faulty(HeldMachine):
    options: ClassVar = {"faults": FaultPlan((Raise(every=3),)), "rejoin": "supervisor"}


class Behaved(HeldMachine):
    options: ClassVar = {"behaviours": {"x": Behaviour}}


@pytest.mark.slow
@pytest.mark.parametrize("machine", [HeldMachine, Faulty, Behaved])
def test_the_runtime_keeps_its_rules(machine):
    run_state_machine_as_test(machine, settings=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["double reply", "member not replayed"])
def test_a_planted_bug_is_found(name):
    plant, invariant_broken = BUGS[name]
    with plant(), pytest.raises(InvariantBroken) as broken:
        run_state_machine_as_test(Faulty, settings=settings(QUICK, max_examples=400))
    assert broken.value.invariant == invariant_broken


@pytest.mark.parametrize(
    ("owner", "method", "text"),
    [
        (ChannelState, "handle", "was due"),
        (ChannelState, "subscribers", "subscribers of"),
        (ChannelState, "presences", "presences of"),
    ],
)
def test_what_differs_from_the_model_is_found_where_no_rule_is_broken(owner, method, text):
    with patch.object(owner, method, lambda *_: ()), pytest.raises(InvariantBroken, match=f"state: .*{text}"):
        run_state_machine_as_test(HeldMachine, settings=QUICK)


class Picky(ChannelMachine):
    """With a rule of its own, which does not hold."""

    @rule()
    def look(self):
        self.come_to_rest()
        assert not self.channel.topics()


def test_a_rule_of_ones_own_that_fails_leaves_nothing_behind():
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Picky, settings=settings(QUICK, max_examples=400))
