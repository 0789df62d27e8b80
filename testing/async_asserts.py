"""The asserts and refutes of `lightspeed.testing.asserts` for an `AsyncClient`: each is awaited, and says what it says there."""

from lightspeed.actors.errors import InvalidOption
from lightspeed.actors.topics.rules.outbound import BroadcastMessage, PushMessage, Reply
from lightspeed.clients import AsyncClient
from lightspeed.testing.asserts import (
    COMES_S,
    STAYS_AWAY_S,
    Looks,
    Made,
    Presence,
    Wanted,
    WantedPresence,
    asserting,
    asserting_presence,
    refuting,
    refuting_presence,
)
from lightspeed.testing.trace import in_ours

__tracebackhide__ = in_ours  # asked by pytest


async def assert_reply(
    client: AsyncClient, *, status: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> Reply:
    wanted = {"topic": topic, "status": status, "payload": payload}
    return await _run(client, asserting(client, Reply, "a reply", wanted, within_s))


async def assert_push(
    client: AsyncClient, *, event: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> PushMessage:
    wanted = {"topic": topic, "event": event, "payload": payload}
    return await _run(client, asserting(client, PushMessage, "a push", wanted, within_s))


async def assert_broadcast(
    client: AsyncClient, *, payload: Wanted = ..., event: Wanted = ..., topic: Wanted = ..., within_s: float = COMES_S
) -> BroadcastMessage:
    wanted = {"topic": topic, "event": event, "payload": payload}
    return await _run(client, asserting(client, BroadcastMessage, "a broadcast", wanted, within_s))


async def assert_presence(client: AsyncClient, topic: str, presence: WantedPresence, *, within_s: float = COMES_S) -> Presence:
    return await _run(client, asserting_presence(client, topic, presence, within_s))


async def refute_reply(
    client: AsyncClient, *, status: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> None:
    wanted = {"topic": topic, "status": status, "payload": payload}
    await _run(client, refuting(client, Reply, "reply", wanted, within_s))


async def refute_push(
    client: AsyncClient, *, event: Wanted = ..., payload: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> None:
    wanted = {"topic": topic, "event": event, "payload": payload}
    await _run(client, refuting(client, PushMessage, "push", wanted, within_s))


async def refute_broadcast(
    client: AsyncClient, *, payload: Wanted = ..., event: Wanted = ..., topic: Wanted = ..., within_s: float = STAYS_AWAY_S
) -> None:
    wanted = {"topic": topic, "event": event, "payload": payload}
    await _run(client, refuting(client, BroadcastMessage, "broadcast", wanted, within_s))


async def refute_presence(client: AsyncClient, topic: str, presence: WantedPresence, *, within_s: float = STAYS_AWAY_S) -> None:
    await _run(client, refuting_presence(client, topic, presence, within_s))


async def _run(client: AsyncClient, looks: Looks[Made]) -> Made:
    """Have the calling coroutine wait for what comes into a client's inbox."""
    if not isinstance(client, AsyncClient):
        raise InvalidOption("client", client, "must be a client that AsyncChannel.client made")
    try:
        more, left_s = next(looks)
        while True:
            try:
                has_come = await more.waiter.wait(left_s)
            except BaseException as error:  # a cancellation
                more, left_s = looks.throw(error)
            else:
                more, left_s = looks.send(has_come)
    except StopIteration as done:
        value: Made = done.value
        return value
