"""A topic's life as an actor, whole.

It takes a delivery from its post, lets the state handle it, and hands over what came out. A `Crash` is raised, so that it
dies of it as of any failure of its own: Pykka's failure path, its state gone with it. It knows no supervisor, only the post.
"""

from types import TracebackType
from typing import TYPE_CHECKING

import pykka

from lightspeed.actors.errors import TopicCrash
from lightspeed.actors.events import Crash
from lightspeed.actors.logs import logger
from lightspeed.actors.post import Delivery, Post, Query, TopicDown, TopicEmpty
from lightspeed.actors.topic import Messages, TopicState

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in


class TopicActor(_Role):
    """The hooks of a topic actor; a `Runtime` adds the kind of actor they run on."""

    registered = False  # on a pool: Pykka's registry is a list, which a hundred thousand topics would make slow

    def __init__(self, post: Post) -> None:
        super().__init__()
        self.post = post
        self.state = TopicState(post.topic)
        self.log_fields = {"topic": post.topic, "incarnation": post.incarnation}

    def on_receive(self, message: object) -> None:
        if not isinstance(message, Delivery):
            super().on_receive(message)  # logs that it is unexpected
        elif self.post.pending:
            self._handle(self.post)
        else:  # the supervisor has abandoned this incarnation and taken back what was left
            self.stop()

    def _handle(self, post: Post) -> None:
        try:
            delivery = post.pending.popleft()
        except IndexError:  # abandoned since on_receive looked
            return
        post.in_hand.append(delivery)
        request, reply = delivery.request, delivery.reply
        messages: Messages = ()
        value = None
        if isinstance(request, Crash):
            raise TopicCrash(post.topic, request.reason)
        if isinstance(request, Query):
            value = request.ask(self.state)
        else:
            messages = self.state.handle(request)
        if not post.take_back():
            return  # abandoned meanwhile, and answered by the supervisor
        empty = not self.state and not isinstance(request, Query)
        post.outlet.put(delivery.seq, post.topic, messages, None if empty else reply, value)
        post.members = len(self.state)
        post.settled += 1
        post.outlet.deliver(post.topic)
        if not self.state:
            post.report(TopicEmpty(post, reply if empty else None))

    def on_stop(self) -> None:
        self.post.report(TopicDown(self.post, None))

    def on_failure(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        logger.bind(**self.log_fields).opt(exception=error).error("topic {} failed: {}", self.post.topic, error)
        self.post.report(TopicDown(self.post, error))
