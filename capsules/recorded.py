"""A runtime that records what topics do, so that one that fails leaves a crash capsule.

It stands over another. A topic's actor gets a `RecordedTopic` as its outermost class, and its reference tells when the supervisor
takes what is left in the inbox: then nothing more will come of the actor, and the capsule is handed to its writer.
"""

from collections.abc import Callable
from typing import Any

from lightspeed.actors.errors import Shutdown, TopicCrash
from lightspeed.actors.runtime import Runtime, RuntimeWrapper, SupervisedRef
from lightspeed.actors.topics.actor import TopicActor
from lightspeed.capsules.journal import Journal
from lightspeed.capsules.options import Capsules
from lightspeed.capsules.writer import CapsuleWriter

_IN_GOOD_ORDER = (TopicCrash, Shutdown)


class RecordedTopic(TopicActor):
    """A mixin for a topic's actor, before its role. It sees what any class below it raises."""

    journal: Journal
    is_recorded = True

    def __init__(self, *args: Any) -> None:
        *others, self.journal = args
        super().__init__(*others)

    def on_receive(self, mail: Any) -> None:
        mail = self.opened(mail)
        try:
            goes_on = self.journal.begin(mail, self.state)
        except BaseException:  # what hit the calling thread: whoever waits for the mail is answered
            self.cell.in_flight[self.cell] = mail
            raise
        if not goes_on:
            return
        super().on_receive(mail)

    def done(self, mail: Any) -> None:
        super().done(mail)
        self.journal.finish()

    def begin_end(self) -> None:
        self.journal.begin_stop()
        super().begin_end()

    def on_end(self, error: BaseException | None) -> None:
        self.journal.error = error
        self.journal.has_ended = True
        super().on_end(error)


class RecordedRef:
    """As the reference that it stands for. What it takes over costs no call more than it did."""

    __slots__ = ("_ref", "_write", "is_alive", "journal", "request", "stop_soon", "stop_within", "tell", "tell_inline")

    def __init__(self, ref: SupervisedRef, journal: Journal, write: Callable[[Journal, list[Any]], None]) -> None:
        self._ref, self.journal, self._write = ref, journal, write
        self.tell, self.request, self.tell_inline, self.is_alive = ref.tell, ref.request, ref.tell_inline, ref.is_alive
        self.stop_soon, self.stop_within = ref.stop_soon, ref.stop_within

    def handle_inline(self, _message: Any) -> bool:
        """Never: what it handles is recorded, and that is not done or left as a whole."""
        return False

    def drain(self) -> list[Any]:
        """As the other's. The supervisor asks it once, when the actor is dead or was given up."""
        left = self._ref.drain()
        if not self.journal.is_closed:
            self.journal.is_closed = True
            self._write(self.journal, left)
        return left


class Recorded(RuntimeWrapper):
    """What is not a topic's actor it starts as it is."""

    def __init__(self, inner: Runtime, options: Capsules) -> None:
        super().__init__(inner)
        self._options = options
        self._writer = CapsuleWriter(options)

    def begin(self, start: Callable[..., SupervisedRef], role: type, args: tuple[Any, ...]) -> SupervisedRef:
        if not issubclass(role, TopicActor):
            return start(role, *args)
        journal = Journal(args[0], self._options.every, self._options.max_bytes)
        return RecordedRef(start(self.mixed(RecordedTopic, role), *args, journal), journal, self._write)

    def join(self, timeout_s: float) -> list[str]:
        deadline_s = self.monotonic_s() + timeout_s
        return super().join(timeout_s) + self._writer.join(max(0.0, deadline_s - self.monotonic_s()))

    def _write(self, journal: Journal, left: list[Any]) -> None:
        # By its type: an object may say of itself that it is of another class, and that is code of the program's.
        has_failed = journal.error is not None and not issubclass(type(journal.error), _IN_GOOD_ORDER)
        if has_failed or (not journal.has_ended and journal.in_flight is not None):
            self._writer.put(journal.failed(left))
