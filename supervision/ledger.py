"""Who was in each topic when its actor ended: by this the supervisor brings members back."""

from lightspeed.actors.events import Leave, Rejoin, TopicEvent
from lightspeed.actors.topic import TopicState


class Ledger:
    """For the supervisor's thread only. One that is not kept stays empty: then members come back by themselves."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._rejoins: dict[str, dict[str, Rejoin]] = {}  # topic -> client_id -> how to take it back, in subscription order

    def __contains__(self, topic: str) -> bool:
        return bool(self._rejoins.get(topic))

    def note(self, state: TopicState | None) -> None:
        """The topic's actor has ended, with this state; None: it had not started."""
        if self._is_kept and state is not None and state.users:
            self._rejoins[state.topic] = {rejoin.client_id: rejoin for rejoin in state.rejoins}

    def strike(self, event: TopicEvent) -> None:
        """Whoever asks to leave a topic that is down is refused, and does not come back with it."""
        if isinstance(event, Leave) and event.topic in self._rejoins:
            self._rejoins[event.topic].pop(event.client_id, None)

    def take(self, topic: str) -> tuple[Rejoin, ...]:
        """Whom the topic's next actor is to take back; they are forgotten here."""
        return tuple(self._rejoins.pop(topic, {}).values())
