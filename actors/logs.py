"""Logging with a library's manners: silent until the user says `logger.enable("lightspeed")`, before the first import or after.

Whatever is logged is written by one thread of the log's own, which there is only while something waits: sinks, filters, patchers
and formatters are the program's, and may raise, hang or end the process; none of that may reach an actor, and least of all a
supervisor. An exception is written as text, so that nobody (loguru's `diagnose`) asks a program's objects for theirs.

Pykka logs through standard logging, silently too: it has a null handler. While lightspeed is enabled, Pykka's records also go
where loguru's go, with the topic and incarnation of the actor that they are about. Handlers of the user's on Pykka's logger, or
above it, get what they always got.
"""

import atexit
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from loguru import logger

from lightspeed.actors.failures import text_of, traceback_of
from lightspeed.actors.process import in_forked_child
from lightspeed.actors.text import escaped, named, shown

__all__ = ["be_silent", "is_on", "lead_pykka_records", "log", "log_as_pykka", "settle"]

_LONG = 1_000  # a text of more characters is cut
_MOST = 10_000  # so many records wait; what comes then is dropped and counted
_END_S = 2.0  # so long the interpreter's end waits for what has yet to be written

_pykka = logging.getLogger("pykka")
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}  # by number: programs rename them


def log(level: str, message: str, *values: object, error: BaseException | None = None, trace: str = "", **fields: object) -> None:
    """Log a record soon. Never waits, and never raises but what hits the calling thread itself.

    Args:
        values: for the message's braces: each on one line, escaped; of an exception its text, of all else what Python says.
        error: what was raised: how it came to be is written below the message.
        trace: the same, where it is text already.
        fields: bound to the record.
    """
    if not is_on():
        return
    frame = sys._getframe(1)
    place = {"name": frame.f_globals["__name__"], "function": frame.f_code.co_name, "line": frame.f_lineno}
    told = [value if isinstance(value, BaseException) else _line(value) for value in values]
    bound = {name: value if value is None or type(value) is int else _line(value) for name, value in fields.items()}
    _writer.put(lambda: _write(level, message.format(*map(_line, told)), error, trace, bound, place))


def log_as_pykka(level: int, what: str, actor: object, error: BaseException | None = None) -> None:
    """Log a record on Pykka's own logger, where people look for what its actors do.

    Of actors on a pool that tells of its actors itself only while lightspeed is enabled.
    """
    is_told_of = getattr(getattr(actor, "_pooled_pool", None), "tells_of_actors", False)
    if not (_pykka.isEnabledFor(level) and _is_heard(_pykka)) or (is_told_of and not is_on()):
        return
    message, fields = f"{what} {named(actor)}", getattr(actor, "log_fields", None)
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    _writer.put(lambda: _pykka.log(level, "%s", message, exc_info=exc_info, extra={"lightspeed_fields": fields}))


def settle(timeout_s: float = _END_S) -> bool:
    """Wait until all that was logged is written; False after so many seconds."""
    return _writer.settle(timeout_s)


