"""A topic's life as an actor, whole; with a behaviour it runs the user's code.

It lets the state handle each delivery, and hands over what came out. A `Crash` is raised, so that it dies of it as of any failure
of its own: Pykka's failure path, its state gone with it. It knows no supervisor, only the post.
"""

from typing import TYPE_CHECKING, Any

import pykka

from lightspeed.actors.errors import TopicCrash
from lightspeed.actors.failures import let_go_of_calls
from lightspeed.actors.runtime import NOT_HERE, Timer
from lightspeed.actors.topics.mail import (
    Delivery,
    Ending,
    Order,
    Post,
    Question,
    RestoreMembers,
    TimerDue,
    TimerFired,
    TopicDown,
    TopicEmpty,
    TopicLate,
    failure_of,
)
from lightspeed.actors.topics.rules.behaved_topic import BehavedTopic
from lightspeed.actors.topics.rules.events import Crash, Leave
from lightspeed.actors.topics.rules.topic import Messages, TopicState

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

    def on_receive(self, mail: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # by position only
        post, state = self.post, self.state
        messages: Messages = ()
        if type(mail) is Delivery:
            post.in_hand[post] = mail
            messages, value = state.handle(mail.request), None
        elif type(mail) is Question:
            post.in_hand[post] = mail
            value = mail.request(state)
        elif type(mail) is RestoreMembers:
            post.in_hand[post] = mail
            messages, value = state.replay(mail.rejoins), None
        elif type(mail) is TimerDue:
            assert isinstance(state, BehavedTopic)
            post.in_hand[post] = mail
            messages, value = state.ring(mail.name, mail.key), None
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


class BehavedTopicActor(TopicActor):
    """As `TopicActor`. Its code may block: others take over the worker meanwhile. It keeps its behaviour's timers."""

    is_recorded = False
    """Whether somebody is still to write down what it held when it failed, and lets it go behind that."""

    def __init__(self, post: Post) -> None:
        super().__init__(post)
        self.timers: dict[str, Timer] = {}

    def make_state(self, post: Post) -> TopicState:
        assert post.behaved is not None
        return BehavedTopic(post.topic, make=post.behaved.make, restarted_by=post.behaved.restarted_by)

    def on_receive(self, mail: Any) -> None:
        assert self.post.behaved is not None
        with self.post.behaved.blocking():
            super().on_receive(mail)
        self._set_timers()

    def on_stop(self) -> None:
        assert self.post.behaved is not None
        if not self.post.behaved.is_given_up:
            with self.post.behaved.blocking():
                self._end()

    def on_end(self, error: BaseException | None) -> None:
        assert isinstance(self.state, BehavedTopic)
        assert self.post.behaved is not None
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()
        if self.is_recorded and error is not None:
            super().on_end(error)
            return
        # What the program's objects do as they go, in a `__del__` say, they do here, and not in the supervisor's turn.
        behaviour = self.state.let_go()
        super().on_end(error)
        with self.post.behaved.blocking():
            let_go_of_calls(error)
            del behaviour

    def _end(self) -> None:
        post, state = self.post, self.state
        assert isinstance(state, BehavedTopic)
        post.in_hand[post] = Ending()  # so that it is seen if it does not come back
        messages = state.end()
        post.in_hand.pop(post, None)
        if messages:
            post.report(TopicLate(post, messages, "stopped"))

    def _set_timers(self) -> None:
        assert isinstance(self.state, BehavedTopic)
        assert self.post.behaved is not None
        for name, key, delay_s in self.state.take_timers():
            if name in self.timers:
                self.timers.pop(name).cancel()
            if delay_s is not None:
                fired = TimerFired(self.post, name, key)
                self.timers[name] = self.post.behaved.call_later(delay_s, lambda fired=fired: self.post.report(fired))  # type: ignore[misc]
