"""A channel on an event loop: the same rules, awaited, and no thread."""

import asyncio
import concurrent.futures
import contextvars
import gc
import subprocess
import sys
import threading
import warnings

import pytest
from loops import LOOPS, LOOPS_AND_RUNTIMES, RUNTIMES, run_plain

from lightspeed.channel import (
    AsyncChannel,
    Behaviour,
    Broadcast,
    BroadcastMessage,
    Channel,
    ChannelClosed,
    ChannelTimeout,
    ClientClosed,
    ClientExists,
    Crash,
    Diff,
    Entry,
    InboxEmpty,
    InsideActor,
    InvalidEvent,
    InvalidOption,
    Join,
    Leave,
    Loop,
    Meta,
    Pool,
    PresenceDiff,
    Push,
    PushMessage,
    Refused,
    Removed,
    Reply,
    Restart,
    Restarts,
    RoomMisused,
    Threads,
    TopicDown,
    TopicUp,
    WrongLoop,
)
from lightspeed.testing import Simulation


class Slow(Behaviour):
    """Awaits in every hook."""

    async def on_start(self, room):
        await asyncio.sleep(0)
        self.seen = ["start"]

    async def on_join(self, room, client_id, user_id):
        await asyncio.sleep(0)
        room.push(client_id, "welcome", user_id)

    async def on_broadcast(self, room, client_id, payload):
        if payload == "raise":
            await asyncio.sleep(0)
            raise ValueError("planted")
        if payload == "exit":
            await asyncio.sleep(0)
            raise SystemExit(3)
        if payload == "hang":
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        room.broadcast(payload.upper())

    async def on_timer(self, room, name):
        await asyncio.sleep(0)
        room.broadcast(name)

    async def on_push(self, room, client_id, event, payload):
        await asyncio.sleep(0)
        room.start_timer(event, 0.01)
        room.reply("set")

    async def on_leave(self, room, client_id):
        await asyncio.sleep(0)
        room.reply(f"{client_id} may go")


async def read(client, kind, timeout_s=5.0):
    """The next message of this kind."""
    while True:
        message = await client.receive(timeout_s)
        if isinstance(message, kind):
            return message


@pytest.mark.parametrize("run", LOOPS)
def test_a_channel_does_on_a_loop_what_it_does_elsewhere_and_starts_no_thread(run):
    before = threading.enumerate()

    async def main():
        async with AsyncChannel() as channel:
            joined = Diff("t", (Entry("u", (Meta("a:1", 1),)),), ())
            assert await channel.call(Join("a", "t", "u", 1)) == (Reply("a", "t", "ok", "joined"), PresenceDiff("t", joined))
            await channel.handle(Join("b", "t", "v", 2))
            await channel.handle(Broadcast("a", "t", "p"))
            assert await channel.subscribers("t") == ("a", "b")
            assert [entry.key for entry in await channel.presences("t")] == ["u", "v"]
            assert await channel.topics() == ("t",)
            assert await channel.topics_of("a") == ("t",)
            assert (await channel.membership_count, await channel.crashed) == (2, False)
            channel.tell(Crash("planted"))
            assert await channel.crashed
            channel.tell(Restart())
            await channel.handle(Join("c", "x", "u", 1))
            assert str(await channel.tree()).startswith("single_node [running] supervisor")
            assert channel.metrics().accepted > 5
            assert threading.enumerate() == before
        with pytest.raises(ChannelClosed):
            await channel.topics()
        await channel.close()

    run(main)


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_clients_join_and_hear_and_leave(run, runtime):
    async def main():
        async with AsyncChannel(runtime=runtime()) as channel, channel.client("a", "ann") as a, channel.client("b", "bob") as b:
            assert await a.join("t", "blue") == "joined"
            assert await b.join("t") == "joined"
            assert await a.update("t", "red") == "rejoined"
            with pytest.raises(Refused, match="already_joined"):
                await a.join("t")
            with pytest.raises(ClientExists):
                await channel.client("a", "ann")
            assert await a.broadcast("t", "p", "named") is None
            message = await read(b, BroadcastMessage)
            assert (message.payload, message.event, message.sender) == ("p", "named", "a")
            assert {key: metas[0].meta for key, metas in b.presence("t").items()} == {"ann": "red", "bob": ""}
            a.send(Push("a", "t", "e", "q"))
            assert await read(a, PushMessage) == PushMessage("a", "t", "e", "q")
            with pytest.raises(InvalidEvent):
                a.send(Push("b", "t", "e", "q"))
            assert await a.leave("t") == "left"
            assert a.topics == ()
            taken = await channel.client("b", "bob", take_over=True)
            assert [message async for message in b] != []
            with pytest.raises(ClientClosed, match="another client took over"):
                await b.join("t")
            await taken.close()
            with pytest.raises(InboxEmpty):
                await a.receive(0)

    run(main)


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_hooks_are_awaited_one_event_at_a_time(run, runtime):
    async def main():
        async with (
            AsyncChannel(behaviours={"t": Slow}, runtime=runtime()) as channel,
            channel.client("a", "ann") as a,
            channel.client("b", "bob") as b,
        ):
            assert await a.join("t") == "joined"
            assert await read(a, PushMessage) == PushMessage("a", "t", "welcome", "ann")
            await b.join("t")
            for number in range(20):
                a.send(Broadcast("a", "t", f"m{number}"))
            assert [(await read(b, BroadcastMessage)).payload for _ in range(20)] == [f"M{number}" for number in range(20)]
            assert await a.push("t", "tick", "") == "set"
            assert (await read(a, BroadcastMessage)).payload == "M0"
            while (await read(a, BroadcastMessage)).payload != "tick":
                pass
            assert await a.leave("t") == "a may go"

    run(main)


