"""Tasks as children: what they are given as, when they are up, how they end. What holds for all children, the other files say."""

import asyncio
import contextvars
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import contextmanager
from unittest.mock import AsyncMock

import pykka
import pytest
from awaited import awaited, forever
from stage import Ear

from lightspeed.actors import ActorPool, Ignore, InsideActor, NotSupervisable, PooledActor, Shutdown, Supervisable, watch
from lightspeed.actors.context import asker, current_actor
from lightspeed.actors.errors import InvalidOption, LoopClosed, StartTimeout
from lightspeed.actors.ref import PooledRef
from lightspeed.actors.stopping import give_up
from lightspeed.actors.tasks import TaskActor, TaskPool
from lightspeed.supervision import (
    AlreadyUp,
    AsyncSupervisor,
    AsyncSupervisorRef,
    Backoff,
    ChildSpec,
    ChildStopped,
    RestartsExceeded,
    StartFailed,
    Supervisor,
    SupervisorTimeout,
    starting,
)
from lightspeed.testing import Simulation


@pytest.fixture
def pool():
    """Of supervisors, where they are not on the loop."""
    pool = ActorPool()
    yield pool
    assert pool.close(20) == []


@pytest.fixture
def workers():
    pool = ActorPool()
    yield pool
    assert pool.close(20) == []


class Log(list):
    """What happened; a coroutine may wait for an entry."""

    def __init__(self):
        super().__init__()
        self._changed = asyncio.Event()

    def add(self, entry):
        self.append(entry)
        self._changed.set()

    async def wait_for(self, entry, count=1):
        while self.count(entry) < count:
            self._changed.clear()
            await self._changed.wait()


async def poll(log, name="poll"):
    log.add(("begins", name))
    try:
        await forever()
    finally:
        log.add(("ends", name))


def ear_of(ref):
    ear = Ear()
    watch(ref, ear)
    return ear


async def reason_of(sup, child_id):
    """Why the child ended: it is watched from here on."""
    told = asyncio.get_running_loop().create_future()
    watch((await sup.which_child(child_id)).ref, lambda down: told.set_result(down.reason))
    return await told


# What it is given as


@awaited
async def test_it_is_given_as_a_function_with_arguments_or_as_a_call_that_gives_a_coroutine():
    log = Log()

    class Poller:
        async def __call__(self):
            await poll(log, "object")

        async def run(self):
            await poll(log, "method")

    starts = {
        "function and arguments": (poll, (log,), {"name": "tuple"}),
        "partial": functools.partial(poll, log, "partial"),
        "lambda": lambda: poll(log, "lambda"),
        "object": Poller(),
        "method": Poller().run,
        "function": forever,
        "mock": AsyncMock(side_effect=forever),
    }
    async with AsyncSupervisor([ChildSpec(*start) for start in starts.items()]) as sup:
        assert {view.phase for view in await sup.which_children()} == {"running"}
        assert {name for _, name in log} == {"tuple", "partial", "lambda", "object", "method"}
        task = (await sup.which_child("function")).ref
        assert str(task.actor_urn) == "forever"
        await sup.terminate_child("function")
        assert await sup.restart_child("function") != task
    assert len(log) == 10


async def generates():
    yield


class Foreign(Coroutine):
    """A coroutine that is none of Python's own."""

    def __init__(self):
        self.steps, self.is_closed = 0, False

    def send(self, _value):
        self.steps += 1
        raise StopIteration

    def throw(self, *error):
        raise error[0]

    def close(self):
        self.is_closed = True

    def __await__(self):
        return self


@awaited
async def test_one_that_is_given_up_before_its_first_step_never_begins_whatever_kind_of_coroutine_it_is():
    pool, foreign = TaskPool(asyncio.get_running_loop()), Foreign()
    ref = PooledRef(TaskActor._pooled_start(pool, foreign))
    give_up(ref)
    await asyncio.sleep(0.0)
    assert (foreign.steps, foreign.is_closed, ref.is_alive()) == (0, True, False)


WHAT_IS_NO_TASK = {"generator": lambda: (yield), "async_generator": generates, "Future": lambda: asyncio.Future()}


