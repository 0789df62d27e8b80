import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed.actors.topics.rules.events import check_event
from lightspeed.channel import FaultPlan, InvalidOption
from lightspeed.faults import (
    Corrupt,
    Delay,
    DelayReply,
    Drop,
    Duplicate,
    FailSupervisor,
    Full,
    Hang,
    Jump,
    LoseReply,
    Raise,
    Reorder,
    Slow,
)
from lightspeed.faults.fault import KINDS

counts = st.none() | st.integers(1, 2**53)
seconds = st.integers(0, 10**6) | st.floats(0, 10**6)
texts = st.text(st.characters(exclude_categories=["Cs"]))
TRIGGERS = {
    "topic": st.sampled_from(["*", "x", "room:*"]),
    "at": counts,
    "at_s": st.none() | seconds,
    "probability": st.none() | st.floats(0, 1, exclude_min=True),
    "match": st.none() | st.fixed_dictionaries({"type": st.just("push")}, optional={"payload": texts, "event": texts}),
    "when": st.none() | st.just("module.part:Class.function"),
    "times": counts,
    "per": st.sampled_from(["topic", "all"]),
}
OWN = {
    Raise: {"hook": st.sampled_from(["before", "after"]), "text": texts, "restart": st.none() | st.integers(0, 9)},
    **{key: {"seconds": seconds} for key in (Slow, DelayReply, Delay)},
    Corrupt: {"payload": texts},
    Reorder: {"window": st.integers(1, 99), "within_s": seconds},
    FailSupervisor: {"text": texts},
    **{key: {} for key in (Hang, Full, LoseReply, Drop, Duplicate)},
}
faults = st.one_of(
    *[st.builds(kind, **own, **TRIGGERS) for kind, own in OWN.items()],
    st.builds(Hang, **{**TRIGGERS, "at": st.none()}, every=counts),
    st.builds(Jump, st.floats(-(10**6), 10**6), at_s=seconds, times=counts),
    st.builds(Raise, st.sampled_from(["on_start", "on_stop", "on_failure"]), **{**TRIGGERS, "match": st.none()}),
)


def test_the_strategies_know_every_kind():
    assert {*OWN, Jump} == set(KINDS.values())


def that_can_act(drawn):
    """As many of them as go into one plan: who can never act behind another is refused."""
    kept = ()
    for fault in sorted(drawn, key=lambda fault: fault.acts_always):
        if not any(before.leaves_nothing_to(fault) for before in kept):
            kept += (fault,)
    return kept


@given(st.builds(FaultPlan, st.lists(faults, max_size=4).map(that_can_act), st.integers(0, 2**53)))
def test_a_plan_comes_back_from_json_as_it_was(plan):
    assert FaultPlan.from_json(plan.to_json()) == plan
    assert FaultPlan.from_json(plan.to_json().decode()) == plan


def test_json_leaves_out_what_has_its_default_and_names_the_kind_first():
    plan = FaultPlan((Raise(at=3), Slow(0.5, match={"type": "push"})), seed=7)
    assert plan.to_json() == (b'{"faults":[{"do":"raise","at":3},{"do":"slow","seconds":0.5,"match":{"type":"push"}}],"seed":7}')
    assert FaultPlan().to_json() == b"{}"
    assert FaultPlan.from_json("{}") == FaultPlan()


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("{", "plan"),
        (b"\xff", "plan"),
        ("[" * 100_000, "plan"),
        ("[]", "plan"),
        ('{"sead":1}', "sead"),
        ('{"seed":-1}', "seed"),
        ('{"seed":1.5}', "seed"),
        ('{"seed":9007199254740993}', "seed"),
        ('{"faults":{}}', "faults"),
        ('{"faults":null}', "faults"),
        ('{"faults":[1]}', "faults"),
        ('{"faults":[{}]}', "do"),
        ('{"faults":[{"do":"explode"}]}', "do"),
        ('{"faults":[{"do":["hang"]}]}', "do"),
        ('{"faults":[{"do":"hang","att":1}]}', "att"),
        ('{"faults":[{"do":"hang","at":0}]}', "at"),
        ('{"faults":[{"do":"slow"}]}', "seconds"),
        ('{"faults":[{"do":"slow","seconds":"1"}]}', "seconds"),
        ('{"faults":[{"do":"jump","by_s":1}]}', "at_s"),
    ],
)
def test_what_is_no_plan_is_refused_by_name(text, option):
    with pytest.raises(InvalidOption) as refused:
        FaultPlan.from_json(text)
    assert refused.value.option == option


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(([Hang()],), "faults"), (((Hang,),), "faults"), (((), True), "seed"), (((), -1), "seed"), (((), "1"), "seed")],
)
def test_a_plan_of_what_cannot_be_is_refused_by_name(arguments, option):
    with pytest.raises(InvalidOption) as refused:
        FaultPlan(*arguments)
    assert refused.value.option == option


