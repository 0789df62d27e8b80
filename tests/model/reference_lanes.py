"""The jobs that a supervisor has under way, each with what is due next: one at a time in a lane, in order."""

from collections.abc import Iterator
from typing import Any

from model.reference_child import Answer, Ask, Due, End, ReferenceChild, Steps, Wait
from msgspec import Struct


class _Job(Struct, eq=False):
    steps: Steps
    ask: Ask | None
    due: Due | None = None
    is_void: bool = False
    """It was answered before it was done."""


class ReferenceLanes:
    """Of one supervisor."""

    def __init__(self) -> None:
        self._jobs: dict[Any, list[_Job]] = {}
        self.must_end: End | None = None
        """What one of them has come to; after that nothing is begun."""

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def __contains__(self, lane: Any) -> bool:
        return lane in self._jobs

    def __iter__(self) -> Iterator[Due]:
        """What is due, in all of them."""
        for jobs in list(self._jobs.values()):
            due = jobs[0].due
            assert due is not None
            yield due

    def due(self, lane: Any) -> Due | None:
        """None: nothing is."""
        jobs = self._jobs.get(lane)
        return jobs[0].due if jobs else None

    def run(self, lane: Any, steps: Steps, ask: Ask | None = None) -> None:
        """Do it when those before it in the lane are done. `ask`: what it is to answer."""
        if self.must_end is not None:
            return
        jobs = self._jobs.setdefault(lane, [])
        jobs.append(_Job(steps, ask))
        if len(jobs) == 1:
            self.go_on(lane)

    def go_on(self, lane: Any, seen: Any = None) -> None:
        """What was due there has been seen to be done, with this: see what is next."""
        jobs = self._jobs[lane]
        while jobs:
            try:
                jobs[0].due = due = jobs[0].steps.send(seen)
            except StopIteration:
                jobs.pop(0)
                seen = None
                continue
            if isinstance(due, Answer) and jobs[0].is_void:
                seen = None
                continue
            if isinstance(due, End):
                self.must_end = due
            return
        del self._jobs[lane]

    def wake(self, lane: Any, child: ReferenceChild) -> None:
        """The child has left its stage: go on, if that is waited for."""
        due = self.due(lane)
        if isinstance(due, Wait) and due.child is child:
            self.go_on(lane)

    def refuse(self, ask: Ask) -> None:
        """It has its answer, and is done all the same where it has been begun."""
        for jobs in self._jobs.values():
            for job in jobs:
                if job.ask is ask and job is jobs[0]:
                    job.is_void = True
                elif job.ask is ask:
                    jobs.remove(job)
                    return

    def drop(self) -> list[Ask]:
        """All of them end where they stand. What they were to answer."""
        asks = [job.ask for jobs in self._jobs.values() for job in jobs if job.ask is not None and not job.is_void]
        self._jobs.clear()
        self.must_end = None
        return asks