@pytest.mark.parametrize("how", ["raise", "exit", "hang"])
@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_a_hook_that_fails_or_hangs_fails_its_topic_which_heals(run, how, runtime):
    async def main():
        options = {"event_timeout_s": 1.0 if how == "hang" else 20.0, "restarts": Restarts(tell_reason=True)}
        async with AsyncChannel(behaviours={"t": Slow}, runtime=runtime(), **options) as channel:
            async with channel.client("a", "ann") as a, channel.client("b", "bob", auto_rejoin=False) as b:
                await a.join("t")
                await b.join("t")
                with pytest.raises(Refused, match="topic_crashed"):
                    await a.broadcast("t", how)
                down, up = await read(b, TopicDown), await read(b, TopicUp)
                assert {"raise": "ValueError: planted", "exit": "SystemExit: 3", "hang": "TopicStuck"}[how] in down.reason
                assert (up.topic, b.topics) == ("t", ())
                await read(a, TopicUp)
                await read(a, PushMessage)  # it has come back by itself
                assert await b.join("t") == "joined"
            assert channel.abandoned_count == 0

    run(main)


@pytest.mark.parametrize(("how", "seconds"), [("raise", 0.0), ("exit", 0.0), ("hang", 3.0)])
def test_it_heals_at_once_or_where_its_time_is_over(how, seconds):
    with Simulation(1) as simulation:

        async def main():
            channel = simulation.async_channel(behaviours={"t": Slow}, event_timeout_s=3.0)
            async with channel, channel.client("a", "ann", auto_rejoin=False) as a:
                await a.join("t")
                with pytest.raises(Refused, match="topic_crashed"):
                    await a.broadcast("t", how)
                await read(a, TopicUp)
                return simulation.now_s

        assert simulation.loop.run_until_complete(main()) == seconds


class Stubborn(Behaviour):
    """Swallows its cancellation until it is released."""

    released = None

    async def on_broadcast(self, room, client_id, payload):
        while not Stubborn.released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                Stubborn.cancelled += 1
        try:
            room.broadcast("too late")
        except RoomMisused as error:
            Stubborn.error = str(error)


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_a_hook_that_swallows_its_cancellation_is_abandoned_and_can_not_speak(run, runtime):
    Stubborn.released, Stubborn.cancelled, Stubborn.error = threading.Event(), 0, ""

    async def main():
        options = {"event_timeout_s": 0.1, "crash_timeout_s": 0.1}
        async with AsyncChannel(behaviours={"t": Stubborn}, runtime=runtime(), **options) as channel:
            async with channel.client("a", "ann") as a:
                await a.join("t")
                with pytest.raises(Refused, match="topic_crashed"):
                    await a.broadcast("t", "p")
                while not channel.abandoned_count:
                    await asyncio.sleep(0.01)
                await read(a, TopicUp)
                while a.topics != ("t",):
                    await asyncio.sleep(0.01)
                Stubborn.released.set()
                while not Stubborn.error:
                    await asyncio.sleep(0.01)
                assert "outside of a hook" in Stubborn.error
                assert not [one for one in await a.receive_many(100) if isinstance(one, BroadcastMessage)]
            assert channel.abandoned_count == 1

    run(main)
    assert Stubborn.cancelled == 1


