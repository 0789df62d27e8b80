"""What a supervisor writes into the log: one line an event, its facts as bound fields; and who is above an actor."""

from collections.abc import Hashable, Iterator
from typing import Any

import pykka

from lightspeed.actors.errors import ExitReason, Shutdown
from lightspeed.actors.lifecycle import Lifecycle
from lightspeed.actors.logs import log
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.text import named, shown


def line_of(actor: pykka.Actor | None) -> Iterator[pykka.Actor]:
    """The actor, its supervisor, the one above that, and so on. Any thread may ask."""
    while actor is not None:
        yield actor
        actor = supervisor_of(actor)


def supervisor_of(actor: pykka.Actor) -> pykka.Actor | None:
    """None: it is nobody's child, or has ended."""
    watchers: Any = actor._lifecycle_place()._lifecycle_exit if isinstance(actor, Lifecycle) else ()
    if isinstance(watchers, ExitReason):
        return None
    for watcher in watchers:
        if issubclass(type(watcher), PooledRef) and hasattr(watcher.actor_class, "_supervised_start"):
            supervisor: Any = watcher._actor
            if supervisor._table.by_ref(actor.actor_ref) is not None:
                return supervisor  # type: ignore[no-any-return]
    return None


def report_end(child_id: Hashable, reason: ExitReason, restarts_left: int, *, restarts: bool) -> None:
    """A child has ended by itself."""
    error = reason.error if reason.kind == "abnormal" else None
    level, why = "info" if reason.kind != "abnormal" else "error", () if reason.error is None else (reason.error,)
    text = f"child {{}} ended, {{}}{': {}' * len(why)}; it {'is' if restarts else 'is not'} restarted"
    fields: dict[str, Any] = {"child": _name(child_id), "reason": reason.kind, "restarts_left": restarts_left}
    log(level, text, _name(child_id), reason.kind, *why, error=error, **fields)


def report_failed_start(child_id: Hashable, error: BaseException, restarts_left: int) -> None:
    """A restart was tried and failed."""
    fields: dict[str, Any] = {"child": _name(child_id), "reason": "abnormal", "restarts_left": restarts_left}
    log("error", "child {} could not be restarted: {}", _name(child_id), error, error=error, **fields)


def report_bad_stop(child_id: Hashable, reason: ExitReason) -> None:
    """A child that was told to stop failed on its way."""
    fields: dict[str, Any] = {"child": _name(child_id), "reason": reason.kind}
    text = "child {} failed while it was stopped: {}: {}"
    log("error", text, _name(child_id), reason.kind, reason.error, error=reason.error, **fields)


def report_abandoned(child_id: Hashable, actor: object, after: str) -> None:
    """A child's actor was given up."""
    fields: dict[str, Any] = {"child": _name(child_id), "reason": "abandoned"}
    log("warning", "child {} is abandoned {}: {} may still be running", _name(child_id), after, named(actor), **fields)


def report_given_up(error: BaseException) -> None:
    """A supervisor stops its children and ends."""
    expected = issubclass(type(error), Shutdown)
    log("info" if expected else "error", "a supervisor ends: {}", error, error=None if expected else error)


def _name(child_id: Hashable) -> str:
    return child_id if type(child_id) is str else shown(child_id)
