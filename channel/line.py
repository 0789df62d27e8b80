"""How a client, and the session behind it, reach their channel."""

import weakref
from typing import TYPE_CHECKING, Any

from lightspeed.actors.context import current_actor
from lightspeed.actors.errors import ChannelClosed, InsideActor
from lightspeed.actors.topics.mail import Delivery, Disconnection, Order
from lightspeed.actors.topics.rules.events import Crash, Disconnect, Event, Restart

if TYPE_CHECKING:
    from lightspeed.channel.core import ChannelCore

MAILS: dict[type, Any] = {Crash: Order, Restart: Order, Disconnect: Disconnection}
"""What an event that is of no one topic is told the supervisor as; all others are a `Delivery`."""


class ChannelLine:
    """What a client needs of its channel, which has the thread or the coroutine wait."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.do = channel._do

    def call_for(self, event: Event) -> Any:
        """A job: the event is handled, and what was numbered with it returned; its client's reply comes into no inbox."""
        if current_actor() is not None and type(event) is Disconnect:  # a close inside an actor waits for nobody
            self._channel.tell(event)
            return ()
        self.check_may_wait("a client's verb")
        return (yield from self._channel._call(event, None, is_clients=True))

    def tell(self, event: Event) -> None:
        self._channel.tell(event)

    def check_may_wait(self, call: str) -> None:
        """
        Raises:
            InsideActor: the caller is inside an actor, a hook or a sink.
        """
        actor = current_actor()
        if actor is not None:
            raise InsideActor(call, actor)
        self._channel._refuse_inside(call)


class Teller:
    """How a session tells its channel something; it does not keep it alive."""

    def __init__(self, channel: "ChannelCore") -> None:
        self._channel = weakref.ref(channel)

    def __call__(self, event: Event, reply: Any) -> None:
        channel = self._channel()
        if channel is None:
            raise ChannelClosed
        channel._put_in(MAILS.get(type(event), Delivery)(event, reply))