def test_a_predicate_is_written_by_its_name_and_one_without_is_refused():
    written = FaultPlan((Hang(when=check_event),)).to_json()
    assert FaultPlan.from_json(written) == FaultPlan((Hang(when="lightspeed.actors.topics.rules.events:check_event"),))
    for nameless in (lambda event, members: True, [].append, FaultPlan().chance):
        with pytest.raises(InvalidOption, match="a function of a module"):
            FaultPlan((Hang(when=nameless),)).to_json()


def test_chance_is_even_and_differs_by_seed_fault_topic_and_number():
    plan = FaultPlan(seed=1)
    drawn = [plan.chance(0, "x", number) for number in range(2000)]
    assert all(0 <= chance < 1 for chance in drawn)
    assert 0.47 < sum(drawn) / len(drawn) < 0.53
    assert len({plan.chance(0, "x", 1), plan.chance(0, "x", 2), plan.chance(1, "x", 1), plan.chance(0, "y", 1)}) == 4
    assert FaultPlan(seed=2).chance(0, "x", 1) != plan.chance(0, "x", 1)


@pytest.mark.slow
def test_chance_is_the_same_in_every_process():
    program = "from lightspeed.faults import FaultPlan; print([FaultPlan(seed=5).chance(i, 'é', 3) for i in range(9)])"
    said = {
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True).stdout
        for seed in ("0", "1")
    }
    assert said == {f"{[FaultPlan(seed=5).chance(i, 'é', 3) for i in range(9)]}\n"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Raise(), Slow(1)),
        (Raise(every=1), Full(at=2)),
        (Raise(probability=1), Raise("after")),
        (Raise(topic="room:*"), Hang(topic="room:1", at=3)),
        (Raise(topic="room:*"), Hang(topic="room:1*")),
        (Raise("on_start"), Raise("on_start", restart=2)),
        (Raise("on_stop", topic="x"), Raise("on_stop", topic="x", at=2)),
        (Drop(), Delay(1)),
        (Drop(topic="x"), Drop(topic="x", match={"type": "push"})),
        (FailSupervisor(), FailSupervisor(at=2)),
    ],
)
def test_a_fault_behind_one_that_leaves_it_nothing_is_refused_and_before_it_is_not(first, second):
    with pytest.raises(InvalidOption, match="can never act as number 2, for number 1 acts first, each time"):
        FaultPlan((Duplicate(at=1), first, second))
    FaultPlan((Duplicate(at=1), second, first))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Raise(at=1), Slow(1)),
        (Raise(times=3), Slow(1)),
        (Raise(restart=0), Slow(1)),
        (Raise("after"), Slow(1)),
        (Raise(probability=0.9), Slow(1)),
        (Raise(match={"type": "push"}), Slow(1)),
        (Raise(when=lambda event, members: True), Slow(1)),
        (Raise(topic="room:*"), Slow(1)),
        (Raise(topic="room:*"), Slow(1, topic="roo*")),
        (Raise(), Raise(at_s=3)),
        (Raise(), Raise("on_failure")),
        (Raise("on_start"), Raise("on_stop")),
        (Full(), Slow(1)),
        (Hang(), Slow(1)),
        (Duplicate(), Drop()),
        (FailSupervisor(), FailSupervisor(at_s=1)),
    ],
)
def test_a_fault_behind_one_that_leaves_it_something_is_not_refused(first, second):
    assert FaultPlan((first, second)).faults == (first, second)


@pytest.mark.parametrize("field", ["at_s", "probability", "seconds"])
@pytest.mark.parametrize("value", [10**400, 2**53 + 1, -(10**400), float("nan"), float("inf")], ids=lambda value: repr(value)[:8])
def test_a_number_that_no_float_is_or_that_is_none_is_refused_by_name(field, value):
    with pytest.raises(InvalidOption, match=f"{field} must be a number"):
        Slow(**{"seconds": 1, field: value})


@pytest.mark.parametrize("value", ["1" * 400, "1e400", "NaN", "[" * 100_000 + "]" * 100_000, "[[[1]]]", '"\\ud83d"'])
def test_json_of_a_number_without_bounds_or_too_deep_is_refused(value):
    for text in ('{"faults":[{"do":"slow","seconds":%s}]}', '{"seed":%s}', '{"faults":[{"do":"jump","at_s":1,"by_s":%s}]}'):
        with pytest.raises(InvalidOption):
            FaultPlan.from_json(text % value)


def test_a_strange_field_forges_no_line():
    with pytest.raises(InvalidOption) as caught:
        FaultPlan.from_json('{"a\\nFORGED\\u001b[31m":1}')
    assert str(caught.value).isprintable()
