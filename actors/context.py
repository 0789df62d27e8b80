"""What each thread is at work on, and inside which actor a piece of code runs."""

import gc
import sys
import threading
from types import FrameType
from typing import Any

import pykka

from lightspeed.actors.process import in_forked_child
from lightspeed.actors.pykka_inside import ACTOR_LOOPS


class ThreadContext:
    """The context of one thread: what it is at work on."""

    __slots__ = ("actor", "depth", "home", "is_in_turn", "is_lent", "is_outside", "task")

    def __init__(self) -> None:
        self.actor: Any = None
        """The pooled actor that it runs."""
        self.depth = 0
        """The depth is how many actors the thread runs within one another, beyond the one that its pool gave it."""
        self.home: Any = None
        """The threaded actor of ours whose thread it is."""
        self.is_in_turn = False
        """True where the actor is run in its turn: by a worker, or by an event loop."""
        self.is_lent = False
        """True while the thread waits and runs a pool's actors: then what is thrown into it is for its own caller, too."""
        self.is_outside = False
        """True where the thread is known to be no threaded actor's."""
        self.task: Any = None
        """The actor of the supervised task of which it takes a step."""


class _Here(threading.local):
    def __init__(self) -> None:
        self.context = ThreadContext()


here = _Here()
"""`here.context` is the calling thread's own."""


def current_actor() -> pykka.Actor | None:
    """The Pykka actor in whose thread this is called, of whatever class; None outside any."""
    context = here.context
    if context.actor is None and not context.is_outside:
        threaded = _actor_below(sys._getframe(1))
        context.is_outside = threaded is None  # a thread that runs an actor does so from its first call on
        return threaded
    pooled: pykka.Actor | None = context.actor
    return pooled


def asker() -> Any:
    """The supervised task, or else the actor, inside which this is called; None outside any.

    Inside a task is no `current_actor`: it awaits, and holds up nobody. But its supervisor must know who asks for what waits for
    that task's own end.
    """
    return current_actor() if here.context.task is None else here.context.task


_frames_lock = threading.Lock()  # of two at once one would find the collector off, and leave it so


def current_frames() -> dict[int, FrameType]:
    """The frame of each thread, by its ident.

    On Python 3.11 the collector may begin in the middle of `sys._current_frames`, under the interpreter's lock of its threads;
    if it frees a `threading.local` then, that wants the same lock, and the process stands still. So it is put off.
    """
    if sys.version_info >= (3, 12):  # there it begins between two instructions only
        return sys._current_frames()
    with _frames_lock:
        was_on = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()
        finally:
            if was_on:
                gc.enable()


@in_forked_child
def _after_fork() -> None:
    global _frames_lock
    if _frames_lock.locked():  # another thread of the parent's was in the middle of it
        _frames_lock = threading.Lock()
        gc.enable()


def _actor_below(frame: FrameType | None) -> pykka.Actor | None:
    while frame is not None:
        if frame.f_code in ACTOR_LOOPS:
            actor: pykka.Actor = frame.f_locals["self"]
            return actor
        frame = frame.f_back
    return None
