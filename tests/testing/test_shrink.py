"""What is cut away goes, and what it takes to fail stays. (What planted bugs come down to is in test_search.py.)"""

import pytest
from model.held_channel import witness_of

from lightspeed.actors.errors import InvalidOption
from lightspeed.channel import Behaviour, Broadcast, BroadcastMessage, FaultPlan, Join, Leave, Push, Restarts
from lightspeed.faults import Corrupt, Full, Raise, Slow
from lightspeed.testing import Case, Scenario, ScenarioOptions, Sending, play, search, shrink


class Picky(Behaviour):
    def on_broadcast(self, room, client_id, payload):
        assert payload != "bad", "a bad one"


def picky(simulation):
    """It fails if the fifth of its events gets through."""
    channel = simulation.channel(behaviours={"x": Picky}, restarts=Restarts(intensity=0))
    client = simulation.client(channel, "a")
    client.join("x")
    for payload in ("1", "2", "3", "bad", "5", "6"):
        client.broadcast("x", payload)
    simulation.run()
    assert not channel.dead_letters() and "topic_crashed" not in [getattr(m, "payload", "") for m in client.received]  # noqa: PT018


def test_of_a_play_only_the_events_are_left_that_it_takes():
    small = shrink(play(Case(picky, seed=3)))
    assert small.case.skip == frozenset([1, 2, 3, 5, 6])
    assert (small.case.choices, small.failure) == ((), "AssertionError in picky")


NOISE = [event for name in "bcd" for event in (Join(name, "y", "u", 1), Push(name, "y", "e", "p"), Leave(name, "y"))]


class Poisoned(Scenario, frozen=True):
    """It fails where "spoilt" is given out."""

    def __call__(self, simulation):
        super().__call__(simulation)
        (channel,) = simulation._channels
        given = [getattr(message, "payload", None) for message in channel.flush_outbox()]
        assert "spoilt" not in given


def poisoned():
    corrupt = Corrupt("spoilt", match={"payload": "p"}, topic="x")
    plan = FaultPlan((Slow(0.1, topic="y", times=2), corrupt, Raise(topic="y", at=9)))
    events = [*NOISE[:5], Join("a", "x", "u", 1), *NOISE[5:], Broadcast("a", "x", "p"), *NOISE]
    sendings = tuple(Sending(event, number / 4) for number, event in enumerate(events))
    return Poisoned(sendings, plan, ScenarioOptions(rejoin="supervisor", restarts=Restarts(intensity=7), crash_timeout_s=9.0))


def test_of_a_scenario_events_faults_options_and_times_are_cut():
    found = play(Case(poisoned(), seed=2, plan=FaultPlan((Slow(0.5, topic="z"),))))
    small = shrink(found)
    scenario = small.case.scenario
    assert [sending.event for sending in scenario.sendings] == [Join("a", "x", "u", 1), Broadcast("a", "x", "p")]
    assert {sending.at_s for sending in scenario.sendings} == {scenario.rest_s} == {0.0}
    assert [type(fault) for fault in scenario.plan.faults] == [Corrupt]
    assert (scenario.options, small.case.plan, small.case.choices) == (ScenarioOptions(), FaultPlan(), ())
    assert small.failure == found.failure == "AssertionError in __call__"


def test_a_plan_beside_the_scenario_keeps_what_it_takes():
    plain = Poisoned.of([Join("a", "x", "u", 1), Broadcast("a", "x", "p")], FaultPlan((Slow(0.1),)))
    faults = (Slow(0.2), Corrupt("spoilt", match={"payload": "p"}), Slow(0.3))
    small = shrink(play(Case(plain, plan=FaultPlan(faults, seed=4))))
    assert small.case.plan == FaultPlan(faults[1:2], seed=4)
    assert small.case.scenario.plan == FaultPlan()


def race(simulation):
    channel = simulation.channel()
    for name in "abcd":
        simulation.client(channel, name).join("x")
    simulation.run()
    assert channel.subscribers("x")[:1] in ((), ("a",)), "another was first"


def test_turns_are_cut_to_those_that_it_takes():
    small = shrink(search(race, range(100)))
    left = 4 - len(small.case.skip)
    assert left in (1, 2)  # one alone that is not a; or two in the wrong order
    assert left == 1 or sum(map(bool, small.case.choices)) == 1
    assert not small.case.choices or small.case.choices[-1]


def ordered(simulation):
    channel = simulation.channel()
    for name in "ab":
        simulation.client(channel, name).join("x")
    simulation.run()
    assert channel.subscribers("x") != ("b", "a"), "the wrong way round"


def test_where_an_order_is_needed_one_change_of_turns_is_left():
    small = shrink(search(ordered, range(100)))
    assert small.case.skip == frozenset()
    assert sum(map(bool, small.case.choices)) == 1
    assert play(small.case).failure == small.failure


