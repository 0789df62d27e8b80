"""What a scenario's clients of `Channel.client` do, as data: each is made, speaks, reads and is closed in turns of its own."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from lightspeed.actors.errors import ChannelTimeout, ClientClosed, ClientExists, InboxEmpty, InvalidOption, Refused
from lightspeed.channel import Channel
from lightspeed.clients import Client, Inbox

Verb = Literal["make", "take_over", "join", "leave", "update", "broadcast", "push", "receive", "close"]

_READS = 3  # messages at most, at once
_WAITS_S = 1.0  # for the first of them


class ClientAct(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="client_act", tag_field="type"):
    """Something that is done with the client of this id, in its sender's turn; what is refused is no failure."""

    what: Verb
    """`make` it if there is none, or `take_over`; a verb of it; `receive` some messages; `close` it. Before it is made, or when
    it is closed, nothing else does anything."""
    client_id: str
    topic: str = "x"
    """Of a verb."""
    text: str = ""
    """The payload of a broadcast or a push, and the meta of a join or an update. When it is made, its user; none: as its id."""
    inbox: Inbox | None = None
    """When it is made."""
    auto_rejoin: bool = True
    """When it is made."""

    def __post_init__(self) -> None:
        for option in ("client_id", "topic"):
            if not getattr(self, option):
                raise InvalidOption(option, "", "must not be empty")

    @property
    def name(self) -> str:
        """As it stands in the trace."""
        return f"{self.what} {self.topic}" if self.what in _OF_A_TOPIC else self.what


_OF_A_TOPIC = frozenset(("join", "leave", "update", "broadcast", "push"))


class Clients:
    """Those of one scenario, on its channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._clients: dict[str, Client] = {}

    def do(self, act: ClientAct) -> None:
        try:
            if act.what in ("make", "take_over"):
                self._make(act)
            elif act.client_id in self._clients:
                _VERBS[act.what](self._clients[act.client_id], act)
        except (ChannelTimeout, ClientClosed, ClientExists, InboxEmpty, Refused):
            pass  # where that is a breach, the channel has said so

    def _make(self, act: ClientAct) -> None:
        self._clients[act.client_id] = self._channel.client(
            act.client_id,
            act.text or act.client_id,
            inbox=act.inbox,
            auto_rejoin=act.auto_rejoin,
            take_over=act.what == "take_over",
        )


_VERBS: dict[str, Callable[[Client, ClientAct], object]] = {
    "join": lambda client, act: client.join(act.topic, act.text),
    "leave": lambda client, act: client.leave(act.topic),
    "update": lambda client, act: client.update(act.topic, act.text),
    "broadcast": lambda client, act: client.broadcast(act.topic, act.text),
    "push": lambda client, act: client.push(act.topic, "said", act.text),
    "receive": lambda client, _act: client.receive_many(_READS, _WAITS_S),
    "close": lambda client, _act: client.close(),
}