@awaited
async def test_what_is_no_task_and_no_actor_is_refused_by_name():
    async with AsyncSupervisor() as sup:
        for name, start in WHAT_IS_NO_TASK.items():
            with pytest.raises(StartFailed, match=name) as caught:
                await sup.start_child(ChildSpec("a", start))
            assert isinstance(caught.value.error, NotSupervisable)
        with pytest.raises(StartFailed, match="missing 1 required positional argument"):
            await sup.start_child(ChildSpec("a", poll))
        assert await sup.which_children() == []
    for start in ((forever, ()), ("forever", (), {}), forever()):
        with pytest.raises(InvalidOption, match="async function"):
            ChildSpec("a", start)
    start.close()


def test_without_a_loop_a_supervisor_can_have_none(pool):
    with pytest.raises(StartFailed) as caught:
        Supervisor.start([ChildSpec("a", forever)], pool=pool)
    assert isinstance(caught.value.error, InvalidOption)
    assert "use AsyncSupervisor, or give the option loop" in str(caught.value)


@pytest.mark.parametrize("loop", ["loop", asyncio, asyncio.SelectorEventLoop])
def test_a_loop_that_is_none_is_refused_by_name(loop):
    with pytest.raises(InvalidOption, match="loop must be an event loop of asyncio"):
        Supervisor.start(loop=loop)


# When it is up


@awaited
async def test_it_is_up_when_its_first_step_is_taken():
    log = Log()

    async def child():
        log.add("first step")
        await forever()

    async with AsyncSupervisor([ChildSpec("a", child)]) as sup:
        assert log == ["first step"]
        assert (await sup.wait_up("a")).is_alive()


@awaited
async def test_the_next_one_starts_when_the_block_of_starting_is_left():
    log, go_on = Log(), asyncio.Event()

    async def child(name):
        with starting():
            log.add(name)
            await go_on.wait()
        log.add(f"{name} is up")
        await forever()

    sup = AsyncSupervisor([ChildSpec(name, (child, (name,), {})) for name in "ab"])
    begun = asyncio.create_task(sup.start())
    await log.wait_for("a")
    assert [view.phase for view in await sup.which_children()] == ["starting"]
    assert not begun.done()
    go_on.set()
    assert await begun is sup
    assert log[:3] == ["a", "a is up", "b"]
    assert await sup.stop()


@pytest.mark.parametrize("in_block", [True, False])
@awaited
async def test_what_it_raises_before_that_is_a_failed_start(in_block):
    async def child():
        if in_block:
            with starting():
                await asyncio.sleep(0)
                raise OSError("no network")
        raise OSError("no network")

    async with AsyncSupervisor() as sup:
        with pytest.raises(StartFailed, match="no network"):
            await sup.start_child(ChildSpec("a", child))
        assert await sup.which_children() == []


@awaited
async def test_a_start_may_be_tried_again_by_the_task_itself():
    tries = []

    async def child():
        while True:
            try:
                with starting():
                    await asyncio.sleep(0)
                    tries.append(1)
                    if len(tries) < 3:
                        raise OSError
                    break
            except OSError:
                assert (await sup.which_child("a")).phase == "starting"
        await forever()

    async with AsyncSupervisor() as sup:
        assert (await sup.start_child(ChildSpec("a", child))).is_alive()
        assert len(tries) == 3


@awaited
async def test_a_start_that_takes_too_long_is_abandoned():
    async def child():
        with starting():
            await forever()

    async with AsyncSupervisor(start_timeout_s=0.01) as sup:
        with pytest.raises(StartFailed) as caught:
            await sup.start_child(ChildSpec("a", child))
        assert isinstance(caught.value.error, StartTimeout)
        assert (await sup.count_children()).abandoned == 1


@awaited
async def test_one_that_says_too_late_that_it_starts_is_told_so():
    async def child():
        await asyncio.sleep(0)
        with starting():
            pass

    async with AsyncSupervisor([ChildSpec("a", child, kind="temporary")]) as sup:
        assert isinstance((await reason_of(sup, "a")).error, AlreadyUp)


