"""What comes out of a channel: five kinds of message, each an immutable value."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from lightspeed.actors.topics.rules.presence import Diff, Recipients, ids_in


class _Aside:
    """A slot beside a message's fields, for what is no part of its value: it is not compared, hashed or encoded, but copied."""

    __slots__ = ("_aside",)
    _aside: Any

    def __copy__(self) -> Any:
        again, args = self.__reduce__()
        return again(*args)

    def __reduce__(self) -> Any:
        message: Any = self
        return _again, (type(self), msgspec.structs.astuple(message), getattr(self, "_aside", None))


set_aside: Any = _Aside.__dict__["_aside"].__set__
"""`set_aside(message, value)`: a frozen message's slot. Once, by whoever makes the message."""


def _again(kind: Any, fields: tuple[Any, ...], aside: Any) -> Any:
    made = kind(*fields)
    set_aside(made, aside)
    return made


class Reply(Struct, frozen=True, gc=False, tag="reply"):
    """The answer to one client's event."""

    client_id: str
    topic: str
    status: Literal["ok", "error"]
    payload: str
    """What happened: joined, rejoined, left; or why not: already_joined, not_joined, crashed, topic_crashed, unavailable,
    overloaded, too_many_topics, too_many_members."""


class PushMessage(_Aside, Struct, frozen=True, gc=False, tag="push_message"):
    """A message to one member."""

    client_id: str
    topic: str
    event: str
    payload: str

    @property
    def is_notice(self) -> bool:
        """Whether the channel itself tells of something (`topic_crashed`, `removed`); a push of the same words is a user's."""
        return getattr(self, "_aside", None) is not None


class BroadcastMessage(
    _Aside, Struct, frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True, tag="broadcast_message"
):
    """One message to many members. It is handed over once, with the list of those whom it is for."""

    topic: str
    payload: str
    recipients: tuple[str, ...]
    """Client ids in subscription order, as of this message: later joins and leaves don't show in it.

    The tuple is made when it is first read, and shared by all messages to the same members. A message that nobody has read
    compares, hashes, prints, copies, pickles and encodes as with the tuple. (Only `msgspec.structs.asdict` and `astuple` of such
    a one give what stands for it: read `recipients` first.)
    """
    event: str = ""
    """The message's name, if its sender gave one."""

    @property
    def sender(self) -> str | None:
        """The client id of the member whose broadcast it is; None: it is the program's. No part of the message's value."""
        return getattr(self, "_aside", None)


# Where a message holds them: the tuple, or until it is read what makes it.
_get: Any = BroadcastMessage.recipients.__get__  # type: ignore[attr-defined]
_set: Any = BroadcastMessage.recipients.__set__  # type: ignore[attr-defined]


def _read_recipients(message: BroadcastMessage) -> tuple[str, ...]:
    recipients = _get(message)
    if type(recipients) is Recipients:
        recipients = recipients.read or recipients.ids()
        _set(message, recipients)
    return recipients  # type: ignore[no-any-return]


BroadcastMessage.recipients = property(_read_recipients)  # type: ignore[assignment]


def unread(message: BroadcastMessage) -> Recipients | None:
    """What stands for the recipients of a message that nobody has read; it is left unread. None: somebody has."""
    recipients = _get(message)
    return recipients if type(recipients) is Recipients else None


class PresenceDiff(_Aside, Struct, frozen=True, gc=False, tag="presence_diff"):
    """Who came and who went in a topic, for all its members."""

    topic: str
    diff: Diff

    @property
    def recipients(self) -> tuple[str, ...]:
        """The client ids of those whom it is for, in subscription order: the members when it took effect, who joined by it too,
        who left by it not. No part of the message's value; empty in one that no topic gave out."""
        # A topic gives one id as it is, and what is yet to be put together as a roster's view or the recipients of a broadcast.
        aside = getattr(self, "_aside", None) or ()
        if type(aside) is str:
            aside = (aside,)
        elif type(aside) is Recipients:
            aside = aside.ids()
        elif aside and type(aside[0]) is list:
            aside = ids_in(aside)
        set_aside(self, aside)
        return aside

    def __repr__(self) -> str:
        return f"PresenceDiff(topic={self.topic!r}, diff={self.diff!r}, recipients={len(self.recipients)})"


class System(Struct, frozen=True, gc=False, tag="system"):
    """What happened to the channel itself, or to one topic as a whole."""

    label: str
    """`crashed:<reason>`, already_crashed, restarted, already_running; `topic_crashed:<topic>`, `topic_restarted:<topic>`,
    `topic_given_up:<topic>`, `unknown_topic:<topic>`, `topic_overloaded:<topic>`, `topic_recovered:<topic>`."""


Outbound = Reply | PushMessage | BroadcastMessage | PresenceDiff | System


def with_diff(message: PresenceDiff, diff: Diff) -> PresenceDiff:
    """Another diff for the same recipients."""
    made = PresenceDiff(message.topic, diff)
    set_aside(made, getattr(message, "_aside", None))
    return made


def outbound_label(message: Outbound) -> str:
    """The message's name: one of reply, push_message, broadcast_message, presence_diff, system."""
    return str(message.__struct_config__.tag)


def error(client_id: str, topic: str, why: str) -> Reply:
    """The reply that refuses a client's event."""
    return Reply(client_id, topic, "error", why)


def notice(client_id: str, topic: str, event: str, payload: str) -> PushMessage:
    """What the channel itself tells a member."""
    push = PushMessage(client_id, topic, event, payload)
    set_aside(push, True)
    return push
