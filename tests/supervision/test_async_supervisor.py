"""A supervisor as coroutines hold it: its verbs, its loop, and that loop's end."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import warnings

import pykka
import pytest
from awaited import awaited, forever

from lightspeed.actors import ActorPool, InForkedChild, PooledActor
from lightspeed.actors.errors import InvalidOption
from lightspeed.supervision import (
    AsyncSupervisor,
    AsyncSupervisorRef,
    Backoff,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildSpec,
    ChildStopped,
    RestartsExceeded,
    StartFailed,
    Supervisor,
    SupervisorStopped,
    SupervisorTimeout,
    WrongLoop,
    starting,
)

BACKOFF = Backoff(floor_s=100, cap_s=100, jitter=0)


async def fails():
    await asyncio.sleep(0)
    raise ValueError("planted")


async def never_up():
    with starting():
        await forever()


class Worker(PooledActor):
    def on_receive(self, message):
        return message() if callable(message) else message


@pytest.fixture
def workers():
    pool = ActorPool()
    yield pool
    assert pool.close(20) == []


# Verbs


@awaited
async def test_what_is_asked_of_a_supervisor_is_awaited_of_this_one():
    async with AsyncSupervisor([ChildSpec("a", forever)], intensity=5) as sup:
        first = await sup.wait_up("a")
        with pytest.raises(ChildAlreadyStarted):
            await sup.start_child(ChildSpec("a", forever))
        for verb in (sup.terminate_child, sup.restart_child, sup.delete_child, sup.which_child, sup.wait_up):
            with pytest.raises(ChildNotFound):
                await verb("b")
        await sup.terminate_child("a")
        with pytest.raises(ChildStopped):
            await sup.wait_up("a")
        assert await sup.restart_child("a") != first
        assert str(await sup.tree()) == "Supervisor [running] supervisor\n`- a [running] worker"
        await sup.terminate_child("a")
        await sup.delete_child("a")
        assert await sup.which_children() == []
        assert (await sup.count_children()).specs == 0
    with pytest.raises(SupervisorStopped):
        await sup.which_children()
    assert (await sup.wait_end()).kind == "normal"
    assert not await sup.stop()


@awaited
async def test_a_child_is_reached_by_its_address_before_and_after_its_end(workers):
    spec = ChildSpec("b", (Worker, (), {"pool": workers}))
    branch = ChildSpec("branch", (Supervisor, ([spec],), {"intensity": 5}))
    async with AsyncSupervisor([branch], intensity=5) as sup:
        address = sup.child("branch/b")
        assert await address.ask("hello") == "hello"
        first = await address.ref
        await address.tell(lambda: 1 / 0)
        with pytest.raises(pykka.ActorDeadError):
            await asyncio.to_thread(first.ask, "late")
        assert await address.ask("again") == "again"
        assert await address.wait_up() == await address.ref != first
        with pytest.raises(ChildNotFound):
            await sup.child("branch/c").ref
        with pytest.raises(ZeroDivisionError):
            await address.ask(lambda: 1 / 0)
        with pytest.raises(pykka.Timeout):
            await _stuck(address)
        await AsyncSupervisorRef(await sup.wait_up("branch")).terminate_child("b")
        with pytest.raises(pykka.ActorDeadError, match="child 'b' has no living actor"):
            await address.tell("hello")
        with pytest.raises(ChildStopped):
            await address.ask("hello")


async def _stuck(address):
    go_on = threading.Event()
    try:
        await address.ask(lambda: go_on.wait(20), timeout_s=0.05)
    finally:
        go_on.set()


@awaited
async def test_every_first_call_begins_it():
    calls = [lambda sup: sup.start(), lambda sup: sup.wait_up("a"), lambda sup: sup.which_child("a"), lambda sup: sup.tree()]
    calls += [lambda sup: sup.start_child(ChildSpec("b", forever)), lambda sup: sup.child("a").ref]
    for call in calls:
        sup = AsyncSupervisor([ChildSpec("a", forever)])
        await call(sup)
        assert (await sup.wait_up("a")).is_alive()
        assert await sup.start() is sup
        await sup.stop()
        with pytest.raises(SupervisorStopped):
            await sup.start()


def test_options_are_refused_where_it_is_made():
    for option, value in (("strategy", "none"), ("intensity", -1), ("children", ["a"])):
        with pytest.raises(InvalidOption, match=option):
            AsyncSupervisor(**{option: value})
    with pytest.raises(InvalidOption, match="ref must be a supervisor's"):
        AsyncSupervisorRef("ref")


@awaited
async def test_a_start_that_fails_stops_those_before_it():
    ended = []

    async def child():
        try:
            await forever()
        finally:
            ended.append("a")

    async def broken():
        raise OSError("no network")

    sup = AsyncSupervisor([ChildSpec("a", child), ChildSpec("b", broken), ChildSpec("c", child)])
    with pytest.raises(StartFailed, match="no network"):
        async with sup:
            raise AssertionError
    assert ended == ["a"]
    with pytest.raises(SupervisorStopped):
        await sup.start()


@awaited
async def test_a_start_that_is_cancelled_is_taken_back():
    ended = []

    async def child():
        try:
            await forever()
        finally:
            ended.append("a")

    async def main():
        async with AsyncSupervisor([ChildSpec("a", child), ChildSpec("b", never_up, shutdown_s=5)], start_timeout_s=60):
            raise AssertionError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await main()
    assert ended == ["a"]


# The end of the block


@awaited
async def test_the_block_raises_that_it_gave_up():
    with pytest.raises(RestartsExceeded) as caught:
        async with AsyncSupervisor([ChildSpec("a", fails)]) as sup:
            await sup.wait_end()
    assert str(caught.value.error) == "planted"


@awaited
async def test_what_the_block_itself_raises_goes_before():
    async def main():
        async with AsyncSupervisor([ChildSpec("a", fails)]) as sup:
            await sup.wait_end()
            raise KeyError

    with pytest.raises(KeyError):
        await main()


@awaited
async def test_what_the_block_raises_for_want_of_it_does_not():
    async def main():
        async with AsyncSupervisor([ChildSpec("a", fails)]) as sup:
            await sup.wait_end()
            await sup.which_children()

    with pytest.raises(RestartsExceeded) as caught:
        await main()
    assert isinstance(caught.value.__context__, SupervisorStopped)


@awaited
async def test_a_block_that_is_cancelled_stops_it():
    ended = []

    async def child():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            ended.append("a")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), AsyncSupervisor([ChildSpec("a", child)]):
            await forever()
    assert ended == ["a"]


@pytest.mark.parametrize("how", ["stopped", "shut down", "given up"])
@awaited
async def test_its_end_can_be_waited_for(how):
    go_on = asyncio.Event()

    async def child():
        await go_on.wait()
        if how == "given up":
            raise ValueError("planted")

    kind = "transient" if how == "shut down" else "permanent"
    spec = ChildSpec("a", child, kind=kind, significant=how == "shut down")
    sup = await AsyncSupervisor([spec], auto_shutdown="any_significant", intensity=0).start()
    waits = [asyncio.create_task(sup.wait_end()) for _ in range(2)]
    with pytest.raises(SupervisorTimeout, match=r"wait_end was not answered within 0\.01 s"):
        await sup.wait_end(timeout_s=0.01)
    await sup.stop() if how == "stopped" else go_on.set()
    reasons = [await wait for wait in waits]
    assert {reason.kind for reason in reasons} == {{"stopped": "normal", "shut down": "shutdown", "given up": "abnormal"}[how]}
    assert await sup.wait_end() == reasons[0]


# Calls that are cancelled, or take too long


CALLS = {
    "start": lambda sup: sup.start(),
    "start_child": lambda sup: sup.start_child(ChildSpec("c", never_up, kind="temporary")),
    "terminate_child": lambda sup: sup.terminate_child("slow"),
    "restart_child": lambda sup: sup.restart_child("stopped"),
    "delete_child": lambda sup: sup.delete_child("slow"),
    "wait_up": lambda sup: sup.wait_up("waits"),
    "wait_end": lambda sup: sup.wait_end(),
    "stop": lambda sup: sup.stop(),
    "which_child": lambda sup: sup.which_child("slow"),
    "which_children": lambda sup: sup.which_children(),
    "count_children": lambda sup: sup.count_children(),
    "tree": lambda sup: sup.tree(),
    "tell_all": lambda sup: sup.tell_all("hello"),
    "address": lambda sup: sup.child("waits").wait_up(),
    "ref": lambda sup: sup.child("slow").ref,
    "ask": lambda sup: sup.child("waits").ask("hello"),
}


@pytest.mark.parametrize("call", CALLS)
@awaited
async def test_a_call_that_is_cancelled_leaves_nothing_behind_and_all_goes_on(call):
    async def slow():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.02)

    specs = [ChildSpec("slow", slow), ChildSpec("waits", fails), ChildSpec("stopped", forever)]
    sup = AsyncSupervisor(specs, backoff=BACKOFF)
    await sup.start()
    while (await sup.which_child("waits")).phase != "restarting":
        await asyncio.sleep(0)
    await sup.terminate_child("stopped")
    for _ in range(2):  # before its first step, and behind it
        for steps in range(4):
            task = asyncio.create_task(CALLS[call](sup))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
    if call != "stop":
        assert (await sup.which_child("waits")).phase == "restarting"
        supervisor = sup.ref._actor
        assert supervisor._lanes._beside == {}
        assert sum(callable(watcher) for watcher in supervisor._lifecycle_exit) == 0
    await sup.stop()


@pytest.mark.parametrize("call", ["wait_up", "start_child", "stop"])
@awaited
async def test_one_that_is_not_answered_in_time_raises_and_takes_effect_all_the_same(call):
    async def slow():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.05)

    calls = {
        "wait_up": lambda: sup.wait_up("waits", timeout_s=0.01),
        "start_child": lambda: sup.start_child(ChildSpec("c", never_up), timeout_s=0.01),
        "stop": lambda: sup.stop(timeout_s=0.01),
    }
    sup = await AsyncSupervisor([ChildSpec("waits", fails), ChildSpec("slow", slow)], backoff=BACKOFF).start()
    while (await sup.which_child("waits")).phase != "restarting":
        await asyncio.sleep(0)
    with pytest.raises(SupervisorTimeout, match=f"{call} was not answered within 0.01 s"):
        await calls[call]()
    if call != "stop":
        assert ("c" in {view.id for view in await sup.which_children()}) == (call == "start_child")
        await sup.stop()
    assert (await sup.wait_end()).kind == "normal"
    for timeout_s in (0, -1, "soon"):
        with pytest.raises(InvalidOption, match="timeout_s"):
            await sup.wait_up("a", timeout_s=timeout_s)


# Where it is called


def test_another_loop_another_thread_and_no_loop_are_refused_by_name():
    found = []

    async def main():
        async with AsyncSupervisor([ChildSpec("a", forever)]) as sup:
            found.append(sup)
            await asyncio.to_thread(elsewhere, sup)

    def elsewhere(sup):
        for call in (sup.which_children, sup.stop, lambda: sup.start_child(ChildSpec("b", forever)), sup.start):
            with pytest.raises(WrongLoop, match="the event loop of its first use, and was called by another event loop"):
                asyncio.run(_awaits(call))
        coroutine = sup.which_children()
        with pytest.raises(WrongLoop, match="called where no event loop runs"):
            coroutine.send(None)
        assert sup.ref.count_children().specs == 1  # its reference is for other threads

    asyncio.run(main())
    with pytest.raises(SupervisorStopped):
        asyncio.run(_awaits(found[0].which_children))


async def _awaits(call):
    await call()


def test_of_one_that_was_stopped_before_its_loop_was_closed_all_is_as_before():
    async def main():
        async with AsyncSupervisor([ChildSpec("a", forever)]) as sup:
            return sup

    sup = asyncio.run(main())
    for call in (sup.ref.which_children, sup.ref.tree, lambda: sup.ref.wait_up("a")):
        with pytest.raises(SupervisorStopped):
            call()
    assert not sup.ref.stop()
    assert sup.ref.wait_end().kind == "normal"


def test_what_is_for_other_threads_needs_a_loop_too():
    with pytest.raises(WrongLoop, match="called before that"):
        AsyncSupervisor([ChildSpec("a", forever)]).ref.which_children()


@awaited
async def test_on_its_own_thread_a_call_of_its_reference_that_would_wait_is_refused():
    async with AsyncSupervisor([ChildSpec("a", forever)]) as sup:
        for call in (sup.ref.which_children, sup.ref.stop, lambda: sup.ref.wait_up("a")):
            with pytest.raises(RuntimeError, match="await"):
                call()


@awaited
async def test_actors_on_threads_may_ask_it_by_its_reference_and_are_refused_what_would_wait_for_themselves(workers):
    async with AsyncSupervisor([ChildSpec("a", forever), ChildSpec("b", (Worker, (), {"pool": workers}))]) as sup:
        ref, worker = sup.ref, sup.child("b")
        assert await worker.ask(lambda: ref.count_children().specs) == 2
        assert await worker.ask(lambda: ref.terminate_child("a")) is None
        for call in (ref.stop, ref.wait_end, lambda: ref.terminate_child("b")):
            with pytest.raises(RuntimeError, match="waits"):
                await worker.ask(call)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_in_a_forked_child_it_is_refused_by_name():
    async def main():
        async with AsyncSupervisor([ChildSpec("a", forever)]) as sup:
            child = os.fork()
            if child == 0:
                try:
                    with pytest.raises(InForkedChild):
                        sup.which_children().send(None)
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    asyncio.run(main())


# The end of its loop

HEAD = """
import asyncio, gc, sys, threading, warnings
import pykka
from lightspeed.actors import Supervisable
from lightspeed.supervision import *

