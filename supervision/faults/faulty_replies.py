"""Answers that are lost, or come late."""

from typing import Any

from lightspeed.actors.outbound import Reply as ReplyMessage
from lightspeed.actors.post import Delivery
from lightspeed.actors.runtime import Reply
from lightspeed.actors.topic import Messages
from lightspeed.supervision.faults.kinds import DelayReply, LoseReply
from lightspeed.supervision.faults.put_off import PutOff


class FaultyOutlet:
    """As the channel's outlet, for one actor and its thread; of the event in hand the replies can be spoilt."""

    def __init__(self, outlet: Any, put_off: PutOff) -> None:
        self._outlet, self._put_off = outlet, put_off
        self._loses, self._delay_s = False, 0.0

    def spoil(self, mail: Delivery, fault: LoseReply | DelayReply) -> None:
        """Lose or delay what answers this mail, the next that is handled."""
        if isinstance(fault, LoseReply):
            self._loses = True
            mail.reply = None
        else:
            self._delay_s += fault.seconds
            mail.reply = None if mail.reply is None else _LateReply(mail.reply, fault.seconds, self._put_off)

    def mend(self) -> None:
        """It was handled."""
        self._loses, self._delay_s = False, 0.0

    def put(self, seq: int, topic: str | None, messages: Messages, reply: Reply | None, value: Any = None) -> bool:
        if self._loses or self._delay_s:
            replies = tuple(message for message in messages if isinstance(message, ReplyMessage))
            messages = tuple(message for message in messages if not isinstance(message, ReplyMessage))
            if replies and not self._loses:
                self._put_off.later(self._delay_s, lambda: self._put_late(seq, topic, replies))
        return bool(self._outlet.put(seq, topic, messages, reply, value))

    def deliver(self, topic: str | None) -> None:
        self._outlet.deliver(topic)

    def _put_late(self, seq: int, topic: str | None, replies: Messages) -> None:
        if self._outlet.put(seq, topic, replies, None):
            self._outlet.ring(topic)  # this is the clock's thread: the user's code must not run here


class _LateReply:
    """Comes so much later than it is told."""

    def __init__(self, reply: Reply, delay_s: float, put_off: PutOff) -> None:
        self._reply, self._delay_s, self._put_off = reply, delay_s, put_off

    def set(self, value: Any = None) -> None:
        self._put_off.later(self._delay_s, lambda: self._reply.set(value), counts=False)
