"""A topic's life as an actor, whole.

It lets the state handle each delivery, and hands over what came out. A `Crash` is raised, so that it dies of it as of any failure
of its own: Pykka's failure path, its state gone with it. It knows no supervisor, only the post.
"""

from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import TopicCrash
from lightspeed.actors.events import Crash, Leave
from lightspeed.actors.post import Delivery, Errand, Order, Post, Question, TopicDown, TopicEmpty, TopicLate, failure_of
from lightspeed.actors.runtime import NOT_HERE
from lightspeed.actors.topic import Messages, TopicState

if TYPE_CHECKING:
    _Role = pykka.Actor
else:
    _Role = object  # the runtime mixes the kind of actor in


class TopicActor(_Role):
    """The hooks of a topic actor; a `Runtime` adds the kind of actor they run on."""

    registered = False  # on a pool: Pykka's registry is a list, which a hundred thousand topics would make slow
    ordered_failures = (TopicCrash,)

    def __init__(self, post: Post) -> None:
        super().__init__()
        self.post = post
        self.state = post.state = self.make_state(post)

    def make_state(self, post: Post) -> TopicState:
        return TopicState(post.topic)

    @property
    def log_fields(self) -> dict[str, object]:
        return {"topic": self.post.topic, "incarnation": self.post.incarnation}

    def on_receive(self, mail: object) -> None:
        post, state = self.post, self.state
        messages: Messages = ()
        if type(mail) is Delivery:
            post.in_hand[post] = mail
            messages, value = state.handle(mail.request), None
        elif type(mail) is Question:
            post.in_hand[post] = mail
            value = mail.request(state)
        elif type(mail) is Errand:
            post.in_hand[post] = mail
            messages, value = mail.request(state), None
        elif type(mail) is Order:
            assert isinstance(mail.request, Crash)
            raise TopicCrash(post.topic, mail.request.reason)
        else:
            super().on_receive(mail)  # logs that it is unexpected
            return
        if post.in_hand.pop(post, None) is None:
            if messages:  # abandoned meanwhile, and answered by the supervisor
                post.report(TopicLate(post, messages, "late"))
            return
        members = post.members = len(state.users)
        # Of an event that leaves the topic empty the supervisor tells the reply, when the actor is down.
        held = mail.reply if not members and type(mail) is Delivery else None
        must_deliver = post.outlet.put(mail.seq, post.topic, messages, mail.reply if held is None else None, value)
        post.settled += 1
        if must_deliver:
            post.outlet.deliver(post.topic)
        if not members:
            post.report(TopicEmpty(post, held))

    def receive_here(self, delivery: Delivery) -> object:
        """Handle it in the thread that tells it, whole or not at all. It declines where its own end would follow."""
        post, state, event = self.post, self.state, delivery.request
        if type(event) is Leave and post.members < 2:
            return NOT_HERE
        outbox: Any = post.outlet  # with a sink nobody comes here
        try:
            state.handle_into(event, delivery.seq, outbox.emitted)
        finally:
            post.members = state.size
        return None

    def on_end(self, error: BaseException | None) -> None:
        # A crash was ordered: the supervisor needs no traceback of each.
        failure = None if error is None or issubclass(type(error), TopicCrash) else failure_of(error)
        self.post.report(TopicDown(self.post, failure))
