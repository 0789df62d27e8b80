"""What is asked of a supervisor, as jobs: each yields the answers for which it waits.

A job is seen through by a thread, which waits (`wait_here`), or by a coroutine, which awaits (`wait_on`). What is to be known of
the caller, and of the ids of children, is found out before: the latter runs the program's code.
"""

from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, NamedTuple, TypeVar

import pykka

import lightspeed.actors.errors as errors
from lightspeed.actors.checks import are_seconds
from lightspeed.actors.context import asker
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.loop import LoopDoor
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.watching import Down, unwatch, watch
from lightspeed.supervision.messages import Answer, NoLonger, OfChild, Request, StartChild, StopInside, WaitUp
from lightspeed.supervision.report import line_of

TIMEOUT_S = 30.0
"""How long a call waits unless it is told otherwise."""


class Wait(NamedTuple):
    """An answer that a job waits for."""

    reply: PooledFuture
    timeout_s: float | None
    """None: for ever."""


Made = TypeVar("Made")
Job = Generator[Wait, Any, Answer]


def get(wait: Wait) -> Any:
    """What is answered; the calling thread waits for it."""
    return wait.reply.get(timeout=wait.timeout_s)


def wait_here(job: Generator[Any, Any, Answer], get: Callable[[Any], Any] = get) -> Answer:
    """Have the calling thread wait for what the job waits for, each by `get`."""
    try:
        wait = next(job)
        while True:
            try:
                answer = get(wait)
            except BaseException as error:  # the caller's own too, as a Ctrl-C is
                wait = job.throw(error)
            else:
                wait = job.send(answer)
    except StopIteration as done:
        value: Answer = done.value
        return value


async def wait_on(job: Generator[Any, Any, Answer], answer: Callable[[Any], Awaitable[Any]]) -> Answer:
    """Have the calling coroutine wait for what the job waits for, each by `answer`."""
    try:
        wait = next(job)
        while True:
            try:
                answered = await answer(wait)
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


def ask(ref: PooledRef, request: Request[Answer], timeout_s: float | None) -> Job[Answer]:
    """
    Raises:
        SupervisorStopped, SupervisorTimeout, InForkedChild: as of any call of a supervisor.
    """
    check_timeout(timeout_s)
    future = PooledFuture(ref._actor)
    try:
        ref._actor._pooled_put(Envelope(request, reply_to=future), helps=True)
        answer: Answer = yield Wait(future, timeout_s)
        return answer
    except errors.InForkedChild:
        raise
    except (pykka.ActorDeadError, errors.PoolClosed):
        raise errors.SupervisorStopped from None
    except pykka.Timeout:
        assert timeout_s is not None
        raise errors.SupervisorTimeout(request.call, timeout_s) from None


def to_start(ref: PooledRef, spec: Any, timeout_s: float | None) -> Job[pykka.ActorRef[Any] | None]:
    supervisor: Any = ref._actor
    supervisor._pooled_pool.check_process()  # before any lock of its own: another thread may have held it at the fork
    spec = supervisor._options.check_child(spec)
    check_timeout(timeout_s)
    return ask(ref, StartChild(spec, name=supervisor._names.take(spec.id), caller=asker()), timeout_s)


def of_child(ref: PooledRef, kind: type[OfChild[Answer]], child_id: Hashable, timeout_s: float | None) -> Job[Answer]:
    return ask(ref, _named(ref, kind, child_id), timeout_s)


def when_up(ref: PooledRef, child_id: Hashable, past: Any, timeout_s: float | None) -> Job[pykka.ActorRef[Any]]:
    """
    Args:
        past: an actor of the child's that is known to be of no use: the next one is waited for.
    """
    return _when_up(ref, _named(ref, WaitUp, child_id, past=past), timeout_s)


def _named(ref: PooledRef, kind: Callable[..., Made], child_id: Hashable, **more: Any) -> Made:
    supervisor: Any = ref._actor
    supervisor._pooled_pool.check_process()
    name = supervisor._names.find(child_id)  # here, and not there: the id's hash and eq are the caller's code
    return kind(child_id, name=name, caller=asker(), **more)


def _when_up(ref: PooledRef, request: WaitUp, timeout_s: float | None) -> Job[pykka.ActorRef[Any]]:
    try:
        return (yield from ask(ref, request, timeout_s))
    except BaseException:  # a signal handler's too, and a cancellation
        if ref.is_alive():
            try:
                ref._actor._pooled_put(NoLonger(request), helps=True)
            except errors.PoolClosed:
                pass  # it keeps nothing that anybody will come to
        raise


def to_stop(ref: PooledRef, timeout_s: float | None) -> Job[bool]:
    """Whether it lived."""
    check_timeout(timeout_s)
    request = StopInside()
    request.caller = asker()
    return _to_stop(ref, request, timeout_s)


def _to_stop(ref: PooledRef, request: Any, timeout_s: float | None) -> Job[bool]:
    try:
        if ref.is_alive():
            yield from ask(ref, request, timeout_s)
            return True
    except errors.SupervisorStopped:
        pass
    return False


def when_ended(ref: PooledRef, timeout_s: float | None) -> Job[errors.ExitReason]:
    """
    Raises:
        InsideActor: inside one of its own children, or below.
    """
    check_timeout(timeout_s)
    caller = asker()
    if any(one is ref._actor for one in line_of(caller)):
        raise errors.InsideActor("wait_end", caller, "have it called elsewhere")
    return _when_ended(ref, timeout_s)


def _when_ended(ref: PooledRef, timeout_s: float | None) -> Job[errors.ExitReason]:
    ended = PooledFuture(ref._actor)

    def end(down: Down) -> None:
        ended.set(down.reason)

    watch(ref, end)
    try:
        reason: errors.ExitReason = yield Wait(ended, timeout_s)
        return reason
    except pykka.Timeout:
        assert timeout_s is not None
        raise errors.SupervisorTimeout("wait_end", timeout_s) from None
    finally:
        unwatch(ref, end)


def check_timeout(timeout_s: object) -> None:
    """
    Raises:
        InvalidOption: it is no timeout of a call.
    """
    if timeout_s is not None and not (are_seconds(timeout_s) and timeout_s):
        raise errors.InvalidOption("timeout_s", timeout_s, "must be None, or a number of seconds above 0 and at most a year")
