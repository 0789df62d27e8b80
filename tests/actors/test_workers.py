import concurrent.futures
import ctypes
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pykka
import pytest
from starts import count_starts

from lightspeed.actors import ActorPool, InForkedChild, PooledActor, Supervisable, watch, workers
from lightspeed.actors.errors import AskRing
from lightspeed.actors.ref import PooledHandle
from lightspeed.actors.workers import blocking

LONG = 3600.0


@pytest.fixture
def pool():
    pool = ActorPool()
    yield pool
    assert pool.close(10) == []
    with pool.lock:
        assert (pool._workers._away, pool._workers.inside, pool._workers.watcher) == (0, {}, None)


class Doer(PooledActor):
    """Does what it is told, as code that may block."""

    registered = False

    def on_receive(self, message):
        with blocking:
            message()


class Plain(PooledActor):
    """Does what it is told, as code that does not block."""

    registered = False

    def on_receive(self, message):
        message()


@contextmanager
def start_no_threads(error=RuntimeError):
    def start(_thread):
        raise error("planted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


def hold(ref):
    """Have the actor at work until what is returned is set."""
    inside, go_on = threading.Event(), threading.Event()
    ref.tell(lambda: (inside.set(), go_on.wait(20)))
    assert inside.wait(10)
    return go_on


def handled_behind(pool, actor_class, count):
    """The thread of each message of as many actors, which all had theirs before the first one ran."""
    first, seen, done = Plain.start(pool=pool), [], threading.Event()
    go_on = hold(first)
    for _ in range(count):
        actor_class.start(pool=pool).tell(lambda: seen.append(threading.get_ident()))
    Plain.start(pool=pool).tell(done.set)
    go_on.set()
    assert done.wait(20)
    return seen


def changes_of_thread(seen):
    return sum(one != other for one, other in pairwise(seen))


def wait_until(pool, holds, timeout_s=10.0):
    until_s, signal = time.monotonic() + timeout_s, threading.Lock()
    signal.acquire()
    pool._workers.rests.append(signal)
    try:
        while time.monotonic() < until_s:
            with pool.lock:
                if holds():
                    return True
            signal.acquire(timeout=max(0.0, until_s - time.monotonic()))
        return False
    finally:
        pool._workers.rests.remove(signal)


# Who takes over


def test_whoever_comes_behind_one_that_blocks_is_run_meanwhile(pool):
    came, answers = threading.Event(), []
    one, other = Doer.start(pool=pool), Doer.start(pool=pool)
    go_on = hold(Plain.start(pool=pool))
    one.tell(lambda: answers.append(came.wait(10)))
    other.tell(came.set)  # stands in the line when the other begins to block
    go_on.set()
    one.ask(lambda: None, timeout=10)
    assert answers == [True]


def test_whoever_is_told_while_another_blocks_is_run_meanwhile(pool):
    one, other, came = Doer.start(pool=pool), Doer.start(pool=pool), threading.Event()
    go_on = hold(one)
    other.tell(came.set)
    assert came.wait(10)
    go_on.set()


@pytest.mark.parametrize("kind", [threading.Event, pykka.ThreadingFuture, concurrent.futures.Future])
def test_one_that_waits_without_a_word_is_found_and_left_to_it(pool, kind):
    waits = {threading.Event: "wait", pykka.ThreadingFuture: "get", concurrent.futures.Future: "result"}[kind]
    silent, other, foreign, inside = Plain.start(pool=pool), Plain.start(pool=pool), kind(), threading.Event()
    silent.tell(lambda: (inside.set(), getattr(foreign, waits)()))
    assert inside.wait(10)
    other.tell(lambda: foreign.set_result(1) if kind is concurrent.futures.Future else foreign.set())
    silent.ask(lambda: None, timeout=10)


def test_behind_one_that_computes_everybody_waits(pool):
    silent, other, came, go_on = Plain.start(pool=pool), Plain.start(pool=pool), [], []
    inside = threading.Event()

    def compute():
        inside.set()
        while not go_on:
            pass

    silent.tell(compute)
    assert inside.wait(10)
    other.tell(lambda: came.append(1))
    assert not threading.Event().wait(0.05)
    assert not came
    go_on.append(1)
    other.ask(lambda: None, timeout=10)
    assert came


def test_a_hundred_that_block_at_once_all_do_so_at_once(pool):
    everybody = threading.Barrier(101)
    for _ in range(100):
        Doer.start(pool=pool).tell(lambda: everybody.wait(20))
    everybody.wait(20)


def test_whoever_is_woken_in_a_pool_of_two_workers_takes_the_place_of_either():
    pool, everybody = ActorPool(workers=2), threading.Barrier(9)
    for _ in range(8):
        Doer.start(pool=pool).tell(lambda: everybody.wait(20))
    everybody.wait(20)
    assert pool.close(10) == []


def test_where_many_took_long_lately_the_next_is_replaced_before_it_is_watched(pool, monkeypatch):
    monkeypatch.setattr(workers, "_WATCH_S", LONG)
    for long_s, is_replaced in ((LONG, False), (-1.0, True)):
        monkeypatch.setattr(workers, "_LONG_S", long_s)
        one, other, came = Doer.start(pool=pool), Doer.start(pool=pool), threading.Event()
        for _ in range(20):
            one.ask(lambda: None, timeout=10)
        go_on = hold(one)
        other.tell(came.set)
        assert came.wait(10 if is_replaced else 0.02) == is_replaced
        go_on.set()
        assert came.wait(10)


def test_where_some_never_come_back_the_next_is_replaced_before_it_is_watched(pool, monkeypatch):
    monkeypatch.setattr(workers, "_LONG_S", LONG)
    one, other, held = Doer.start(pool=pool), Doer.start(pool=pool), []
    for watch_s in (0.001, 0.001, 0.001, LONG):
        monkeypatch.setattr(workers, "_WATCH_S", watch_s)
        came = threading.Event()
        held.append(hold(one if watch_s == LONG else Doer.start(pool=pool)))
        other.tell(came.set)
        assert came.wait(10)
    for go_on in held:
        go_on.set()


def test_whoever_waits_for_another_actor_within_code_that_may_block_needs_no_watch(pool, monkeypatch):
    monkeypatch.setattr(workers, "_WATCH_S", LONG)
    one, other = Doer.start(pool=pool), Doer.start(pool=pool)
    one.ask(lambda: other.ask(lambda: None, timeout=10), timeout=10)


def test_code_that_does_not_block_is_left_to_one_thread(pool):
    assert changes_of_thread(handled_behind(pool, Doer, 2000)) < 100


def test_where_each_call_is_taken_to_block_each_changes_the_thread(pool, monkeypatch):
    monkeypatch.setattr(workers, "_MANY", -1.0)
    assert changes_of_thread(handled_behind(pool, Doer, 2000)) > 500


# Who is kept


def test_ten_thousand_messages_to_code_that_may_block_start_few_threads(pool):
    with count_starts() as started:
        handled_behind(pool, Doer, 10_000)
    assert 1 <= len(started) < 20


def test_behind_one_that_hangs_few_threads_are_started(pool):
    go_on = hold(Doer.start(pool=pool))
    with count_starts() as started:
        handled_behind(pool, Doer, 10_000)
    assert 1 <= len(started) < 20
    go_on.set()


@pytest.mark.parametrize("spare_s", [LONG, 1e-6])
def test_one_that_took_the_place_of_another_is_kept_for_the_next_time(pool, monkeypatch, spare_s):
    """And where none is kept, each time another one is started."""
    monkeypatch.setattr(workers, "_SPARE_S", spare_s)
    one, other = Doer.start(pool=pool), Doer.start(pool=pool)
    with count_starts() as started:
        for _ in range(200):
            came, answers = threading.Event(), []
            one.tell(lambda came=came, answers=answers: answers.append(came.wait(10)))
            other.tell(came.set)
            one.ask(lambda: None, timeout=10)
            assert answers == [True]
            if spare_s < 1:
                assert wait_until(pool, lambda: len(pool._workers.all) == 1)
    assert len(started) >= 200 if spare_s < 1 else len(started) < 10


def test_whoever_has_kept_watch_for_nothing_is_kept(pool, monkeypatch):
    monkeypatch.setattr(workers, "_WATCH_S", 0.02)
    one, other, came = Doer.start(pool=pool), Doer.start(pool=pool), threading.Event()
    go_on = hold(one)
    other.tell(came.set)
    assert not came.wait(0.005)
    go_on.set()
    assert came.wait(10)
    assert not wait_until(pool, lambda: len(pool._workers.all) < 2, timeout_s=0.04)


@pytest.mark.parametrize("spare_s", [LONG, 0.01])
def test_those_who_are_not_needed_end_after_a_while_but_for_one(pool, monkeypatch, spare_s):
    monkeypatch.setattr(workers, "_SPARE_S", spare_s)
    everybody = threading.Barrier(21)
    for _ in range(20):
        Doer.start(pool=pool).tell(lambda: everybody.wait(20))
    everybody.wait(20)
    assert wait_until(pool, lambda: not pool._workers.are_busy)
    if spare_s == LONG:
        assert not wait_until(pool, lambda: len(pool._workers.all) < 20, timeout_s=0.02)
    else:
        assert wait_until(pool, lambda: len(pool._workers.all) == 1)
        assert not wait_until(pool, lambda: not pool._workers.all, timeout_s=0.02)


def test_a_pool_that_is_retired_keeps_nobody_and_still_replaces_who_blocks(pool):
    everybody = threading.Barrier(11)
    pool.retire()
    for _ in range(10):
        Doer.start(pool=pool).tell(lambda: everybody.wait(20))
    everybody.wait(20)
    assert wait_until(pool, lambda: not pool._workers.all)


def test_close_names_who_blocks_and_waits_for_nobody_else():
    pool, came = ActorPool(), threading.Event()
    one = Doer.start(pool=pool)
    go_on = hold(one)
    Doer.start(pool=pool).tell(came.set)
    assert came.wait(10)
    assert pool.close(0.01) == [str(one)]
    go_on.set()
    assert pool.close(10) == []
    assert not pool._workers.all


# What counts


def test_calls_within_one_another_count_once(pool):
    first, second, third = (Doer.start(pool=pool) for _ in range(3))
    came = threading.Event()

    def nested():
        with blocking, blocking:
            second.ask(lambda: third.ask(lambda: None, timeout=10), timeout=10)
            assert came.wait(10)
        with blocking:
            pass

    first.tell(nested)
    Plain.start(pool=pool).tell(came.set)
    first.ask(lambda: None, timeout=10)
    assert wait_until(pool, lambda: not pool._workers.are_busy)
    assert pool._workers.short
    assert not pool._workers.crowded


def test_one_that_raises_is_no_longer_taken_to_block(pool):
    def fail():
        raise ValueError("planted")

    ref = Doer.start(pool=pool)
    ref.tell(fail)
    assert ref.actor_stopped.wait(10)
    other = Doer.start(pool=pool)
    other.ask(lambda: None, timeout=10)


# Where no thread can be started


def test_without_a_thread_for_the_first_worker_nobody_is_told(pool):
    actor, seen = Doer._pooled_start(pool=pool), []
    with start_no_threads(), pytest.raises(RuntimeError):
        PooledHandle(actor).tell(lambda: seen.append("refused"))
    actor.actor_ref.ask(lambda: seen.append("told"), timeout=10)
    assert seen == ["told"]


def test_without_a_thread_for_more_they_wait_for_the_one_that_there_is(pool):
    one, other, came = Doer.start(pool=pool), Doer.start(pool=pool), threading.Event()
    go_on = hold(one)
    with start_no_threads():
        other.tell(came.set)
        assert not came.wait(0.02)
        go_on.set()
        assert came.wait(10)


def test_whoever_is_interrupted_while_a_thread_starts_leaves_a_worker_that_works(pool, monkeypatch):
    start, done = threading.Thread.start, threading.Event()

    def interrupted(thread):
        start(thread)
        if threading.current_thread() is threading.main_thread():  # the new worker may already start the lookout
            raise KeyboardInterrupt

    ref = Doer.start(pool=pool)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ref.tell(done.set)
    assert done.wait(10)
    Doer.start(pool=pool).ask(lambda: None, timeout=10)


def test_whoever_is_interrupted_before_a_thread_starts_leaves_room_for_another(pool):
    ref, done = Doer.start(pool=pool), threading.Event()
    with start_no_threads(KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        ref.tell(done.set)
    Doer.start(pool=pool).ask(lambda: None, timeout=10)
    assert done.wait(10)


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_is_interrupted_while_it_wakes_a_worker_loses_none(pool, monkeypatch, when):
    ref, done, wake = Doer.start(pool=pool), threading.Event(), workers.Worker.wake
    ref.ask(lambda: None, timeout=10)
    assert wait_until(pool, lambda: not pool._workers.are_busy)

    def interrupted(worker):
        if when == "after":
            wake(worker)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workers.Worker, "wake", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ref.tell(done.set)
    assert when == "before" or done.wait(10)
    Doer.start(pool=pool).ask(lambda: None, timeout=10)
    assert done.wait(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("where", ["beside", "within"])
def test_a_fork_beside_or_within_code_that_blocks_leaves_both_processes_at_work(pool, where):
    def fork():
        child = os.fork()
        if child == 0:
            try:
                with blocking:
                    fresh = Doer.start()
                    fresh.ask(lambda: None, timeout=10)
                with pytest.raises(InForkedChild):
                    pool.close(1)
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    one, codes, done = Doer.start(pool=pool), [], threading.Event()
    if where == "within":
        one.tell(lambda: (codes.append(fork()), done.set()))
        assert done.wait(20)
    else:
        go_on = hold(one)
        codes.append(fork())
        go_on.set()
    assert codes == [0]
    Doer.start(pool=pool).ask(lambda: None, timeout=10)


@pytest.mark.slow
def test_of_forty_thousand_messages_that_block_or_not_from_four_threads_none_is_forgotten():
    """By turns nothing, what changes the thread, an ask, and a wait for another actor that the pool knows nothing of."""
    pool = ActorPool(workers=2)
    refs = [Doer.start(pool=pool) for _ in range(40)]

    def hammer(mine):
        own, handled = refs[mine::4], threading.Semaphore(0)
        helper = Plain.start(pool=pool)

        def wait_in_vain():
            came = threading.Event()
            helper.tell(came.set)
            assert came.wait(20)
            handled.release()

        calls = (handled.release, lambda: (threading.Event().wait(1e-6), handled.release()), wait_in_vain)
        for number in range(10_000):
            own[number % 10].tell(calls[0 if number % 50 else number // 50 % 3])
        return all(handled.acquire(timeout=30) for _ in range(10_000))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(hammer, range(4))) == [True] * 4
    assert pool.close(10) == []


# What is thrown into a worker


class Late(Exception):
    pass


def throw(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Late))


@pytest.mark.slow
def test_a_worker_that_is_hit_goes_on_and_whoever_it_ran_is_known_to_be_dead(pool):
    told, dead = [], 0
    refs = [Plain.start(pool=pool) for _ in range(5)]
    for ref in refs:
        watch(ref, told.append)
    for number in range(2000):
        ref = refs[number % len(refs)]
        if not ref.is_alive():
            dead += 1
            ref = refs[number % len(refs)] = Plain.start(pool=pool)
            watch(ref, told.append)
        for worker in list(pool._workers.all):
            if number % 7 == 0 and worker.thread.ident:
                throw(worker.thread)
        try:
            ref.ask(lambda: None, timeout=10)
        except (pykka.ActorDeadError, Late):
            pass
    for ref in refs:
        try:
            ref.stop(timeout=10)
        except Late:
            pass
    pool.close(5)
    assert len(told) == dead + len(refs)


def test_one_whose_start_is_hit_is_replaced(pool, monkeypatch):
    begin, hit = workers.Workers.begin, []

    def begin_hit(self, me):
        if not hit:
            hit.append(1)
            raise Late
        return begin(self, me)

    monkeypatch.setattr(workers.Workers, "begin", begin_hit)
    assert Plain.start(pool=pool).ask(lambda: 1, timeout=10) is None
    assert hit


def test_one_that_is_given_up_keeps_no_worker(pool):
    stuck, other = Plain.start(pool=pool), Plain.start(pool=pool)
    go_on, inside = [], threading.Event()

    def compute():
        inside.set()
        while not go_on:
            pass

    stuck.tell(compute)
    assert inside.wait(10)
    other.tell(lambda: None)
    pool.give_up(stuck._actor)
    other.ask(lambda: None, timeout=10)
    go_on.append(1)
    stuck.ask(lambda: None, timeout=10)


def test_a_line_of_those_who_wait_for_one_another_elsewhere_gets_on(pool):
    answers = [concurrent.futures.Future() for _ in range(20)]
    for one, following in pairwise(answers):
        Plain.start(pool=pool).tell(lambda one=one, following=following: one.set_result(following.result()))
    Plain.start(pool=pool).tell(lambda: answers[-1].set_result("there"))
    assert answers[0].result(timeout=20) == "there"


class Threaded(Supervisable, pykka.ThreadingActor):
    use_daemon_thread = True

    def on_receive(self, message):
        return message()


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_ring_through_a_threaded_actor_is_named(pool, timeout):
    class Asked(PooledActor):
        def on_receive(self, message):
            return message()

    pooled, threaded = Asked.start(pool=pool), Threaded.start()
    for one, other in ((pooled, threaded), (threaded, pooled)):
        with pytest.raises(AskRing, match=r"Asked.*Threaded|Threaded.*Asked"):
            one.ask(lambda one=one, other=other: other.ask(lambda: one.ask(lambda: 1, timeout=timeout), timeout=timeout))
    assert pooled.ask(lambda: threaded.ask(lambda: 1, timeout=timeout)) == 1
    pooled.stop()
    threaded.stop()
