"""What waits until it is known who is in a topic.

A crash of one topic depends on whether anybody is in it. Where its actor is at work, it is asked, and what concerns the topic
waits behind the crash; what concerns all topics waits for all such counts, and whatever comes then, behind it.
"""

from typing import Any

from lightspeed.actors.topics.mail import Mail, Order


class Counts:
    """For the supervisor's thread only."""

    def __init__(self) -> None:
        self._topics: dict[str, list[Mail]] = {}  # what waits for the topic's count, the order to crash it first
        self._behind: list[Any] | None = None  # what waits for all of them, in order; None: nothing does

    def __bool__(self) -> bool:
        """Whether anything is being counted."""
        return bool(self._topics)

    @property
    def are_waited_for(self) -> bool:
        """Whether something that concerns all topics waits, and so whatever comes must wait behind it."""
        return self._behind is not None

    @property
    def topics(self) -> list[str]:
        """Those that are being counted."""
        return list(self._topics)

    def is_for(self, topic: str, seq: int) -> bool:
        """Whether the topic is being counted for the order of this number."""
        return topic in self._topics and self._topics[topic][0].seq == seq

    def start(self, topic: str, order: Order) -> None:
        """The topic is being counted for this order."""
        self._topics[topic] = [order]

    def holds(self, topic: str | None, mail: Mail) -> bool:
        """Whether the topic is being counted; then the mail is kept until it is known."""
        if topic not in self._topics:
            return False
        self._topics[topic].append(mail)
        return True

    def hold_all(self, message: Any) -> bool:
        """Whether any topic is being counted; then what concerns all of them is kept."""
        if self._behind is not None:
            self._behind.append(message)
        elif self._topics:
            self._behind = [message]
        return self._behind is not None

    def finish(self, topic: str) -> list[Mail]:
        """The topic has been counted: what waited for that, the order first."""
        return self._topics.pop(topic)

    def release(self) -> list[Any]:
        """If nothing is being counted any more, what waited for all, in order."""
        if self._topics or self._behind is None:
            return []
        behind, self._behind = self._behind, None
        return behind