class Leaky(Behaviour):
    """Starts a task that outlives its hook."""

    async def on_broadcast(self, room, client_id, payload):
        Leaky.said, Leaky.done = [], concurrent.futures.Future()
        hook_is_over, has_spoken_twice = asyncio.Event(), asyncio.Event()

        async def leaked():
            for number in range(3):
                await (hook_is_over.wait() if number == 2 else asyncio.sleep(0))
                try:
                    room.broadcast("leaked")
                except RoomMisused as error:
                    Leaky.said.append(str(error))
                if number == 1:
                    has_spoken_twice.set()
            Leaky.done.set_result(None)

        loop = asyncio.get_running_loop()
        Leaky.task = loop.create_task(leaked())
        Leaky.end_hook = lambda: loop.call_soon_threadsafe(hook_is_over.set)
        await has_spoken_twice.wait()


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_a_task_that_a_hook_starts_can_not_speak_through_its_room(run, runtime):
    async def main():
        async with AsyncChannel(behaviours={"t": Leaky}, runtime=runtime()) as channel, channel.client("a", "ann") as a:
            await a.join("t")
            await a.broadcast("t", "p")
            Leaky.end_hook()
            await asyncio.wrap_future(Leaky.done)
            assert not [one for one in await a.receive_many(10) if isinstance(one, BroadcastMessage)]

    run(main)
    assert len(Leaky.said) == 3
    assert "by a task that the hook has started" in Leaky.said[0]
    assert "outside of a hook" in Leaky.said[2]


class Nested(Behaviour):
    """Calls its own channel from within a hook, and from a task."""

    async def on_push(self, room, client_id, event, payload):
        try:
            await CHANNEL[0].subscribers("t")
        except InsideActor as error:
            room.push(client_id, "inside", type(error).__name__)
        CHANNEL[0].tell(Broadcast(client_id, "t", "told inside"))

        async def ask():
            return await CHANNEL[0].subscribers("other")

        room.push(client_id, "outside", str(await asyncio.get_running_loop().create_task(ask())))


CHANNEL = []


@pytest.mark.parametrize("run", LOOPS)
def test_a_hook_is_inside_its_actor_and_a_task_of_its_own_is_not(run):
    async def main():
        async with AsyncChannel(behaviours={"t": Nested}) as channel, channel.client("a", "ann") as a:
            CHANNEL[:] = [channel]
            await a.join("t")
            await a.push("t", "e", "p")
            assert await read(a, PushMessage) == PushMessage("a", "t", "inside", "InsideActor")
            assert await read(a, PushMessage) == PushMessage("a", "t", "outside", "()")
            assert (await read(a, BroadcastMessage)).payload == "told inside"

    run(main)


class Burning(Behaviour):
    """Blocks the loop."""

    def on_broadcast(self, room, client_id, payload):
        end = threading.Event()
        end.wait(float(payload))
        room.broadcast(payload)


def test_a_plain_hook_that_blocks_the_loop_for_too_long_fails_its_topic_when_it_is_back():
    async def main():
        async with (
            AsyncChannel(behaviours={"t": Burning}, event_timeout_s=0.1) as channel,
            channel.client("a", "ann", auto_rejoin=False) as a,
        ):
            await a.join("t")
            await a.broadcast("t", "0.01")
            with pytest.raises(Refused, match="topic_crashed"):
                await a.broadcast("t", "0.15")
            assert [one.payload for one in await a.receive_many(10) if isinstance(one, BroadcastMessage)] == ["0.01"]
            assert a.topics == ()

    run_plain(main)


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_a_thousand_cancelled_waits_leak_nothing_and_lose_no_message(run, runtime):
    async def main():
        async with AsyncChannel(runtime=runtime()) as channel, channel.client("a", "ann") as a:
            await a.join("t")
            taken = [message async for message in _until_empty(a)]
            assert len(taken) == 1
            tasks = [asyncio.ensure_future(a.receive()) for _ in range(1000)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends)
            assert not a._session.inbox.waiters
            tasks = [asyncio.ensure_future(a.receive()) for _ in range(100)]
            await asyncio.sleep(0)
            for number in range(100):  # each is cancelled as a message comes
                channel.tell(Broadcast("a", "t", str(number)))
                tasks[number].cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            heard = [end.payload for end in ends if isinstance(end, BroadcastMessage)]
            while len(heard) < 100:
                heard.append((await a.receive(5)).payload)
            assert sorted(heard, key=int) == [str(number) for number in range(100)]
            assert len(a) == 0

    run(main)


