"""Jobs for pooled workers, and a threaded store for what comes of them, under one tree. A SIGTERM ends it in good order."""

import argparse
import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import cast

from jobs_actors import Desk, Store

from lightspeed.actors import PooledActor
from lightspeed.supervision import ChildAddress, ChildSpec, Supervisor, SupervisorRef


class Worker(PooledActor):
    def __init__(self, name: str, desk: ChildAddress, store: ChildAddress) -> None:
        super().__init__()
        self.name, self.desk, self.store = name, desk, store

    def on_start(self) -> None:
        self.desk.tell(("up", self.name, self.actor_ref))

    def on_receive(self, message: int | str) -> None:
        if isinstance(message, int):
            self.store.tell((message, 1_000_000 // (message % 500)))  # each 500th job divides by zero: the worker fails
        self.desk.tell(("done" if isinstance(message, int) else "up", self.name, self.actor_ref))


def take(reports: "SimpleQueue[str]") -> str:
    while True:
        with suppress(Empty):  # in slices: a signal that comes just as a wait begins does not end it
            return reports.get(timeout=0.2)


def main(jobs: int) -> None:
    reports: SimpleQueue[str] = SimpleQueue()  # its put is safe in a signal handler
    signal.signal(signal.SIGTERM, lambda *_: reports.put("SIGTERM"))
    root = Supervisor.start([ChildSpec("store", Store), ChildSpec("desk", (Desk, (reports,), {}))])
    try:
        desk, store = root.child("desk"), root.child("store")  # addresses, which outlive the actors
        workers = [ChildSpec(name, (Worker, (name, desk, store), {})) for name in "1234"]
        root.start_child(ChildSpec("workers", (Supervisor, (workers,), {"intensity": 1_000})))
        desk.tell(jobs)
        cast(SupervisorRef, root.wait_up("workers")).tell_all("begin")
        print("running", flush=True)
        for report in iter(lambda: take(reports), "all is done"):
            print(report)
            desk.tell(0)  # no more; what is in hand is finished
        print(desk.ask("figures"))
        print(store.ask("write"), "stored")
        print(sum(worker.restarts or 0 for worker in root.tree().children[2].children), "restarts")
    finally:
        root.stop()  # a threaded actor would keep the process alive


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2_000)
    main(parser.parse_args().jobs)
