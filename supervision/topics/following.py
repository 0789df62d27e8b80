"""The part of a topics' supervisor that knows which topics a client is in, as far as the follower of its outlet does."""

from functools import partial
from itertools import chain
from typing import Any

from lightspeed.actors.topics.mail import Collected, Delivery, Disconnection, Mail, Question
from lightspeed.actors.topics.rules.events import Join, Leave, Rejoin
from lightspeed.actors.topics.rules.topic import TopicState
from lightspeed.supervision.latch import Census, Latch, Told
from lightspeed.supervision.topics.messages import AskTopicsOf, Follow
from lightspeed.supervision.topics.outlet import Follower
from lightspeed.supervision.topics.overload import SheddingRouter


class FollowedRouter(SheddingRouter):
    """For the supervisor's thread only."""

    def _expect_change(self, mail: Mail | Disconnection) -> None:
        """Let the follower know of a join that was accepted: a disconnect behind it leaves that topic too; and of a leave."""
        if self._follower is None:
            return
        if type(mail) is Disconnection:
            self._follower.expect_leave(mail.request.client_id, None, mail.request.now_ms)
        elif type(mail) is Delivery and isinstance(mail.request, (Join, Rejoin)):
            self._follower.expect(mail.request.client_id, mail.request.topic, mail.seq)
        elif type(mail) is Delivery and isinstance(mail.request, Leave):
            self._follower.expect_leave(mail.request.client_id, mail.request.topic, mail.request.now_ms)

    def _follow(self, message: Follow) -> None:
        """From here on the follower learns of everything; who is in the topics already, each topic tells it in its turn."""
        self._follower = follower = message.follower
        self._outlet.follow(follower)
        self._is_plain = False
        if message.client_id is None:
            latch, names = Latch(Told(_complete, follower)), set(self._topics)
            for mail in (*self._behind, *chain.from_iterable(self._counted.values())):
                self._expect_change(mail)
        else:
            assert message.reply is not None
            latch, names = Latch(message.reply), self._topics_of(message.client_id)
        for name in sorted(names):
            self._ask(name, Question(partial(follower.adopt, name), latch.part()))
        latch.close()

    def _topics_of(self, client_id: str) -> set[str]:
        """The topics that the client is in, is about to join, or comes back to; maybe others."""
        assert self._follower is not None
        names = self._follower.find_topics(client_id) if self._follower.is_complete else set(self._topics)
        for name, topic in list(self._ledger.items()):
            if topic.takes_back:  # whom is known when it has
                names.add(name)
            elif topic.trouble is None or not topic.trouble.rejoins:
                del self._ledger[name]
            elif topic.trouble.has(client_id):
                names.add(name)
        # Where the one before has not ended, whom it had, and would come back, is not known yet.
        names.update(name for name, topic in self._leaving.items() if topic.live is not None and topic.live.restore is not None)
        return names

    def _disconnect(self, mail: Disconnection) -> None:
        """Have the client leave each topic."""
        latch = None if mail.reply is None else Latch(mail.reply)
        for seq, name in enumerate(mail.topics, mail.seq):
            reply: Any = None if latch is None else latch.part()
            if isinstance(mail.reply, Collected):
                reply = Collected(reply, is_clients=mail.reply.is_clients)
                mail.reply.parts.append(reply)
            leave = Leave(mail.request.client_id, name, mail.request.now_ms)
            self._route(Delivery(leave, reply, seq, is_quiet=True))
        if latch is not None:
            latch.close()

    def _ask_topics_of(self, message: AskTopicsOf) -> None:
        census = Census(message.reply)
        for name in sorted(self._topics_of(message.client_id)):
            self._ask(name, Question(partial(_has, message.client_id), census.part(name)))
        census.close()


def _complete(follower: Follower) -> None:
    """Every topic has told the follower who is in it."""
    follower.is_complete = True


def _has(client_id: str, state: TopicState) -> bool:
    return client_id in state.users