def say(line):
    print(line + "\\n", end="", flush=True)  # in one piece, whatever another thread prints

class Blocker(Supervisable, pykka.ThreadingActor):
    def on_stop(self):
        say("the thread was stopped")

begun = []

async def poll(name):
    begun.append(name)
    try:
        await asyncio.sleep(1000)
    finally:
        say(f"{name} ends")

async def cleans_up(name):
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0.01)
        say(f"{name} has cleaned up")

CHILDREN = [ChildSpec("a", (poll, ("a",), {})), ChildSpec("b", (cleans_up, ("b",), {})), ChildSpec("thread", Blocker)]
"""

LEFT = {
    "on the loop": """
async def main():
    global sup
    sup = await AsyncSupervisor(CHILDREN).start()

asyncio.run(main())
say(f"{begun} {sup.ref.is_alive()} {threading.active_count() - 1}")
""",
    "on threads": """
async def main():
    global sup
    sup = await asyncio.to_thread(Supervisor.start, CHILDREN, loop=asyncio.get_running_loop())

asyncio.run(main())
say(f"{begun} {sup.is_alive()} {len([one for one in threading.enumerate() if 'Blocker' in one.name])}")
""",
}


def run(program):
    command = [sys.executable, "-W", "default", "-c", HEAD + program]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("where", LEFT)
def test_one_that_is_left_to_the_end_of_its_loop_ends_in_good_order_and_is_complained_of(where):
    done = run(LEFT[where])
    *ends, last = done.stdout.splitlines()
    assert sorted(ends) == ["a ends", "b has cleaned up", "the thread was stopped"]
    assert last == "['a'] False 0"
    assert done.stderr.count("\n") == 2  # the warning and its line
    assert "ResourceWarning: a supervisor was not stopped before its event loop ended" in done.stderr


CLOSED = """
loop = asyncio.new_event_loop()
sup = AsyncSupervisor([CHILDREN[0], CHILDREN[2]])
loop.run_until_complete(sup.start())
loop.close()
say(f"{threading.active_count()} threads")

