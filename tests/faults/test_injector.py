import threading

import pytest

from lightspeed.channel import FaultPlan, InvalidOption, Push
from lightspeed.faults import Corrupt, Drop, FailSupervisor, FaultsNotFired, Full, Hang, Raise
from lightspeed.faults.injector import Injector


def due(injector, topic="x", payload="p", now_s=0.0, place="topic", **about):
    """The faults that act on one more event of a topic."""
    event = Push("a", topic, "e", payload)
    return list(injector.due(place, topic, lambda: event, now_s, **about))


def numbers_of(fault, events=12, topics="x", seed=0):
    """At which of so many events the fault acts, in each topic."""
    injector = Injector(FaultPlan((fault,), seed))
    return [(topic, number) for number in range(1, events + 1) for topic in topics if due(injector, topic)]


@pytest.mark.parametrize(
    ("fault", "numbers"),
    [
        (Full(at=3), [3]),
        (Full(every=5), [5, 10]),
        (Full(at=4, every=2), [4]),
        (Full(times=2), [1, 2]),
        (Full(every=2, times=3), [2, 4, 6]),
        (Full(topic="y"), []),
        (Full(topic="x*", at=12), [12]),
        (Full(probability=1, at=2), [2]),
        (Full(match={"payload": "q"}), []),
        (Full(when=lambda event, members: False), []),
        (Full(at_s=0), [1]),
        (Full(at_s=0.1), []),
    ],
)
def test_a_fault_acts_where_all_its_triggers_hold(fault, numbers):
    assert numbers_of(fault) == [("x", number) for number in numbers]


def test_a_fault_without_a_trigger_acts_each_time():
    assert len(numbers_of(Full())) == 12


def test_numbers_are_those_of_each_topic_or_of_all_that_the_pattern_fits():
    assert numbers_of(Full(at=2), topics="xy") == [("x", 2), ("y", 2)]
    assert numbers_of(Full(at=2, per="all"), topics="xy") == [("y", 1)]
    assert numbers_of(Full(topic="y", at=2, per="all"), topics="xy") == [("y", 2)]


def test_at_the_supervisor_all_topics_are_numbered_together():
    injector = Injector(FaultPlan((FailSupervisor(at=2),)))
    assert [due(injector, topic, place="supervisor") for topic in "xy"] == [[], [FailSupervisor(at=2)]]


def test_places_are_numbered_by_themselves():
    injector = Injector(FaultPlan((Full(at=2), Drop(at=2))))
    assert [due(injector, place="way"), due(injector), due(injector, place="way"), due(injector)] == [
        *([], [], [Drop(at=2)], [Full(at=2)])
    ]


def test_a_time_is_that_of_the_first_event_after_it_in_each_topic_or_in_all():
    for per, expected in (("topic", [0, 1, 1, 0, 0]), ("all", [0, 1, 0, 0, 0])):
        injector = Injector(FaultPlan((Full(at_s=5, per=per),)))
        acts = [len(due(injector, topic, now_s=now_s)) for topic, now_s in (("x", 4.9), ("x", 5), ("y", 6), ("x", 7), ("y", 8))]
        assert acts == expected


def test_a_predicate_is_given_the_event_and_the_members():
    seen = []
    injector = Injector(FaultPlan((Full(when=lambda event, members: seen.append((event.payload, members)) or members > 1),)))
    assert [len(due(injector, members=members)) for members in (1, 2)] == [0, 1]
    assert seen == [("p", 1), ("p", 2)]


def test_a_predicate_can_be_named():
    injector = Injector(
        FaultPlan((Full(when="lightspeed.actors.topics.rules.events:event_label", at=1), Full(when="operator:is_")))
    )
    with pytest.raises(TypeError):  # event_label takes one argument: it was found, and called
        due(injector)
    assert due(injector) == []


@pytest.mark.parametrize(
    "when",
    [
        "no_such_module:f",
        "lightspeed.actors.topics.rules.events:no_such_name",
        "lightspeed.actors.topics.rules.events:LARGEST_MS",
    ],
)
def test_a_predicate_that_is_not_there_is_refused(when):
    with pytest.raises(InvalidOption, match="when must name a function"):
        Injector(FaultPlan((Full(when=when),)))


def test_what_is_no_plan_is_refused():
    with pytest.raises(InvalidOption, match="must be a FaultPlan"):
        Injector({"faults": []})


def test_only_the_incarnation_that_is_meant_raises():
    injector = Injector(FaultPlan((Raise("on_start", restart=1),)))
    assert [injector.begin(topic) for topic in "xxy"] == [0, 1, 0]
    assert [len(due(injector, place="on_start", incarnation=k)) for k in range(3)] == [0, 1, 0]


def test_a_match_is_held_against_what_the_faults_before_have_made_of_the_event():
    injector = Injector(FaultPlan((Corrupt("bad"), Full(match={"payload": "bad"}))))
    event = [Push("a", "x", "e", "p")]
    acted = []
    for fault in injector.due("topic", "x", lambda: event[0], 0.0):
        acted.append(fault)
        event[0] = Push("a", "x", "e", "bad")
    assert len(acted) == 2


def test_chance_does_not_hang_on_the_order_of_topics():
    fault = Full(probability=0.5)
    one_way = numbers_of(fault, events=50, topics="xyz", seed=3)
    assert sorted(one_way) == sorted(numbers_of(fault, events=50, topics="zyx", seed=3))
    alone = numbers_of(fault, events=50, topics="y", seed=3)
    assert alone == [entry for entry in one_way if entry[0] == "y"]
    assert 40 < len(one_way) < 110
    assert one_way != numbers_of(fault, events=50, topics="xyz", seed=4)


def test_what_fired_is_counted_told_and_can_be_expected():
    injector = Injector(FaultPlan((Full(at=1), Full(at=2), Hang(topic="y"))))
    told = []
    injector.on_fire = lambda index, topic: told.append((index, topic))
    struck = []
    injector.on_strike = lambda fault, event: struck.append((fault, event))
    due(injector)
    with pytest.raises(FaultsNotFired, match=r"never fired: 1 Full\(.*2 Hang\(") as missed:
        injector.expect_all()
    assert missed.value.faults == {1: Full(at=2), 2: Hang(topic="y")}
    due(injector)
    due(injector, "y")
    injector.expect_all()
    assert injector.fired == (2, 1, 1)
    assert told == [(0, "x"), (1, "x"), (0, "y"), (2, "y")]
    assert [(injector.plan.faults.index(fault), event.topic) for fault, event in struck] == told
    injector.fire(0, "")
    assert struck[-1] == (Full(at=1), None)


def test_a_fault_that_the_one_before_cut_short_has_not_fired():
    injector = Injector(FaultPlan((Raise(at=1), Full())))
    next(injector.due("topic", "x", lambda: None, 0.0))  # it raised
    assert injector.fired == (1, 0)


@pytest.mark.slow
def test_counts_are_right_whatever_threads_are_at_it():
    injector = Injector(FaultPlan((Full(every=3, per="all"), Full(times=50), Full(at=7))))
    threads = [threading.Thread(target=lambda topic=topic: [due(injector, topic) for _ in range(300)]) for topic in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert injector.fired == (400, 50, 4)
