"""What waits for topics, held within its bounds; and what finds no room, to what the mailbox's options say."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lightspeed.actors.topics.mail import Delivery
from lightspeed.actors.topics.rules.events import Broadcast, Join, Leave, Patterns, Publish, Push, Rejoin, Send
from lightspeed.actors.topics.rules.outbound import Outbound, System
from lightspeed.supervision.topics import DeadLetter, Mailbox

_DROPPED = (Broadcast, Push, Publish, Send)


class HeldMailboxes:
    """Of one channel."""

    def __init__(self, mailboxes: Patterns[Mailbox], breach: Callable[[str, str], None]) -> None:
        self._mailboxes = mailboxes
        self._breach = breach
        self._shed: set[int] = set()
        self._overloaded: set[str] = set()
        self.judges = 0
        """The number of what may find no room, now."""

    def of(self, topic: str) -> Mailbox:
        return self._mailboxes.find(topic) or Mailbox()

    # What finds no room

    def sheds(self, delivery: Delivery) -> None:
        """It is about to be dropped."""
        event, mailbox = delivery.request, self.of(delivery.request.topic)
        self._shed.add(delivery.seq)
        if mailbox.overflow not in ("drop_oldest", "drop_newest") or not isinstance(event, _DROPPED):
            self._breach("overload", f"{event} was dropped by {mailbox}")

    def wrote(self, delivery: Delivery, letters: Sequence[DeadLetter]) -> None:
        """It was dropped, and these dead letters were written."""
        event = delivery.request
        if [(letter.why, letter.what) for letter in letters] != [("overloaded", event)]:
            self._breach("overload", f"{event} was dropped, and {list(letters)} are the dead letters of that")

    def is_letter(self, delivery: Delivery) -> bool:
        """Whether it was shed, and is a dead letter: dropped, or of the program, which gets no reply."""
        return delivery.seq in self._shed or (delivery.seq == self.judges and isinstance(delivery.request, (Publish, Send)))

    def refused(self, delivery: Delivery) -> None:
        """It was answered `overloaded`."""
        event, mailbox = delivery.request, self.of(delivery.request.topic)
        is_dropped = mailbox.overflow.startswith("drop") and not isinstance(event, (Join, Rejoin))
        may_wait = mailbox.overflow == "wait" and delivery.reply is not None
        if is_dropped or may_wait or isinstance(event, Leave):
            self._breach("overload", f"{event} was answered overloaded by {mailbox}")

    def had_room(self, delivery: Delivery, waiting: Iterable[Any]) -> None:
        """It found no room, or others had to make it; `waiting`: what waited for the topic."""
        mailbox, mails = self.of(delivery.request.topic), list(waiting)
        size = sum(mail.size for mail in mails if type(mail) is Delivery)
        if len(mails) < mailbox.max_messages and size + delivery.size <= mailbox.max_bytes:
            self._breach("overload", f"{delivery.request} found no room in {mailbox}, where {len(mails)} wait, of {size} bytes")

    # What is said of it

    def take(self, topic: str | None, messages: tuple[Outbound, ...]) -> bool:
        """Whether these say that a topic begins to shed, or has caught up."""
        if topic is None or len(messages) != 1 or not isinstance(messages[0], System):
            return False
        if messages == (System(f"topic_overloaded:{topic}"),):
            if topic in self._overloaded:
                self._breach("overload", f"{topic} was said to be overloaded twice")
            self._overloaded.add(topic)
        elif messages == (System(f"topic_recovered:{topic}"),):
            if topic not in self._overloaded:
                self._breach("overload", f"{topic} was said to have recovered, and was not overloaded")
            self._overloaded.discard(topic)
        else:
            return False
        return True

    # At rest

    def check(self, topic: str, waiting: Iterable[Delivery], *, is_held: bool) -> None:
        """Nobody is ready. `waiting`: what was accepted for the topic, and has no answer."""
        mailbox = self.of(topic)
        counted = [  # a leave is never shed
            mail for mail in waiting if mail.size and not (mailbox.overflow == "wait" and mail.reply is not None)
        ]
        if len(counted) > mailbox.max_messages:
            self._breach("overload", f"{len(counted)} wait for {topic}, of which {mailbox.max_messages} may")
        if topic in self._overloaded and not is_held:
            self._breach("overload", f"{topic} has caught up, and that was not said")
