"""What a test says of a channel's clients: what comes into an inbox, what does not, and who is present.

Each looks at what is in the inbox, in order, and waits for more: of a client in a simulation in virtual time alone, which others
fill with what they do, and which costs nothing; of any other in real time. An assert takes the message out of the inbox, and
leaves all others in it. The names are those of Phoenix's ChannelTest.
"""

from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from functools import wraps
from itertools import islice
from types import EllipsisType, FunctionType
from typing import Any, Concatenate, ParamSpec, TypeVar

from lightspeed.actors.checks import check_call, is_put_off
from lightspeed.actors.errors import ExpectationFailed, InvalidOption
from lightspeed.actors.text import escaped, shown
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, PushMessage, Reply
from lightspeed.actors.topics.rules.presence import Meta
from lightspeed.clients import AsyncClient, Client
from lightspeed.clients.core import ClientCore
from lightspeed.clients.inbox import Look
from lightspeed.faults.fault import is_number
from lightspeed.testing.trace import in_ours

__tracebackhide__ = in_ours  # asked by pytest

Presence = dict[str, tuple[Meta, ...]]
Wanted = str | Callable[[str], object] | EllipsisType
"""A value, what says whether it is one that is wanted, or `...`: any."""
WantedMetas = int | Sequence[Any] | Callable[[tuple[Meta, ...]], object] | EllipsisType
"""Of one user: how many; which, each a `Meta` or its text; what says whether they are wanted; or `...`: any, but one at least."""
WantedPresence = Mapping[str, WantedMetas] | Callable[[Presence], object] | EllipsisType
"""Of all users, with nobody else; what says whether it is wanted; or `...`: any."""

COMES_S = 1.0
STAYS_AWAY_S = 0.1  # a test that passes waits for so long, where time is real
_MANY = 20  # messages, of which a failure shows the last
_LONGEST = 300  # of one of them, in letters
AnyClient = ClientCore[Any]
Made = TypeVar("Made")
Asked = ParamSpec("Asked")
Looks = Generator[tuple[Look, float], bool, Made]
"""What an assert does: it gives each look, and how long it may take until more comes, and is sent whether it has."""


def told(looks: Callable[Concatenate[AnyClient, Asked], Looks[Made]]) -> Callable[Concatenate[Client, Asked], Made]:
    """The assert of these looks: the calling thread waits for what comes into a client's inbox."""

    @wraps(looks)
    def run(client: Client, /, *args: Asked.args, **options: Asked.kwargs) -> Made:
        if not isinstance(client, Client):
            raise InvalidOption("client", client, "must be a client that Channel.client made")
        going = looks(client, *args, **options)
        try:
            more, left_s = next(going)
            while True:
                more, left_s = going.send(more.wait(left_s))
        except StopIteration as done:
            value: Made = done.value
            return value
        finally:
            going.close()  # where a wait was ended by the simulation's end

    return run


def awaited(
    call: Callable[Concatenate[Client, Asked], Made],
) -> Callable[Concatenate[AsyncClient, Asked], Coroutine[Any, Any, Made]]:
    """The same assert for a coroutine, which waits."""
    looks: Callable[Concatenate[AnyClient, Asked], Looks[Made]] = call.__wrapped__  # type: ignore[attr-defined]

    @wraps(looks)
    async def run(client: AsyncClient, /, *args: Asked.args, **options: Asked.kwargs) -> Made:
        if not isinstance(client, AsyncClient):
            raise InvalidOption("client", client, "must be a client that AsyncChannel.client made")
        going = looks(client, *args, **options)
        try:
            more, left_s = next(going)
            while True:
                more, left_s = going.send(await more.waiter.wait(left_s))
        except StopIteration as done:
            value: Made = done.value
            return value
        finally:
            going.close()  # where a wait was ended by a cancellation

    return run


