"""The storm's listeners: clients of its channel, whose inboxes have an account of their own.

What topics give out to a listener comes into its inbox, or a `Lagged` there says how many found no room. The sink is given the
same messages, so one can be held against the other. For one thread.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice

from lightspeed.channel import (
    BroadcastMessage,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    Client,
    ClientClosed,
    Inbox,
    InboxEmpty,
    Lagged,
    Outbound,
    PresenceDiff,
    Refused,
    Removed,
    Reply,
    TopicDown,
    TopicUp,
)

_PREFIX = "storm listener "
_ROOM = 50  # messages in the inbox of every other listener: a few looks' worth, so that some find no room
_ALL = 1_000_000
_NOTICES = (TopicDown, TopicUp, Removed)


def is_listeners(client_id: object) -> bool:
    """Whether it is the id of a listener, of whose own events the storm keeps no account."""
    return isinstance(client_id, str) and client_id.startswith(_PREFIX)


class Listeners:
    """So many clients, each in so many topics; they come back by themselves to one that fails.

    Args:
        count: how many; none where it is 0.
        each: in how many topics each is.
    """

    def __init__(self, channel: Channel, topics: Sequence[str], count: int, each: int = 4) -> None:
        self.heard, self.lost, self.notices = 0, 0, 0
        """Messages that came into inboxes, those that found no room, and what told of topics."""
        self._due: Counter[str] = Counter()
        self._got: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        names, self._clients = cycle(topics), list[Client]()
        for number in range(count):
            client = channel.client(f"{_PREFIX}{number}", "listener", inbox=Inbox(max_messages=_ROOM if number % 2 else _ALL))
            self._clients.append(client)
            for topic in islice(names, min(each, len(topics))):
                try:
                    client.join(topic)
                except (ChannelTimeout, Refused):
                    pass  # a fault has hit it: it is in one topic fewer

    def due(self, message: Outbound) -> None:
        """The sink was given this, or was to be."""
        if isinstance(message, (BroadcastMessage, PresenceDiff)):
            for client_id in message.recipients:
                if is_listeners(client_id):
                    self._due[client_id] += 1

    def read(self) -> None:
        """Take what is in the inboxes."""
        for client in self._clients:
            try:
                taken = client.receive_many(_ALL, 0)
            except (InboxEmpty, ClientClosed):
                continue
            for message in taken:
                if isinstance(message, Lagged):
                    self.lost += message.count
                    self._lost[client.client_id] += message.count
                elif isinstance(message, _NOTICES):
                    self.notices += 1
                elif not isinstance(message, Reply):  # a fault has delayed or doubled it: it answers no verb any more
                    self.heard += 1
                    self._got[client.client_id] += 1

    def close(self) -> None:
        """The channel is closed, and nothing more comes."""
        for client in self._clients:
            try:
                client.close()
            except ChannelClosed:
                pass

    def wrong(self) -> list[str]:
        """What a listener should have had and has not, or the other way round. Among what found no room there may be notices."""
        return [
            f"{client_id} had {self._got[client_id]:,} messages and lost {self._lost[client_id]:,}, where {due:,} were due"
            for client_id, due in sorted({**dict.fromkeys(self._got, 0), **self._due}.items())
            if not 0 <= due - self._got[client_id] <= self._lost[client_id]
        ]