async def _until_empty(client):
    while True:
        try:
            yield await client.receive(0)
        except InboxEmpty:
            return


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_a_call_that_is_cancelled_takes_effect_all_the_same(run, runtime):
    async def main():
        async with AsyncChannel(behaviours={"t": Slow}, runtime=runtime()) as channel:
            call = asyncio.ensure_future(channel.call(Join("a", "t", "u", 1)))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await channel.subscribers("t") == ("a",)

    run(main)


@pytest.mark.parametrize("run", LOOPS)
def test_a_wait_that_takes_too_long_ends(run):
    async def main():
        async with AsyncChannel(behaviours={"t": Slow}, event_timeout_s=0.3) as channel:
            await channel.call(Join("a", "t", "u", 1))
            with pytest.raises(ChannelTimeout):
                await channel.call(Broadcast("a", "t", "hang"), timeout_s=0.05)
            assert await channel.call(Leave("a", "t")) == (Reply("a", "t", "error", "not_joined"),)

    run(main)


def test_another_loop_or_thread_is_refused_by_name():
    channels = []

    async def first():
        channel = AsyncChannel()
        channels.append(channel)
        await channel.topics()
        raised = []

        def call():
            try:
                channel.tell(Join("a", "t", "u", 1))
            except WrongLoop as error:
                raised.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert "where no event loop runs" in raised[0]
        assert "tell_threadsafe" in raised[0]
        channel.tell_threadsafe(Join("a", "t", "u", 1))
        worker = threading.Thread(target=channel.tell_threadsafe, args=(Join("b", "t", "u", 1),))
        worker.start()
        worker.join()
        while await channel.subscribers("t") != ("a", "b"):
            await asyncio.sleep(0)
        with pytest.raises(InvalidEvent):
            channel.tell_threadsafe(Join("", "t", "u", 1))
        await channel.close()
        with pytest.raises(ChannelClosed):
            channel.tell_threadsafe(Join("c", "t", "u", 1))

    async def second():
        with pytest.raises(WrongLoop, match="by another event loop"):
            await channels[0].topics()

    asyncio.run(first())
    asyncio.run(second())
    unused = AsyncChannel()
    with pytest.raises(WrongLoop, match="before that: use it on its loop first"):
        unused.tell_threadsafe(Join("a", "t", "u", 1))
    asyncio.run(unused.close())


def test_what_a_loop_can_not_do_is_refused_by_name():
    with pytest.raises(InvalidOption, match="own_thread must be empty with the runtime Loop"):
        AsyncChannel(own_thread=("t",))
    with pytest.raises(InvalidOption, match="runtime must not be a Loop, which is for an AsyncChannel"):
        Channel(runtime=Loop())
    runtime = Loop()

    async def main():
        async with AsyncChannel(runtime=runtime):
            with pytest.raises(InsideActor, match="a blocking call waits"):
                runtime.future().get()

    asyncio.run(main())


def test_an_async_sink_is_given_each_topics_messages_one_at_a_time():
    for runtime in (Loop, Pool, Threads):
        heard, at_work = [], set()

        async def sink(message, heard=heard, at_work=at_work):
            topic = getattr(message, "topic", None)
            assert topic not in at_work
            at_work.add(topic)
            await asyncio.sleep(0.001)
            at_work.discard(topic)
            if isinstance(message, BroadcastMessage):
                if message.payload == "raise":
                    raise ValueError("planted")
                heard.append((topic, message.payload))

        async def main(sink=sink, runtime=runtime):
            async with AsyncChannel(on_outbound=sink, runtime=runtime()) as channel:
                for topic in ("x", "y"):
                    await channel.handle(Join("a", topic, "u", 1))
                for number in range(10):
                    channel.tell(Broadcast("a", "x", str(number)))
                    channel.tell(Broadcast("a", "y", str(number)))
                await channel.handle(Broadcast("a", "x", "raise"))
                await channel.handle(Broadcast("a", "y", "last"))
            assert [letter.why for letter in channel.dead_letters()] == ["undelivered"]

        asyncio.run(main())
        assert [payload for topic, payload in heard if topic == "x"] == [str(number) for number in range(10)]
        assert [payload for topic, payload in heard if topic == "y"] == [*map(str, range(10)), "last"]


def test_a_sink_that_hangs_is_given_up_with_its_topic():
    async def sink(message):
        if isinstance(message, BroadcastMessage):
            await asyncio.get_running_loop().create_future()

    async def main():
        async with AsyncChannel(on_outbound=sink, crash_timeout_s=0.1) as channel:
            await channel.handle(Join("a", "t", "u", 1))
            channel.tell(Broadcast("a", "t", "p"))
            await channel.handle(Crash("planted", "t"))
            await channel.handle(Restart("t"))
            assert channel.abandoned_count == 1

    asyncio.run(main())