@told
def assert_reply(
    client: AnyClient, *, status: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> Looks[Reply]:
    """Take a reply out of the client's inbox: one to what it sent by `send`, since a verb returns its own.

    Raises:
        ExpectationFailed: there was none within so many seconds; it says what came instead.
        InvalidOption: it is no client of `Channel.client`, or can't be asked for so.
    """
    return _asserting(client, Reply, "a reply", {"topic": topic, "status": status, "payload": payload}, within_s)


@told
def assert_push(
    client: AnyClient, *, event: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> Looks[PushMessage]:
    """Take a push out of the client's inbox. Raises as `assert_reply`."""
    return _asserting(client, PushMessage, "a push", {"topic": topic, "event": event, "payload": payload}, within_s)


@told
def assert_broadcast(
    client: AnyClient, *, payload: Wanted = ..., event: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> Looks[BroadcastMessage]:
    """Take a broadcast out of the client's inbox. Raises as `assert_reply`."""
    return _asserting(client, BroadcastMessage, "a broadcast", {"topic": topic, "event": event, "payload": payload}, within_s)


@told
def assert_presence(client: AnyClient, topic: str, presence: WantedPresence, *, within_s: float = COMES_S) -> Looks[Presence]:
    """Wait until these users, and nobody else, are present in the topic, as the client sees it. Its inbox stays as it is.

    Returns:
        Who is, as `Client.presence`.

    Raises as `assert_reply`.
    """
    holds, what = _presence_of(presence)
    seen: Presence = {}

    def is_there(_messages: list[Any]) -> bool:
        nonlocal seen
        seen = client.presence(topic)
        return holds(seen)

    inbox = yield from _look(client, is_there, within_s)
    if inbox is not None:
        _fail(client, f"was to see {what} in {shown(topic)} within {within_s:g} s, and sees {_told(seen)}", inbox)
    return seen


@told
def refute_reply(
    client: AnyClient, *, status: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> Looks[None]:
    """See that no such reply is in the client's inbox, and none comes within so many seconds. Raises as `assert_reply`."""
    return _refuting(client, Reply, "no reply", {"topic": topic, "status": status, "payload": payload}, within_s)


@told
def refute_push(
    client: AnyClient, *, event: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> Looks[None]:
    """See that no such push is in the client's inbox, and none comes within so many seconds. Raises as `assert_reply`."""
    return _refuting(client, PushMessage, "no push", {"topic": topic, "event": event, "payload": payload}, within_s)


@told
def refute_broadcast(
    client: AnyClient, *, payload: Wanted = ..., event: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> Looks[None]:
    """See that no such broadcast is in the client's inbox, and none comes within so many seconds. Raises as `assert_reply`."""
    return _refuting(client, BroadcastMessage, "no broadcast", {"topic": topic, "event": event, "payload": payload}, within_s)


@told
def refute_presence(client: AnyClient, topic: str, presence: WantedPresence, *, within_s: float = STAYS_AWAY_S) -> Looks[None]:
    """See that these users, and nobody else, are present in the topic at no moment within so many seconds. Raises as
    `assert_reply`.
    """
    holds, what = _presence_of(presence)
    if (yield from _look(client, lambda _messages: holds(client.presence(topic)), within_s)) is None:
        seen = client.presence(topic)
        _fail(client, f"was not to see {what} in {shown(topic)} within {within_s:g} s, and sees {_told(seen)}")


# Messages


def _asserting(client: AnyClient, kind: type[Made], what: str, wanted: dict[str, Wanted], within_s: float) -> Looks[Made]:
    """Take a message of this kind, with these fields, out of the client's inbox."""
    holds = _message_of(kind, wanted)
    taken: list[Made] = []

    def take(messages: list[Any]) -> bool:
        found = (message for message in messages if holds(message) and client._session.inbox.take_out(message))
        taken.extend(islice(found, 1))
        return bool(taken)

    inbox = yield from _look(client, take, within_s)
    if inbox is not None:
        _fail(client, f"was to be given {_described(what, wanted)} within {within_s:g} s, and was not", inbox)
    return taken[0]


def _refuting(client: AnyClient, kind: type[Any], what: str, wanted: dict[str, Wanted], within_s: float) -> Looks[None]:
    """See that there is none, and none comes."""
    holds = _message_of(kind, wanted)
    came: list[Any] = []

    def is_there(messages: list[Any]) -> bool:
        came.extend(filter(holds, messages))
        return bool(came)

    if (yield from _look(client, is_there, within_s)) is None:
        _fail(client, f"was to be given {_described(what, wanted)} within {within_s:g} s, and was: {_line(came[0])}")


def _message_of(kind: type[Any], wanted: dict[str, Wanted]) -> Callable[[Any], bool]:
    """What says whether a message is of this kind and its fields are those that are wanted."""
    for name, value in wanted.items():
        if not (value is ... or type(value) is str):
            check_call(name, value, "must be a str, a plain function of it, or ...")
    asked = {name: value for name, value in wanted.items() if value is not ...}

    def holds(message: Any) -> bool:
        return type(message) is kind and all(_fits(name, value, getattr(message, name)) for name, value in asked.items())

    return holds


def _fits(name: str, wanted: Any, value: Any) -> bool:
    if not callable(wanted):
        return bool(wanted == value)
    held = wanted(value)
    if held is None or is_put_off(held):
        raise InvalidOption(name, wanted, "must return whether it holds")
    return bool(held)


# Presence


def _presence_of(wanted: WantedPresence) -> tuple[Callable[[Presence], bool], str]:
    """What says whether a presence is one that is wanted, and in words which are."""
    if wanted is ...:
        return lambda _seen: True, "any presence"
    if not isinstance(wanted, Mapping):
        check_call("presence", wanted, "must map users to metas, be a plain function of them, or ...")
        return lambda seen: _fits("presence", wanted, seen), f"a presence for which {_name(wanted)} holds"
    users = {user: _metas_of(metas) for user, metas in wanted.items()}

    def holds(seen: Presence) -> bool:
        return seen.keys() <= users.keys() and all(fits(seen.get(user, ())) for user, (fits, _what) in users.items())

    return holds, f"{{{', '.join(f'{shown(user)}: {what}' for user, (_fits, what) in users.items())}}}"


def _metas_of(wanted: WantedMetas) -> tuple[Callable[[tuple[Meta, ...]], bool], str]:
    if wanted is ...:
        return bool, "..."
    if type(wanted) is int:
        return lambda metas: len(metas) == wanted, str(wanted)
    if isinstance(wanted, (tuple, list)):
        several = tuple(wanted)
        return lambda metas: len(metas) == len(several) and all(map(_is_meta, several, metas)), shown(several)
    check_call("presence", wanted, "must map each user to a number, a tuple of metas, a plain function of them, or ...")
    return lambda metas: _fits("presence", wanted, metas), f"what {_name(wanted)} holds for"


def _is_meta(wanted: Any, meta: Meta) -> bool:
    return bool(wanted == (meta if isinstance(wanted, Meta) else meta.meta))


# Looking and telling


def _look(client: AnyClient, holds: Callable[[list[Any]], bool], within_s: float) -> Looks[list[Any] | None]:
    """Look at what is in the inbox until it holds. None: it did; else what is in it when time is over, or nothing more comes."""
    if not (is_number(within_s) and within_s >= 0):
        raise InvalidOption("within_s", within_s, "must be a number of seconds from 0 up")
    clock, inbox = client._session._runtime, client._session.inbox
    end_s = clock.monotonic_s() + within_s
    is_over = within_s == 0
    while True:
        is_over = is_over or inbox.why_closed is not None
        messages, more = inbox.look(client._waiter())
        try:
            if holds(messages):
                return None
            if is_over:
                return messages
            client._line.check_may_wait("an assert that waits")
            is_over = not (yield more, max(0.0, end_s - clock.monotonic_s()))
        finally:
            more.give_up()


def _fail(client: AnyClient, text: str, messages: list[Any] | None = None) -> None:
    """Messages: by default those that are in the inbox now."""
    if messages is None:
        messages, more = client._session.inbox.look()
        more.give_up()
    why = client._session.inbox.why_closed
    raise ExpectationFailed("\n".join([f"{escaped(client.client_id)} {text}; {_heading(why, messages)}", *_lines(messages)]))


def _heading(why: str | None, messages: list[Any]) -> str:
    closed = "" if why is None else f"it is closed, since {escaped(why)}, and "
    return f"{closed}its inbox is empty" if not messages else f"{closed}in its inbox are, in order:"


def _lines(messages: list[Any]) -> Iterator[str]:
    if len(messages) > _MANY:
        yield f"  ... {len(messages) - _MANY:,} before these"
    yield from (f"  {_line(message)}" for message in messages[-_MANY:])


def _line(message: Any) -> str:
    return escaped(repr(message), _LONGEST)  # a class of ours, whose texts are no subclasses


def _described(what: str, wanted: dict[str, Wanted]) -> str:
    asked = [
        f"{name} {shown(value)}" if isinstance(value, str) else f"a {name} for which {_name(value)} holds"
        for name, value in wanted.items()
        if value is not ...
    ]
    return f"{what} with {', '.join(asked)}" if asked else what


def _told(seen: Presence) -> str:
    users = (f"{shown(user)}: {len(metas)}{_texts(metas)}" for user, metas in seen.items())
    return escaped(f"{{{', '.join(users)}}}", 2000)


def _texts(metas: tuple[Meta, ...]) -> str:
    return f" {shown([meta.meta for meta in metas])}" if any(meta.meta for meta in metas) else ""


def _name(call: object) -> str:
    return escaped(call.__name__) if isinstance(call, FunctionType) else shown(call)
