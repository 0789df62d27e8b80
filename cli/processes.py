"""Processes that play seeds side by side. One that dies is told of, and none outlives the command."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from lightspeed.actors.errors import InvalidOption
from lightspeed.cli.seeds import Asked, Played, Player

# So many seeds are handed to a process at once: some tenths of a second, against a millisecond to hand them over.
_BATCH = 50


@contextmanager
def processes(asked: Asked, seeds: range, jobs: int) -> Iterator[Iterator[Played]]:
    """What comes of the seeds, some at a time, in their order. The processes end with the `with`, whatever they are at.

    Raises:
        InvalidOption: one ended without an answer.
    """
    most = 1 if asked.sweeps or asked.bound is not None else _BATCH
    size = min(most, -(-len(seeds) // jobs))
    starts = seeds[::size]
    workers = [_Worker(asked) for _ in range(min(jobs, len(starts)))]
    try:
        yield _in_order(workers, (seeds[number * size : (number + 1) * size] for number in range(len(starts))), len(starts))
    finally:
        for worker in workers:
            worker.end()


def _in_order(workers: list["_Worker"], batches: Iterator[range], count: int) -> Iterator[Played]:
    left, played = enumerate(batches), dict[int, Played]()
    busy: dict[Any, _Worker] = {worker.ours: worker for worker in workers}
    for worker in workers:
        worker.take(*next(left))
    for due in range(count):
        while due not in played:
            for ready in wait(list(busy)):
                worker = busy.pop(ready)
                played[worker.number] = worker.answer()
                following = next(left, None)
                if following is not None:
                    worker.take(*following)
                    busy[worker.ours] = worker
        yield played.pop(due)


class _Worker:
    def __init__(self, asked: Asked) -> None:
        context = multiprocessing.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self._asked, self._process = asked, context.Process(target=_serve, args=(asked, theirs), daemon=True)
        with without_interrupts():  # Ctrl-C reaches all, and the command ends them
            self._process.start()
        theirs.close()  # so that its death is the end of what we read

    def take(self, number: int, seeds: range) -> None:
        self.number, self._seeds = number, seeds
        self.ours.send(seeds)

    def answer(self) -> Played:
        try:
            played: Played = self.ours.recv()
        except (EOFError, OSError):
            self._process.join()
            seeds, status = f"{self._seeds[0]} to {self._seeds[-1]}", self._process.exitcode
            rule = f"must not end its process, as it did, with status {status}, with one of the seeds {seeds}"
            raise InvalidOption("SCENARIO", self._asked.scenario, rule) from None
        return played

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.ours.close()


def _serve(asked: Asked, theirs: "Connection[Played, range]") -> None:
    player = Player(asked)
    while True:
        try:
            seeds = theirs.recv()
        except EOFError:
            return  # the command is gone
        theirs.send(player.seeds(seeds))


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started meanwhile never sees a Ctrl-C; this process sees it afterwards."""
    if sys.platform == "win32":
        yield  # nothing of the kind is inherited there
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else it is started by the first of them, which lets them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
