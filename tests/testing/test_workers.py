"""Workers do what they are called after, and no more."""

import pytest

from lightspeed.actors import watch
from lightspeed.testing import Simulation
from lightspeed.testing.workers import WORKERS, Starts


def started(simulation, name, count=1):
    """So many of them, what they ended of, and after how long."""
    starts, ends, refs = Starts(), [], []
    for number in range(1, count + 1):
        try:
            ref = WORKERS[name].start(starts, pool=simulation.pool)
        except ValueError:
            ends.append((number, "unborn", 0.0))
        else:
            watch(ref, lambda down, number=number: ends.append((number, str(down.reason), simulation.now_s)))
            refs.append(ref)
    simulation.run_for(10.0)
    return refs, ends


@pytest.mark.parametrize("name", WORKERS)
@pytest.mark.parametrize("message", ["fail", "end", "shut down", "hello"])
def test_all_do_what_they_are_told(name, message):
    with Simulation() as simulation:
        (ref,), ends = started(simulation, name)
        ref.tell(message)
        simulation.run_for(10.0)
        kinds = [reason.split(":")[0] for _, reason, _ in ends]
        of_stop = "abnormal" if name == "failing_stop" else "normal"
        due = {"fail": ["abnormal"], "end": [of_stop], "shut down": ["abnormal" if name == "failing_stop" else "shutdown"]}
        assert kinds == due.get(message, [])
        if ref.is_alive():
            ref.stop()


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("shaky", {3: "abnormal", 5: "unborn", 6: "abnormal"}),
        ("unneeded", {2: "normal", 4: "normal", 6: "normal"}),
        ("fleeting", {3: "normal", 6: "normal"}),
        ("plain", {}),
    ],
)
def test_some_fail_by_their_number(name, due):
    with Simulation() as simulation:
        refs, ends = started(simulation, name, 6)
        assert {number: reason.split(":")[0] for number, reason, _ in ends} == due
        for ref in refs:
            ref.stop()


@pytest.mark.parametrize(("name", "seconds"), [("slow_stop", 2.0), ("stuck_stop", 7.0), ("plain", 0.0)])
def test_some_take_their_time_to_stop(name, seconds):
    with Simulation() as simulation:
        (ref,), ends = started(simulation, name)
        ref.tell("end")
        simulation.run_for(10.0)
        assert ends == [(1, "normal", 10.0 + seconds)]


@pytest.mark.parametrize(("name", "seconds"), [("slow_start", 2.0), ("stuck_start", 7.0), ("plain", 0.0)])
def test_some_take_their_time_to_start(name, seconds):
    with Simulation() as simulation:
        ref = WORKERS[name].start(Starts(), pool=simulation.pool)
        ref.ask("hello", timeout=10.0)
        assert simulation.now_s == seconds
        ref.stop()