def test_another_failure_is_not_taken_for_it():
    def scenario(simulation):
        channel = simulation.channel()
        for name in "abc":
            simulation.client(channel, name).join("x")
        simulation.run()
        if "c" not in channel.subscribers("x"):
            raise KeyError("c is needed")
        raise ValueError("planted")

    small = shrink(play(Case(scenario)))
    assert small.failure == "ValueError in scenario"
    assert len(small.case.skip) == 2


@pytest.mark.parametrize("fails_each", [2, 3, 7])
def test_what_fails_only_now_and_then_comes_to_an_end_and_to_an_outcome_that_failed(fails_each):
    runs = []

    def scenario(simulation):
        runs.append(1)
        race(simulation)
        assert len(runs) % fails_each, "now and then"

    found = play(Case(scenario, choices=()))
    while found.error is None:
        found = play(Case(scenario, choices=()))
    small = shrink(found)
    assert small.failure == found.failure
    assert small.error is not None


def test_what_never_fails_again_is_given_back_as_it_was_found():
    runs = []

    def scenario(simulation):
        runs.append(1)
        race(simulation)
        assert len(runs) > 1, "only once"

    found = play(Case(scenario, seed=4, scheduler="priority", choices=()))
    assert shrink(found) is found


def test_each_smaller_one_is_told():
    told = []
    small = shrink(play(Case(picky, seed=3)), progress=told.append)
    assert told[-1] is small
    assert {outcome.failure for outcome in told} == {small.failure}


def test_what_did_not_fail_is_refused():
    with pytest.raises(InvalidOption, match="found must be an outcome that failed"):
        shrink(play(Case(race, choices=())))


def two_asserts(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for payload in "ab":
        client.join("x")
        client.broadcast("x", payload)
    simulation.run()
    heard = [message.payload for message in client.received if isinstance(message, BroadcastMessage)]
    assert heard, "nothing was heard"
    assert heard != ["a", "b"], "both were heard"


def test_a_cut_does_not_slip_to_another_failure_of_the_same_function():
    small = shrink(play(Case(two_asserts)))
    assert "both were heard" in str(small.error)
    assert small.sent - len(small.case.skip) == 3


def fails_at_a_crash(simulation):
    """It fails where the topic does, which a plan brings about."""
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for number in range(12):
        client.rejoin("x")
        client.broadcast("x", str(number))
    simulation.run()
    assert "topic_crashed" not in [getattr(message, "event", "") for message in client.received]


@pytest.mark.parametrize("fault", [Raise(probability=0.1), Raise(at=20), Raise(every=7), Raise(at=20, per="all")], ids=repr)
def test_a_fault_that_comes_by_lot_or_late_comes_with_one_of_the_first_events(fault):
    found = search(fails_at_a_crash, range(20), plan=FaultPlan((fault,), seed=3))
    small = shrink(found)
    (left,) = small.case.plan.faults
    assert (left.probability, left.every, left.times) == (None, None, 1)
    assert left.at <= 2
    assert small.sent - len(small.case.skip) <= 2


def fails_with_the_last(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for _ in range(12):
        client.rejoin("x")
    simulation.run()
    assert client.received[-1].payload == "rejoined"


def test_a_fault_that_comes_with_the_last_event_comes_with_the_one_that_is_left():
    small = shrink(play(Case(fails_with_the_last, plan=FaultPlan((Raise(every=12),)))))
    assert small.case.plan.faults == (Raise(at=1, times=1),)
    assert small.sent - len(small.case.skip) == 1


def fails_with_two_topics(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for _ in range(10):
        for topic in ("x", "y"):
            client.rejoin(topic)
    simulation.run()
    assert len({message.topic for message in client.received if getattr(message, "event", "") == "topic_crashed"}) < 2


def test_of_faults_that_are_in_each_others_way_the_one_that_it_takes_is_left():
    plan = FaultPlan((Full(every=2), Raise(hook="after", every=3, times=4)))
    small = shrink(play(Case(fails_with_two_topics, plan=plan)))
    (left,) = small.case.plan.faults
    assert (left.hook, left.every, left.times) == ("after", None, 4)
    assert small.sent - len(small.case.skip) <= 4


def fails_with_even_toggles(simulation):
    channel = simulation.channel()
    client = simulation.client(channel, "a")
    for payload in ("toggle", "keep", "keep", "keep", "toggle"):
        client.push("x", "e", payload)
    sent = []
    witness_of(channel).on_accept = lambda event: sent.append(event.payload)
    simulation.run()
    assert not (sent.count("toggle") % 2 == 0 and sent.count("keep") == 3)


def test_two_that_go_only_together_go():
    small = shrink(play(Case(fails_with_even_toggles)))
    assert sorted(small.case.skip) == [0, 4]
