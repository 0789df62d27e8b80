"""What waits for a client of a channel on an event loop: readers who are cancelled, told late, told from another thread."""

import asyncio
import random
import sys
import threading
from collections import deque
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loops import LOOPS, LOOPS_AND_RUNTIMES, run_plain

from lightspeed.actors.topics.rules.outbound import PushMessage
from lightspeed.channel import AsyncChannel, Behaviour, ClientClosed, Inbox, InboxEmpty, InsideActor, Lagged, Pool, WrongLoop
from lightspeed.clients.inbox import InboxQueue, OneThreadInbox, put_all

ALL = 10**9


def push(payload):
    return PushMessage("c", "t", "e", str(payload))


@contextmanager
def short_turns():
    """Threads take turns often, so that they meet in the middle of more things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def client(channel, name="c", **options):
    return await channel.client(name, "user", inbox=Inbox(**options))


async def tick(times=1):
    for _ in range(times):
        await asyncio.sleep(0)


def in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


async def first(task):
    return (await asyncio.wait_for(task, 20)).payload


# Readers who are cancelled at any moment


class Crowd:
    """Readers of one client, who read in each way, and are cancelled; what each took in order."""

    def __init__(self, client, chance, total):
        self.client, self.chance, self.total = client, chance, total
        self.taken, self.tasks = [], []
        self.has_all = asyncio.Event()

    def begin(self):
        taken = []
        self.taken.append(taken)
        self.tasks.append(asyncio.ensure_future(self._read(taken, self.chance.randrange(4))))

    async def _read(self, taken, way):
        while True:
            try:
                if way == 0:
                    taken.append(await self.client.receive())
                elif way == 1:
                    taken += await self.client.receive_many(3)
                elif way == 2:
                    taken.append(await self.client.receive(0.001))
                else:
                    taken += [await anext(self.client)]
            except InboxEmpty:
                pass
            if sum(map(len, self.taken)) == self.total:
                self.has_all.set()

    def cancel_one(self):
        task = self.tasks.pop(self.chance.randrange(len(self.tasks)))
        task.cancel()
        return task

    async def check(self):
        """Nobody sleeps while a message is there, and each message was taken once, by each reader in order."""
        await asyncio.wait_for(self.has_all.wait(), 20)
        numbers = [[int(message.payload) for message in taken] for taken in self.taken]
        assert all(one == sorted(one) for one in numbers)
        assert sorted(number for one in numbers for number in one) == list(range(self.total))
        assert len(self.client) == 0
        tasks = [self.cancel_one() for _ in range(len(self.tasks))]
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not self.client._session.inbox.waiters


@pytest.mark.parametrize("run", LOOPS)
@pytest.mark.parametrize("seed", range(5))
def test_whoever_is_cancelled_among_puts_takes_no_message_with_him(run, seed):
    async def main():
        async with AsyncChannel() as channel:
            c, chance, total = await client(channel), random.Random(seed), 200
            crowd, cancelled = Crowd(c, chance, total), []
            crowd.begin()
            put = 0
            while put < total:
                what = chance.randrange(4)
                if what == 0:
                    for _ in range(min(chance.randrange(1, 5), total - put)):
                        c._session.inbox.put(push(put))
                        put += 1
                elif what == 1:
                    crowd.begin()
                elif what == 2 and len(crowd.tasks) > 1:
                    cancelled.append(crowd.cancel_one())
                else:
                    await tick(chance.randrange(3))
            await crowd.check()
            assert all(task.cancelled() for task in cancelled)

    run(main)


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [None, 10**9])
@pytest.mark.parametrize("seed", range(3))
def test_nor_where_another_thread_puts(seed, max_bytes):
    async def main():
        async with AsyncChannel(runtime=Pool()) as channel:
            c, chance, total = await client(channel, max_messages=ALL, max_bytes=max_bytes), random.Random(seed), 2_000
            crowd = Crowd(c, chance, total)
            crowd.begin()

            def put():
                for number in range(total):
                    c._session.inbox.put(push(number))

            thread = threading.Thread(target=put)
            thread.start()
            while thread.is_alive():
                crowd.begin()
                await tick(chance.randrange(2))
                if chance.randrange(5):
                    crowd.cancel_one()
                    crowd.begin()
            thread.join()
            await crowd.check()

    with short_turns():
        run_plain(main)


@pytest.mark.parametrize(("run", "runtime"), LOOPS_AND_RUNTIMES)
def test_the_turn_of_a_reader_who_was_told_and_is_cancelled_is_anothers(run, runtime):
    async def main():
        async with AsyncChannel(runtime=runtime()) as channel:
            c = await client(channel)
            told, other = (asyncio.ensure_future(c.receive()) for _ in range(2))
            await tick()
            c._session.inbox.put(push(1))
            told.cancel()
            assert await first(other) == "1"
            assert told.cancelled()

    run(main)


def test_nor_is_it_lost_where_another_thread_has_told_him():
    async def main():
        async with AsyncChannel(runtime=Pool()) as channel:
            c = await client(channel)
            told, other = (asyncio.ensure_future(c.receive()) for _ in range(2))
            await tick()
            in_thread(lambda: c._session.inbox.put(push(1)))
            told.cancel()
            assert await first(other) == "1"

    run_plain(main)


@pytest.mark.parametrize("run", LOOPS)
def test_a_message_that_comes_as_the_time_of_its_reader_is_over_is_read_or_stays(run):
    async def main():
        async with AsyncChannel() as channel:
            c = await client(channel)
            reader = asyncio.ensure_future(c.receive(0.001))
            await tick()
            (waiter,) = c._session.inbox.waiters
            waiter.set_result(False)  # as its timer does
            c._session.inbox.put(push(1))
            assert await first(reader) == "1"
            with pytest.raises(InboxEmpty, match=r"0\.001 s"):
                await c.receive(0.001)
            assert not c._session.inbox.waiters

    run(main)


class Late(deque):
    """A line of readers in which, as one is about to stand, something happens that he has looked too early for."""

    def __init__(self, happens):
        super().__init__()
        self.happens = happens

    def append(self, waiter):
        self.happens()
        super().append(waiter)


def test_what_comes_before_a_reader_stands_in_the_line_is_seen_by_him():
    async def main():
        async with AsyncChannel(runtime=Pool()) as channel:
            c = await client(channel)
            inbox = c._session.inbox
            inbox.waiters = Late(lambda: inbox.put(push(1)))
            assert await first(asyncio.ensure_future(c.receive())) == "1"
            inbox.waiters = Late(lambda: inbox.close("it was over"))
            with pytest.raises(ClientClosed):
                await asyncio.wait_for(c.receive(), 20)
            assert not inbox.waiters

    run_plain(main)


def test_a_reader_that_is_dropped_stands_in_the_line_no_more():
    async def main():
        async with AsyncChannel() as channel:
            c = await client(channel)
            for timeout_s in (None, 5.0):
                reader = c.receive(timeout_s)
                reader.send(None)
                assert len(c._session.inbox.waiters) == 1
                reader.close()
                assert not c._session.inbox.waiters

    run_plain(main)


# Who is told, and how


@pytest.mark.parametrize("runtime", [None, Pool])
def test_what_is_there_is_read_without_a_wait(runtime):
    async def main():
        async with AsyncChannel(runtime=runtime and runtime()) as channel:
            c = await client(channel)
            for number in range(6):
                c._session.inbox.put(push(number))
            for read, payloads in ((c.receive(), "0"), (c.receive(0), "1"), (anext(c), "2"), (c.receive_many(2), "34")):
                with pytest.raises(StopIteration) as end:
                    read.send(None)
                taken = end.value.value
                assert "".join(one.payload for one in (taken if isinstance(taken, list) else [taken])) == payloads
            assert [one.payload for one in await c.receive_many(9)] == ["5"]

    run_plain(main)


@pytest.mark.parametrize("run", LOOPS)
def test_who_waited_for_many_gets_all_that_came_meanwhile(run):
    async def main():
        async with AsyncChannel() as channel:
            c = await client(channel, max_messages=3)
            reader = asyncio.ensure_future(c.receive_many(3))
            await tick()
            for number in range(5):
                c._session.inbox.put(push(number))
            assert await reader == [Lagged(2), push(2), push(3)]
            assert await c.receive_many(3) == [push(4)]

    run(main)


@pytest.mark.slow
def test_a_message_from_another_thread_to_many_who_wait_wakes_the_loop_once():
    async def main():
        async with AsyncChannel(runtime=Pool()) as channel:
            clients = [await client(channel, str(number)) for number in range(100)]
            readers = [asyncio.ensure_future(c.receive()) for c in clients]
            await tick()
            loop, rung = asyncio.get_running_loop(), []
            ring = loop.call_soon_threadsafe
            loop.call_soon_threadsafe = lambda *args, **options: rung.append(args) or ring(*args, **options)
            try:
                in_thread(lambda: put_all([c._session.inbox for c in clients], push("to all")))
                assert [await first(reader) for reader in readers] == ["to all"] * 100
            finally:
                del loop.call_soon_threadsafe
            assert len(rung) == 1

    run_plain(main)


@pytest.mark.parametrize("runtime", [None, Pool])
@pytest.mark.parametrize("by_thread", [False, True])
def test_all_who_wait_are_told_of_the_end_and_what_is_left_is_read_first(runtime, by_thread):
    async def main():
        asyncio.get_running_loop().set_debug(True)  # so it sees whether another thread calls it as its own does
        async with AsyncChannel(runtime=runtime and runtime()) as channel:
            c = await client(channel)
            readers = [asyncio.ensure_future(c.receive(timeout_s)) for timeout_s in (None, None, 5.0)]
            await tick()
            for payload in (1, 2):
                c._session.inbox.put(push(payload))

            def close():
                c._session.inbox.close("it was over")

            in_thread(close) if by_thread else close()
            ends = await asyncio.gather(*readers, return_exceptions=True)
            assert [one.payload for one in ends[:2]] == ["1", "2"]
            assert isinstance(ends[2], ClientClosed)
            for read in (c.receive(), c.receive(0), c.receive_many(3)):
                with pytest.raises(ClientClosed, match="it was over"):
                    await read
            assert [message async for message in c] == []
            assert not c._session.inbox.waiters

    run_plain(main)


def test_many_are_read_of_a_client_that_is_closed_with_one_message_left():
    async def main():
        async with AsyncChannel() as channel:
            c = await client(channel)
            c._session.inbox.put(push(1))
            c._session.inbox.close("it was over")
            assert await c.receive_many(5) == [push(1)]

    run_plain(main)


def test_another_thread_is_refused_whether_a_message_is_there_or_not():
    async def main():
        async with AsyncChannel() as channel:
            c = await client(channel)
            for _ in range(2):
                with pytest.raises(WrongLoop):
                    await asyncio.to_thread(lambda: asyncio.run(c.receive()))
                c._session.inbox.put(push(1))
            assert await c.receive() == push(1)

    run_plain(main)


@pytest.mark.parametrize("runtime", [None, Pool])
def test_a_wait_inside_a_hook_is_refused(runtime):
    clients, raised = [], []

    class Reads(Behaviour):
        def on_push(self, room, client_id, event, payload):
            reader = clients[0].receive()
            try:
                reader.send(None)
            except (InsideActor, WrongLoop) as error:
                raised.append(type(error))

    async def main():
        async with AsyncChannel(behaviours={"t": Reads}, runtime=runtime and runtime()) as channel:
            clients.append(await client(channel))
            await clients[0].join("t")
            await clients[0].receive_many(5)
            await clients[0].push("t", "read", "")

    run_plain(main)
    assert raised == [InsideActor if runtime is None else WrongLoop]


# An inbox of one thread


@pytest.mark.slow
@given(st.data())
def test_an_inbox_of_one_thread_gives_what_any_other_gives(data):
    options = Inbox(
        max_messages=data.draw(st.integers(1, 4)),
        max_bytes=data.draw(st.sampled_from([None, 150, 300])),
        overflow=data.draw(st.sampled_from(["drop_oldest", "drop_newest", "latest", "close"])),
    )
    inboxes = [kind(options, None, None, lambda: None) for kind in (InboxQueue, OneThreadInbox)]
    for number, most in enumerate(data.draw(st.lists(st.integers(0, 3), max_size=20))):
        outcomes = []
        for inbox in inboxes:
            taken = []
            if most == 0:
                inbox.put(push("x" * number * 10))
            elif number == 15:
                inbox.close("it was over")
            try:
                outcomes.append(
                    (most and inbox.take_now(taken, most), taken, len(inbox), inbox.dropped, inbox._bytes, inbox._gaps)
                )
            except ClientClosed as error:
                outcomes.append(error.why)
        assert outcomes[0] == outcomes[1]
