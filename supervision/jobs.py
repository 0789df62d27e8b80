"""What a supervisor does and can't finish at once: jobs, in lanes.

A job is a generator. It yields the child for which it must wait, and is taken up again when that child has left its phase or its
time is over. In one lane goes one job at a time, in order: what concerns one child under one_for_one, everything under the other
strategies. So each reads as if it waited, and the supervisor never does.
"""

from collections.abc import Callable, Generator, Hashable
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import InsideActor, LightspeedError
from lightspeed.actors.future import lead_on
from lightspeed.actors.runtime import Nobody, ReplyTo
from lightspeed.supervision.children import SupervisedChild

Steps = Generator[SupervisedChild, None, Any]


class Job(Struct, eq=False):
    """Some steps, and who waits for what they return."""

    steps: Steps
    reply: Any = None
    """A future; None where nobody waits: then what the steps raise is the supervisor's own end."""
    call: str = ""
    """What was asked for; empty where nobody did."""
    caller: Any = None
    """The actor inside which it was asked for, if it was inside any: that waits for it."""
    lane: Hashable = None
    waits_for: SupervisedChild | None = None

    @property
    def refusal(self) -> LightspeedError:
        """Of what would wait for its own caller."""
        return InsideActor(self.call, self.caller, "stop yourself, raise Shutdown, or have it called elsewhere")


class Lanes:
    """For the supervisor's own thread. `run` and `resume` raise what a job without a reply has raised.

    Args:
        home: the child that an actor is, or is below, if it is below any.
    """

    def __init__(self, home: Callable[[Any], SupervisedChild | None]) -> None:
        self._home = home
        self._jobs: dict[Hashable, list[Job]] = {}
        self._beside: dict[Hashable, dict[Hashable, Job]] = {}  # those that attend, by lane and key
        self._inside: dict[Job, None] = {}  # those that some actor waits for

    def run(self, lane: Hashable, job: Job) -> None:
        """Do it as far as it goes, or when those before it in the lane are done."""
        job.lane = lane
        if job.caller is not None:
            self._inside[job] = None
        jobs = self._jobs.get(lane)
        if jobs is None:
            self._jobs[lane] = [job]
            self.resume(lane)
        else:
            jobs.append(job)
            if job.caller is not None:
                self._break_rings(self._home(job.caller))

    def resume(self, lane: Hashable) -> None:
        """Go on with the lane's first job, and with those behind it when it is done."""
        jobs = self._jobs.get(lane)
        while jobs:
            if not _advance(jobs[0], lane):
                self._break_rings(jobs[0].waits_for)
                _lead_on(jobs[0])
                break
            self._inside.pop(jobs.pop(0), None)
        else:
            self._jobs.pop(lane, None)
        for key, job in list(self._beside.get(lane, {}).items()):
            if _advance(job, lane):
                self.leave(lane, key)
            else:
                _lead_on(job)

    def attend(self, lane: Hashable, job: Job, key: Hashable) -> None:
        """Do it beside the lane's jobs, which do not wait for it: it goes on whenever the lane has."""
        job.lane = lane
        if _advance(job, lane):
            return
        self._beside.setdefault(lane, {})[key] = job
        if job.caller is not None:
            self._inside[job] = None
            self._break_rings(self._home(job.caller))
            _lead_on(job)

    def leave(self, lane: Hashable, key: Hashable) -> Job | None:
        """Forget what attends under this key, and return it; None where nothing does."""
        beside = self._beside.get(lane, {})
        job = beside.pop(key, None)
        if job is not None:
            self._inside.pop(job, None)
            if not beside:
                del self._beside[lane]
        return job

    @property
    def are_free(self) -> bool:
        """Whether no job is left, but for what attends."""
        return not self._jobs

    def is_free(self, lane: Hashable) -> bool:
        """Whether no job is left in this lane, but for what attends."""
        return lane not in self._jobs

    def drop(self, error: LightspeedError) -> None:
        """End all jobs where they stand. Whoever waits for one gets the error."""
        dropped = [job for jobs in self._jobs.values() for job in jobs]
        dropped += [job for beside in self._beside.values() for job in beside.values()]
        self._jobs.clear()
        self._beside.clear()
        self._inside.clear()
        for job in dropped:
            job.steps.close()
            if job.reply is not None:
                fail(job.reply, error)

    def _break_rings(self, child: SupervisedChild | None) -> None:
        """Refuse what was asked for inside the child, and would wait for the child. What is under way is done all the same.

        It is called when somebody begins to wait for the child, or inside it.
        """
        for job in list(self._inside) if child is not None else ():
            if self._home(job.caller) is child and self._leads_to(child, job, {job}):
                fail(job.reply, job.refusal)
                job.reply = Nobody()
                del self._inside[job]
                if job in self._jobs[job.lane][1:]:
                    self._jobs[job.lane].remove(job)

    def _leads_to(self, child: SupervisedChild | None, job: Job, seen: set[Job]) -> bool:
        jobs = self._jobs.get(job.lane)
        waits_for = jobs[0].waits_for if jobs else None
        if waits_for is child:
            return True
        further = [other for other in self._inside if other not in seen and self._home(other.caller) is waits_for]
        seen.update(further)
        return waits_for is not None and any(self._leads_to(child, other, seen) for other in further)


def _lead_on(job: Job) -> None:
    """Have it known that who asked for the job inside an actor waits for the child's; refuse it where that one waits for him."""
    child = job.waits_for
    if job.caller is not None and child is not None:
        ring = lead_on(job.reply, job.caller, child.ref and child.ref._actor_weakref())
        if ring is not None:
            fail(job.reply, ring)
            job.reply = Nobody()


def fail(reply: Any, error: BaseException) -> None:
    """Have the future raise the error."""
    traceback = BaseException.__dict__["__traceback__"].__get__(error)  # whatever its class says
    reply.set_exception((type(error), error, traceback))


def _advance(job: Job, lane: Hashable) -> bool:
    """Whether it is done."""
    reply: ReplyTo | None
    try:
        job.waits_for = child = next(job.steps)
        child.waiter = lane
        return False
    except StopIteration as done:
        reply = job.reply
        if reply is not None:
            reply.set(done.value)
    except BaseException as error:  # the program's may be among it: ids, say. Whoever asked for it gets it.
        reply = job.reply
        if reply is None:
            raise
        fail(reply, error)
    return True
