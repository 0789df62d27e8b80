import asyncio

import pytest

from lightspeed.actors.errors import ExpectationFailed
from lightspeed.channel import AsyncChannel, Behaviour, Broadcast, Channel, InvalidOption, Push
from lightspeed.testing import Simulation
from lightspeed.testing.async_asserts import (
    assert_broadcast,
    assert_presence,
    assert_push,
    assert_reply,
    refute_broadcast,
    refute_presence,
    refute_push,
    refute_reply,
)


class Quiz(Behaviour):
    async def on_join(self, room, client_id, user_id):
        await asyncio.sleep(1)
        room.start_timer("over", 60.0)

    async def on_push(self, room, client_id, event, payload):
        await asyncio.sleep(1)
        room.reply("taken")
        room.push(client_id, "result", payload)

    async def on_timer(self, room, name):
        room.broadcast("time is up", event="over")


def in_simulation(play, **options):
    with Simulation(1) as simulation:
        channel = simulation.async_channel(behaviours={"quiz": Quiz}, **options)
        simulation.loop.run_until_complete(play(channel))
    return simulation


def test_each_says_of_a_client_what_its_twin_says_and_costs_no_time():
    async def play(channel):
        async with channel.client("a", "ann") as ann, channel.client("b", "bob") as bob:
            await ann.join("quiz")
            await bob.join("quiz")
            assert (await assert_presence(ann, "quiz", {"ann": 1, "bob": 1})).keys() == {"ann", "bob"}
            await refute_presence(ann, "quiz", {"ann": 1}, within_s=10)
            ann.send(Push("a", "quiz", "answer", "42"))
            assert (await assert_reply(ann, status="ok", within_s=5)).payload == "taken"
            assert (await assert_push(ann, event="result", payload="42")).topic == "quiz"
            await refute_push(ann, within_s=10)
            await refute_reply(ann)
            await refute_broadcast(bob, within_s=30)
            assert (await assert_broadcast(bob, event="over", within_s=60)).payload == "time is up"

    assert in_simulation(play).now_s > 60


def test_what_fails_says_what_was_wanted_and_what_came():
    async def play(channel):
        async with channel.client("a", "ann") as ann:
            await ann.join("quiz")
            with pytest.raises(ExpectationFailed, match="was to be given a push with event 'never' within 1 s, and was not"):
                await assert_push(ann, event="never")
            ann.send(Push("a", "quiz", "answer", "42"))
            with pytest.raises(ExpectationFailed, match="was to be given no push within 5 s, and was: PushMessage"):
                await refute_push(ann, within_s=5)
            with pytest.raises(ExpectationFailed, match="its inbox"):
                await assert_presence(ann, "quiz", {"bob": 1})

    in_simulation(play)


def test_one_that_is_cancelled_looks_no_more_and_takes_nothing():
    async def main():
        async with AsyncChannel() as channel, channel.client("a", "ann") as ann:
            await ann.join("t")
            wait = asyncio.ensure_future(assert_broadcast(ann, within_s=30))
            await asyncio.sleep(0)
            wait.cancel()
            with pytest.raises(asyncio.CancelledError):
                await wait
            assert not ann._session.inbox.waiters
            channel.tell(Broadcast("a", "t", "p"))
            assert (await assert_broadcast(ann)).payload == "p"

    asyncio.run(main())


def test_only_an_async_client_is_taken():
    async def main():
        wrong = pytest.raises(InvalidOption, match=r"must be a client that AsyncChannel\.client made")
        with Channel() as channel, channel.client("a", "ann") as ann, wrong:
            await assert_push(ann)

    asyncio.run(main())


async def test_the_fixture_has_them_too(lightspeed_simulation, lightspeed_async_asserts):
    channel = lightspeed_simulation.async_channel()
    async with channel.client("a", "ann") as ann:
        await ann.join("t")
        await lightspeed_async_asserts.assert_presence(ann, "t", {"ann": 1})
        await lightspeed_async_asserts.refute_push(ann, within_s=3600)
