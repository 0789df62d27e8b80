"""The one way in to a supervisor, which can be shut; and what is left to do when the supervisor can do no more.

Nobody is to wait in vain, and nothing is to vanish unseen.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pykka

from lightspeed.actors.errors import ChannelClosed, InForkedChild, Overloaded
from lightspeed.actors.logs import log
from lightspeed.actors.process import WeakBag, in_forked_child
from lightspeed.actors.runtime import SupervisedRef
from lightspeed.actors.topics.mail import Collected, Delivery, Disconnection, Order
from lightspeed.actors.topics.rules.events import Leave, size_of
from lightspeed.supervision.topics.dead_letters import DeadLetter, DeadLetters


class Ingress:
    """Shared by all callers and the supervisor.

    A message is told under the same lock that the ingress is shut under. So each either stands in the supervisor's inbox
    before the ingress is shut, and is handled, or is refused in its caller. (What an idle supervisor handles in the caller's own
    thread passes by the ingress: once it has been told of its end it declines, and the caller comes here.) The lock is
    re-entrant, since a finalizer or a signal handler may tell something within a `tell`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._put = self._put_bytes = 0
        """Events, and what they count in bytes. Under the lock."""
        self.taken = self.taken_bytes = 0
        """As the supervisor takes them in hand; it alone counts."""
        self.full: dict[str, Callable[[Delivery], None]] = {}
        """Topics whose mailboxes are full: while many events wait, what is told them is given to this, in its caller's thread, so
        that a flood of one topic holds up no other. The supervisor enters them, and takes them out."""
        self._shut = False
        self._is_of_parent = False
        _all.add(self)

    @property
    def is_shut(self) -> bool:
        return self._shut

    def check_process(self) -> None:
        """
        Raises:
            InForkedChild: this process was forked from the supervisor's.
        """
        if self._is_of_parent:
            raise InForkedChild

    @property
    def length(self) -> int:
        """So many events wait for the supervisor."""
        return self._put - self.taken

    def shut(self) -> None:
        with self._lock:
            self._shut = True

    def tell(self, supervisor: SupervisedRef, message: Any, *, waits: bool = False) -> None:
        """Put the message into the supervisor's inbox.

        Args:
            waits: whether the caller is going to wait for what comes of it.

        Raises:
            ChannelClosed: the ingress is shut, or the supervisor is dead.
            Overloaded: so much waits for the supervisor that one who does not wait may not add to it.
            InForkedChild: this process was forked from the supervisor's.
            RuntimeError: Python's own: no thread can be started. It was not told.
        """
        if self.full and not waits and type(message) is Delivery and self.length > _FLOOD:
            shed = self.full.get(message.request.topic)
            if shed is not None and type(message.request) is not Leave and not self._shut:
                shed(message)
                return
        with self._lock:
            self._tell(supervisor, message, waits=waits)

    def tell_last(self, supervisor: SupervisedRef, message: Any) -> None:
        """As `tell`, of what is going to be waited for, and shut the ingress behind it."""
        with self._lock:
            self._tell(supervisor, message, waits=True)  # where this is interrupted, the supervisor shuts it
            self._shut = True

    def count(self, delivery: Delivery, copies: int = 1) -> None:
        """So many more of it wait for the supervisor, or fewer. Within a `tell`."""
        if delivery.size:
            self._put += copies
            self._put_bytes += copies * delivery.size

    @property
    def is_passed_here(self) -> bool:
        """Whether the calling thread is within a `tell`: then it is a finalizer, or a signal handler, that asks."""
        return self._lock._is_owned()  # type: ignore[attr-defined,no-any-return]

    def _tell(self, supervisor: SupervisedRef, message: Any, *, waits: bool) -> None:
        self.check_process()
        if self._shut:
            raise ChannelClosed
        if type(message) is Delivery and not message.seq:
            message.size = size = 0 if type(message.request) is Leave else size_of(message.request)
            is_full = self._put - self.taken >= MOST_MESSAGES or self._put_bytes - self.taken_bytes + size > MOST_BYTES
            if is_full and size and not waits:
                raise Overloaded(self._put - self.taken)
            self.count(message)
        try:
            (supervisor.request if waits else supervisor.tell)(message)
        except RecursionError:
            raise  # the caller's own: it may have been told
        except (RuntimeError, pykka.ActorDeadError) as error:  # it was not told, and so it does not wait
            if type(message) is Delivery and not message.seq:
                self.count(message, -1)
            if not isinstance(error, pykka.ActorDeadError):
                raise
            self._shut = True
            raise ChannelClosed from None


_FLOOD = 100  # events that wait for a supervisor
# What waits for a supervisor, from whoever does not wait for what comes of it.
MOST_MESSAGES = 1_000_000
MOST_BYTES = 256 * 1024 * 1024

_all: WeakBag[Ingress] = WeakBag()


@in_forked_child
def _after_fork() -> None:
    _all.renew_lock()
    for ingress in _all:
        ingress._lock, ingress._shut, ingress._is_of_parent = threading.RLock(), True, True


def lose(message: Any, dead_letters: DeadLetters) -> None:
    """Give up a message that the supervisor had in hand when it failed: whoever waits gets `ChannelClosed`."""
    if isinstance(message, (Delivery, Order, Disconnection)):
        dead_letters.add(DeadLetter(getattr(message.request, "topic", None), 0, "unhandled", message.request))
    reply = getattr(message, "reply", None)
    if isinstance(reply, Collected):
        reply = reply.future
    if isinstance(reply, pykka.Future):
        try:
            reply.set_exception((ChannelClosed, ChannelClosed(), None))
        except queue.Full:
            pass  # it was answered before the failure


@contextmanager
def kept(mails: deque[Any], dead_letters: DeadLetters) -> Iterator[deque[Any]]:
    """What is still in it at the end, since the supervisor failed over the first of them, is lost, and not forgotten."""
    try:
        yield mails
    finally:
        for mail in mails:
            lose(mail, dead_letters)


def in_turn(mails: deque[Any]) -> Iterator[Any]:
    """One after the other; each is in it until it has been dealt with."""
    while mails:
        yield mails[0]
        mails.popleft()


def tried(call: Callable[..., object], *args: Any) -> None:
    """A step of the end, which must not keep the steps behind it from being taken."""
    try:
        call(*args)
    except Exception as failure:  # the supervisor's own, such as brought its end about
        log("error", "the supervisor failed at its end", error=failure)
