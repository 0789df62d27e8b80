"""What is left to do when the supervisor can do no more: nobody is to wait in vain, and nothing is to vanish unseen."""

import queue
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pykka

from lightspeed.actors.errors import ChannelClosed
from lightspeed.actors.logs import log
from lightspeed.actors.post import Delivery, Order
from lightspeed.supervision.dead_letters import DeadLetter, DeadLetters


def lose(message: Any, dead_letters: DeadLetters) -> None:
    """Give up a message that the supervisor had in hand when it failed: whoever waits gets `ChannelClosed`."""
    if isinstance(message, (Delivery, Order)):
        dead_letters.add(DeadLetter(message.request.topic, 0, "unhandled", message.request))
    reply = getattr(message, "reply", None)
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
