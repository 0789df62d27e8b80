"""Who was in each topic when its actor ended: by this the supervisor brings members back."""

from lightspeed.actors.events import Leave, Rejoin, TopicEvent
from lightspeed.actors.topic import TopicState


class Ledger:
    """For the supervisor's thread only. One that is not kept stays empty: then members come back by themselves."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._rejoins: dict[str, tuple[Rejoin, ...]] = {}  # topic -> how to take its members back, in subscription order
        self._struck: dict[str, dict[str, int]] = {}  # topic -> who wanted to leave while it was down, and at which incarnation

    def __contains__(self, topic: str) -> bool:
        return bool(self._rejoins.get(topic))

    @property
    def topics(self) -> list[str]:
        """Those that have members to take back."""
        return [topic for topic, rejoins in self._rejoins.items() if rejoins]

    def note(self, state: TopicState | None) -> None:
        """The topic's actor has ended, with this state; None: it had not started."""
        if state is not None:
            self.put_back(state.topic, state.rejoins)

    def put_back(self, topic: str, rejoins: tuple[Rejoin, ...]) -> None:
        """The actor that was to take them back ended before it had; it had handled nothing else."""
        if self._is_kept:
            self._rejoins[topic] = rejoins

    def strike(self, event: TopicEvent, incarnation: int) -> None:
        """Whoever asks to leave a topic that is down is refused, and comes back to no incarnation later than this."""
        if self._is_kept and isinstance(event, Leave):
            self._struck.setdefault(event.topic, {})[event.client_id] = incarnation

    def take(self, topic: str, incarnation: int) -> tuple[Rejoin, ...]:
        """Whom this incarnation of the topic, which is about to start, is to take back; what it needs no more is forgotten."""
        struck = self._struck.pop(topic, {})
        later = {client_id: since for client_id, since in struck.items() if since >= incarnation}
        if later:
            self._struck[topic] = later
        rejoins = self._rejoins.pop(topic, ())
        return tuple(rejoin for rejoin in rejoins if rejoin.client_id not in struck or rejoin.client_id in later)
