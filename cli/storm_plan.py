"""The faults of a storm: the plan that it has where it is given none, and which event each fault has hit."""

import pkgutil
import threading
import time
from collections import deque
from collections.abc import Callable

from msgspec.structs import replace

from lightspeed.channel import FaultPlan
from lightspeed.cli.storm_events import TopicEvent
from lightspeed.faults import Delay, DelayReply, Drop, Duplicate, Full, Hang, Jump, LoseReply, Poison, Raise, Reorder, Slow
from lightspeed.faults.fault import Fault
from lightspeed.faults.injector import Injector


def own_plan(seed: int, seconds: float) -> FaultPlan:
    """Something of every kind, but no end of the channel; in the middle all relays fail at once, and the clock jumps."""
    return FaultPlan(
        (
            Drop(probability=0.002),
            Duplicate(probability=0.002),
            Delay(0.02, probability=0.002),
            Reorder(3, within_s=0.05, probability=0.002),
            Full(probability=0.002),
            Poison("poisoned", probability=0.002),
            LoseReply(probability=0.002),
            DelayReply(0.02, probability=0.002),
            Slow(0.002, probability=0.001),
            Hang(topic="room:*", probability=0.0001),
            Raise(probability=0.005),
            Raise("after", probability=0.002),
            Raise("on_start", probability=0.02),
            Raise("on_stop", probability=0.02),
            Raise("on_failure", probability=0.02),
            Raise(topic="relay:*", text="all at once", at_s=seconds / 2),
            Jump(5.0, at_s=seconds / 2),
        ),
        seed=seed,
    )


class Strikes:
    """Which event each fault has hit, in the order in which they did. Any thread strikes; one takes them."""

    def __init__(self, plan: FaultPlan) -> None:
        Injector(plan)  # refuses a `when` that names no function
        self.plan = replace(plan, faults=tuple(map(self._watched, plan.faults)))
        """The same, with faults that show their events."""
        self.struck: deque[tuple[float, Fault, TopicEvent | None]] = deque()
        """The event is None in a hook, and where only a time had come."""
        self._shown = threading.local()

    def on_fire(self, index: int, _topic: str) -> None:
        """For the channel's injector, which calls it in the thread in which it has just called the fault's `when`."""
        fault = self.plan.faults[index]
        self.struck.append((time.monotonic(), fault, self._shown.event if _shows(fault) else None))

    def _watched(self, fault: Fault) -> Fault:
        if not _shows(fault):
            return fault
        holds: Callable[[TopicEvent | None, int], bool] | None = fault.when
        if isinstance(fault.when, str):
            holds = pkgutil.resolve_name(fault.when)

        def shown(event: TopicEvent | None, members: int) -> bool:
            self._shown.event = event
            return holds is None or bool(holds(event, members))

        return replace(fault, when=shown)


def _shows(fault: Fault) -> bool:
    """Else it comes by a timer, and with a `when` it would wait for an event."""
    return fault.needs_event and not isinstance(fault, Jump)
