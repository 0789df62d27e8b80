"""What we touch of Pykka beyond its public names and its documented hooks for actor types: all of it, each with its reason.

A test sees that each is still there.
"""

import threading

import pykka
from pykka import messages
from pykka._envelope import Envelope

from lightspeed.actors.process import in_forked_child
from lightspeed.actors.text import named

__all__ = ["ACTOR_LOOPS", "OWN_MESSAGES", "PRIVATE_NAMES", "STOP", "Envelope", "refuse"]

PRIVATE_NAMES = {
    "Actor._actor_loop": "what the thread of a stock threaded actor runs",
    "Actor._handle_receive": "it knows Pykka's own messages: stops, and those of proxies",
    "Actor._handle_failure": "overridden: a failure of whatever kind is logged and ends that one actor, in O(1) on a pool",
    "Actor._stop": "overridden: it lets a BaseException of on_stop pass, and sets an Event that a pooled actor has not",
    "ActorRef._actor_weakref": "overridden in references to pooled actors: Pykka's proxies read it",
    "ActorRegistry._actor_refs": "emptied in a forked child: those actors are in the parent",
    "ActorRegistry._actor_refs_lock": "renewed in a forked child: another thread may have held it",
    "Future._get_hook": "whether a hook stands for an outcome: then none may be set",
    "messages._ActorStop": "the message by which stop() arrives",
    "_envelope.Envelope": "what an ask is wrapped in: inboxes take and give what Pykka does",
}

ACTOR_LOOPS = {pykka.Actor._actor_loop.__code__}
"""The loop that a threaded actor's thread runs, of each kind of actor; whatever runs below it runs inside an actor."""
OWN_MESSAGES = frozenset((messages._ActorStop, messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr))
"""The messages that Pykka handles itself, whatever the actor's on_receive does."""
STOP = messages._ActorStop()
"""The message by which stop() stops an actor."""


def refuse(envelope: "Envelope[object]", actor: object) -> None:
    """Answer an ask that a dead actor will not handle, as Pykka does."""
    assert envelope.reply_to is not None
    if isinstance(envelope.message, messages._ActorStop):
        envelope.reply_to.set(None)
    else:
        error = pykka.ActorDeadError(f"{actor if type(actor) is str else named(actor)} stopped before handling the message")
        envelope.reply_to.set_exception((pykka.ActorDeadError, error, None))


@in_forked_child
def _after_fork() -> None:
    """The registry's actors are in the parent, and so may be the thread that held its lock."""
    pykka.ActorRegistry._actor_refs_lock = threading.RLock()
    pykka.ActorRegistry._actor_refs = []