@awaited
async def test_outside_of_a_supervised_task_starting_does_nothing():
    with starting():
        await asyncio.sleep(0)

    async def part():
        with starting():
            await asyncio.sleep(0)

    async def child():
        await asyncio.create_task(part())
        await part_of_it.wait()

    part_of_it = asyncio.Event()
    async with AsyncSupervisor([ChildSpec("a", child)]):
        part_of_it.set()


@awaited
async def test_one_that_is_not_needed_says_so_in_its_start():
    async def child():
        raise Ignore

    async with AsyncSupervisor([ChildSpec("a", child)]) as sup:
        assert (await sup.which_child("a")).phase == "stopped"
        with pytest.raises(ChildStopped):
            await sup.wait_up("a")


@awaited
async def test_it_has_the_variables_of_the_supervisors_first_use():
    variable, seen = contextvars.ContextVar("variable", default="none"), []

    async def child(name):
        seen.append((name, variable.get()))
        variable.set(f"set by {name}")
        await forever()

    variable.set("first use")
    async with AsyncSupervisor([ChildSpec("a", (child, ("a",), {}))]) as sup:
        variable.set("later")
        await sup.start_child(ChildSpec("b", (child, ("b",), {})))
    assert seen == [("a", "first use"), ("b", "first use")]
    assert variable.get() == "later"


# How it ends