UNCLOSED = """
import asyncio, gc, warnings
from lightspeed.channel import AsyncChannel, Behaviour, Broadcast, Join

class Hanging(Behaviour):
    async def on_broadcast(self, room, client_id, payload):
        await asyncio.get_running_loop().create_future()

async def main():
    channel = AsyncChannel(behaviours={"t": Hanging})
    await channel.handle(Join("a", "t", "u", 1))
    channel.tell(Broadcast("a", "t", "p"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    KEPT

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
gc.collect()
"""


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["pass", "globals().update(kept=channel)"])
def test_a_loop_that_ends_without_a_close_gives_a_resource_warning_and_no_other_noise(kept):
    program = UNCLOSED.replace("KEPT", kept)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, encoding="utf-8", timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("ResourceWarning: unclosed channel single_node") == 1
    assert "destroyed" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_channel_that_was_never_used_warns_and_harms_nobody():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AsyncChannel()
        gc.collect()
    assert [str(one.message) for one in caught] == ["unclosed channel single_node: close() it, or use it in a with statement"]


class Parting(Behaviour):
    async def on_stop(self, room):
        await asyncio.sleep(0.01)
        STOPPED.append(room.topic)
        if room.topic == "fails":
            raise ValueError("planted")
        if room.topic == "hangs":
            await asyncio.get_running_loop().create_future()


STOPPED = []


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_a_topic_that_stops_awaits_its_last_hook(runtime):
    STOPPED.clear()

    async def main():
        async with AsyncChannel(behaviours={"*": Parting}, runtime=runtime(), event_timeout_s=0.1) as channel:
            for topic in ("x", "y", "fails", "hangs"):
                await channel.handle(Join("a", topic, "u", 1))
            await channel.handle(Leave("a", "x"))
            assert STOPPED == ["x"]
        assert sorted(STOPPED) == ["fails", "hangs", "x", "y"]
        assert channel.abandoned_count == 1

    asyncio.run(main())


class Doorkeeper(Behaviour):
    async def on_join(self, room, client_id, user_id):
        await asyncio.sleep(0)
        if user_id == "mallory":
            room.refuse("not you")

    async def on_rejoin(self, room, client_id, user_id):
        await asyncio.sleep(0)
        if user_id == "bob":
            room.refuse("nor you, any more")


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_members_whom_the_supervisor_brings_back_are_asked_about_in_async_hooks_too(runtime):
    async def main():
        async with (
            AsyncChannel(behaviours={"t": Doorkeeper}, rejoin="supervisor", runtime=runtime()) as channel,
            channel.client("a", "ann") as a,
            channel.client("b", "bob") as b,
            channel.client("m", "mallory") as m,
        ):
            await a.join("t")
            await b.join("t")
            with pytest.raises(Refused, match="not you"):
                await m.join("t")
            await channel.handle(Crash("planted", "t"))
            await channel.handle(Restart("t"))
            assert await channel.subscribers("t") == ("a",)
            assert await read(b, Removed) == Removed("t", "nor you, any more")
            assert (a.topics, b.topics, m.topics) == (("t",), (), ())

    asyncio.run(main())


REQUEST = contextvars.ContextVar("request", default="none")
SEEN = []


class Looking(Behaviour):
    async def on_broadcast(self, room, client_id, payload):
        SEEN.append(REQUEST.get())
        REQUEST.set("the hook's own")

    def on_push(self, room, client_id, event, payload):
        SEEN.append(REQUEST.get())


def test_a_hook_sees_the_variables_of_the_channels_first_use_and_not_of_who_sends_an_event():
    async def request(channel, number):
        REQUEST.set(f"request {number}")
        await channel.handle(Broadcast("a", "t", "p"))
        await channel.handle(Push("a", "t", "e", "p"))
        assert REQUEST.get() == f"request {number}"

    async def main():
        REQUEST.set("the program's")
        async with AsyncChannel(behaviours={"t": Looking}) as channel:
            await channel.handle(Join("a", "t", "u", 1))
            await asyncio.gather(*(request(channel, number) for number in range(3)))

    asyncio.run(main())
    assert SEEN == ["the program's"] * 6


def test_a_client_is_opened_each_time_that_it_is_awaited():
    async def main():
        async with AsyncChannel() as channel:
            opening = channel.client("a", "ann")
            async with opening as client:
                with pytest.raises(ClientExists):
                    await opening
                assert await client.join("t") == "joined"
            again = await opening
            assert again.client_id == "a"
            await again.close()

    asyncio.run(main())
