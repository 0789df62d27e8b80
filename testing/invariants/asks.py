"""Asks that have no answer yet, and when that is a breach: what has handled all that it was sent has answered all."""

from typing import Any

from lightspeed.actors.errors import InvariantBroken
from lightspeed.actors.future import PooledFuture
from lightspeed.actors.pykka_inside import Envelope
from lightspeed.actors.text import shown
from lightspeed.supervision import Supervisor

# Answered ones are dropped when so many stand there: often enough for the memory, and seldom enough for the time.
_MANY = 1_000


class Asks:
    """Of one simulation."""

    def __init__(self) -> None:
        self._open: list[tuple[Any, str, Envelope[Any]]] = []

    def __bool__(self) -> bool:
        """Whether any is kept; it may be answered."""
        return bool(self._open)

    def put(self, actor: Any, name: str, envelope: Envelope[Any]) -> None:
        """An actor of this name was asked this."""
        if not isinstance(envelope.reply_to, PooledFuture):
            return  # a part of a tree, of which whoever gathers it knows
        self._open.append((actor, name, envelope))
        if len(self._open) % _MANY == 0:
            self._drop_answered()

    def check(self, paused: set[int], *, more_comes: bool) -> None:
        """All have come to rest.

        Args:
            paused: the ids of the actors that a fault holds up.
            more_comes: whether anything is put off. A supervisor may answer then; others answer as they handle.

        Raises:
            InvariantBroken: one should have answered.
        """
        self._drop_answered()
        for actor, name, envelope in self._open:
            waits = id(actor) in paused or (more_comes and isinstance(actor, Supervisor))
            if not waits:
                raise InvariantBroken("answered", f"{name} was asked {shown(envelope.message)} and is at rest without an answer")

    def _drop_answered(self) -> None:
        self._open = [ask for ask in self._open if ask[2].reply_to._outcome is None]  # type: ignore[union-attr]
