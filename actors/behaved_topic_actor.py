"""A topic actor that runs the user's code."""

from typing import Any

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.actors.failures import let_go_of_calls
from lightspeed.actors.post import Errand, Post, TimerFired, TopicLate
from lightspeed.actors.runtime import Timer
from lightspeed.actors.topic import TopicState
from lightspeed.actors.topic_actor import TopicActor


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
        post.in_hand[post] = Errand(lambda _state: state.end())  # so that it is seen if it does not come back
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
