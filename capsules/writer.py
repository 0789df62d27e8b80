"""Where capsules are written: on a thread of its own, which is there while there is something to write."""

import os
import platform
import re
import threading
from collections import deque
from importlib.metadata import version
from pathlib import Path
from traceback import FrameSummary, StackSummary

from msgspec import Struct

from lightspeed.actors.logs import log
from lightspeed.capsules import file as capsule_file
from lightspeed.capsules.capsule import Failure, Header, Sizes
from lightspeed.capsules.journal import FailedTopic, StuckPlace
from lightspeed.capsules.options import Capsules
from lightspeed.capsules.pickler import Pickled, pickled
from lightspeed.capsules.redaction import Censor
from lightspeed.capsules.replay import label_of, why_not_loaded
from lightspeed.capsules.secrets import secrets_in
from lightspeed.capsules.told import Raised

# So long another process may take to load what only a trial can tell of.
_TRIAL_S = 10.0

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


class CapsuleWriter:
    """Any thread may call it, and none waits for it but in `join`."""

    def __init__(self, options: Capsules) -> None:
        self._options, self._directory = options, Path(options.directory).absolute()
        self._lock = threading.Lock()
        self._failures: deque[FailedTopic] = deque()
        self._thread: threading.Thread | None = None
        self._written = 0
        self._tried: set[tuple[str | None, tuple[str, ...]]] = set()  # behaviours and classes whose code has loaded before

    def put(self, failed: FailedTopic) -> None:
        """Have it written. Where more wait than there may be files, the oldest is dropped: its file would be deleted anyway."""
        with self._lock:
            self._failures.append(failed)
            if len(self._failures) > self._options.max_files:
                dropped = self._failures.popleft()
                log("warning", "a crash capsule of {} is not written: too many topics fail at once", dropped.journal.cell.topic)
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
                if not self._failures:
                    self._thread = None
                    return
                failed = self._failures.popleft()
            try:
                self._write(failed)
            except BaseException as error:  # the world's, or the user's values: a capsule is a gift, and its lack hurts nobody
                log("warning", "no crash capsule of {} is written: {}", failed.journal.cell.topic, error)

    def _write(self, failed: FailedTopic) -> None:
        key, cell = capsule_file.key_of_environment(), failed.journal.cell
        self._drop_what_can_not_be_loaded(failed)
        told = _told(failed)
        limit = self._options.max_bytes
        for with_waiting in (True, False):
            content = capsule_of(failed, told, key, with_waiting=with_waiting)
            if len(content) <= limit:
                break
        else:
            log("warning", "no crash capsule of {} is written: it would be larger than {} bytes", cell.topic, limit)
            return
        self._written += 1
        topic = _NOT_IN_A_NAME.sub("_", told.censor.clean(cell.topic))[:60]
        stamp = f"{failed.at:%Y%m%dT%H%M%S%fZ}"
        name = f"{stamp}-{topic}-{cell.incarnation}-{os.getpid()}-{self._written}{capsule_file.SUFFIX}"
        path = capsule_file.write(self._directory, name, content)
        log("info", "crash capsule: {}", str(path), topic=cell.topic, incarnation=cell.incarnation)
        try:
            capsule_file.prune(self._directory, self._options.max_files)
        except OSError as error:  # the world's: it may be written, but not be read
            log("warning", "old crash capsules are not deleted: {}", error)

    def _drop_what_can_not_be_loaded(self, failed: FailedTopic) -> None:
        """The state's own classes may have their say when it is loaded: whether that goes well is tried, once for each."""
        made = failed.journal.snapshot
        if made is None or not made.runs or (kind := (failed.behaviour, made.runs)) in self._tried:
            return
        why = why_not_loaded(made.data, _TRIAL_S)
        if why:
            failed.journal.snapshot, failed.journal.why_none = None, f"it can't be loaded again: {why}"
        else:
            self._tried.add(kind)


class ToldFailure(Struct, frozen=True):
    """What a header says of a failure, and takes the secrets out of all that it says."""

    failure: Failure
    secrets: frozenset[str]
    censor: Censor


def _told(failed: FailedTopic) -> ToldFailure:
    """The exception may speak of what the state held when it failed, and the variables of the functions that it came through."""
    journal = failed.journal
    raised = None if isinstance(failed.failure, StuckPlace) else Raised(failed.failure)
    came_through = [] if raised is None else raised.locals()
    secrets = frozenset(secrets_in([journal.cell.state, journal.since, journal.in_flight, *came_through]))
    secrets |= frozenset() if journal.snapshot is None else journal.snapshot.secrets
    censor = Censor(secrets)
    if raised is not None:
        return ToldFailure(raised.failure(censor), secrets, censor)
    assert isinstance(failed.failure, StuckPlace)
    stack = StackSummary.from_list([FrameSummary(*frame) for frame in failed.failure.frames])
    lines = censor.clean("".join(stack.format()))
    why = "it did not come back, and was given up"
    return ToldFailure(Failure("lightspeed.actors.errors.TopicStuck", why, lines, stuck=True), secrets, censor)


def capsule_of(failed: FailedTopic, told: ToldFailure, key: bytes | None, *, with_waiting: bool) -> bytes:
    """The content of its file.

    Raises:
        Exception: a step can't be pickled.
    """
    journal, cell, empty = failed.journal, failed.journal.cell, Pickled(b"")
    state = empty if journal.snapshot is None else journal.snapshot
    steps = pickled((cell.topic, tuple(journal.since), journal.in_flight), known=told.secrets)
    waiting = pickled(failed.waiting, known=told.secrets) if with_waiting and failed.waiting else empty
    parts, clean = (state, steps, waiting), told.censor.clean
    start = "start" if cell.behaved is None or journal.handled == len(journal.since) else "state"
    header = Header(
        library=version("lightspeed-channels"),
        python=platform.python_version(),
        time=failed.at.isoformat(timespec="milliseconds"),
        topic=clean(cell.topic),
        incarnation=cell.incarnation,
        behaviour=None if failed.behaviour is None else clean(failed.behaviour),
        handled=journal.handled,
        since=len(journal.since),
        waiting=len(failed.waiting),
        failed_on=clean(label_of(journal.in_flight)),
        failure=told.failure,
        snapshot=f"none: {clean(journal.why_none)}" if journal.why_none else start,
        tokens=tuple(dict.fromkeys(clean(token) for part in parts for token in part.tokens)),
        redactions=tuple(dict.fromkeys(clean(name) for part in parts for name in part.redactions)),
        cut=("waiting",) if failed.waiting and not with_waiting else (),
        sizes=Sizes(len(state.data), len(steps.data), len(waiting.data)),
        signed=key is not None,
        key_id=capsule_file.key_id(key),
    )
    return capsule_file.encode(header, b"".join(part.data for part in parts), key)
