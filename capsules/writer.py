"""Where capsules are written: on a thread of its own, which is there while there is something to write."""

import os
import platform
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from traceback import FrameSummary, StackSummary
from typing import Any

import msgspec
from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.actors.topics.mail import Delivery, RestoreMembers, TimerDue, TopicCell
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.capsules import file as capsule_file
from lightspeed.capsules.capsule import Failure, Header, Sizes
from lightspeed.capsules.options import Capsules
from lightspeed.capsules.pickler import Pickled, pickled
from lightspeed.capsules.record import StuckPlace
from lightspeed.capsules.redaction import Censor
from lightspeed.capsules.replay import Step, label_of, step_of, why_not_loaded
from lightspeed.capsules.secrets import secrets_in
from lightspeed.capsules.told import Raised

# So long another process may take to load what only a trial can tell of.
_TRIAL_S = 10.0

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


class Find(Struct, frozen=True):
    """What is known of one failure, when nothing more will be."""

    cell: TopicCell
    behaviour: str | None
    snapshot: Pickled | None
    why_none: str
    since: tuple[Step, ...]
    failed_on: Step | None
    handled: int
    failure: StuckPlace | BaseException
    """What was raised; or where an actor is that does not come back."""
    waiting: tuple[Any, ...]
    at: datetime


class CapsuleWriter:
    """Any thread may call it, and none waits for it but in `join`."""

    def __init__(self, options: Capsules) -> None:
        self._options, self._directory = options, Path(options.directory).absolute()
        self._lock = threading.Lock()
        self._finds: deque[Find] = deque()
        self._thread: threading.Thread | None = None
        self._written = 0
        self._tried: set[tuple[str | None, tuple[str, ...]]] = set()  # behaviours and classes whose code has loaded before

    def put(self, find: Find) -> None:
        """Have it written. Where more wait than there may be files, the oldest is dropped: its file would be deleted anyway."""
        with self._lock:
            self._finds.append(find)
            if len(self._finds) > self._options.max_files:
                dropped = self._finds.popleft()
                log("warning", "a crash capsule of {} is not written: too many topics fail at once", dropped.cell.topic)
            if self._thread is None:
                self._start()

    def join(self, timeout_s: float) -> list[str]:
        """Wait until all is written; its name, if it is still busy after the timeout."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return []
        thread.join(timeout_s)
        return [thread.name] if thread.is_alive() else []

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="capsule writer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads; the next failure tries again
            self._thread = None
            log("warning", "no crash capsule is written: no thread could be started")

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._finds:
                    self._thread = None
                    return
                find = self._finds.popleft()
            try:
                self._write(find)
            except BaseException as error:  # the world's, or the user's values: a capsule is a gift, and its lack hurts nobody
                log("warning", "no crash capsule of {} is written: {}", find.cell.topic, error)

    def _write(self, find: Find) -> None:
        key = capsule_file.key_of_environment()
        find = self._without_what_can_not_be_loaded(find)
        told = _told(find)
        content = self._fit(lambda with_waiting: capsule_of(find, told, key, with_waiting=with_waiting))
        if content is None:
            limit = self._options.max_bytes
            log("warning", "no crash capsule of {} is written: it would be larger than {} bytes", find.cell.topic, limit)
            return
        self._written += 1
        topic = _NOT_IN_A_NAME.sub("_", told.censor.clean(find.cell.topic))[:60]
        stamp = f"{find.at:%Y%m%dT%H%M%S%fZ}"
        name = f"{stamp}-{topic}-{find.cell.incarnation}-{os.getpid()}-{self._written}{capsule_file.SUFFIX}"
        path = capsule_file.write(self._directory, name, content)
        log("info", "crash capsule: {}", str(path), topic=find.cell.topic, incarnation=find.cell.incarnation)
        try:
            capsule_file.prune(self._directory, self._options.max_files)
        except OSError as error:  # the world's: it may be written, but not be read
            log("warning", "old crash capsules are not deleted: {}", error)

    def _without_what_can_not_be_loaded(self, find: Find) -> Find:
        """The state's own classes may have their say when it is loaded: whether that goes well is tried, once for each."""
        made = find.snapshot
        if made is None or not made.runs or (kind := (find.behaviour, made.runs)) in self._tried:
            return find
        why = why_not_loaded(made.data, _TRIAL_S)
        if not why:
            self._tried.add(kind)
            return find
        return msgspec.structs.replace(find, snapshot=None, why_none=f"it can't be loaded again: {why}")

    def _fit(self, make: Callable[[bool], bytes]) -> bytes | None:
        for with_waiting in (True, False):
            content = make(with_waiting)
            if len(content) <= self._options.max_bytes:
                return content
        return None


