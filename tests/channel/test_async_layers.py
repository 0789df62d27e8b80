"""Faults, capsules and metrics of channels whose hooks are async."""

import asyncio
import subprocess
import sys

import pytest
from loops import RUNTIMES

from lightspeed.capsules import Capsules
from lightspeed.channel import AsyncChannel, Behaviour, Broadcast, BroadcastMessage, Channel, Join, Reply
from lightspeed.faults import FaultPlan, Hang, Raise, Slow
from lightspeed.metrics import MetricsHooks, MetricsLayer


class Counting(Behaviour):
    async def on_start(self, room):
        self.count = 0

    async def on_broadcast(self, room, client_id, payload):
        self.count += 1
        await asyncio.sleep(0)
        if payload == "raise":
            raise ValueError(f"planted, after {self.count}")
        if payload == "hang":
            await asyncio.get_running_loop().create_future()
        room.broadcast(payload)


CRASHED = (Reply("a", "t", "error", "topic_crashed"),)


def capsule(*arguments):
    command = [sys.executable, "-m", "lightspeed.cli", "capsule", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=50, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_a_capsule_of_an_async_hook_replays_and_says_where_one_hangs(runtime, tmp_path):
    async def main():
        options = {"behaviours": {"t": Counting}, "capsules": Capsules(tmp_path), "event_timeout_s": 0.2}
        async with AsyncChannel(runtime=runtime(), **options) as channel:
            await channel.handle(Join("a", "t", "u", 1))
            await channel.handle(Broadcast("a", "t", "p"))
            assert await channel.call(Broadcast("a", "t", "raise")) == CRASHED
            await channel.handle(Join("a", "t", "u", 2))
            assert await channel.call(Broadcast("a", "t", "hang")) == CRASHED

    asyncio.run(main())
    raised, hung = sorted(tmp_path.glob("*.capsule"))
    shown = capsule("show", hung)
    assert "await asyncio.get_running_loop().create_future()" in shown.stdout, shown.stdout + shown.stderr
    replayed = capsule("replay", "--run-untrusted-code", raised)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "planted, after 2" in replayed.stdout + replayed.stderr


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_faults_act_around_async_hooks_and_hold_up_no_other_topic(runtime):
    faults = (Slow(0.2, topic="t", at=2), Hang(topic="t", at=3), Raise("after", topic="u", at=2))

    async def main():
        options = {"behaviours": {"*": Counting}, "faults": FaultPlan(faults), "event_timeout_s": 0.5}
        async with AsyncChannel(runtime=runtime(), **options) as channel:
            for topic in ("t", "u", "v"):
                await channel.handle(Join("a", topic, "u", 1))
            slow = asyncio.ensure_future(channel.call(Broadcast("a", "t", "slow")))
            await asyncio.sleep(0)
            heard = await channel.call(Broadcast("a", "v", "p"))
            assert [type(message) for message in heard] == [BroadcastMessage]
            assert not slow.done()
            assert [message.payload for message in await slow] == ["slow"]
            hung = asyncio.ensure_future(channel.call(Broadcast("a", "t", "hang")))
            await channel.handle(Broadcast("a", "u", "raises after"))
            assert await channel.subscribers("u") == ()
            assert await hung == CRASHED
            assert channel.abandoned_count == 1
            assert channel.faults.fired == (1, 1, 1)

    asyncio.run(main())


class Heard(MetricsHooks):
    def __init__(self):
        self.handled_s = []

    def handled(self, event, seconds):
        self.handled_s.append((type(event).__name__, seconds))


class Sleepy(Behaviour):
    async def on_join(self, room, client_id, user_id):
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_the_time_of_an_event_counts_what_its_hook_waits(runtime):
    heard = Heard()

    async def main():
        async with AsyncChannel(behaviours={"t": Sleepy}, layers=(MetricsLayer(heard),), runtime=runtime()) as channel:
            await channel.handle(Join("a", "t", "u", 1))
            await channel.handle(Broadcast("a", "t", "p"))

    asyncio.run(main())
    (join, join_s), (broadcast, broadcast_s) = heard.handled_s
    assert (join, broadcast) == ("Join", "Broadcast")
    assert join_s >= 0.04 > broadcast_s


def test_a_channel_of_threads_runs_async_hooks_and_sinks_too():
    heard = []

    async def sink(message):
        await asyncio.sleep(0)
        heard.append(message)

    with Channel(behaviours={"t": Counting}, on_outbound=sink) as channel:
        channel.handle(Join("a", "t", "u", 1))
        channel.handle(Broadcast("a", "t", "p"))
        assert [one.payload for one in heard if isinstance(one, BroadcastMessage)] == ["p"]