ENDS = {
    "returns": ("normal", None),
    "raises": ("abnormal", ValueError("planted")),
    "shuts down": ("shutdown", Shutdown("done")),
    "exits": ("abnormal", SystemExit(3)),
    "is cancelled": ("shutdown", None),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("kind", ["permanent", "transient", "temporary"])
@awaited
async def test_the_end_of_a_task_has_its_reason_and_the_supervisor_does_what_it_does_for_actors(how, kind):
    expected, error = ENDS[how]
    go_on, tasks = asyncio.Event(), []

    async def child():
        tasks.append(asyncio.current_task())
        if len(tasks) > 1:
            await forever()
        await go_on.wait()
        if error is not None:
            raise error

    async with AsyncSupervisor([ChildSpec("a", child, kind=kind), ChildSpec("other", forever)]) as sup:
        reason = asyncio.create_task(reason_of(sup, "a"))
        await asyncio.sleep(0)
        tasks[0].cancel() if how == "is cancelled" else go_on.set()
        reason = await reason
        assert (reason.kind, reason.error if error is not None else None) == (expected, error)
        if how == "is cancelled":
            assert str(reason.error) == "shutdown: it was cancelled"
        is_restarted = kind == "permanent" or (kind == "transient" and expected == "abnormal")
        assert [view.id for view in await sup.which_children()] == ["a", "other"] if kind != "temporary" else ["other"]
        if is_restarted:
            await sup.wait_up("a")
        assert len(tasks) == 1 + is_restarted
        assert (await sup.which_child("other")).phase == "running"


@awaited
async def test_one_that_is_told_to_stop_is_cancelled_once_and_ends_normally_as_it_likes():
    log = Log()

    async def child(name):
        try:
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            log.add(name)
            if name == "returns":
                return
            if name == "raises":
                raise ValueError("planted") from None
            raise

    names = ("returns", "raises", "lets it pass")
    async with AsyncSupervisor([ChildSpec(name, (child, (name,), {})) for name in names]) as sup:
        ears = [ear_of((await sup.which_child(name)).ref) for name in names]
    assert log == list(names)[::-1]
    assert [ear.next().reason.kind for ear in ears] == ["normal", "abnormal", "normal"]


@pytest.mark.parametrize("shutdown_s", [0.01, "brutal_kill"])
@awaited
async def test_one_that_swallows_its_cancellation_is_abandoned_and_has_its_end_when_it_ends(shutdown_s):
    go_on = asyncio.Event()

    async def child():
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                pass

    async with AsyncSupervisor([ChildSpec("a", child, shutdown_s=shutdown_s)]) as sup:
        ref = (await sup.which_child("a")).ref
        ear = ear_of(ref)
        await sup.terminate_child("a")
        assert (await sup.count_children()).abandoned == 1
        assert not ref.is_alive()
        assert (await sup.restart_child("a")).is_alive()
        await asyncio.sleep(0.01)
        assert ear.downs == []
        go_on.set()
        while not ear.downs:
            await asyncio.sleep(0)
        assert ear.next().reason.kind == "normal"


@awaited
async def test_a_stop_before_its_first_step_ends_it_before_that():
    log = Log()
    sup = AsyncSupervisor([ChildSpec("a", (poll, (log,), {}))])
    begun = asyncio.create_task(sup.start())
    stopped = asyncio.create_task(sup.stop())
    await asyncio.wait([begun, stopped])
    assert await stopped
    assert begun.exception() is not None
    assert log in ([], [("begins", "poll"), ("ends", "poll")])


@awaited
async def test_one_that_is_asked_to_stop_by_its_reference_ends_before_that_is_answered():
    log = Log()
    async with AsyncSupervisor([ChildSpec("a", (poll, (log,), {}), kind="temporary")]) as sup:
        ref = await sup.wait_up("a")
        with pytest.raises(InsideActor):
            ref.stop()
        assert await asyncio.to_thread(ref.stop)
        assert log[-1] == ("ends", "poll")
        assert not await asyncio.to_thread(ref.stop)


@awaited
async def test_it_takes_no_messages(workers):
    async with AsyncSupervisor([ChildSpec("a", forever), ChildSpec("b", (Worker, (), {"pool": workers}))]) as sup:
        task = await sup.wait_up("a")
        task.tell("hello")
        assert await asyncio.to_thread(task.ask, "hello") is None
        assert await sup.tell_all("hello") == 1
        assert task.is_alive()


# Inside a task


@awaited
async def test_inside_a_task_is_no_actor_from_the_first_step_on():
    """It awaits, and holds up nobody: it may wait for a channel, say."""
    seen = []

    async def child():
        seen.append((current_actor(), type(asker()).__name__))
        await asyncio.sleep(0)
        seen.append((current_actor(), type(asker()).__name__))
        await asyncio.create_task(part())
        await forever()

    async def part():
        seen.append((current_actor(), asker()))

    async with AsyncSupervisor([ChildSpec("a", child)]):
        await asyncio.sleep(0.01)
    assert seen == [(None, "TaskActor"), (None, "TaskActor"), (None, None)]


@awaited
async def test_a_task_is_refused_what_would_wait_for_its_own_end_and_may_ask_all_else():
    found = asyncio.get_running_loop().create_future()

    async def child():
        await asyncio.sleep(0)
        for call in (sup.stop, sup.wait_end, lambda: sup.terminate_child("a")):
            with pytest.raises(InsideActor, match=r"called inside TaskActor \(.*child\)"):
                await call()
        assert (await sup.which_child("a")).phase == "running"
        assert len((await sup.tree()).children) == 2
        await sup.terminate_child("b")
        await sup.restart_child("b")
        await sup.start_child(ChildSpec("c", forever))
        assert (await sup.wait_up("a")).is_alive()
        found.set_result(True)
        await forever()

    async with AsyncSupervisor([ChildSpec("a", child), ChildSpec("b", forever)]) as sup:
        assert await found


@awaited
async def test_in_its_start_it_is_refused_to_wait_for_one_behind_it_and_may_wait_for_one_before():
    seen = []

    async def child():
        with starting():
            seen.append((await sup.wait_up("before")).is_alive())
            with pytest.raises(InsideActor):
                await sup.wait_up("behind")
            seen.append("refused")
        await forever()

    sup = AsyncSupervisor([ChildSpec("before", forever), ChildSpec("a", child), ChildSpec("behind", forever)])
    async with sup:
        assert seen == [True, "refused"]


@awaited
async def test_two_that_terminate_each_other_do_not_wait_for_each_other():
    go_on, answers = asyncio.Event(), []

    async def child(victim):
        await go_on.wait()
        try:
            await sup.terminate_child(victim)
        except BaseException as error:
            answers.append(type(error))
            raise

    specs = [ChildSpec(name, (child, (victim,), {}), kind="transient") for name, victim in ("ab", "ba")]
    async with AsyncSupervisor(specs, intensity=5) as sup:
        go_on.set()
        while {view.phase for view in await sup.which_children()} != {"stopped"}:
            await asyncio.sleep(0)
        assert (await sup.count_children()).abandoned == 0
    assert asyncio.CancelledError in answers or InsideActor in answers


@awaited
async def test_what_a_task_has_begun_is_outside_and_may_stop_its_supervisor():
    async def child():
        await asyncio.sleep(0)
        await asyncio.create_task(sup.stop())

    sup = AsyncSupervisor([ChildSpec("a", child)])
    await sup.start()
    assert (await sup.wait_end()).kind == "normal"


# Beside actors


class Worker(PooledActor):
    def on_receive(self, message):
        return message() if callable(message) else message


class Blocker(Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message):
        return message() if callable(message) else message


def fail():
    raise ValueError("planted")


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("who", ["task", "pooled", "threaded"])
@awaited
async def test_tasks_pooled_and_threaded_actors_are_restarted_side_by_side(strategy, who, workers):
    go_on, log = asyncio.Event(), Log()

    async def child():
        log.add("begins")
        await go_on.wait()
        go_on.clear()
        raise ValueError("planted")

    specs = [ChildSpec("pooled", (Worker, (), {"pool": workers})), ChildSpec("task", child), ChildSpec("threaded", Blocker)]
    async with AsyncSupervisor(specs, strategy=strategy) as sup:
        before = {view.id: view.ref for view in await sup.which_children()}
        ended = asyncio.get_running_loop().create_future()
        watch(before[who], lambda down: loop.call_soon_threadsafe(ended.set_result, down.reason.kind))
        loop = asyncio.get_running_loop()
        go_on.set() if who == "task" else before[who].tell(fail)
        assert await ended == "abnormal"
        for name in before:
            await sup.wait_up(name)
        while any(view.phase != "running" for view in await sup.which_children()):
            await asyncio.sleep(0)
        after = {view.id: view.ref for view in await sup.which_children()}
        changed = {
            "one_for_one": [who],
            "one_for_all": list(before),
            "rest_for_one": list(before)[list(before).index(who) :],
        }[strategy]
        assert [name for name in before if before[name] != after[name]] == changed
        assert await sup.child("pooled").ask("hello") == await sup.child("threaded").ask("hello") == "hello"


@awaited
async def test_a_branch_below_runs_on_the_loop_and_one_with_a_pool_on_threads(pool):
    log = Log()

    def branch(name, **options):
        return ChildSpec(name, (Supervisor, ([ChildSpec("poll", (poll, (log, name), {}))],), options))

    async with AsyncSupervisor([branch("on loop"), branch("on threads", pool=pool)]) as sup:
        assert sorted(log) == [("begins", "on loop"), ("begins", "on threads")]
        on_loop, on_threads = [AsyncSupervisorRef(await sup.wait_up(name)) for name in ("on loop", "on threads")]
        for below in (on_loop, on_threads):
            assert (await below.start_child(ChildSpec("b", forever))).is_alive()
            with pytest.raises(InsideActor, match="await it of an AsyncSupervisorRef"):
                below.ref.which_children()
            assert await asyncio.to_thread(below.ref.count_children) == await below.count_children()
        assert [child.id for child in (await sup.tree()).children[1].children] == ["poll", "b"]
        assert on_loop.ref not in pykka.ActorRegistry.get_all()
        assert (await sup.child("on threads/poll").ref).is_alive()
        await on_loop.stop()
        assert (await sup.child("on loop/poll").wait_up()).is_alive()
    assert sorted(log[-2:]) == [("ends", "on loop"), ("ends", "on threads")]


@awaited
async def test_a_branch_of_a_class_with_its_own_arguments_runs_on_the_loop_too():
    class Branch(Supervisor):
        def __init__(self, name):
            super().__init__([ChildSpec(name, forever), ChildSpec("inner", (Supervisor, ([ChildSpec("b", forever)],), {}))])

    async with AsyncSupervisor([ChildSpec("branch", (Branch, ("a",), {}))]) as sup:
        assert [child.id for child in (await sup.tree()).children[0].children] == ["a", "inner"]
        branch = await sup.wait_up("branch")
        assert branch._actor._pooled_pool is sup.ref._actor._pooled_pool
        assert (await sup.child("branch/inner/b").wait_up()).is_alive()


# The loop of another thread


@contextmanager
def loop_of_another_thread():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


def test_a_supervisor_on_threads_has_tasks_on_the_loop_that_it_is_given(pool, workers):
    with loop_of_another_thread() as loop:
        threads = []

        async def child():
            threads.append(threading.current_thread())
            await forever()

        sup = Supervisor.start([ChildSpec("a", child), ChildSpec("b", (Worker, (), {"pool": workers}))], loop=loop, pool=pool)
        assert threads[0] is not threading.current_thread()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        sup.terminate_child("a")
        assert sup.restart_child("a").is_alive()
        assert sup.tell_all("hello") == 1
        assert len(asyncio.all_tasks(loop)) == 2  # and the one that waits for the loop's end
        sup.stop()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        assert asyncio.all_tasks(loop) == set()


@awaited
async def test_on_the_loop_of_its_tasks_the_calls_that_wait_are_refused(pool):
    with pytest.raises(InsideActor, match="use AsyncSupervisor"):
        Supervisor.start([ChildSpec("a", forever)], loop=asyncio.get_running_loop())
    loop = asyncio.get_running_loop()
    sup = await asyncio.to_thread(Supervisor.start, [ChildSpec("a", forever)], loop=loop, pool=pool)
    for call in (sup.which_children, sup.stop, sup.wait_end, lambda: sup.wait_up("a"), sup.child("a").wait_up):
        with pytest.raises(InsideActor, match="thread of the event loop of its tasks"):
            call()
    awaitable = AsyncSupervisorRef(sup)
    assert [view.id for view in await awaitable.which_children()] == ["a"]
    assert await awaitable.stop()
    await asyncio.sleep(0.01)


def test_on_a_loop_that_is_closed_none_begins(pool):
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(LoopClosed, match="the event loop is closed"):
        Supervisor.start([ChildSpec("a", forever)], loop=loop, pool=pool)


def test_on_a_loop_that_does_not_run_none_comes_up(pool):
    loop = asyncio.new_event_loop()
    with pytest.raises(StartFailed) as caught:
        Supervisor.start([ChildSpec("a", forever)], loop=loop, pool=pool, start_timeout_s=0.05)
    assert isinstance(caught.value.error, StartTimeout)
    loop.close()


# Many


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_ten_thousand_are_started_all_killed_at_once_restarted_and_stopped(many):
    async def play():
        tasks, ended = {}, []

        async def child(number):
            tasks[number] = asyncio.current_task()
            try:
                await forever()
            finally:
                ended.append(number)

        def killed():
            for task in list(tasks.values()):
                task.cancel()

        specs = [ChildSpec(number, (child, (number,), {})) for number in range(many)]
        # so long on a machine that does much else
        sup = AsyncSupervisor(specs, intensity=many, period_s=600, start_timeout_s=600)
        await sup.start()
        assert len(tasks) == many
        before = list(tasks.values())
        killed()
        while not ended:
            await asyncio.sleep(0)
        for number in range(many):
            await sup.wait_up(number)
        assert len(tasks) == many
        assert not {id(task) for task in before} & {id(task) for task in tasks.values()}
        assert sorted(ended) == list(range(many))
        assert (await sup.count_children()).active == many
        await sup.stop()
        assert ended[many:] == list(range(many))[::-1]

    asyncio.run(play())


def seconds(many):
    async def play():
        began_s = time.process_time()
        async with AsyncSupervisor([ChildSpec(number, forever) for number in range(many)], start_timeout_s=600):
            pass
        return time.process_time() - began_s

    return asyncio.run(play())


@pytest.mark.slow
def test_ten_times_as_many_take_about_ten_times_as_long():
    assert seconds(5_000) < 50 * min(seconds(500) for _ in range(3))


ALONE = """
import asyncio, threading
from lightspeed.supervision import AsyncSupervisor, Backoff, ChildSpec, Supervisor

started, start = [], threading.Thread.start
threading.Thread.start = lambda thread: (started.append(thread.name), start(thread))

async def fails():
    await asyncio.sleep(0.001)
    raise ValueError

async def poll():
    await asyncio.sleep(60)

async def main():
    branch = ChildSpec("branch", (Supervisor, ([ChildSpec("poll", poll)],), {}))
    children = [ChildSpec("fails", fails), ChildSpec("poll", poll, shutdown_s="brutal_kill"), branch]
    async with AsyncSupervisor(children, intensity=1000, backoff=Backoff(floor_s=0.001, cap_s=0.001)) as supervisor:
        while (await supervisor.which_child("fails")).restarts < 5:
            await asyncio.sleep(0)
    print(started, threading.active_count())

asyncio.run(main())
"""


def test_no_thread_is_started_for_tasks():
    command = [sys.executable, "-W", "error", "-c", ALONE]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[] 1\n", "")


def test_a_supervisor_of_tasks_gives_up_as_any_does():
    async def play():
        async def fails():
            await asyncio.sleep(0)
            raise ValueError("planted")

        async with AsyncSupervisor([ChildSpec("a", fails), ChildSpec("b", forever)], intensity=2) as sup:
            await sup.wait_end()

    with pytest.raises(RestartsExceeded) as caught:
        asyncio.run(play())
    assert str(caught.value.error) == "planted"


@awaited
async def test_a_backoff_goes_by_the_time_of_the_loop():
    go_on, log = asyncio.Event(), Log()

    async def child():
        log.add(asyncio.get_running_loop().time())
        await go_on.wait()
        go_on.clear()

    async with AsyncSupervisor([ChildSpec("a", child)], backoff=Backoff(floor_s=0.05, jitter=0)) as sup:
        go_on.set()
        while len(log) < 2:
            await asyncio.sleep(0.005)
        assert log[1] - log[0] >= 0.05
        await sup.wait_up("a")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
@awaited
async def test_tasks_that_begin_at_once_are_children_like_any_others():
    loop, seen = asyncio.get_running_loop(), []
    loop.set_task_factory(asyncio.eager_task_factory)

    async def child():
        seen.append((current_actor(), type(asker()).__name__))
        with starting():
            await asyncio.sleep(0)
        await forever()

    async def brief():
        seen.append("brief")

    async with AsyncSupervisor([ChildSpec("a", child), ChildSpec("b", brief, kind="transient")]) as sup:
        assert (await sup.wait_up("a")).is_alive()
        await sup.terminate_child("a")
        assert seen == [(None, "TaskActor"), "brief"]


# In a simulation


def played(seed):
    """The trace of a play in which two tasks fail, and are restarted after a backoff."""
    with Simulation(seed) as simulation:
        log = []

        async def child(name, fails_after_s):
            loop = asyncio.get_running_loop()
            log.append((name, loop.time()))
            await asyncio.sleep(fails_after_s)
            raise ValueError(name)

        async def main():
            specs = [ChildSpec(name, (child, (name, seconds), {})) for name, seconds in (("a", 50), ("b", 70))]
            async with AsyncSupervisor(specs, intensity=5, backoff=Backoff(floor_s=100, cap_s=100, jitter=0)) as sup:
                await asyncio.sleep(60)
                assert (await sup.which_child("a")).phase == "restarting"
                with pytest.raises(SupervisorTimeout):
                    await sup.wait_up("a", timeout_s=80)
                assert (await sup.wait_up("a")).is_alive()
                await sup.wait_up("b")

        simulation.loop.run_until_complete(main())
        assert log == [("a", 0), ("b", 0), ("a", 150), ("b", 170)]
        assert simulation.now_s == 170
        return simulation.trace.hash


@pytest.mark.parametrize("seed", range(5))
def test_in_a_simulation_it_takes_as_long_as_it_says_and_is_the_same_again(seed):
    before_s = time.monotonic()
    assert played(seed) == played(seed)
    assert time.monotonic() - before_s < 100
