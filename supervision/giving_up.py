"""Giving up an actor, and where it is a supervisor, all that is below it."""

from typing import Any

import pykka

from lightspeed.actors.stopping import give_up


def give_up_all(ref: pykka.ActorRef[Any]) -> None:
    """As `give_up`. What a supervisor has below it is given up in the calling thread: it may itself be what hangs."""
    give_up(ref)
    give_up_children = getattr(ref.actor_class, "_give_up_children", None)
    if give_up_children is not None:
        give_up_children(ref._actor)  # type: ignore[attr-defined]