class ToldFailure(Struct, frozen=True):
    """What a header says of a failure, and takes the secrets out of all that it says."""

    failure: Failure
    secrets: frozenset[str]
    censor: Censor


def _told(find: Find) -> ToldFailure:
    """The exception may speak of what the state held when it failed, and the variables of the functions that it came through."""
    raised = None if isinstance(find.failure, StuckPlace) else Raised(find.failure)
    secrets = frozenset(secrets_in([find.cell.state, find.since, find.failed_on, *([] if raised is None else raised.locals())]))
    secrets |= frozenset() if find.snapshot is None else find.snapshot.secrets
    censor = Censor(secrets)
    if raised is not None:
        return ToldFailure(raised.failure(censor), secrets, censor)
    assert isinstance(find.failure, StuckPlace)
    stack = StackSummary.from_list([FrameSummary(*frame) for frame in find.failure.frames])
    lines = censor.clean("".join(stack.format()))
    why = "it did not come back, and was given up"
    return ToldFailure(Failure("lightspeed.actors.errors.TopicStuck", why, lines, stuck=True), secrets, censor)


def capsule_of(find: Find, told: ToldFailure, key: bytes | None, *, with_waiting: bool) -> bytes:
    """The content of its file.

    Raises:
        Exception: a step can't be pickled.
    """
    empty = Pickled(b"")
    state = empty if find.snapshot is None else find.snapshot
    steps = pickled((find.cell.topic, find.since, find.failed_on), known=told.secrets)
    waiting = pickled(find.waiting, known=told.secrets) if with_waiting and find.waiting else empty
    parts, clean = (state, steps, waiting), told.censor.clean
    start = "start" if find.cell.behaved is None or find.handled == len(find.since) else "state"
    header = Header(
        library=version("lightspeed-channels"),
        python=platform.python_version(),
        time=find.at.isoformat(timespec="milliseconds"),
        topic=clean(find.cell.topic),
        incarnation=find.cell.incarnation,
        behaviour=None if find.behaviour is None else clean(find.behaviour),
        handled=find.handled,
        since=len(find.since),
        waiting=len(find.waiting),
        failed_on=clean(label_of(find.failed_on)),
        failure=told.failure,
        snapshot=f"none: {clean(find.why_none)}" if find.why_none else start,
        tokens=tuple(dict.fromkeys(clean(token) for part in parts for token in part.tokens)),
        redactions=tuple(dict.fromkeys(clean(name) for part in parts for name in part.redactions)),
        cut=("waiting",) if find.waiting and not with_waiting else (),
        sizes=Sizes(len(state.data), len(steps.data), len(waiting.data)),
        signed=key is not None,
        key_id=capsule_file.key_id(key),
    )
    return capsule_file.encode(header, b"".join(part.data for part in parts), key)


def find_of(record: Any, left: list[Any]) -> Find:
    """What the record has, and what the supervisor found in the inbox."""
    nothing = TopicState("")
    return Find(
        cell=record.cell,
        behaviour=record.behaviour,
        snapshot=record.snapshot,
        why_none=record.why_none,
        since=tuple(record.since),
        failed_on=record.in_flight,
        handled=record.handled,
        failure=record.where_it_is() if record.error is None else record.error,
        waiting=tuple(step_of(mail, nothing) for mail in left if type(mail) in (Delivery, RestoreMembers, TimerDue)),
        at=datetime.now(UTC),
    )
