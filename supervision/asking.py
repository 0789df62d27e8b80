"""What is asked of a supervisor, as jobs: each yields the answers for which it waits.

A job is seen through by a thread, which waits (`wait_here`), or by a coroutine, which awaits (`wait_on`). What is to be known of
the caller, and of the ids of children, is found out before: the latter runs the program's code.
"""

from collections.abc import Generator, Hashable
from typing import Any, NamedTuple, TypeVar

import pykka

from lightspeed.actors.checks import are_seconds
from lightspeed.actors.context import asker
from lightspeed.actors.errors import (
    ExitReason,
    InForkedChild,
    InsideActor,
    InvalidOption,
    PoolClosed,
    SupervisorStopped,
    SupervisorTimeout,
)
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.loop import LoopDoor
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.watching import Down, unwatch, watch
from lightspeed.supervision.messages import NoLonger, StartChild, StopInside, WaitUp
from lightspeed.supervision.report import line_of

TIMEOUT_S = 30.0
"""How long a call waits unless it is told otherwise."""


class Wait(NamedTuple):
    """An answer that a job waits for."""

    reply: PooledFuture
    timeout_s: float | None
    """None: for ever."""


Answer = TypeVar("Answer")
Job = Generator[Wait, Any, Answer]


def wait_here(job: Job[Answer]) -> Answer:
    """Have the calling thread wait for what the job waits for."""
    try:
        wait = next(job)
        while True:
            try:
                answer = wait.reply.get(timeout=wait.timeout_s)
            except BaseException as error:  # the caller's own too, as a Ctrl-C is
                wait = job.throw(error)
            else:
                wait = job.send(answer)
    except StopIteration as done:
        value: Answer = done.value
        return value


async def wait_on(door: LoopDoor, job: Job[Answer]) -> Answer:
    """Have the calling coroutine wait for what the job waits for. Its loop is the door's."""
    try:
        wait = next(job)
        while True:
            try:
                answered = await answer(door, wait)
            except BaseException as error:  # a cancellation too
                wait = job.throw(error)
            else:
                wait = job.send(answered)
    except StopIteration as done:
        value: Answer = done.value
        return value


async def answer(door: LoopDoor, wait: Wait) -> Any:
    """What is answered.

    Raises:
        pykka.Timeout: nothing, in time.
    """
    if not wait.reply.is_set:
        waiter = door.waiter()
        wait.reply.tell(waiter)
        if not await waiter.wait(wait.timeout_s):
            raise pykka.Timeout(f"{wait.timeout_s} seconds")
    return wait.reply.get()


def ask(ref: PooledRef, what: str, request: Any, timeout_s: float | None) -> Job[Any]:
    """
    Raises:
        SupervisorStopped, SupervisorTimeout, InForkedChild: as of any call of a supervisor.
    """
    check_timeout(timeout_s)
    future = PooledFuture(ref._actor)
    try:
        ref._actor._pooled_put(Envelope(request, reply_to=future), helps=True)
        return (yield Wait(future, timeout_s))
    except InForkedChild:
        raise
    except (pykka.ActorDeadError, PoolClosed):
        raise SupervisorStopped from None
    except pykka.Timeout:
        assert timeout_s is not None
        raise SupervisorTimeout(what, timeout_s) from None


def ask_to_start(ref: PooledRef, spec: Any, timeout_s: float | None) -> Job[Any]:
    supervisor: Any = ref._actor
    supervisor._pooled_pool.check_process()  # before any lock of its own: another thread may have held it at the fork
    spec = supervisor._options.check_child(spec)
    check_timeout(timeout_s)
    return ask(ref, "start_child", StartChild(spec, name=supervisor._names.take(spec.id), caller=asker()), timeout_s)


def ask_of_child(ref: PooledRef, what: str, request: Any, child_id: Hashable, timeout_s: float | None) -> Job[Any]:
    supervisor: Any = ref._actor
    supervisor._pooled_pool.check_process()
    name = supervisor._names.find(child_id)  # here, and not there: the id's hash and eq are the caller's code
    return ask(ref, what, request(child_id, name=name, caller=asker()), timeout_s)


def ask_when_up(ref: PooledRef, child_id: Hashable, past: Any, timeout_s: float | None) -> Job[Any]:
    """
    Args:
        past: an actor of the child's that is known to be of no use: the next one is waited for.
    """
    supervisor: Any = ref._actor
    supervisor._pooled_pool.check_process()
    return _ask_when_up(ref, WaitUp(child_id, name=supervisor._names.find(child_id), caller=asker(), past=past), timeout_s)


def _ask_when_up(ref: PooledRef, request: WaitUp, timeout_s: float | None) -> Job[Any]:
    try:
        return (yield from ask(ref, "wait_up", request, timeout_s))
    except BaseException:  # a signal handler's too, and a cancellation
        if ref.is_alive():
            try:
                ref._actor._pooled_put(NoLonger(request), helps=True)
            except PoolClosed:
                pass  # it keeps nothing that anybody will come to
        raise


def ask_to_stop(ref: PooledRef, timeout_s: float | None) -> Job[bool]:
    """Whether it lived."""
    check_timeout(timeout_s)
    request = StopInside()
    request.caller = asker()
    return _ask_to_stop(ref, request, timeout_s)


def _ask_to_stop(ref: PooledRef, request: StopInside, timeout_s: float | None) -> Job[bool]:
    try:
        if ref.is_alive():
            yield from ask(ref, "stop", request, timeout_s)
            return True
    except SupervisorStopped:
        pass
    return False


def ask_when_ended(ref: PooledRef, timeout_s: float | None) -> Job[ExitReason]:
    """
    Raises:
        InsideActor: inside one of its own children, or below.
    """
    check_timeout(timeout_s)
    caller = asker()
    if any(one is ref._actor for one in line_of(caller)):
        raise InsideActor("wait_end", caller, "have it called elsewhere")
    return _ask_when_ended(ref, timeout_s)


def _ask_when_ended(ref: PooledRef, timeout_s: float | None) -> Job[ExitReason]:
    ended = PooledFuture(ref._actor)

    def end(down: Down) -> None:
        ended.set(down.reason)

    watch(ref, end)
    try:
        reason: ExitReason = yield Wait(ended, timeout_s)
        return reason
    except pykka.Timeout:
        assert timeout_s is not None
        raise SupervisorTimeout("wait_end", timeout_s) from None
    finally:
        unwatch(ref, end)


def check_timeout(timeout_s: object) -> None:
    """
    Raises:
        InvalidOption: it is no timeout of a call.
    """
    if timeout_s is not None and not (are_seconds(timeout_s) and timeout_s):
        raise InvalidOption("timeout_s", timeout_s, "must be None, or a number of seconds above 0 and at most a year")
