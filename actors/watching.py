"""Being told of the start and the end of an actor: any actor, or any piece of code, may watch any other actor.

What is known of an actor's end stands in `_lifecycle_exit` of its *place*: a tuple of those who watch it while it lives, and the
reason when it has ended. The place is what a reference keeps alive: a pooled actor itself, or the inbox of a threaded one.
"""

import threading
from collections.abc import Callable
from types import MethodType
from typing import Any, Protocol

import pykka
from msgspec import Struct

from lightspeed.actors.errors import ExitReason, NotSupervisable, PoolClosed
from lightspeed.actors.logs import log
from lightspeed.actors.process import in_forked_child
from lightspeed.actors.text import named


class Down(Struct, frozen=True):
    """An actor has ended."""

    ref: pykka.ActorRef[Any]
    reason: ExitReason


class Up(Struct, frozen=True):
    """An actor's on_start has returned."""

    ref: pykka.ActorRef[Any]


Watcher = pykka.ActorRef[Any] | Callable[[Down], object]


class Place(Protocol):
    """The place where it is known who watches an actor, or why it ended."""

    _lifecycle_exit: tuple[Watcher, ...] | ExitReason

    def _lifecycle_is_up(self) -> bool:
        """Whether the actor's on_start has returned, whatever has become of it since. Any thread may ask."""
        ...


class _WhenUp(Struct, frozen=True):
    """One of those who watch an actor, which waits for its start alone: told of an end, it does nothing."""

    watcher: pykka.ActorRef[Any]

    def __call__(self, _down: Down) -> None: ...


_lock = threading.RLock()
"""Guards every place's `_lifecycle_exit`: whoever begins to watch is told by `tell_up` or `end_watch`, or sees what has been."""


def watch(ref: pykka.ActorRef[Any], watcher: Watcher) -> None:
    """Watch an actor: have the watcher told of its end, once, also where it has ended already. Any thread may call it.

    Each watcher counts once, however often it begins. The cost grows with the number of those who watch the same actor.

    Args:
        watcher: an ActorRef, which is told `Down(ref, reason)`; or a callable that is given it. That is called in the actor's own
            thread when all its hooks have returned, or at once in this thread if it has ended before. It must not wait; what
            it raises is logged.

    Raises:
        NotSupervisable: the actor is neither a `PooledActor` nor a `Supervisable`.
    """
    place = place_of(ref)
    with _lock:
        known = place._lifecycle_exit
        if not isinstance(known, ExitReason):
            if not any(_is_same(watcher, other) for other in known):
                place._lifecycle_exit = (*known, watcher)
            return
    _tell(watcher, Down(ref, known))


def unwatch(ref: pykka.ActorRef[Any], watcher: Watcher) -> bool:
    """Watch an actor no more; True where the watcher would have been told, and now will not be."""
    place = place_of(ref)
    with _lock:
        known = place._lifecycle_exit
        left = () if isinstance(known, ExitReason) else tuple(one for one in known if not _is_same(watcher, _who(one)))
        if isinstance(known, ExitReason) or len(left) == len(known):
            return False
        place._lifecycle_exit = left
        return True


def place_of(ref: pykka.ActorRef[Any]) -> Place:
    """The place where it is known how an actor ends.

    Raises:
        NotSupervisable: nowhere.
    """
    if not isinstance(ref, pykka.ActorRef):
        raise NotSupervisable(ref)
    place: Any = getattr(ref, "_lifecycle_place", ref.actor_inbox)
    if not hasattr(place, "_lifecycle_exit"):
        raise NotSupervisable(ref.actor_class)
    found: Place = place
    return found


def end_watch(place: Place, actor: pykka.Actor, reason: ExitReason) -> None:
    """The actor has ended: tell who watches it."""
    with _lock:
        watchers, place._lifecycle_exit = place._lifecycle_exit, reason
    assert not isinstance(watchers, ExitReason)
    for watcher in watchers:
        _tell(watcher, Down(actor.actor_ref, reason))


def tell_when_up(ref: pykka.ActorRef[Any], to: pykka.ActorRef[Any]) -> bool:
    """Have `to` told `Up(ref)` when the actor's on_start has returned. True, and it is not told, where it has already.

    It is told before anything of the actor's end, and never of one that ends in its on_start: who wants to know that watches it.
    """
    place = place_of(ref)
    with _lock:
        known = place._lifecycle_exit
        if not place._lifecycle_is_up() and not isinstance(known, ExitReason):
            place._lifecycle_exit = (*known, _WhenUp(to))
        return place._lifecycle_is_up()


def tell_up(place: Place, actor: pykka.Actor) -> None:
    """Tell who waits for it that the actor is up; nobody, where it is not. For its own thread, ahead of its first message."""
    with _lock:
        known = place._lifecycle_exit
        if isinstance(known, ExitReason) or not place._lifecycle_is_up():
            return
        waiting = [_who(one) for one in known if type(one) is _WhenUp]
        place._lifecycle_exit = tuple(one for one in known if type(one) is not _WhenUp)
    for watcher in waiting:
        _tell(watcher, Up(actor.actor_ref))


def _who(one: Any) -> Watcher:
    """Who is told, of those who watch an actor."""
    return one.watcher if type(one) is _WhenUp else one


def _is_same(one: Watcher, other: Watcher) -> bool:
    """Whether two watchers are the same, without asking an object of the program's: this is done under the lock."""
    kind = type(one)
    return one is other or (type(other) is kind and (kind is MethodType or issubclass(kind, pykka.ActorRef)) and one == other)


def _tell(watcher: Watcher, news: Any) -> None:
    try:
        if isinstance(watcher, pykka.ActorRef):
            watcher.tell(news)
        else:
            watcher(news)
    except (pykka.ActorDeadError, PoolClosed):
        pass  # nobody is left to be told
    except BaseException as error:  # a watcher's code is the user's; the others are to be told all the same
        log("error", "a watcher of {} failed", named(news.ref), error=error)


in_forked_child(lambda: globals().update(_lock=threading.RLock()))  # another thread of the parent's may hold it
