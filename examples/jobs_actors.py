"""The actors of examples/jobs.py: who hands out jobs, and who keeps what comes of them."""

import sqlite3
from queue import SimpleQueue
from typing import Any

import pykka

from lightspeed.actors import PooledActor, Supervisable


class Store(Supervisable, pykka.ThreadingActor):  # a connection of sqlite3 works in one thread only
    def on_start(self) -> None:
        self.rows: list[Any] = []
        self.database = sqlite3.connect(":memory:")
        self.database.execute("create table results (job integer primary key, result integer)")
        self.start_timer("write", "write", 0.02, every=True)

    def on_receive(self, message: object) -> object:
        if message != "write":
            self.rows.append(message)
            return None
        with self.database:
            self.database.executemany("insert into results values (?, ?)", self.rows)
        self.rows.clear()
        return self.database.execute("select count(*) from results").fetchone()[0]

    def on_stop(self) -> None:
        self.database.close()


class Desk(PooledActor):
    def __init__(self, reports: "SimpleQueue[str]") -> None:
        super().__init__()
        self.reports, self.in_hand = reports, dict[str, int]()
        self.jobs: int | None = None
        self.given = self.done = self.failed = 0

    def on_receive(self, message: Any) -> object:
        match message:
            case "figures":
                return f"{self.done} done, {self.failed} failed"
            case int(jobs):
                self.jobs = jobs
            case (_, name, worker) if self.jobs is not None:
                if self.in_hand.pop(name, None) is not None:  # who is up with a job in hand has failed over it, and was restarted
                    self.done, self.failed = self.done + (message[0] == "done"), self.failed + (message[0] == "up")
                if self.given < self.jobs:
                    self.given = self.in_hand[name] = self.given + 1
                    worker.tell(self.given)
        if self.jobs is not None and self.given >= self.jobs and not self.in_hand:
            self.reports.put("all is done")
        return None
