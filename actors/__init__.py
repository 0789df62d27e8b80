"""Pykka actors on a few threads, whose end can be learnt: for any program."""

from lightspeed.actors.actor import PooledActor
from lightspeed.actors.errors import (
    AskRing,
    ExitReason,
    Ignore,
    InForkedChild,
    InsideActor,
    NotSupervisable,
    PoolClosed,
    Shutdown,
    WrongLoop,
)
from lightspeed.actors.logs import be_silent, lead_pykka_records
from lightspeed.actors.loop import Loop
from lightspeed.actors.pool import ActorPool, default_pool
from lightspeed.actors.runtime import Layer, Pool, Runtime, RuntimeWrapper, Threads
from lightspeed.actors.threaded import Supervisable
from lightspeed.actors.watching import Down, unwatch, watch

__all__ = [
    "ActorPool",
    "AskRing",
    "Down",
    "ExitReason",
    "Ignore",
    "InForkedChild",
    "InsideActor",
    "Layer",
    "Loop",
    "NotSupervisable",
    "Pool",
    "PoolClosed",
    "PooledActor",
    "Runtime",
    "RuntimeWrapper",
    "Shutdown",
    "Supervisable",
    "Threads",
    "WrongLoop",
    "default_pool",
    "unwatch",
    "watch",
]

be_silent()
lead_pykka_records()
