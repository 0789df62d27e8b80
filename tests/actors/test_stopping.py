import threading

import pytest

from lightspeed.actors import ActorPool, PooledActor
from lightspeed.actors.stopping import give_up, stop_soon
from lightspeed.actors.watching import watch


class Quiet(PooledActor):
    registered = False

    def on_receive(self, message):
        return message()


class Talks(Quiet):
    def __init__(self, pool, stopped_in):
        super().__init__(pool=pool)
        self.stopped_in = stopped_in

    def on_stop(self):
        self.stopped_in.append(threading.current_thread())


@pytest.fixture
def pool():
    pool = ActorPool()
    yield pool
    assert pool.close(5) == []


def test_an_idle_actor_without_code_for_its_stop_is_down_at_once(pool):
    ref, told_in = Quiet.start(pool=pool), []
    watch(ref, lambda _down: told_in.append(threading.current_thread()))
    stop_soon(ref)
    assert not ref.is_alive()
    assert told_in == [threading.current_thread()]
    stop_soon(ref)


def test_one_with_code_of_its_own_runs_it_on_a_worker(pool):
    stopped_in, down = [], threading.Event()
    ref = Talks.start(pool, stopped_in)
    watch(ref, lambda _down: down.set())
    stop_soon(ref)
    assert down.wait(5)
    assert stopped_in != [threading.current_thread()]


def test_one_at_work_stops_when_it_has_handled_what_it_was_told(pool):
    inside, go_on, down, handled = (threading.Event() for _ in range(4))
    ref = Quiet.start(pool=pool)
    watch(ref, lambda _down: down.set())
    ref.tell(lambda: (inside.set(), go_on.wait(10)))
    ref.tell(handled.set)
    assert inside.wait(5)
    stop_soon(ref)
    assert ref.is_alive()
    go_on.set()
    assert down.wait(5)
    assert handled.is_set()


def test_of_one_that_is_given_up_its_pool_is_told_also_where_it_is_dead():
    class Told(ActorPool):
        def __init__(self):
            super().__init__()
            self.given_up = []

        def give_up(self, actor):
            self.given_up.append(actor)

    pool = Told()
    ref, down = Quiet.start(pool=pool), threading.Event()
    watch(ref, lambda _down: down.set())
    give_up(ref)
    assert not ref.is_alive()
    assert down.wait(5)
    give_up(ref)
    assert pool.given_up == [ref._actor, ref._actor]
    assert pool.close(5) == []


def test_one_of_a_closed_pool_is_dead_all_the_same():
    pool = ActorPool()
    ref = Quiet.start(pool=pool)
    assert pool.close(5) == []
    give_up(ref)
    assert not ref.is_alive()


def test_one_that_is_given_up_while_it_runs_in_a_callers_thread_has_its_end(pool):
    ref, down = Quiet.start(pool=pool), threading.Event()
    watch(ref, lambda _down: down.set())
    assert ref.ask(lambda: give_up(ref)) is None
    assert down.wait(5)
    assert not ref.is_alive()
