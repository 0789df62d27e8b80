"""What a topic handles, as values that can be kept and done again.

An event is its own step. A step that is done again changes the state as it did, and gives out nothing that anybody sees.
"""

from functools import partial
from typing import Any

from msgspec import Struct

from lightspeed.actors.behaved_topic import BehavedTopic
from lightspeed.actors.events import Rejoin, TopicEvent, event_label
from lightspeed.actors.post import Delivery, Errand, Mail
from lightspeed.actors.text import shown
from lightspeed.actors.topic import TopicState


class Ring(Struct, frozen=True):
    """A timer was due."""

    name: str
    counts: bool
    """Whether it was the one that counted: it had not been started anew meanwhile."""


class Return(Struct, frozen=True):
    """Members were brought back."""

    rejoins: tuple[Rejoin, ...]


class Stop(Struct, frozen=True):
    """The topic was stopped."""


class Other(Struct, frozen=True):
    """Something that changes no state: a question, an order, or what no topic knows."""

    name: str


Step = TopicEvent | Ring | Return | Stop | Other


def step_of(mail: Mail | Any, state: TopicState) -> Step:
    """What the state is about to do."""
    if type(mail) is Delivery:
        return mail.request
    if type(mail) is Errand and mail.rejoins:
        return Return(mail.rejoins)
    call = mail.request if type(mail) is Errand else None
    if isinstance(call, partial) and call.func is BehavedTopic.ring:
        name = call.keywords["name"]
        return Ring(name, isinstance(state, BehavedTopic) and state._timers.get(name) is call.keywords["key"])
    return Other(type(mail).__name__.lower())


def label_of(step: Step | None) -> str:
    """What it is called; None: it had nothing to do yet."""
    match step:
        case None:
            return "nothing yet"
        case Ring():
            return f"timer {step.name if type(step.name) is str else shown(step.name)}"
        case Return():
            return "return of members"
        case Stop():
            return "stop"
        case Other():
            return step.name
    return event_label(step)


def do(state: TopicState, step: Step) -> None:
    """Do it again. What comes out of it is dropped.

    Raises:
        BaseException: whatever the behaviour's code raises.
    """
    match step:
        case Ring():
            assert isinstance(state, BehavedTopic)
            state.ring(step.name, state._timers.get(step.name) if step.counts else object())
        case Return():
            state.replay(step.rejoins)
        case Stop():
            assert isinstance(state, BehavedTopic)
            state.end()
        case Other():
            pass
        case _:
            state.handle(step)
    if isinstance(state, BehavedTopic):
        state.take_timers()  # nobody starts them: those that rang are steps
