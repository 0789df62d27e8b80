"""What is kept of one topic's actor while it lives, so that its failure can be repeated: a snapshot, and the steps since.

The actor's own thread writes it. The supervisor reads it when the actor is dead or was given up.
"""

import threading
import types
from contextlib import nullcontext
from datetime import UTC, datetime
from traceback import walk_stack
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lightspeed.actors.context import current_frames
from lightspeed.actors.failures import text_of
from lightspeed.actors.logs import log
from lightspeed.actors.topics.mail import Delivery, RestoreMembers, TimerDue, TopicCell
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.capsules.capsule import name_of
from lightspeed.capsules.pickler import Pickled, TooDeep, TooLarge, pickled
from lightspeed.capsules.replay import OtherStep, Step, StopStep, step_of

_CHANGING = (Delivery, RestoreMembers, TimerDue)  # what may change a state

# So many steps are kept at most where no snapshot can be taken. Then they are given up, and the failure can't be repeated.
MOST_STEPS = 10_000

# Where an actor is that does not come back: so many frames at most, the innermost ones.
_MOST_FRAMES = 100

_logged: set[str] = set()  # of which behaviours it was said that they can't be pickled


class StuckPlace(Struct, frozen=True):
    """Where a thread was; the lines themselves are read when there is time."""

    frames: tuple[tuple[str, int, str], ...]
    """File, line and function, the outermost first."""


class FailedTopic(Struct, frozen=True):
    """What is known of one failure, when nothing more will be."""

    journal: "Journal"
    """As it stood then. What was in flight is what it failed on."""
    behaviour: str | None
    failure: StuckPlace | BaseException
    """What was raised; or where an actor is that does not come back."""
    waiting: tuple[Step, ...]
    at: datetime


class Journal(Struct, eq=False):
    """Of one incarnation."""

    cell: TopicCell
    every: int
    """After so many steps a snapshot is taken."""
    limit: int | None = None
    """Of a snapshot, in bytes."""
    snapshot: Pickled | None = None
    """The state before `since`. None: it is a relay's at its start, or `why_none` says why there is none."""
    why_none: str = ""
    since: list[Step] = []
    """What was handled after it."""
    in_flight: Step | None = None
    handled: int = 0
    thread: int = 0
    """Where it was at work last."""
    error: BaseException | None = None
    """What it died of; None as long as it has not failed."""
    has_ended: bool = False
    is_closed: bool = False
    """What there is to be known of it was asked for."""
    due: int = 0
    """The next snapshot is taken when there are so many steps."""

    def __post_init__(self) -> None:
        self.due = 0 if self.cell.behaved is not None else self.every  # a relay's start is known

    def begin(self, mail: Any, state: TopicState) -> bool:
        """The actor is about to handle it. Whether it still may: while a snapshot was taken, it may have been given up."""
        self.thread = threading.get_ident()
        self.in_flight = step_of(mail, state)
        if len(self.since) < self.due or type(mail) not in _CHANGING:
            return True
        self.cell.in_flight[self.cell] = mail  # so that it is seen if the program's code does not come back
        self._take_snapshot(state)
        return self.cell.in_flight.get(self.cell) is mail

    def finish(self) -> None:
        """The actor has handled it."""
        if type(self.in_flight) is not OtherStep and self.in_flight is not None:
            self.since.append(self.in_flight)
            self.handled += 1
        self.in_flight = None

    def failed(self, left: list[Any]) -> FailedTopic:
        """All of it, and what the supervisor found in the inbox."""
        nothing = TopicState("")
        return FailedTopic(
            journal=replace(self, since=[*self.since]),
            behaviour=self.behaviour,
            failure=self.where_it_is() if self.error is None else self.error,
            waiting=tuple(step_of(mail, nothing) for mail in left if type(mail) in _CHANGING),
            at=datetime.now(UTC),
        )

    def begin_stop(self) -> None:
        self.thread = threading.get_ident()
        self.in_flight = StopStep()

    def where_it_is(self) -> StuckPlace:
        """For one that does not come back. It reads no file: the supervisor asks."""
        hook = None if self.cell.behaved is None else self.cell.behaved.hook
        if hook is not None:
            return StuckPlace(tuple(hook.places[-_MOST_FRAMES:]))
        frame = current_frames().get(self.thread)
        places = [] if frame is None else [(at.f_code.co_filename, line, at.f_code.co_name) for at, line in walk_stack(frame)]
        return StuckPlace(tuple(reversed(places[:_MOST_FRAMES])))

    @property
    def behaviour(self) -> str | None:
        """The name of the behaviour's class, or until there is one of what makes it."""
        if self.cell.behaved is None:
            return None
        state = self.cell.state
        made = state.kind if isinstance(state, BehavedTopic) else None
        of: Any = self.cell.behaved.make if made is None else made
        if type(of) is types.FunctionType:
            return f"{of.__module__}.{of.__qualname__}"
        return name_of(of if issubclass(type(of), type) else type(of))

    def _take_snapshot(self, state: TopicState) -> None:
        behaved = self.cell.behaved
        try:
            # Values of the user's may be pickled by their own code.
            with nullcontext() if behaved is None else behaved.runtime.blocking():
                self.snapshot = pickled(state, self.limit)
        except BaseException as error:  # the user's values, which may have a way of their own to be pickled
            if self._is_the_callers(error):
                raise
            self._go_on_without(error)
        else:
            self.since, self.why_none = [], ""
        self.due = len(self.since) + self.every

    def _is_the_callers(self, error: BaseException) -> bool:
        """Whether no value of the user's raised it: a signal's handler did, in the thread that called the channel."""
        if self.cell.behaved is None:
            return not issubclass(type(error), (TooDeep, TooLarge, RecursionError, MemoryError))
        return issubclass(type(error), KeyboardInterrupt) and threading.current_thread() is threading.main_thread()

    def _go_on_without(self, error: BaseException) -> None:
        """The snapshot before, and all that was handled since, is as good, as long as it does not become too much."""
        reason = text_of(error)
        if not self.handled and self.cell.behaved is not None:
            self.why_none = reason
        elif len(self.since) >= MOST_STEPS:
            self.snapshot, self.since = None, []
            self.why_none = f"none could be taken for {MOST_STEPS} messages: {reason}"
        self._log_once(error)

    def _log_once(self, error: BaseException) -> None:
        name = self.behaviour or "the relay"
        if name not in _logged:
            _logged.add(name)
            log("warning", "no snapshot of {} can be taken for a crash capsule", name, error=error)