class _Writer:
    """The log's thread and its queue, under one lock that is re-entrant: a finalizer may log within a `put`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def put(self, write: Callable[[], object]) -> None:
        with self._lock:
            if len(self._waiting) >= _MOST:
                self._dropped += 1
                return
            self._waiting.append(write)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="lightspeed log", daemon=True)
                try:
                    thread.start()  # it waits for the lock that is held here
                except RuntimeError:  # no thread can be started: it waits for a better time
                    return
                self._thread = thread

    def settle(self, timeout_s: float) -> bool:
        thread = self._thread
        if thread is None and self._waiting:
            self._run()  # no thread could be started, as at the end of the interpreter on Python 3.12
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._lock:
                dropped, self._dropped = self._dropped, 0
                if not self._waiting:
                    self._thread = None
                    return
                write = self._waiting.popleft()
            _tried(write)
            if dropped:
                _tried(lambda dropped=dropped: logger.error("{} records were dropped: the log was too slow", dropped))  # type: ignore[misc]


_writer = _Writer()


def _tried(write: Callable[[], object]) -> None:
    try:
        write()
    except BaseException as error:  # the program's sinks, filters, patchers: there is nobody but stderr to tell
        try:
            print(f"lightspeed: a record could not be logged: {shown(error)}", file=sys.stderr)
        except BaseException:  # nor that
            pass


def _line(value: object) -> str:
    if isinstance(value, BaseException):
        return escaped(text_of(value), _LONG)
    return escaped(value, _LONG) if type(value) is str else shown(value, _LONG)


def _write(
    level: str, message: str, error: BaseException | None, trace: str, fields: dict[str, Any], place: dict[str, Any]
) -> None:
    below = trace if error is None else traceback_of(error)
    text = f"{message}\n{below}" if below else message
    logger.bind(**fields).patch(lambda record: record.update(place)).log(level.upper(), "{}", text)  # type: ignore[typeddict-item]


def is_on() -> bool:
    """Whether a record would be seen. Loguru does not say; where it keeps it otherwise one day, all is written to it."""
    core: Any = getattr(logger, "_core", None)
    if core is None or not hasattr(core, "activation_list"):
        return True
    if not core.handlers:
        return False
    states = [state for name, state in core.activation_list if name.startswith("lightspeed.")]
    if states:
        return any(states)
    return next((state for name, state in core.activation_list if name == ""), True)


def _is_heard(stdlib: logging.Logger) -> bool:
    """Whether a handler, but for null ones and while lightspeed is silent ours, gets what this logger is told."""
    at: logging.Logger | None = stdlib
    while at is not None:
        for handler in at.handlers:
            if not isinstance(handler, logging.NullHandler) and (not isinstance(handler, PykkaRecords) or is_on()):
                return True
        at = at.parent if at.propagate else None
    return False


class PykkaRecords(logging.Handler):
    """Leads Pykka's records into loguru.

    It has no lock: loguru has its own, and `logging` would take this one at the end of the interpreter, behind a sink that hangs.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's own name
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        passes = bool(self.filter(record))
        if passes:
            self.emit(record)
        return passes

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lead(record)
        except Exception:  # a patcher or a sink of the program's
            self.handleError(record)

    def _lead(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] | None = getattr(record, "lightspeed_fields", None)
        # Our actors log their failures themselves, with the traceback: once is enough.
        exception = record.exc_info if fields is None else None
        place = {"name": record.name, "function": record.funcName, "line": record.lineno}
        bound = logger.bind(**(fields or {})).patch(lambda entry: entry.update(place))  # type: ignore[typeddict-item]
        level = _LEVELS.get(record.levelno, record.levelno)
        bound.opt(exception=exception).log(level, "{}", escaped(record.getMessage(), None))


class _NoWayBack(logging.Filter):
    """Keeps out of Pykka's logger what loguru hands back to standard logging, by the recipe of its documentation."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not hasattr(record, "extra")


def lead_pykka_records() -> None:
    """Install the one handler on Pykka's logger. Again is harmless."""
    if not any(isinstance(handler, PykkaRecords) for handler in _pykka.handlers):
        _pykka.addHandler(PykkaRecords())
        _pykka.addFilter(_NoWayBack())


def be_silent() -> None:
    """Disable the log, unless the user has enabled it before."""
    core: Any = getattr(logger, "_core", None)
    if not any(name.startswith("lightspeed.") for name, _state in getattr(core, "activation_list", ())):
        logger.disable("lightspeed")


in_forked_child(lambda: globals().update(_writer=_Writer()))  # its thread is in the parent


def _settle_at_end() -> None:
    if not settle():  # at its own end loguru waits for the sink, however long
        atexit.unregister(logger.remove)


atexit.register(_settle_at_end)
