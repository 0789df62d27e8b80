"""The supervisor that any Pykka program can use: an actor that starts, watches, restarts and stops other actors.

It never waits. What takes time is a job in a lane, which goes on when a message says that a child is up or down, or that a
deadline has passed. It runs on a pool of supervisors only, so that no child can keep it from its work; or on an event loop, if it
is an `AsyncSupervisor`'s, or below one.
"""

import asyncio
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar, ParamSpec, Unpack

import pykka

import lightspeed.supervision.messages as messages
from lightspeed.actors.actor import PooledActor
from lightspeed.actors.errors import InsideActor, SupervisorStopped
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pool import ActorPool, default_pool
from lightspeed.actors.pykka_inside import STOP, Envelope
from lightspeed.actors.ref import DECLINED
from lightspeed.actors.runtime import Threads
from lightspeed.actors.tasks import TaskPool
from lightspeed.actors.watching import Down, Up, tell_up
from lightspeed.supervision.child_jobs import JOBS, ChildJobs
from lightspeed.supervision.children import Branch, ChildNames, ChildTable, Phase, SupervisedChild, view_of
from lightspeed.supervision.deadlines import Clock, Deadlines, Due
from lightspeed.supervision.jobs import Job, Lanes, Steps, fail
from lightspeed.supervision.keeper import Keeper, pool_of, take_place
from lightspeed.supervision.ref import SupervisorRef
from lightspeed.supervision.report import line_of, report_given_up
from lightspeed.supervision.rules import Randomness
from lightspeed.supervision.spec import ChildSpec, SupervisorArgs, SupervisorOptions
from lightspeed.supervision.steps import give_up_all

P = ParamSpec("P")

_ALL = object()
"""The lane of what concerns all children."""


