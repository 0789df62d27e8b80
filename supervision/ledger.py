"""Who was in each topic when its actor ended: by this the supervisor brings members back."""

from lightspeed.actors.events import Leave, Rejoin, TopicEvent
from lightspeed.actors.topic import TopicState


class Ledger:
    """For the supervisor's thread only. One that is not kept stays empty: then members come back by themselves."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._rejoins: dict[str, dict[str, Rejoin]] = {}  # topic -> client_id -> how to take it back, in subscription order
        self._struck: dict[str, set[str]] = {}  # topic -> who left while it was down, or on its way there

    def __contains__(self, topic: str) -> bool:
        return bool(self._rejoins.get(topic))

    @property
    def topics(self) -> list[str]:
        """Those that have members to take back."""
        return [topic for topic, rejoins in self._rejoins.items() if rejoins]

    def note(self, state: TopicState | None) -> None:
        """The topic's actor has ended, with this state; None: it had not started."""
        if self._is_kept and state is not None:
            struck = self._struck.get(state.topic, ())
            self._rejoins[state.topic] = {r.client_id: r for r in state.rejoins if r.client_id not in struck}

    def put_back(self, topic: str, rejoins: tuple[Rejoin, ...]) -> None:
        """The actor that was to take them back ended before it had; it had handled nothing else."""
        struck = self._struck.get(topic, ())
        self._rejoins[topic] = {rejoin.client_id: rejoin for rejoin in rejoins if rejoin.client_id not in struck}

    def strike(self, event: TopicEvent) -> None:
        """Whoever asks to leave a topic that is down is refused, and does not come back with it."""
        if self._is_kept and isinstance(event, Leave):
            self._struck.setdefault(event.topic, set()).add(event.client_id)
            self._rejoins.get(event.topic, {}).pop(event.client_id, None)

    def take(self, topic: str) -> tuple[Rejoin, ...]:
        """Whom the topic's next actor, which is about to start, is to take back; all is forgotten here."""
        self._struck.pop(topic, None)
        return tuple(self._rejoins.pop(topic, {}).values())
