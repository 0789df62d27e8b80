"""How often topics failed, and what follows from it. Pure, but for the randomness that is passed in."""

from msgspec import Struct

from lightspeed.supervision.rules import BackoffState, Randomness, RestartWindow
from lightspeed.supervision.topics.options import Restarts

# Histories of topics that have been quiet for long are thrown out when so many have gathered, and then at twice as many.
_WORTH_SWEEPING = 1024


class Verdict(Struct, frozen=True):
    """On one failure of one topic."""

    delay_s: float | None
    """When it comes up; None: it stays down."""
    restarts_left: int | None
    """How many more are allowed now; None: any number."""
    channel_fails: bool
    """Whether the whole channel has had too many."""


class _History(Struct):
    window: RestartWindow | None
    failed_s: float = 0.0
    backoff: BackoffState | None = None
    restarts: int = 0


class Histories:
    """Of each topic that failed lately, and of the channel. For the supervisor's thread only."""

    def __init__(self, restarts: Restarts, randomness: Randomness) -> None:
        self._restarts, self._randomness = restarts, randomness
        self._topics: dict[str, _History] = {}
        self._sweep_at = _WORTH_SWEEPING
        self._channel = _window(restarts.channel_intensity, restarts.channel_period_s)

    def judge(self, topic: str, now_s: float) -> Verdict:
        """Count a failure, and say what becomes of the topic."""
        if topic not in self._topics:
            self._sweep(now_s)
            self._topics[topic] = _History(_window(self._restarts.intensity, self._restarts.period_s))
        history = self._topics[topic]
        history.failed_s = now_s
        if history.window is not None and not history.window.allow(now_s):
            del self._topics[topic]  # a restart by order begins afresh
            return Verdict(None, 0, channel_fails=False)
        history.restarts += 1
        channel_fails = self._channel is not None and not self._channel.allow(now_s)
        delay_s = 0.0
        if self._restarts.backoff is not None:
            delay_s, state = self._restarts.backoff.next(history.backoff, now_s, self._randomness)
            history.backoff = state.up(now_s + delay_s)  # a topic is up when it can be sent something
        left = None if history.window is None else history.window.left(now_s)
        return Verdict(delay_s, left, channel_fails)

    def restarts(self, topic: str) -> int:
        """How often it was to come up again, since it was given up last; 0 where its failures are forgotten."""
        return self._topics[topic].restarts if topic in self._topics else 0

    def _sweep(self, now_s: float) -> None:
        if len(self._topics) >= self._sweep_at:
            backoff = self._restarts.backoff
            counts_s = max(self._restarts.period_s, 0.0 if backoff is None else backoff.cap_s + backoff.quiet_s)
            self._topics = {topic: old for topic, old in self._topics.items() if old.failed_s >= now_s - counts_s}
            self._sweep_at = max(_WORTH_SWEEPING, 2 * len(self._topics))


def _window(intensity: int | None, period_s: float) -> RestartWindow | None:
    return None if intensity is None else RestartWindow(intensity, period_s)