class Supervisor(PooledActor):
    """Starts its children in order, restarts those that end, and stops them in reverse.

    `Supervisor.start(...)` returns a `SupervisorRef` when each child's on_start has returned. Where one fails, those started
    before are stopped in reverse, and StartFailed is raised. A supervisor may be the child of another one.

    Args:
        children: a `ChildSpec` each, in the order of their start.
        strategy: who is restarted when one ends: `one_for_one`, it alone, the default; `one_for_all`, all of them;
            `rest_for_one`, it and those after it.
        intensity: how many restarts are allowed in `period_s`. One more, and it stops its children and fails. Default 1.
        period_s: see there. Default 5.
        auto_shutdown: whether it ends when a significant child has ended for good: `never`, the default; `any_significant`;
            `all_significant`, when it was the last one.
        backoff: how long it waits before a restart. None, the default: not at all.
        start_timeout_s: how long a child's on_start may take before the child is abandoned, and its start has failed. Default 5.
        clock: for its deadlines: any `Runtime`, or what else has `monotonic_s` and `call_later`. None, the default: the system's.
        randomness: for the jitter of backoffs: any `random.Random`. None, the default: one of its own.
        pool: the workers it runs on. None, the default: one worker for all supervisors. Not one that children run on: a
            child that blocks would keep it from answering.
        loop: the event loop on which those of its children run that are tasks, of another thread; below it too, where a
            supervisor is given none of its own. None, the default: it can have no such children.

    Raises:
        InvalidOption: an option has a value that it can't have.
        StartFailed: a child could not be started. `error` says why.
    """

    log_fields: ClassVar[dict[str, object]] = {}  # it logs what its children do; Pykka's record of its own end need not repeat it

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        pool: ActorPool | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        **options: Unpack[SupervisorArgs],
    ) -> None:
        place = take_place()
        loop = place.get("loop") if loop is None else loop
        pool = place.get("pool") if pool is None else pool
        super().__init__(pool=default_pool("supervisors") if pool is None else pool)
        self._options = SupervisorOptions(**options)
        self._specs = self._options.check_children(children)
        self.tasks: TaskPool | None = pool_of(loop)
        self.keeper = Keeper(self.tasks) if isinstance(loop, asyncio.AbstractEventLoop) and self.tasks is not None else None
        on_loop = pool if isinstance(pool, TaskPool) else None
        self.registered = on_loop is None
        places = (("loop", self.tasks), ("pool", on_loop))
        self.for_branches: Mapping[str, Any] = {option: place for option, place in places if place is not None}
        clock = (on_loop or Threads()) if clock is None else clock
        randomness = random.Random() if randomness is None else randomness
        self._me = SupervisorRef(self)
        self._names, self._lanes = ChildNames(), Lanes(self._child_above)
        self._first = [(spec, self._names.take(spec.id)) for spec in self._specs]
        self._table = ChildTable(self._names)
        self._deadlines = Deadlines(clock, self._me)
        self._jobs = ChildJobs(self, clock, randomness)
        self._first_start = PooledFuture(self)
        """Set when all children have started, or none is left."""
        self._is_up = False
        self._early: list[tuple[Any, Any]] = []
        """Requests, and where their answers go, that came before all children had started."""
        self._is_ending = False
        self._end_error: BaseException | None = None
        self._stop_replies: list[Any] = []
        self.was_asked_to_stop = False

    @classmethod  # pyright: ignore[reportArgumentType]  # as of PooledActor
    def start(cls: Callable[P, "Supervisor"], *args: P.args, **kwargs: P.kwargs) -> SupervisorRef:
        """Start a supervisor of the class, with the arguments of its `__init__`, and return when its children are up.

        Raises:
            InvalidOption: an option has a value that it can't have.
            StartFailed: a child could not be started; those before it were stopped.
            InsideActor: called in the thread of the event loop that it is given.
        """
        kind: Any = cls
        if kwargs.get("loop") is not None and kwargs["loop"] is asyncio._get_running_loop():
            raise InsideActor("Supervisor.start", "the thread of the event loop of its tasks", "use AsyncSupervisor")
        ref: SupervisorRef = kind._supervised_start(*args, **kwargs)
        supervisor = ref._actor
        assert isinstance(supervisor, Supervisor)
        supervisor._first_start.get()
        return ref

    @classmethod
    def _supervised_start(cls, *args: Any, **kwargs: Any) -> SupervisorRef:
        """As a child of another supervisor, who is told when all is up, and must not wait."""
        return SupervisorRef(cls._pooled_start(*args, **kwargs))

    @property
    def actor_ref(self) -> SupervisorRef:
        return self._me

    # Messages

    def on_start(self) -> None:
        if self.keeper is not None:
            self.keeper.begin(self._me)
        self._run(_ALL, self._start_all())

    def on_receive(self, message: Any) -> Any:
        handler = _HANDLERS.get(type(message))
        return super().on_receive(message) if handler is None else handler(self, message)

    def on_end(self, error: BaseException | None) -> None:
        """Nobody is left waiting, and no child is left, even if this was given up or failed by a fault of its own."""
        self._is_ending = True
        if self.keeper is not None:
            self.keeper.end()
        self._drop()
        self._give_up_children()
        if not self._is_up:
            fail(self._first_start, SupervisorStopped() if error is None else error)
        for reply in self._stop_replies:
            reply.set(None)

    def _lifecycle_answer(self, envelope: Envelope[Any]) -> None:
        message, reply = envelope.message, envelope.reply_to
        if message is STOP or isinstance(message, type(STOP)):
            if type(message) is messages.StopInside and self._child_above(message.caller) is not None:
                assert reply is not None
                fail(reply, InsideActor("stop", message.caller, "raise Shutdown, or have it called elsewhere"))
                return
            self.was_asked_to_stop = self.was_asked_to_stop or type(message) is not messages.LoopEnds
            if reply is not None:
                self._stop_replies.append(reply)  # answered when the last child is down
            self._stop()
        elif type(message) in JOBS:
            self._request(message, reply)
        else:
            super()._lifecycle_answer(envelope)

    def _pooled_ask_inline(self, message: Any) -> Any:
        return DECLINED  # an answer may come later than the handling returns

    def _lifecycle_is_up(self) -> bool:
        return self._is_up

    def _stop(self) -> None:
        self._begin_end(None)

    # Requests

    def _request(self, message: Any, reply: Any) -> None:
        message = self._jobs.named(message)
        job = Job(JOBS[type(message)](self._jobs, message), reply, message.call, message.caller)
        above = self._child_above(message.caller)
        is_wait = type(message) is messages.WaitUp
        ref = self._jobs.up(message) if is_wait else None
        if self._is_ending:
            fail(reply, SupervisorStopped())
        elif ref is not None:
            reply.set(ref)
        elif above is not None and self._waits_for(above, message):
            fail(reply, job.refusal)
        elif not self._is_up:
            self._early.append((message, reply))
        elif is_wait:
            self._advance(self._lanes.attend, self._lane(message.name), job, message)
        else:
            self._advance(self._lanes.run, self._lane(message.name), job)

    def _waits_for(self, child: SupervisedChild, message: Any) -> bool:
        """Whether the answer to what is asked inside the child waits for that child's end, or for the end of its start."""
        is_of_it = message.name is child.name and child.ref is not None
        ends_it = is_of_it and type(message) in (messages.TerminateChild, messages.WaitUp)
        return ends_it or (child.phase is Phase.STARTING and not self._is_up)

    def _no_longer(self, message: messages.NoLonger) -> None:
        job = self._lanes.leave(self._lane(message.request.name), message.request)
        if job is not None:
            job.reply.set()

    def _is_left(self, child: SupervisedChild) -> bool:
        lane = self._lane(child.name)
        if child.phase is not Phase.STOPPED or not self._lanes.is_free(lane):
            return False
        return lane is not _ALL or all(other.phase is not Phase.RESTARTING for other in self._table)

    def _child_above(self, actor: Any) -> SupervisedChild | None:
        """The child that the actor is, or that it is below."""
        children = (self._table.by_ref(one.actor_ref) for one in line_of(actor))
        return next((child for child in children if child is not None), None)

    def _branch(self) -> Branch:
        phase = Phase.STOPPING if self._is_ending else Phase.UP if self._is_up else Phase.STARTING
        return Branch(phase, self._table.views())

    # What children do

    def _up(self, message: Up) -> None:
        child = self._table.by_ref(message.ref)
        if child is not None and child.phase is Phase.STARTING:
            self._jobs.come_up(child)
            self._wake(child)

    def _down(self, message: Down) -> None:
        child = self._table.by_ref(message.ref)
        if child is None:
            return  # abandoned before
        was = child.phase
        self._table.unbind(child)
        child.phase, child.reason = Phase.ENDED, message.reason
        if was is Phase.UP:
            self._recover_soon(child)
        else:
            self._wake(child)

    def _recover_soon(self, child: SupervisedChild) -> None:
        if self._is_up and not self._is_ending:  # before, it waits for the first start to be done
            self._run(self._lane(child.name), self._jobs.recover(child))

    def _retry(self, message: messages.Retry) -> None:
        if not self._is_ending:
            self._run(self._lane(message.child.name), self._jobs.retry(message))

    # All children

    def _start_all(self) -> Steps:
        for spec, name in self._first:
            child = self._table.add(spec, name)
            yield from self._jobs.start(child)
            self._jobs.forget_temporary(child)
        self.actor_ref.tell(messages.AllUp())

    def _all_up(self, _message: messages.AllUp) -> None:
        if self._is_ending:
            return
        self._is_up = True
        self._first_start.set()
        tell_up(self, self)
        for child in [child for child in self._table if child.phase is Phase.ENDED]:
            self._recover_soon(child)
        self._answer_early()

    def _answer_early(self) -> None:
        early, self._early = self._early, []
        for message, reply in early:
            self._request(message, reply)

    def _begin_end(self, error: BaseException | None) -> None:
        """Drop what is under way, stop all children in reverse, and end: by a stop, or by the error."""
        if self._is_ending:
            return
        if error is not None:
            report_given_up(error)
        self._is_ending, self._end_error = True, error
        self._drop()
        self._run(_ALL, self._stop_all())

    def _drop(self) -> None:
        self._lanes.drop(SupervisorStopped())
        self._deadlines.clear()
        self._answer_early()

    def _stop_all(self) -> Steps:
        for child in reversed(list(self._table)):
            yield from self._jobs.stop(child)

    def _give_up_children(self) -> None:
        """Any thread may call it: this may be what hangs."""
        for child in reversed(list(self._table)):
            ref = child.ref
            if ref is not None:
                give_up_all(ref)

    # Jobs and deadlines

    def _lane(self, name: Hashable) -> Hashable:
        return name if self._options.strategy == "one_for_one" else _ALL

    def _run(self, lane: Hashable, steps: Steps) -> None:
        self._advance(self._lanes.run, lane, Job(steps))

    def _give_up(self, ref: pykka.ActorRef[Any]) -> None:
        give_up_all(ref)

    def _wake(self, child: SupervisedChild) -> None:
        lane, child.waiter = child.waiter, None
        if lane is not None:
            self._advance(self._lanes.resume, lane)

    def _advance(self, go_on: Callable[..., None], *lane_and_job: Any) -> None:
        try:
            go_on(*lane_and_job)
        except BaseException as error:  # a job of nobody's that fails is this supervisor's end, in good order
            if self._is_ending:
                raise
            self._begin_end(error)
            return
        if self._is_ending and self._lanes.are_free and not self._lifecycle_is_dead():
            if self._end_error is not None:
                raise self._end_error
            self._lifecycle_stop(None)


_HANDLERS: dict[type, Callable[[Supervisor, Any], object]] = {
    messages.WhichChild: lambda supervisor, message: view_of(supervisor._jobs.find(message)),
    messages.WhichChildren: lambda supervisor, _message: supervisor._table.views(),
    messages.WhichBranch: lambda supervisor, _message: supervisor._branch(),
    messages.CountChildren: lambda supervisor, _message: supervisor._table.counts(),
    messages.NoLonger: Supervisor._no_longer,
    Up: Supervisor._up,
    Down: Supervisor._down,
    messages.Retry: Supervisor._retry,
    messages.AllUp: Supervisor._all_up,
    Due: lambda _supervisor, due: due.pass_by(),
}
