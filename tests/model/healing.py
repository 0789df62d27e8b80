"""What must follow a failure of a topic: its members are told why, and it comes up in time, or is given up.

It decides, and does nothing else. Written a second time, as `reference.py` is: it shares no rule with what it is compared with.
"""

from msgspec import Struct

from lightspeed.actors.topics.rules.outbound import Outbound, PushMessage, System
from lightspeed.supervision.rules import Backoff
from lightspeed.supervision.topics.options import Restarts
from lightspeed.testing.clock import EPSILON_S


class ReferenceWindow:
    """So many in a period."""

    def __init__(self, intensity: int | None, period_s: float) -> None:
        self._intensity, self._period_s = intensity, period_s
        self._counted_s: list[float] = []

    def has_room(self, now_s: float) -> bool:
        return (
            self._intensity is None or sum(counted_s >= now_s - self._period_s for counted_s in self._counted_s) < self._intensity
        )

    def count(self, now_s: float) -> None:
        self._counted_s.append(now_s)
        del self._counted_s[: -(self._intensity or 1)]  # no window holds more


class Delay(Struct):
    """How long a topic is put off: between these two, in seconds from a moment."""

    since_s: float
    least_s: float
    most_s: float

    def fits(self, now_s: float) -> bool:
        return self.least_s - EPSILON_S <= now_s - self.since_s <= self.most_s + EPSILON_S

    def is_over(self, now_s: float) -> bool:
        return now_s - self.since_s > self.most_s + EPSILON_S


class ReferenceBackoff:
    """Each delay is `factor` times the one before, up to the cap; after a quiet time it begins at the floor again."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._bases_s = {backoff.floor_s}
        """What the next delay is, but for its jitter, unless it was quiet. Several where it can't be told how long it was."""
        self._over_s: tuple[float, float] | None = None
        """When it came up: not before the one, not after the other. At first, when its delay is over."""

    def next(self, now_s: float) -> Delay:
        rules = self._backoff
        if self._over_s is not None:
            if now_s - self._over_s[0] >= rules.quiet_s:
                self._bases_s.add(rules.floor_s)
            if now_s - self._over_s[1] >= rules.quiet_s:
                self._bases_s = {rules.floor_s}
        least_s = max(rules.floor_s, min(self._bases_s) * (1 - rules.jitter))
        most_s = min(rules.cap_s, max(self._bases_s) * (1 + rules.jitter))
        self._over_s = now_s + least_s, now_s + most_s
        self._bases_s = {min(rules.cap_s, base_s * rules.factor) for base_s in self._bases_s}
        return Delay(now_s, least_s, most_s)

    def up(self, now_s: float) -> None:
        """It has come up now."""
        self._over_s = now_s, now_s

    def down(self) -> None:
        """It is not up till that is said: however long it takes, that is no quiet time."""
        self._over_s = None


class Healing:
    """Of one topic.

    Args:
        trusts_clock: whether the channel's clock is the one by which this is judged: else how often and when it comes up is not.
    """

    def __init__(self, topic: str, restarts: Restarts, *, trusts_clock: bool) -> None:
        self._topic, self._restarts, self._trusts_clock = topic, restarts, trusts_clock
        self._forget()
        self._failed: tuple[tuple[str, ...], str] | None = None
        self.comes_up: Delay | None = None
        """It has failed, its members have been told, and it is to come up within this."""
        self._must_be_given_up = False
        self._told = ""  # why it failed last
        self._reason: str | None = None
        self.was_counted = False
        """Whether what was given out last was of a failure that counts as a restart."""

    def _forget(self) -> None:
        self._window = ReferenceWindow(self._restarts.intensity, self._restarts.period_s)
        self._backoff = None if self._restarts.backoff is None else ReferenceBackoff(self._restarts.backoff)

    @property
    def is_put_off(self) -> bool:
        """Whether it waits, or may wait, for the end of a backoff, or for the restart that follows at once."""
        return self.comes_up is not None or (self._must_be_given_up and not self._trusts_clock)

    @property
    def is_awaited(self) -> bool:
        """Whether something must follow yet."""
        return self._failed is not None or self._must_be_given_up or self.is_put_off

    @property
    def untold(self) -> tuple[str, ...]:
        """Who was in it when it failed, and has not been told yet."""
        return () if self._failed is None else self._failed[0]

    def fail(self, members: tuple[str, ...], reason: str) -> None:
        """Its actor has ended by what its code raised, and these were in it."""
        self._failed = members, reason

    def take_reason(self) -> str | None:
        """What the next incarnation is to be told it was restarted by; None: that can't be said. It is forgotten with that."""
        reason, self._reason = self._reason, None
        return reason

    def call_off(self) -> None:
        """An order, or the end of the channel, has come in between: nothing has to follow any more."""
        self._failed = self.comes_up = self._reason = None
        self._must_be_given_up = False

    def give(self, messages: tuple[Outbound, ...], now_s: float) -> str | None:
        """These came of themselves. What is wrong with them; None: nothing."""
        self.was_counted = False
        if messages[:1] == (System(f"topic_crashed:{self._topic}"),):
            return self._tell(messages, now_s)
        if messages == (System(f"topic_given_up:{self._topic}"),):
            may_be = self._must_be_given_up or not self._trusts_clock
            wrong = None if may_be else "it was given up, where it may be restarted"
            self.call_off()
            self._forget()
            return wrong
        if messages == (System(f"topic_restarted:{self._topic}"),):
            return self._come_up(now_s)
        return f"it gave out {messages} of itself"

    def _tell(self, messages: tuple[Outbound, ...], now_s: float) -> str | None:
        if self._failed is None:
            return f"it gave out {messages}, where nothing had failed of which that was not told yet"
        (members, reason), self._failed = self._failed, None
        self._told = reason
        said = reason if self._restarts.tell_reason else "error"
        due = (messages[0], *(PushMessage(member, self._topic, "topic_crashed", said) for member in members))
        self._must_be_given_up = not self._window.has_room(now_s)
        if not self._must_be_given_up:
            self._window.count(now_s)
            self.was_counted = True
            self.comes_up = Delay(now_s, 0.0, 0.0) if self._backoff is None else self._backoff.next(now_s)
        return None if messages == due else f"it gave out {messages}, where {due} was due"

    def _come_up(self, now_s: float) -> str | None:
        comes_up, must_be_given_up = self.comes_up, self._must_be_given_up
        self.call_off()
        self._reason = self._told
        if comes_up is None and not must_be_given_up:
            return "it was restarted, where nothing was to be"
        if not self._trusts_clock:
            return None
        if comes_up is None:
            return "it was restarted, where it was to be given up"
        if self._backoff is not None:
            self._backoff.up(now_s)
        if not comes_up.fits(now_s):
            after_s = now_s - comes_up.since_s
            return f"it was restarted after {after_s:g} s, and not after {comes_up.least_s:g} to {comes_up.most_s:g} s"
        return None

    def wrong_at_rest(self, now_s: float) -> str | None:
        """Nobody is ready. What should have come by now; None: nothing."""
        if (
            self._failed is not None and self._failed[0]
        ):  # else it may have been stopped before its failure was known: then nobody hears of it
            return f"it failed ({self._failed[1]}), and nobody was told"
        if not self._trusts_clock:
            return None
        if self._must_be_given_up:
            return "it failed too often, and was not given up"
        if self.comes_up is not None and self.comes_up.is_over(now_s):
            return f"it was not restarted within {self.comes_up.most_s:g} s"
        return None
