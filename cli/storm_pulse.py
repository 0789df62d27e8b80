"""How a storm goes, second by second: faults, crashes, heals, and which topics are up."""

import math
from collections import Counter

from msgspec import Struct

from lightspeed.channel import Outbound, System

Phase = str
"""`up`, `restarting` or `down`."""


class Heals(Struct, frozen=True):
    """The time to heal, in ms: from a topic's `topic_crashed` to its next `topic_restarted`, as the sink is given them. So the
    backoff is in it, and the time in which the topic was given up."""

    count: int
    p50: float
    p99: float
    longest: float


class Pulse:
    """For one thread. All times are in seconds since the storm began."""

    def __init__(self) -> None:
        self.beats: dict[str, Counter[int]] = {"faults": Counter(), "crashes": Counter(), "heals": Counter()}
        """Of each, how many in which tenth of a second."""
        self.heal_s: list[float] = []
        self.given_up = 0
        self.channel_crashes = 0
        self.is_channel_down = False
        self.down: set[str] = set()
        """Topics that were given up."""
        self._failed_s: dict[str, float] = {}

    @property
    def restarting(self) -> int:
        """How many topics are to come up by themselves."""
        return len(self._failed_s.keys() - self.down)

    def beat(self, what: str, at_s: float) -> None:
        self.beats[what][int(at_s * 10)] += 1

    def hear(self, message: Outbound, at_s: float) -> None:
        """Only a System message says anything of this."""
        if not isinstance(message, System):
            return
        label, _, topic = message.label.partition(":")
        if label == "topic_crashed":
            self.beat("crashes", at_s)
            self._failed_s.setdefault(topic, at_s)
        elif label == "topic_given_up":
            self.given_up += 1
            self.down.add(topic)
        elif label == "topic_restarted":
            self._heal(topic, at_s)
        elif label == "crashed":
            self.channel_crashes += 1
            self.is_channel_down = True
        elif label == "restarted":  # it took all topics up with it, and says nothing of each
            self.is_channel_down = False
            self.down.clear()
            self._failed_s.clear()

    def heals(self) -> Heals:
        """Of all so far."""
        heal_ms = sorted(heal_s * 1e3 for heal_s in self.heal_s)
        if not heal_ms:
            return Heals(0, 0.0, 0.0, 0.0)
        p50, p99 = (heal_ms[math.ceil(share * len(heal_ms)) - 1] for share in (0.5, 0.99))
        return Heals(len(heal_ms), p50, p99, heal_ms[-1])

    def _heal(self, topic: str, at_s: float) -> None:
        self.down.discard(topic)
        failed_s = self._failed_s.pop(topic, None)
        if failed_s is not None:
            self.beat("heals", at_s)
            self.heal_s.append(at_s - failed_s)