async def later():
    for call in (sup.which_children, sup.stop, sup.wait_end, lambda: sup.wait_up("a")):
        try:
            await call()
        except SupervisorStopped as error:
            say(type(error).__name__)

asyncio.run(later())
threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
[thread.join(10) for thread in threads]
say(f"{sup.ref.is_alive()} {threading.active_count()} thread")
"""


def test_one_whose_loop_was_closed_refuses_later_calls_ends_its_threads_and_is_complained_of():
    done = run(CLOSED)
    assert sorted(done.stdout.splitlines()) == sorted(
        ["2 threads", *["SupervisorStopped"] * 4, "the thread was stopped", "False 1 thread", "a ends"]
    )
    assert "ResourceWarning: an AsyncSupervisor was never stopped" in done.stderr
    assert done.stderr.count("\n") == 2


FORGOTTEN = """
async def main():
    await AsyncSupervisor(CHILDREN).start()
    gc.collect()
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.01)
    say(f"{begun} {threading.active_count() - 1}")

asyncio.run(main())
"""


def test_one_that_is_forgotten_stops_and_is_complained_of():
    done = run(FORGOTTEN)
    assert sorted(done.stdout.splitlines()) == ["['a'] 0", "a ends", "b has cleaned up", "the thread was stopped"]
    assert "ResourceWarning: an AsyncSupervisor was never stopped" in done.stderr
    assert done.stderr.count("\n") == 2


CLOSED_BELOW = """
from contextlib import suppress
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
tasks = [ChildSpec(number, (poll, (number,), {})) for number in range(100)]
sup = Supervisor.start([CHILDREN[2], *tasks], loop=loop)
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()
try:
    sup.start_child(ChildSpec("late", (poll, ("late",), {})))
except StartFailed as error:
    say(str(error))
import time
began_s = time.monotonic()
sup.stop()
say(str(time.monotonic() - began_s < 5))
"""


def test_a_supervisor_on_threads_whose_loop_was_closed_stops_at_once():
    done = run(CLOSED_BELOW)
    lines = [line for line in done.stdout.splitlines() if "ends" not in line]
    assert lines == ["child 'late' could not be started: LoopClosed: the event loop is closed", "the thread was stopped", "True"]
    assert done.stderr == ""


@awaited
async def test_one_that_is_dropped_before_its_first_use_is_nobodys_affair():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AsyncSupervisor([ChildSpec("a", forever)])
        gc.collect()
