"""The state machine held to the channel without actors: as long as it is plain, it gives out what `ChannelState` does."""

from model.held_channel import witness_of

from lightspeed.actors.errors import InvariantBroken
from lightspeed.actors.topics import ChannelState
from lightspeed.channel import Channel, Event
from lightspeed.testing.machine import ChannelMachine


class HeldMachine(ChannelMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = ChannelState()
        self._witness = witness_of(self.channel)
        self._accepted: list[Event] = []
        self._witness.on_accept = self._accepted.append

    @property
    def is_plain(self) -> bool:
        """Whether `model` says what must be."""
        has_others = any(self.options.get(option) for option in ("behaviours", "faults", "on_outbound"))
        return not has_others and self.options.get("rejoin", "client") == "client" and not self._witness.failures

    def at_rest(self) -> None:
        """All is at rest."""
        accepted = list(self._accepted)
        self._accepted.clear()
        due = [message for event in accepted for message in self.model.handle(event)]
        if not self.is_plain:
            return
        given = list(self.channel.flush_outbox())
        if given != due:
            self._break(f"{accepted} gave {given}, where {due} was due")
        for read in (Channel.subscribers, Channel.presences):
            for topic in self.topics:
                now, then = read(self.channel, topic), getattr(self.model, read.__name__)(topic)
                if now != then:
                    self._break(f"{read.__name__} of {topic} are {now}, where {then} were due")

    def _break(self, text: str) -> None:
        self.simulation.abandon()
        raise InvariantBroken("state", text)
