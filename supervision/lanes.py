"""What a supervisor does and can't finish at once: jobs, in lanes.

A job is a generator. It yields the child for which it must wait, and is taken up again when that child has left its phase or its
time is over. In one lane goes one job at a time, in order: what concerns one child under one_for_one, everything under the other
strategies. So each reads as if it waited, and the supervisor never does.
"""

from collections.abc import Generator, Hashable
from typing import Any

from msgspec import Struct

from lightspeed.actors.errors import LightspeedError
from lightspeed.actors.runtime import Reply
from lightspeed.supervision.child_table import SupervisedChild

Steps = Generator[SupervisedChild, None, Any]


class Job(Struct, eq=False):
    """Some steps, and who waits for what they return."""

    steps: Steps
    reply: Any = None
    """A future; None where nobody waits: then what the steps raise is the supervisor's own end."""


class Lanes:
    """For the supervisor's own thread. `run` and `resume` raise what a job without a reply has raised."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, list[Job]] = {}

    def run(self, lane: Hashable, job: Job) -> None:
        """Do it as far as it goes, or when those before it in the lane are done."""
        jobs = self._jobs.get(lane)
        if jobs is None:
            self._jobs[lane] = [job]
            self.resume(lane)
        else:
            jobs.append(job)

    def resume(self, lane: Hashable) -> None:
        """Go on with the lane's first job, and with those behind it when it is done."""
        jobs = self._jobs.get(lane)
        while jobs:
            if not _advance(jobs[0], lane):
                return
            jobs.pop(0)
        self._jobs.pop(lane, None)

    @property
    def are_free(self) -> bool:
        """Whether no job is left."""
        return not self._jobs

    def drop(self, error: LightspeedError) -> None:
        """End all jobs where they stand. Whoever waits for one gets the error."""
        dropped = [job for jobs in self._jobs.values() for job in jobs]
        self._jobs.clear()
        for job in dropped:
            job.steps.close()
            if job.reply is not None:
                fail(job.reply, error)


def fail(reply: Any, error: BaseException) -> None:
    """Have the future raise the error."""
    reply.set_exception((type(error), error, error.__traceback__))


def _advance(job: Job, lane: Hashable) -> bool:
    """Whether it is done."""
    reply: Reply | None = job.reply
    try:
        next(job.steps).waiter = lane
        return False
    except StopIteration as done:
        if reply is not None:
            reply.set(done.value)
    except LightspeedError as error:
        if reply is None:
            raise
        fail(reply, error)
    return True
