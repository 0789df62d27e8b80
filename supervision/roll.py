"""Who is in a topic, as far as its supervisor knows without asking: also in one that is still coming up."""

from typing import TYPE_CHECKING

from lightspeed.actors.post import Errand, Mail, Post
from lightspeed.supervision.ledger import Ledger

if TYPE_CHECKING:
    from lightspeed.supervision.children import Child


class Roll:
    """For the supervisor's thread only. A topic that is being restarted has the members it will have.

    Args:
        leaving: of each topic the one that is on its way down.
    """

    def __init__(self, leaving: "dict[str, Child]", in_hand: dict[Post, Mail], ledger: Ledger) -> None:
        self._leaving, self._in_hand, self._ledger = leaving, in_hand, ledger

    def is_settled(self, child: "Child") -> bool:
        """Whether it is known who is in it: it has handled all that it was sent, and waits for nobody to come back first."""
        return not (child.is_busy or self.awaits_members(child))

    def awaits_members(self, child: "Child") -> bool:
        """Whether it can't be started yet, since one that may leave it members has not ended."""
        return child.ref is None and child.restores and not child.is_put_off and self._ledger.is_kept

    def count(self, child: "Child") -> int:
        """How many members it has, as of the last that it is done with; where it has yet to come up, how many it will have."""
        post = child.post
        if post.settled or post.members or not child.restores:
            return post.members
        if child.ref is not None:
            return child.to_come
        before = self._before(child)
        if before is None:
            return len(self._ledger.due(post.topic, post.incarnation))
        return before.post.members if before.post.settled or before.post.members else before.to_come

    def members_of(self, child: "Child") -> tuple[str, ...]:
        """Those whom `count` counts."""
        post = child.post
        work = None if post.settled else self._in_hand.get(post)
        if type(work) is Errand and work.rejoins:
            return tuple(rejoin.client_id for rejoin in work.rejoins)
        if child.ref is not None or not child.restores:
            return () if post.state is None else post.state.subscribers
        before = self._before(child)
        if before is None:
            return tuple(rejoin.client_id for rejoin in self._ledger.due(post.topic, post.incarnation))
        return self.members_of(before)

    def _before(self, child: "Child") -> "Child | None":
        """Who leaves it members when it ends."""
        before = self._leaving.get(child.post.topic) if self._ledger.is_kept else None
        return None if before is child else before
